"""Which windows cover a sound: one rule for files, clips and served models."""

import numpy as np
import tensorflow as tf

_SHORTEST_REST = 50  # of a window


def starts(num_samples, clip_samples, hop_samples):
    """First samples of the windows that cover a sound.

    They follow each other by the hop; where the last whole one leaves a rest of more than a
    fiftieth of a window, one more ends with the sound. (Encoders append some milliseconds.) What
    is shorter than a window has one, to be filled up with zeros.

    Returns:
        [windows] int64.
    """
    room = max(0, num_samples - clip_samples)
    count = room // hop_samples + 1
    if room % hop_samples > clip_samples // _SHORTEST_REST:
        count += 1
    return np.minimum(np.arange(count) * hop_samples, room)


def starts_in_graph(num_samples, clip_samples, hop_samples):
    """`starts` of a length that only the graph knows, an int32 tensor; [windows] int32."""
    room = tf.maximum(0, num_samples - clip_samples)
    rest = room % hop_samples > clip_samples // _SHORTEST_REST
    count = room // hop_samples + 1 + tf.cast(rest, tf.int32)
    return tf.minimum(tf.range(count) * hop_samples, room)


def cut_in_graph(waveform, rows, first, clip_samples):
    """Windows of waveforms that are at least as long.

    Args:
        waveform: [batch, samples].
        rows: [windows] int32, of the batch.
        first: [windows] int32, first samples.
        clip_samples: of a window.

    Returns:
        [windows, clip_samples].
    """
    places = (rows * tf.shape(waveform)[1] + first)[:, None] + tf.range(clip_samples)
    cut = tf.gather(tf.reshape(waveform, [-1]), places)
    return tf.ensure_shape(cut, [None, clip_samples])
