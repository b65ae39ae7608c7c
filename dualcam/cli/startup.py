"""TensorFlow and Keras, without the other packages that they load and our commands do not use.

Keras takes a third of TensorFlow's time to start, and more than half of its own for matplotlib and
scikit-learn. A SavedModel or a `.tflite` file needs no Keras at all.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from dualcam.files.path_types import AnyPath


def start_for(model: AnyPath) -> None:
    """Imports what a student needs, before anything else imports TensorFlow.

    Args:
        model: a run's folder, whose network is Keras', a SavedModel or a `.tflite` file.
    """
    if os.path.exists(os.path.join(model, 'run.json')):
        with _absent('matplotlib', 'sklearn'):
            import keras  # noqa: F401
    else:
        with _absent('keras.src'):  # TensorFlow tries to import it and manages without
            import tensorflow  # noqa: F401


@contextlib.contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Modules that were not imported yet seem not to be installed, within this context."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
