"""Three kill points of `tests/proofs/kill_training.py`, which tests 50 over all regimes."""

import numpy as np
import pytest

from tests.helpers import killed_runs


@pytest.mark.slow
def test_a_run_that_was_killed_three_times_ends_as_one_that_was_not(tmp_path):
    killer = killed_runs.Killer(tmp_path)
    ended, writes, _ = killer.train('visual', 'whole')
    assert ended and writes > 40
    wanted = killer.left('whole')
    assert {
        'metrics.json',
        'report.html',
        'tensorboard/validation: mAP, 3',
        'tensorboard/validation: average precision, 1',
    } <= set(wanted)
    assert not any('again' in name for name in wanted)
    for write in np.random.default_rng(0).integers(1, writes // 2, 3):
        ended, *_ = killer.train('visual', 'killed', killed_runs.Kill(int(write)))
        assert not ended
    ended, *_ = killer.train('visual', 'killed')
    assert ended and killed_runs.differences(killer.left('killed'), wanted) == []
