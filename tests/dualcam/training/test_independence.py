"""Training data do not depend on the number of threads."""

import json

import numpy as np
import pytest


@pytest.mark.slow
def test_an_epoch_is_the_same_with_any_number_of_threads(command):
    made = []
    for threads in ('1', '5'):
        code, out, errors = command(
            '-W',
            'ignore',
            '-m',
            'tests.helpers.clip_epochs',
            TF_NUM_INTRAOP_THREADS=threads,
            TF_NUM_INTEROP_THREADS=threads,
            OMP_NUM_THREADS=threads,
        )
        assert code == 0, errors[-3000:]
        made.append(json.loads(out.splitlines()[-1]))
    assert made[0]['exact'] == made[1]['exact']
    np.testing.assert_allclose(made[0]['close'], made[1]['close'], rtol=1e-5)
    assert np.ptp(made[0]['close']) > 0.0
