"""DualCamNet, the teacher on acoustic images (WACV 2020, Figure 4).

A temporal convolution joins the 12 frames of one record; the other layers process each frame by
itself, and a second's logits are the mean over its frames. The paper's text has pooling with
stride 1 and batch normalisation; the authors' code and their Figure 4 have stride 2 and no
normalisation, and so has this.

ECCV 2020's ends in a map of 12 x 16 places instead, which is multiplied with the map of a video
frame; its logits come from the map's sum over all places.
"""

import keras
import numpy as np

from dualcam.data import schema
from dualcam.models import convolutions, layers

FEATURES = 'full1'
FEATURES_ECCV = 'map'
MAP_SHAPE = (12, 16, 128)  # of a frame, in ECCV 2020


def build(
    num_classes: int = 14,
    seconds: int = 1,
    frame_stride: int = 1,
    batch_norm: bool = False,
    dropout: float = 0.0,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
) -> keras.Model:
    """The network.

    Args:
        num_classes: of the logits.
        seconds: records in a clip.
        frame_stride: 1 uses every frame; n only every n-th, at 1 / n of the cost, with the same
            weights.
        batch_norm: normalise after each convolution below `full1`, as the paper's text says.
        dropout: rate before full1, fc1 and fc2; the authors feed a rate of 0.5 that is not used.
        mean, std_dev: [12] of the cepstral channels, to standardise the input with; None for
            cepstra as they are.

    Returns:
        A Keras model from [batch, seconds * 12, 36, 48, 12] float32 to logits [batch, classes].
        Its layer `frame_logits` has those of every frame, [batch, frames, classes].
    """
    inputs = keras.Input(
        (seconds * schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), name='acoustic'
    )
    x, used = trunk(inputs, seconds, frame_stride, batch_norm, dropout, mean, std_dev)
    drop = _dropout(dropout)
    x = keras.layers.Dense(1000, activation='relu', name='fc1')(drop(x))
    logits = layers.mean_logits(drop(x), num_classes, used, 'fc2')
    return keras.Model(inputs, logits, name='dualcamnet')


def trunk(
    acoustic: keras.KerasTensor,
    seconds: int = 1,
    frame_stride: int = 1,
    batch_norm: bool = False,
    dropout: float = 0.0,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
) -> tuple[keras.KerasTensor, int]:
    """The network up to its 1024-d layer, which AVNet shares.

    Args:
        acoustic: Keras tensor [batch, seconds * 12, 36, 48, 12].
        seconds, frame_stride, batch_norm, dropout, mean, std_dev: as in `build`.

    Returns:
        ([batch * used, 1024], number of frames of a clip that are used).
    """
    x, used = _joined_frames(acoustic, frame_stride, batch_norm, mean, std_dev)
    for name, filters in (('conv2', 32), ('conv3', 64)):
        x = keras.layers.Conv2D(
            filters, 5, padding='same', activation=None if batch_norm else 'relu', name=name
        )(x)
        if batch_norm:
            x = layers.FusedBatchNormalization(name=f'{name}_norm')(x)
            x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(2, name=name.replace('conv', 'pool'))(x)
    # The 9x12 VALID convolution covers the whole remaining map.
    x = convolutions.WholeConv2D(1024, (9, 12), activation='relu', name=FEATURES)(
        _dropout(dropout)(x)
    )
    return keras.ops.reshape(x, [-1, 1024]), seconds * used


def build_eccv(
    num_classes: int = 10,
    seconds: int = 2,
    frame_stride: int = 1,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
) -> keras.Model:
    """Builds ECCV 2020's network for labels.

    Args:
        num_classes: of the logits.
        seconds: records in a clip.
        frame_stride, mean, std_dev: as in `build`.

    Returns:
        A Keras model like that of `build`. A frame's logits are computed from the sum over its
        map's positions, as in the authors' program, so they are large; a clip's logits are the mean
        over its frames.
    """
    inputs, maps, used = _maps(seconds, frame_stride, mean, std_dev)
    logits = layers.mean_logits(keras.ops.sum(maps, axis=(1, 2)), num_classes, used, 'full1')
    return keras.Model(inputs, logits, name='dualcamnet_eccv')


def build_eccv_map(
    seconds: int = 2,
    frame_stride: int = 1,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
) -> keras.Model:
    """Builds the part of ECCV 2020's network that learns from video.

    Args:
        seconds, frame_stride, mean, std_dev: as in `build_eccv`.

    Returns:
        A Keras model from [batch, seconds * 12, 36, 48, 12] to a clip's map, the mean over its
        frames, [batch, 12, 16, 128]. Its layers are those of `build_eccv`.
    """
    inputs, maps, used = _maps(seconds, frame_stride, mean, std_dev)
    maps = keras.ops.reshape(maps, [-1, used, *MAP_SHAPE])
    return keras.Model(inputs, keras.ops.mean(maps, axis=1), name='dualcamnet_eccv')


def _maps(seconds, frame_stride, mean, std_dev):
    """Input, maps [batch * used, 12, 16, 128] of its frames, and the frames used per clip."""
    inputs = keras.Input(
        (seconds * schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), name='acoustic'
    )
    x, used = _joined_frames(inputs, frame_stride, False, mean, std_dev)
    x = keras.layers.Conv2D(32, 5, padding='same', activation='relu', name='conv2')(x)
    x = keras.layers.MaxPooling2D(3, name='pool2')(x)
    x = keras.layers.Conv2D(128, 5, padding='same', name='conv3')(x)
    return inputs, keras.layers.ReLU(name=FEATURES_ECCV)(x), seconds * used


def _joined_frames(acoustic, frame_stride, batch_norm, mean, std_dev):
    """Frames after the temporal convolution, and the number kept of a record's 12.

    Returns:
        ([batch * seconds * kept, 36, 48, 12], kept).
    """
    frames = schema.FRAMES_PER_SECOND
    rows, cols, cepstra = schema.ACOUSTIC_SHAPE
    x = acoustic
    if mean is not None:
        x = layers.standardise(mean, std_dev)(x)
    # Per record, with flattened directions: a 7x1 convolution over time for each direction.
    x = keras.ops.reshape(x, [-1, frames, rows * cols, cepstra])
    kept = len(range(frame_stride // 2, frames, frame_stride))
    if frame_stride != 1:
        # Only at the frames that are kept, zero-padded past the record like SAME padding.
        first = frame_stride // 2 - 3
        end = first + (kept - 1) * frame_stride + 7
        x = x[:, max(0, first) : end]
        x = keras.ops.pad(x, [[0, 0], [max(0, -first), max(0, end - frames)], [0, 0], [0, 0]])
    x = keras.layers.Conv2D(
        12,
        (7, 1),
        strides=(frame_stride, 1),
        padding='same' if frame_stride == 1 else 'valid',
        activation=None if batch_norm else 'relu',
        name='conv1',
    )(x)
    if batch_norm:
        x = layers.FusedBatchNormalization(name='conv1_norm')(x)
        x = keras.layers.ReLU()(x)
    return keras.ops.reshape(x, [-1, rows, cols, 12]), kept


def _dropout(rate):
    return keras.layers.Dropout(rate) if rate else lambda x: x
