"""The windows of `windowing` in TensorFlow graphs, as used by served models."""

import tensorflow as tf

from dualcam.data.signal import windowing


def starts(num_samples: tf.Tensor, clip_samples: int, hop_samples: int) -> tf.Tensor:
    """`windowing.starts` for a length known only in the graph.

    Args:
        num_samples: [] int32.
        clip_samples: of a window.
        hop_samples: between window starts.

    Returns:
        [windows] int32.
    """
    room = tf.maximum(0, num_samples - clip_samples)
    rest = room % hop_samples > clip_samples // windowing.SHORTEST_REST
    count = room // hop_samples + 1 + tf.cast(rest, tf.int32)
    return tf.minimum(tf.range(count) * hop_samples, room)


def cut(waveform: tf.Tensor, rows: tf.Tensor, first: tf.Tensor, clip_samples: int) -> tf.Tensor:
    """Windows of waveforms that are at least as long as a window.

    Args:
        waveform: [batch, samples].
        rows: [windows] int32, indices into the batch.
        first: [windows] int32, first samples.
        clip_samples: of a window.

    Returns:
        [windows, clip_samples].
    """
    places = (rows * tf.shape(waveform)[1] + first)[:, None] + tf.range(clip_samples)
    windows = tf.gather(tf.reshape(waveform, [-1]), places)
    return tf.ensure_shape(windows, [None, clip_samples])
