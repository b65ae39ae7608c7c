"""Concurrent runs: what remains to be done, and what does not."""

import pytest

from dualcam.training import loop
from experiments.shared import parallel
from experiments.wacv2020 import runs


class Workshop:
    """Records which runs were tested."""

    reopen = None

    def __init__(self, done):
        self._done = done

    def has_scores(self, wanted, tests, seed):
        return (wanted.network, tests[0], seed) in self._done


PIECES = [
    [
        (runs.Run('dualcamnet', 'hard', setting), [setting], seed),
        (runs.Run('hearnet', 'G', setting), [setting], seed),
    ]
    for seed in (0, 1)
    for setting in ('all', 'scenario_1')
]


@pytest.fixture
def started(monkeypatch):
    """Work passed to other processes: [(pieces, processes, threads)]."""
    calls = []
    monkeypatch.setattr(parallel.os, 'cpu_count', lambda: 6)
    monkeypatch.setattr(
        parallel,
        'run_all',
        lambda work, pieces, processes, unit, size_of, prepare: calls.append(
            (pieces, processes, work.keywords['threads'])
        ),
    )
    return calls


def test_only_what_is_missing_is_trained(started):
    done = {
        (network, setting, seed)
        for network in ('dualcamnet', 'hearnet')
        for setting in ('all', 'scenario_1')
        for seed in (0, 1)
    }
    done -= {('hearnet', 'all', 0), ('dualcamnet', 'scenario_1', 1)}
    parallel.train_ahead(Workshop(done), PIECES, jobs=3)
    assert started == [([PIECES[0], PIECES[3]], 2, 3)]


def test_processors_are_shared_and_one_job_needs_no_process(started):
    parallel.train_ahead(Workshop(set()), PIECES)
    assert started == [(PIECES, 4, 1)]
    parallel.train_ahead(Workshop(set()), PIECES, jobs=1)
    parallel.train_ahead(Workshop(set()), PIECES[:1], jobs=4)
    assert len(started) == 1


def test_runs_without_tests_are_only_trained(monkeypatch):
    class Workshop:
        def scores(self, *wanted):
            asked.append(wanted)

        def train(self, *wanted):
            asked.append(wanted)

    asked = []
    monkeypatch.setattr(parallel, '_held', {'workshop': Workshop()})
    parallel._work([('a', ['test'], 0), ('b', (), 1)], None, None, ())
    assert asked == [('a', ['test'], 0), ('b', 1)]


def test_a_run_may_be_left_out(monkeypatch):
    class Workshop:
        def train(self, run, seed):
            if run == 'bad':
                raise loop.NotFinite('epoch 1')
            trained.append((run, seed))

    trained = []
    monkeypatch.setattr(parallel, '_held', {'workshop': Workshop()})
    piece = [('bad', (), 0), ('good', (), 0)]
    parallel._work(piece, None, None, (loop.NotFinite,))
    assert trained == [('good', 0)]
    with pytest.raises(loop.NotFinite):
        parallel._work(piece, None, None, ())
