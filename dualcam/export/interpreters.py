"""The interpreter of `.tflite` files: LiteRT's where it is installed, TensorFlow's otherwise.

TensorFlow deprecated its own in 2.19 and points to LiteRT's, which the extra `litert` installs.
The two have the same methods.
"""

from typing import Any

from dualcam.files.path_types import AnyPath


def interpreter(model: AnyPath | bytes, num_threads: int | None = None) -> Any:
    """An interpreter of a `.tflite` file, or of the bytes of one.

    Raises:
        ValueError: it is not a model that the interpreter knows.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    if isinstance(model, bytes):
        return Interpreter(model_content=model, num_threads=num_threads)
    return Interpreter(model_path=str(model), num_threads=num_threads)
