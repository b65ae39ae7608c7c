"""The process beside a worker: it is kept, it answers, and it ends with its worker."""

import os
import pathlib
import pickle
import time

import pytest

pytest.importorskip('distributed', reason='dualcam[cluster] is not installed')

import cloudpickle

from dualcam.jobs import children
from tests.helpers import deadly_pieces
from tests.helpers.checkout import ROOT
from tests.helpers.dask_engine import start_command, wait_for

VARIABLES = {**os.environ, 'PYTHONPATH': str(ROOT)}


@pytest.fixture
def call():
    """Calls a function in one child process."""
    child = children.Child(VARIABLES)

    def make(work, piece, is_wanted=lambda: True):
        return pickle.loads(child.call(cloudpickle.dumps((work, piece)), is_wanted))

    yield make
    child.kill()


def is_running(number):
    try:
        text = pathlib.Path(f'/proc/{number}/stat').read_text()
    except OSError:
        return False
    return text.rpartition(')')[2].split()[0] != 'Z'


def test_one_process_answers_all_calls(call):
    _, number, _ = call(deadly_pieces.hang, None)
    assert number != os.getpid()
    assert call(deadly_pieces.refuse, 1) == (None, 1, ['warning: one: is odd'])
    error, result, _ = call(deadly_pieces.refuse, 2)
    assert (type(error), str(error), result) == (ValueError, '2 is even', None)
    with pytest.raises(OSError, match=r'^no disk for 7$'):
        call(deadly_pieces.lack, 7)
    assert call(deadly_pieces.hang, None) == (None, number, [])


def test_a_killed_process_is_noticed(call):
    with pytest.raises(EOFError):
        call(deadly_pieces.square, 3)
    with pytest.raises((EOFError, OSError)):
        call(deadly_pieces.square, 2)


def test_what_nobody_waits_for_is_ended(call, tmp_path):
    path = tmp_path / 'number'
    started = time.monotonic()
    with pytest.raises(children.Unwanted):
        call(deadly_pieces.hang, path, lambda: not path.exists())
    assert time.monotonic() - started < 300 and not is_running(int(path.read_text()))


def test_it_ends_with_its_worker(tmp_path):
    path = tmp_path / 'number'
    worker = start_command(
        '-c',
        'import os, cloudpickle\n'
        'from dualcam.jobs import children\n'
        'from tests.helpers import deadly_pieces\n'
        f"child = children.Child({{**os.environ, 'PYTHONPATH': {str(ROOT)!r}}})\n"
        f'payload = cloudpickle.dumps((deadly_pieces.hang, {str(path)!r}))\n'
        'child.call(payload, lambda: True)\n',
    )
    wait_for(path.exists)
    number = int(path.read_text())
    assert is_running(number)
    worker.kill()
    worker.communicate()
    wait_for(lambda: not is_running(number))
