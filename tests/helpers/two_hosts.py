"""Processes on this host that train small runs together; one may be killed or fail midway."""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading

import tensorflow as tf
from tqdm import tqdm

from dualcam.cli import errors
from dualcam.files import progress_bars
from dualcam.reports import run_reports
from dualcam.training import hosts, observers, steps
from tests.helpers import small_runs, two_devices

_PATIENCE_S = 240


@dataclasses.dataclass(frozen=True)
class End:
    """The epoch and batch, both from 0, before which a process is killed or fails by itself."""

    epoch: int
    batch: int
    is_kill: bool = True


class Unwatched(observers.Observer):
    """Writes nothing to a run's folder."""

    def __init__(self, watched):
        del watched


def addresses(count):
    """This many unused host:port addresses, separated by commas."""
    with contextlib.ExitStack() as ports:
        free = [ports.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(count)]
        return ','.join(f'127.0.0.1:{one.getsockname()[1]}' for one in free)


def train(scratch, runs, ends=(None, None), exports=True):
    """Runs processes that train together until all have ended.

    Args:
        scratch: folder of the runs, with the records of `small_runs.write_records`.
        runs: [(regime, name)], trained in this order.
        ends: `End` or None for each process.
        exports: whether students are exported, too.

    Returns:
        [(exit code, stderr)] of each.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])  # loads TensorFlow once
    workers = addresses(len(ends))
    with contextlib.ExitStack() as files:
        said = [files.enter_context(tempfile.NamedTemporaryFile('r+')) for _ in ends]
        started = [
            context.Process(
                target=_process, args=(scratch, workers, number, runs, end, exports, file.name)
            )
            for number, (end, file) in enumerate(zip(ends, said, strict=True))
        ]
        try:
            for one in started:
                one.start()
            for one in started:
                one.join(_PATIENCE_S)
            return [(one.exitcode, file.read()) for one, file in zip(started, said, strict=True)]
        finally:
            for one in started:
                one.kill()


def _process(scratch, workers, number, runs, end, exports, stderr):
    """The work of a child process, which exits like a command."""
    with open(stderr, 'w', encoding='utf-8') as file:
        os.dup2(file.fileno(), 2)
    # Sums over several threads may round differently.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    progress_bars.hide()
    run_reports.observe = Unwatched  # only the chief writes reports, which take long
    tqdm.set_lock(threading.RLock())  # its default lock would outlive a killed process
    if end:
        _end_at(end)
    if not exports:
        small_runs.skip_exports()

    def work():
        hosts.join(hosts.cluster(workers.split(','), number, None))
        with hosts.ending():
            for regime, name in runs:
                small_runs.REGIMES[regime](
                    scratch, scratch / name, devices=hosts.count(), **two_devices.OPTIONS[regime]
                )

    sys.exit(errors.leave(errors.exit_code(work)))


def _end_at(end):
    place = [None, 0]

    def start_epoch(_, number):
        place[:] = number, 0

    def usable(_, __):
        if place == [end.epoch, end.batch] and end.is_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if place == [end.epoch, end.batch]:
            raise OSError('no space left')
        place[1] += 1
        return True

    steps.Step.start_epoch, steps.Step.usable = start_epoch, usable
