"""Trains a table's runs concurrently, each process with its share of the cores.

A small network leaves cores idle while it is traced, saved, tested and exported; another one can
train in the meantime. A setting with its teachers and students is one work item, so that no process
waits for another's teacher. `tables.fill` then finds the finished runs.
"""

import functools
import logging
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dualcam.files import progress_bars
from dualcam.jobs import run_all
from experiments.shared import workshops

_MOST = 4  # each keeps a network, a teacher and its batches in memory
_held = {}  # the workshop of a worker process


def train_ahead(
    workshop: workshops.Workshop,
    pieces: Sequence[Sequence[tuple[Any, Sequence[str], int]]],
    jobs: int | None = None,
) -> None:
    """Trains and tests missing runs.

    Args:
        workshop: one that can be reopened in another process.
        pieces: lists of arguments of `workshop.scores`, the longest list first; in each, teachers
            come before their students.
        jobs: number of processes; default one per core, up to 4, and one with a GPU. With one,
            nothing is done here.
    """
    if jobs is None:
        jobs = 1 if tf.config.list_physical_devices('GPU') else min(_MOST, os.cpu_count() or 1)
    missing = [
        piece for piece in pieces if not all(workshop.has_scores(*wanted) for wanted in piece)
    ]
    jobs = min(jobs, len(missing))
    if jobs < 2:
        return
    work = functools.partial(
        _work,
        reopen=workshop.reopen,
        threads=max(1, (os.cpu_count() or 1) // jobs),
    )
    run_all(work, missing, jobs, 'setting')


def _work(piece, reopen, threads):
    if not _held:
        progress_bars.hide()
        logging.getLogger('absl').setLevel(logging.WARNING)
        tf.get_logger().setLevel('ERROR')
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        _held['workshop'] = reopen()
    for wanted in piece:
        _held['workshop'].scores(*wanted)
