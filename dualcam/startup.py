"""Imports TensorFlow and Keras in half the time, without what our programs do not use.

Keras takes a third of TensorFlow's startup time, and spends more than half of its own on
matplotlib and scikit-learn. A SavedModel or a `.tflite` file needs no Keras at all. TensorFlow
itself imports SciPy's sparse matrices, only to recognise them among the inputs of an old Keras.
A third of the remaining time is Python's search for garbage among what it imports, meanwhile and
when the process ends, although all of it is in use.

For commands and other whole processes, before anything else imports TensorFlow: a process cannot
use what was left out, such as Keras' wrappers for scikit-learn.
"""

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterator

from dualcam.files.path_types import AnyPath


def start_for(model: AnyPath) -> None:
    """Imports what a student needs.

    Args:
        model: a run's folder, which has a Keras network, a SavedModel or a `.tflite` file.
    """
    if os.path.exists(os.path.join(model, 'run.json')):
        start_with_keras()
    else:
        start_without_keras()


def start_with_keras() -> None:
    """Imports Keras and TensorFlow."""
    with _uncollected(), _absent('matplotlib', 'sklearn', 'scipy.sparse'):
        import keras  # noqa: F401


def start_without_keras() -> None:
    """Imports TensorFlow, which tries to import Keras' networks and works without them."""
    with _uncollected(), _absent('keras.src', 'scipy.sparse'):
        import tensorflow  # noqa: F401


def end_uncollected() -> None:
    """Lets the process end without searching for garbage, which takes 0.8 s with TensorFlow."""
    atexit.register(gc.freeze)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """What is imported within this context is never searched for garbage, as it is in use."""
    if 'tensorflow' in sys.modules:  # and garbage of this process may be waiting
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
    end_uncollected()


@contextlib.contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Within this context, modules not imported yet appear not to be installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
