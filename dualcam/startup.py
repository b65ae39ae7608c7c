"""Imports TensorFlow and Keras without packages that they load but our commands do not use.

Keras takes a third of TensorFlow's startup time, and spends more than half of its own on
matplotlib and scikit-learn. A SavedModel or a `.tflite` file needs no Keras at all. TensorFlow
itself imports SciPy's sparse matrices, only to recognise them among the inputs of an old Keras.

For commands and other whole processes, before anything else imports TensorFlow: a process cannot
use what was left out, such as Keras' wrappers for scikit-learn.
"""

import contextlib
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
        with _absent('matplotlib', 'sklearn', 'scipy.sparse'):
            import keras  # noqa: F401
    else:
        start_without_keras()


def start_without_keras() -> None:
    """Imports TensorFlow, which tries to import Keras' networks and works without them."""
    with _absent('keras.src', 'scipy.sparse'):
        import tensorflow  # noqa: F401


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
