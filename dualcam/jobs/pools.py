"""Many similar jobs: several processes or a cluster, one progress bar; the first error ends it."""

import concurrent.futures.process
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dualcam.files import path_types, progress_bars
from dualcam.jobs import clusters

_Piece = TypeVar('_Piece')
_Result = TypeVar('_Result')


def default_processes() -> int:
    """One per core, but at most 8: each may hold a second of video in memory."""
    return max(1, min(8, os.cpu_count() or 1))


def run_all(
    work: Callable[[_Piece], _Result],
    pieces: Sequence[_Piece],
    processes: int,
    unit: str,
    start_method: str = 'spawn',
    cluster: clusters.Cluster | None = None,
    done: Callable[[_Result], None] | None = None,
    size_of: Callable[[_Piece], int] | None = None,
    name_of: Callable[[_Piece], str] = str,
    folder: path_types.AnyPath | None = None,
    apart: bool = False,
    prepare: Callable[[], object] | None = None,
) -> list[_Result]:
    """Calls `work(piece)` for every piece, with a progress bar; the first error ends it.

    Args:
        work: a picklable function.
        pieces: a list of its arguments.
        processes: their number; 1 does the work in this process.
        unit: what the progress bar counts: pieces, or what `size_of` returns.
        start_method: 'fork' if workers should share the memory of this process.
        cluster: its workers do the work instead of this machine's processes.
        done: called in this process with each result as soon as it arrives.
        size_of: returns how far a piece moves the progress bar; by default 1.
        name_of, folder, apart: with a cluster, see `clusters.Cluster.run`.
        prepare: called first in each new process of this machine, before it imports what `work` is
            in; a picklable function.

    Returns:
        The results, in the order of the pieces.

    Raises:
        OSError: a worker was killed; of a cluster, see `clusters.Cluster.run`.
    """
    sizes = [size_of(piece) if size_of else 1 for piece in pieces]
    if cluster is not None:
        answers = cluster.run(work, pieces, name_of, folder, apart)
    elif processes <= 1 or len(pieces) <= 1:
        answers = (answer for answer in enumerate(map(work, pieces)))
    else:
        answers = _by_processes(work, pieces, processes, start_method, prepare)
    results: list[Any] = [None] * len(pieces)
    # Closing: an error here also ends the pieces in progress.
    with (
        contextlib.closing(answers),
        progress_bars.bar(total=sum(sizes), unit=unit) as bar,
    ):
        for number, result in answers:
            results[number] = result
            bar.update(sizes[number])
            if done is not None:
                done(result)
    return results


def _by_processes(work, pieces, processes, start_method, prepare):
    """(number of the piece, result), in the order in which they are done."""
    context = multiprocessing.get_context(start_method)
    with concurrent.futures.ProcessPoolExecutor(processes, context, _begin, (prepare,)) as pool:
        futures = {pool.submit(work, piece): number for number, piece in enumerate(pieces)}
        try:
            for one in concurrent.futures.as_completed(futures):
                yield futures[one], one.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise OSError(
                'a worker process was killed, perhaps because memory ran out; call again '
                'with fewer processes (--processes=1)'
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin(prepare):
    """Prepares this worker, which ends once its parent is killed; else it would wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    if prepare is not None:
        prepare()
