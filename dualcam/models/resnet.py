"""ResNet-50 and Temporal ResNet-50, the teachers on video (WACV 2020).

Version 1 in TF-Slim's layout: the stride is in the last unit of a block, strided convolutions pad
the same number of zeros on both sides for any size, and shortcuts are subsampled. Only the logits
layer is trained; the layers below give 2048 features per frame, which can therefore be computed
once per record (`features/frame_features.py`).

Temporal ResNet-50 has a convolution over three frames after the 3x3 convolution of each block's
second unit. It is initialised as the identity and the authors never train it, so a frame's
features do not depend on its neighbours unless imported weights make them.
"""

from typing import Any

import keras
import numpy as np

from dualcam.data import schema
from dualcam.data.signal import video
from dualcam.models import layers

FEATURES = 'pool'
INPUT = 'video'
IMAGE_SHAPE = video.SHAPE
NUM_FEATURES = 2048
TEMPORAL_FRAMES = 5
LAYOUTS = ('slim', 'keras')
NETWORKS = ('resnet50', 'temporal_resnet50', 'avnet')  # those with a frozen backbone
_KERAS_PADDING = 'keras_pool_pad'

# inner filters, units, stride of the last unit
_BLOCKS = ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1))


def build(
    num_classes: int = 14, seconds: int = 1, frame_stride: int = 1, layout: str = 'slim'
) -> keras.Model:
    """Builds ResNet-50: logits of each frame, averaged over a clip.

    Args:
        num_classes: of the logits.
        seconds: records in a clip.
        frame_stride: 1 uses every frame; n only every n-th.
        layout: 'slim', or 'keras' for the weights of Keras' own ResNet-50.

    Returns:
        A Keras model from [batch, frames, 224, 224, 3] float32, RGB with the means subtracted
        (`data/signal/video.py`), to logits [batch, classes]. Its layer `frame_logits` has those
        of every frame, [batch, frames, classes].
    """
    num_frames = len(range(frame_stride // 2, schema.FRAMES_PER_SECOND, frame_stride)) * seconds
    return _network('resnet50', num_classes, num_frames, temporal=False, layout=layout)


def build_temporal(
    num_classes: int = 14,
    num_frames: int = TEMPORAL_FRAMES,
    seconds: int | None = None,
    layout: str = 'slim',
) -> keras.Model:
    """Builds Temporal ResNet-50: a few frames of a clip, processed together.

    Args:
        num_classes: of the logits.
        num_frames: of a clip.
        seconds: of a clip; does not affect the network.
        layout: as in `build`.

    Returns:
        As `build`, from [batch, num_frames, 224, 224, 3].
    """
    return _network('temporal_resnet50', num_classes, num_frames, temporal=True, layout=layout)


def build_backbone(layout: str = 'slim') -> keras.Model:
    """The network below the logits: a Keras model from [frames, 224, 224, 3] to [frames, 2048]."""
    images = keras.Input(IMAGE_SHAPE, name='images')
    return keras.Model(images, backbone(images, 1, layout=layout), name='resnet50_backbone')


def layout_of(model: keras.Model) -> str:
    """The layout that a network was built with; 'slim' if it has no ResNet-50."""
    return 'keras' if any(layer.name == _KERAS_PADDING for layer in model.layers) else 'slim'


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights from `source` to `target`, for all layers below the logits that both have."""
    for layer in target.layers:
        if (
            layer.name.startswith('resnet_')
            and layer.weights
            and not (layer.name.endswith('conv_temp'))
        ):
            layer.set_weights(source.get_layer(layer.name).get_weights())


def backbone(
    images: keras.KerasTensor, num_frames: int, temporal: bool = False, layout: str = 'slim'
) -> keras.KerasTensor:
    """Features of frames.

    Args:
        images: Keras tensor [batch * num_frames, 224, 224, 3].
        num_frames: of a clip.
        temporal: whether to include convolutions over a clip's frames.
        layout: as in `build`.

    Returns:
        [batch * num_frames, 2048].

    Raises:
        ValueError: the layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout {layout!r}: expected one of {", ".join(LAYOUTS)}')
    x = keras.layers.ZeroPadding2D(3)(images)
    x = layers.normalised_convolution(x, 64, 7, 'resnet_conv1', strides=2, padding='valid')
    if layout == 'keras':
        x = keras.layers.ZeroPadding2D(1, name=_KERAS_PADDING)(x)
        x = keras.layers.MaxPooling2D(3, 2)(x)
    else:
        x = keras.layers.MaxPooling2D(3, 2, padding='same')(x)
    for number, (filters, units, stride) in enumerate(_BLOCKS, 1):
        for unit in range(1, units + 1):
            if layout == 'keras':
                # The stride is in a block's first unit, not in the previous block's last one.
                stride_of_unit = 2 if unit == 1 and number > 1 else 1
            else:
                stride_of_unit = stride if unit == units else 1
            x = _unit(
                x,
                filters,
                stride_of_unit,
                f'resnet_block{number}_unit_{unit}',
                num_frames if temporal and unit == 2 else None,
                layout,
            )
    return keras.layers.GlobalAveragePooling2D(name=FEATURES)(x)


def _network(name, num_classes, num_frames, temporal, layout):
    inputs = keras.Input((num_frames, *IMAGE_SHAPE), name=INPUT)
    x = backbone(keras.ops.reshape(inputs, [-1, *IMAGE_SHAPE]), num_frames, temporal, layout)
    return keras.Model(inputs, head(x, num_classes, num_frames), name=name)


def head(features: keras.KerasTensor, num_classes: int, num_frames: int) -> keras.KerasTensor:
    """Logits of clips from features of frames: the trained part.

    Args:
        features: Keras tensor [batch * num_frames, 2048].
        num_classes: of the logits.
        num_frames: of a clip.

    Returns:
        [batch, classes].
    """
    return layers.mean_logits(features, num_classes, num_frames, 'logits')


def build_head(
    num_classes: int = 14,
    feature_stats: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> keras.Model:
    """`build` above its backbone; see `models.build_head`."""
    return _head_network('resnet50', num_classes, feature_stats, clip_frames(**options))


def build_temporal_head(
    num_classes: int = 14,
    feature_stats: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> keras.Model:
    """The same for `build_temporal`."""
    frames = temporal_clip_frames(**options)
    return _head_network('temporal_resnet50', num_classes, feature_stats, frames)


def feature_input(
    num_frames: int, feature_stats: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of a head.

    Args:
        num_frames: of a clip.
        feature_stats: mean and deviation [2048] to standardise features, or None.

    Returns:
        (Keras input [batch, frames, 2048], Keras tensor of the features [batch * frames, 2048]).
    """
    inputs = keras.Input((num_frames, NUM_FEATURES), name='features')
    x = keras.ops.reshape(inputs, [-1, NUM_FEATURES])
    if feature_stats is not None:
        x = layers.standardise(*feature_stats, name='standardise_features')(x)
    return inputs, x


def clip_frames(seconds: int = 1, frame_stride: int = 1, **_) -> np.ndarray:
    """Indices of the frames of a clip that `build` with these options takes."""
    return video.strided_frames(seconds, frame_stride)


def temporal_clip_frames(seconds: int = 1, num_frames: int = TEMPORAL_FRAMES, **_) -> np.ndarray:
    """The same for `build_temporal`."""
    return video.spread_frames(seconds * schema.FRAMES_PER_SECOND, num_frames)


def _head_network(name, num_classes, feature_stats, frames):
    inputs, x = feature_input(len(frames), feature_stats)
    return keras.Model(inputs, head(x, num_classes, len(frames)), name=name)


def _unit(x, filters, stride, name, temporal_frames, layout):
    """A bottleneck unit; the stride is in the 3x3 convolution, for Keras in the first 1x1."""
    first_stride, stride_of_3x3 = (stride, 1) if layout == 'keras' else (1, stride)
    if x.shape[-1] == 4 * filters:
        shortcut = x[:, ::stride, ::stride] if stride > 1 else x
    else:
        shortcut = layers.normalised_convolution(
            x, 4 * filters, 1, f'{name}_shortcut', stride, relu=False
        )
    x = layers.normalised_convolution(x, filters, 1, f'{name}_conv1', first_stride)
    if stride_of_3x3 > 1:
        x = keras.layers.ZeroPadding2D(1)(x)
    x = layers.normalised_convolution(
        x, filters, 3, f'{name}_conv2', stride_of_3x3, 'valid' if stride_of_3x3 > 1 else 'same'
    )
    if temporal_frames:
        rows, cols = x.shape[1:3]
        x = keras.ops.reshape(x, [-1, temporal_frames, rows * cols, filters])
        x = keras.layers.Conv2D(
            filters,
            (3, 1),
            padding='same',
            activation='relu',
            kernel_initializer=_identity,
            name=f'{name}_conv_temp',
        )(x)
        x = keras.ops.reshape(x, [-1, rows, cols, filters])
    x = layers.normalised_convolution(x, 4 * filters, 1, f'{name}_conv3', relu=False)
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))


def _identity(shape, dtype=None):
    """A kernel [3, 1, channels, channels] that copies the middle frame."""
    middle = keras.ops.eye(shape[2], dtype=dtype)[None, None]
    return keras.ops.pad(middle, [(1, 1), (0, 0), (0, 0), (0, 0)])
