"""Distributed training of a table: the others train what the chief announces; only it writes."""

import collections
import dataclasses
import json
import pickle
import types

import pytest

import experiments.sounds.runs
import experiments.wacv2020.runs
from dualcam.training import hosts
from experiments.shared import workers
from tests.helpers import together

TEACHER = experiments.wacv2020.runs.Run('dualcamnet', 'hard', 'all')
ANNOUNCED = [
    (experiments.wacv2020.runs.Run('hearnet', 'D', 'all', TEACHER, (('learning_rate', 1e-3),)), 0),
    (experiments.sounds.runs.Run('hearnet', 2), 1),
    (TEACHER, 2),
]


@pytest.fixture
def two_processes(monkeypatch):
    """Makes this process one of two; returns the queue of the chief's announcements."""
    sent = collections.deque()
    side = types.SimpleNamespace(number=0, sent=sent)

    def pass_on(content=b''):
        if side.number == 0:
            sent.append(content)
            return content
        return sent.popleft()

    monkeypatch.setattr(hosts, 'count', lambda: 2)
    monkeypatch.setattr(hosts, 'number', lambda: side.number)
    monkeypatch.setattr(hosts, 'wait', lambda: pass_on(b'here'))
    monkeypatch.setattr(hosts, 'bytes_from_chief', pass_on)
    return side


class Workshop:
    """Records what it is asked to train."""

    def __init__(self, run_type):
        self.source, self.trained = types.SimpleNamespace(run_type=run_type), []

    def train(self, run, seed):
        self.trained.append((run, seed))


def test_what_the_chief_announces_is_trained_by_the_workshop_of_its_kind(two_processes):
    opened = [Workshop(experiments.wacv2020.runs.Run), Workshop(experiments.sounds.runs.Run)]
    workers.wait_for_chief()
    assert not workers.follow(*opened)  # the chief continues by itself
    for run, seed in ANNOUNCED:
        workers.announce(run, seed)
    workers.dismiss()
    two_processes.number = 1
    workers.wait_for_chief()
    workers.announce(TEACHER, 9)  # only the chief does
    workers.dismiss()
    assert workers.follow(*opened)
    assert [one.trained for one in opened] == [[ANNOUNCED[0], ANNOUNCED[2]], [ANNOUNCED[1]]]
    assert not two_processes.sent


@pytest.mark.parametrize('announced', [print, ANNOUNCED[1], dataclasses.replace])
def test_nothing_but_runs_is_read(two_processes, announced):
    two_processes.sent.append(pickle.dumps((announced, 0)))
    two_processes.number = 1
    with pytest.raises(pickle.UnpicklingError, match='is no kind of run'):
        workers.follow(Workshop(experiments.wacv2020.runs.Run))


def test_a_single_process_announces_nothing():
    workers.announce(TEACHER, 0)
    workers.dismiss()
    workers.wait_for_chief()
    assert not workers.follow(Workshop(experiments.wacv2020.runs.Run))


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--worker=1'], '--worker=1: goes with --workers'),
        (['--workers=a:1,b:2'], '--worker=N must say which of them this process is'),
        (['--workers=a:1,b:2', '--worker=0', '--devices=3'], '2 processes have one each'),
        (['--workers=a:1,b:2', '--worker=0', '--cluster=tcp://a:3'], 'pass either --cluster'),
    ],
)
def test_flags_that_do_not_fit_are_refused(program, tmp_path, flags, message):
    code, _, errors = program(
        'experiments/run_table1.py', f'--records={tmp_path}', f'--out={tmp_path}/out', *flags
    )
    assert code == 1 and message in errors and len(errors.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_command_of_two_processes_is_written_by_the_chief(smoke, tmp_path):
    """A student and its teacher: the other process finds the teacher's predictions on disk."""
    call = [
        '-W',
        'ignore',
        'experiments/grid_search.py',
        f'--records={smoke}/records',
        f'--out={tmp_path}',
        '--network=hearnet',
        '--train_on=scenario_1',
        '--preset=smoke',
        '--learning_rates=1e-3',
        '--temperatures=2',
        '--imitations=0.5',
        '--workers={workers}',
    ]
    ended = together.run([*call, '--worker=0'], [*call, '--worker=1'])
    (code, out, errors), (other_code, other_out, other_errors) = ended
    assert (code, other_code) == (0, 0), errors + other_errors
    assert 'chosen: ' in out and 'written' not in other_out
    trained = [line for line in out.splitlines() if line.startswith('training ')]
    assert len(trained) == 2
    assert [line for line in other_out.splitlines() if line.startswith('training ')] == trained
    for folder in (tmp_path / 'runs').iterdir():
        assert json.loads((folder / 'run.json').read_text())['params']['loop']['devices'] == 2
        assert (folder / 'metrics.json').exists()
    assert list(tmp_path.glob('grid/*/grid.json'))
