"""Trains a table's runs concurrently, each process with its share of the cores.

A small network leaves cores idle while it is traced, saved, tested and exported; another one can
train in the meantime. A setting with its teachers and students is one work item, so that no process
waits for another's teacher. `tables.fill` then finds the finished runs. The processes are local, or
belong to the workers of a cluster.
"""

import contextlib
import functools
import logging
import os
import platform
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from dualcam import startup
from dualcam.files import progress_bars
from dualcam.jobs import Cluster, run_all
from experiments.shared import workshops

_MOST = 4  # each keeps a network, a teacher and its batches in memory
_held: dict[str, Any] = {}  # the workshop of a worker process, and whose call it was opened for


def train_ahead(
    workshop: workshops.Workshop,
    pieces: Sequence[Sequence[tuple[Any, Sequence[str], int]]],
    jobs: int | None = None,
    cluster: Cluster | None = None,
    left_out: tuple[type[Exception], ...] = (),
) -> None:
    """Trains and tests missing runs.

    Args:
        workshop: one that can be reopened in another process.
        pieces: lists of arguments of `workshop.scores`, the longest list first; in each, teachers
            come before their students. A run without tests is only trained.
        jobs: number of processes; default one per core, up to 4, and one with a GPU. With one,
            nothing is done here.
        cluster: its workers train instead of processes of this machine, each one piece at a time.
            They work in the current folder: names of runs may depend on relative paths.
        left_out: errors that do not end the others; such a run stays missing.

    Raises:
        ValueError: a worker does not share the current folder or that of the runs.
        OSError: see `jobs.Cluster.run`.
    """
    if cluster is None and jobs == 1:
        return
    if cluster is None and jobs is None:
        jobs = 1 if tf.config.list_physical_devices('GPU') else min(_MOST, os.cpu_count() or 1)
    missing = [
        piece for piece in pieces if not all(workshop.has_scores(*wanted) for wanted in piece)
    ]
    if cluster is not None:
        _train_on(cluster, workshop, missing, left_out)
        return
    jobs = min(jobs or 1, len(missing))
    if jobs < 2:
        return
    work = functools.partial(
        _work,
        reopen=workshop.reopen,
        threads=max(1, (os.cpu_count() or 1) // jobs),
        left_out=left_out,
    )
    run_all(work, missing, jobs, 'run', size_of=len, prepare=startup.start_with_keras)


def by_teacher(
    wanted: Iterable[tuple[Any, tuple[str, ...]]], seeds: Sequence[int]
) -> list[list[tuple[Any, Sequence[str], int]]]:
    """Pieces for `train_ahead` of (run, tests): runs with the same teacher are one piece."""
    groups: dict[Any, list[tuple[Any, tuple[str, ...]]]] = {}
    for run, tests in dict.fromkeys(wanted):
        groups.setdefault(run.teacher or run, []).append((run, tests))
    longest_first = sorted(groups.values(), key=len, reverse=True)
    return [[(*pair, seed) for pair in group] for group in longest_first for seed in seeds]


def _train_on(cluster, workshop, missing, left_out):
    if not missing:
        return
    workshop.out.mkdir(parents=True, exist_ok=True)
    work = functools.partial(
        _work_in,
        folder=os.getcwd(),
        call=secrets.token_hex(8),
        reopen=workshop.reopen,
        left_out=left_out,
    )

    def name_of(piece):
        run, _, seed = piece[0]
        return workshop.folder(run, seed).name

    run_all(
        work,
        missing,
        1,
        'run',
        cluster=cluster,
        size_of=len,
        name_of=name_of,
        folder=workshop.out,
        apart=True,
    )


def _work_in(piece, folder, call, reopen, left_out):
    """Trains a piece on a cluster, whose processes serve many calls of `train_ahead`."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise ValueError(
            f'{folder}: a worker on {platform.node()} cannot work in the current folder of this '
            f'command ({error}); expected a folder that all hosts share under one path'
        ) from error
    if _held.get('call') != call:
        _held.clear()
        _open(reopen)
        _held['call'] = call
    _train(piece, left_out)


def _work(piece, reopen, threads, left_out):
    if not _held:
        _open(reopen, threads)
    _train(piece, left_out)


def _open(reopen, threads=None):
    progress_bars.hide()
    logging.getLogger('absl').setLevel(logging.WARNING)
    tf.get_logger().setLevel('ERROR')
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    _held['workshop'] = reopen()


def _train(piece, left_out):
    for run, tests, seed in piece:
        with contextlib.suppress(*left_out):
            if tests:
                _held['workshop'].scores(run, tests, seed)
            else:
                _held['workshop'].train(run, seed)
