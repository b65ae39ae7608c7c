"""Work in several processes, and what is left when it is killed."""

import os
import signal
import subprocess
import sys
import time

from dualcam import jobs
from tests.helpers.checkout import ROOT

_SCRIPT = """
import os, pathlib, sys, time
from dualcam import jobs

def work(piece):
    pathlib.Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(120)

if __name__ == '__main__':
    jobs.run_all(work, [0, 1], 2, 'piece', start_method='fork')
"""


def test_workers_end_with_the_process_they_work_for(tmp_path):
    """A killed command leaves no process that keeps writing."""
    script = tmp_path / 'script.py'
    script.write_text(_SCRIPT)
    (tmp_path / 'out').mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / 'out')],
        env=os.environ | {'PYTHONPATH': str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    workers = _wait_for(lambda: [int(p.name) for p in (tmp_path / 'out').iterdir()], 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait_for(lambda: [pid for pid in workers if not _is_running(pid)], 2)


_prepared = []


def _prepare():
    _prepared.append(os.getpid())


def _when_prepared(piece):
    return piece, _prepared == [os.getpid()]


def test_each_process_is_prepared_once_before_its_first_piece():
    assert jobs.run_all(_when_prepared, [0, 1, 2, 3], 2, 'piece', prepare=_prepare) == [
        (0, True),
        (1, True),
        (2, True),
        (3, True),
    ]
    assert not _prepared


def _wait_for(found, count):
    for _ in range(300):
        if len(found()) == count:
            return found()
        time.sleep(0.1)
    raise AssertionError(f'{found()}; expected {count}')


def _is_running(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
