"""ResNet-18 of ECCV 2020, on whole video frames of 224 x 298.

Version 1 without its last block, with the stride in the first unit of a block. A 3x4 convolution
without padding then gives a map of 12 x 16 positions, like the acoustic map, with 128 channels. All
of it is trained, on one frame per second; a clip's map is the mean over its frames.
"""

import keras
import numpy as np

from dualcam.data import schema
from dualcam.data.signal import video
from dualcam.models import layers

FEATURES = 'map'
INPUT = 'frames'
REGULARIZED = (
    'conv1',
    *(
        f'block{block}_unit_{unit}_conv{number}'
        for block in (1, 2, 3)
        for unit in (1, 2)
        for number in (1, 2)
    ),
    'block2_unit_1_shortcut',
    'block3_unit_1_shortcut',
    'conv_map',
    'logits',
)

_BLOCKS = ((64, 1), (128, 2), (256, 2))  # filters, stride of the first unit
# For runs of a few hundred steps: with ResNet-50's 0.997 the averages would lag behind the weights.
_MOMENTUM = 0.9


def build(
    num_classes: int = 10, seconds: int = 2, num_frames: int | None = None, width: float = 1.0
) -> keras.Model:
    """Builds the network for labels.

    Args:
        num_classes: of the logits.
        seconds: of a clip.
        num_frames: of a clip; default one per second.
        width: factor on the numbers of filters below the map, for short runs.

    Returns:
        A Keras model from [batch, frames, 224, 298, 3] float32, RGB with the means subtracted
        (`data/signal/video.py`), to logits [batch, classes], the mean over the frames. Its layer
        `frame_logits` has those of every frame, [batch, frames, classes].
    """
    num_frames = num_frames or seconds
    inputs, maps = _maps(num_frames, width)
    x = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(
        inputs, layers.mean_logits(x, num_classes, num_frames, 'logits'), name='resnet18_eccv'
    )


def build_map(seconds: int = 2, num_frames: int | None = None, width: float = 1.0) -> keras.Model:
    """Builds the part that learns from sound.

    Args:
        seconds, num_frames, width: as in `build`.

    Returns:
        A Keras model from [batch, frames, 224, 298, 3] to a clip's map [batch, 12, 16, 128]. Its
        layers are those of `build`.
    """
    num_frames = num_frames or seconds
    inputs, maps = _maps(num_frames, width)
    maps = keras.ops.reshape(maps, [-1, num_frames, *maps.shape[1:]])
    return keras.Model(inputs, keras.ops.mean(maps, axis=1), name='resnet18_eccv')


def clip_frames(seconds: int = 2, num_frames: int | None = None, **_) -> np.ndarray:
    """Indices of the frames of a clip that a network with these options takes, one per second."""
    return video.spread_frames(seconds * schema.FRAMES_PER_SECOND, num_frames or seconds)


def _maps(num_frames, width):
    """Input, and maps [batch * frames, 12, 16, 128]."""
    inputs = keras.Input((num_frames, *video.FRAME_SHAPE), name=INPUT)
    x = keras.ops.reshape(inputs, [-1, *video.FRAME_SHAPE])
    x = _convolution(x, round(64 * width), 7, 'conv1', strides=2)  # [.., 112, 149, 64]
    x = keras.layers.MaxPooling2D(3, 2, padding='same')(x)  # [.., 56, 75, 64]
    for number, (filters, stride) in enumerate(_BLOCKS, 1):
        for unit in (1, 2):
            x = _unit(
                x, round(filters * width), stride if unit == 1 else 1, f'block{number}_unit_{unit}'
            )
    x = _convolution(x, 128, (3, 4), 'conv_map', padding='valid', relu=False)
    return inputs, keras.layers.ReLU(name=FEATURES)(x)


def _unit(x, filters, stride, name):
    """Two 3x3 convolutions with a shortcut."""
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = _convolution(x, filters, 1, f'{name}_shortcut', strides=stride, relu=False)
    x = _convolution(x, filters, 3, f'{name}_conv1', strides=stride)
    x = _convolution(x, filters, 3, f'{name}_conv2', relu=False)
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))


def _convolution(x, filters, size, name, strides=1, padding='same', relu=True):
    """With a stride, pads the same number of zeros on both sides for any size, like TF-Slim."""
    if strides > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2)(x)
        padding = 'valid'
    return layers.normalised_convolution(x, filters, size, name, strides, padding, relu, _MOMENTUM)
