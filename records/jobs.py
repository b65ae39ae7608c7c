"""Many like pieces of work: several processes, a progress bar, errors that name the piece."""

import concurrent.futures
import multiprocessing
import os
import threading
import time

from dualcam import progress

_LOOK_S = 1.0                # between two looks whether the parent is still there


def default_processes():
    """One a processor, but not so many that each holding a second of video fills the memory."""
    return max(1, min(8, os.cpu_count() or 1))


def run_all(work, pieces, processes, unit, start_method='spawn'):
    """`work(piece)` for every piece, in order, with a progress bar; the first error stops it.

    Args:
        work: a picklable function.
        pieces: a list of its arguments.
        processes: how many at a time; 1 stays in this process.
        unit: what a piece is called in the progress bar.
        start_method: 'fork' where workers should share what this process has worked out.

    Returns:
        The results, in the order of the pieces.
    """
    bar = {'total': len(pieces), 'unit': unit}
    if processes <= 1 or len(pieces) <= 1:
        return list(progress.bar(map(work, pieces), **bar))
    context = multiprocessing.get_context(start_method)
    with concurrent.futures.ProcessPoolExecutor(
            processes, mp_context=context, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        futures = [pool.submit(work, piece) for piece in pieces]
        try:
            for done in progress.bar(concurrent.futures.as_completed(futures), **bar):
                done.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _end_with(parent):
    """Lets a worker end when the process that it works for is gone, even if that was killed."""
    def watch():
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()
