"""A Dask scheduler and workers on loopback, each a process that can be killed."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from tests.helpers.checkout import ROOT

_USUAL = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
_PATIENCE_S = 60


class Engine:
    """A scheduler and two single-threaded workers, started as users would: in another folder,
    without access to this checkout.

    Args:
        folder: for their files.
        num_deaths: number of workers that may die before the scheduler gives up on a piece.
    """

    def __init__(self, folder, num_deaths=3):
        self._folder = pathlib.Path(folder)
        self._folder.mkdir(parents=True)
        self.file = self._folder / 'scheduler.json'
        self._log = open(self._folder / 'log', 'ab')  # noqa: SIM115, closed with the engine
        self._variables = {'DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES': str(num_deaths)}
        self._scheduler = self._start(
            'scheduler', '--host=127.0.0.1', '--port=0', '--no-dashboard', '--no-show'
        )
        self._workers = [
            self._start(
                'worker',
                '--nthreads=1',
                '--no-dashboard',
                f'--local-directory={self._folder}',
                f'--death-timeout={_PATIENCE_S}',
            )
            for _ in range(2)
        ]
        self.address = wait_for(self._address)

    def _start(self, kind, *options):
        return subprocess.Popen(
            [
                sys.executable,
                '-m',
                f'distributed.cli.dask_{kind}',
                f'--scheduler-file={self.file}',
                *options,
            ],
            cwd=self._folder,
            stdout=self._log,
            stderr=self._log,
            env=_USUAL | self._variables,
            start_new_session=True,
        )

    def _address(self):
        with contextlib.suppress(OSError, ValueError):  # missing or incomplete
            return json.loads(self.file.read_text())['address']

    def worker_pids(self):
        """Process numbers of those that work; their nannies start others in place of dead ones."""
        nannies = {worker.pid for worker in self._workers}
        found = []
        for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                text = path.read_text()
                state, parent, *_ = text.rpartition(')')[2].split()
                command = (path.parent / 'cmdline').read_bytes()
                if int(parent) in nannies and state != 'Z' and b'spawn_main' in command:
                    found.append(int(path.parent.name))
        return sorted(found)

    def kill_worker(self):
        """SIGKILL to one of those that work."""
        os.kill(self.worker_pids()[0], signal.SIGKILL)

    def kill_scheduler(self):
        """SIGKILL to the scheduler."""
        self._scheduler.kill()
        self._scheduler.wait()

    def close(self):
        """Ends all that is left."""
        for process in (*self._workers, self._scheduler):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)  # nannies with their workers
            process.wait()
        self._log.close()


def wait_for(found):
    """What a function returns once that is not false."""
    for _ in range(_PATIENCE_S * 20):
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f'{found} found nothing in {_PATIENCE_S} s')


def start_command(*arguments):
    """A Python command of the checkout, under way."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
