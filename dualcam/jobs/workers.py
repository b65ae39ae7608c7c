"""The functions that `clusters` sends to the workers of a cluster.

A worker may run in any folder, without access to this checkout. So the first functions are sent by
value (as cloudpickle does with functions defined within functions), and import dualcam only once
the worker can find it.
"""

import functools
import os
import pathlib
import pickle
import platform
from collections.abc import Callable, Mapping
from typing import Any

import dualcam
from dualcam.files import progress_bars
from dualcam.jobs import children

# What results depend on: the bytes of records on the first three, networks on the others.
PACKAGES = ('dualcam', 'numpy', 'isal', 'tensorflow', 'keras')
# Of TensorFlow, by default: a host runs one worker per core.
_ONE_THREAD = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1'}
ROOT = pathlib.Path(dualcam.__file__).resolve().parents[1]


@functools.cache
def versions() -> dict[str, str]:
    """{package: version} of `PACKAGES` in this process."""
    return probe()()['versions']


def is_checkout() -> bool:
    """Whether this process runs from a checkout; an installed package has no records/ beside it."""
    return (ROOT / 'records' / 'conversion.py').exists()


def path_plugin() -> Any:
    """A `distributed.WorkerPlugin` that lets present and later workers import from the checkout."""
    import distributed

    root = str(ROOT)

    class Checkout(distributed.WorkerPlugin):
        name = f'dualcam-{root}'

        def setup(self, worker):
            import sys

            if root not in sys.path:
                sys.path.insert(0, root)

    return Checkout()


def probe() -> Callable[[], dict[str, Any]]:
    """A function that returns a worker's 'versions' and the folder 'at' which it has dualcam."""
    own, *others = PACKAGES

    def look():
        import importlib.metadata
        import os

        at, found = '', {own: 'missing'}
        try:
            module = importlib.import_module(own)  # a checkout need not be installed
        except ImportError:
            pass
        else:
            found[own] = module.__version__
            at = os.path.dirname(os.path.dirname(os.path.realpath(str(module.__file__))))
        for name in others:  # without importing TensorFlow, which takes seconds
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = 'missing'
        return {'versions': found, 'at': at}

    return look


def task() -> Callable[..., tuple[Exception | None, Any, list[str]]]:
    """What a worker is called with; the scheduler, which may lack dualcam, can unpickle it too."""

    def run(payload, wanted, mark, apart):
        try:
            from dualcam.jobs import workers
        except ImportError as error:
            message = f'a worker does not find dualcam ({error}); install it there'
            return ValueError(message), None, []
        return workers.run(payload, wanted, mark, apart)

    return run


def run(
    payload: bytes, wanted: Mapping[str, str], mark: str | None, apart: bool
) -> tuple[Exception | None, Any, list[str]] | bytes:
    """Runs a piece.

    Args:
        payload: see `answer`.
        wanted: `versions` of the caller.
        mark: a file that the caller has just written to the folder that all hosts share.
        apart: whether the piece runs in the worker's child process.

    Returns:
        See `answer`; a child's is pickled. Errors that another attempt may not meet are raised.
    """
    import distributed

    if versions() != wanted:  # a worker that joined after the initial comparison
        return unequal(f'worker {platform.node()}', versions(), wanted), None, []
    threads = distributed.get_worker().state.nthreads
    if threads > 1:  # hiding bars and catching warnings affect the whole process
        message = f'worker {platform.node()} has {threads} threads; start it with --nthreads=1'
        return ValueError(message), None, []
    if mark is not None and not os.path.exists(mark):
        message = (
            f'{os.path.dirname(mark)}: a worker on {platform.node()} does not see what is written '
            'there; expected a folder that all hosts share under one path'
        )
        return ValueError(message), None, []
    if apart:
        return children.call(payload, _variables())
    return answer(payload)


def answer(payload: bytes) -> tuple[Exception | None, Any, list[str]]:
    """Runs a piece in this process.

    Args:
        payload: (work, piece), pickled.

    Returns:
        (`ValueError` or None, result, warnings). Other errors are raised.
    """
    import cloudpickle

    work, piece = cloudpickle.loads(payload)
    with progress_bars.hidden(), progress_bars.caught_warnings() as lines:
        try:
            return None, work(piece), lines
        except ValueError as error:
            return portable(error), None, lines


def unequal(where: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> ValueError:
    """The error about a worker of other versions."""
    differing = ', '.join(
        f'{name} {found[name]} instead of {wanted[name]}'
        for name in wanted
        if found[name] != wanted[name]
    )
    return ValueError(
        f'{where} has {differing}, so that results could differ; install what this process '
        'has, and restart it'
    )


def _variables():
    """The environment of child processes."""
    paths = [str(ROOT)] if is_checkout() else []
    paths += filter(None, [os.environ.get('PYTHONPATH')])
    return {**_ONE_THREAD, **os.environ, 'PYTHONPATH': os.pathsep.join(paths)}


def portable(error: Exception) -> Exception:
    """The error, or one with its message if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        kind = ValueError if isinstance(error, ValueError) else RuntimeError
        return kind(str(error))
