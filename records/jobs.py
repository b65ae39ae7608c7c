"""Many like pieces of work: several processes, a progress bar, errors that name the piece."""

import concurrent.futures.process
import multiprocessing
import os
import threading

from dualcam.files import progress_bars


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

    Raises:
        OSError: a worker was killed.
    """
    bar = {'total': len(pieces), 'unit': unit}
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
                'a working process was killed, perhaps for want of memory; call again '
                'with fewer (--processes=1)'
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _end_with_parent():
    """Ends this worker once its parent is killed; else it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
