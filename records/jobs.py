"""Many similar jobs: several processes, one progress bar, and the first error ends them."""

import concurrent.futures.process
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dualcam.files import progress_bars

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
) -> list[_Result]:
    """Calls `work(piece)` for every piece, with a progress bar; the first error ends it.

    Args:
        work: a picklable function.
        pieces: a list of its arguments.
        processes: their number; 1 does the work in this process.
        unit: name of a piece in the progress bar.
        start_method: 'fork' if workers should share the memory of this process.

    Returns:
        The results, in the order of the pieces.

    Raises:
        OSError: a worker was killed.
    """
    bar: dict[str, Any] = {'total': len(pieces), 'unit': unit}
    if processes <= 1 or len(pieces) <= 1:
        return list(progress_bars.bar(map(work, pieces), **bar))
    context = multiprocessing.get_context(start_method)
    with concurrent.futures.ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
        futures = [pool.submit(work, piece) for piece in pieces]
        try:
            for done in progress_bars.bar(concurrent.futures.as_completed(futures), **bar):
                done.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise OSError(
                'a worker process was killed, perhaps because memory ran out; call again '
                'with fewer processes (--processes=1)'
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _end_with_parent():
    """Ends this worker once its parent is killed; otherwise it would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
