"""AVNet, the teacher on video and acoustic images (WACV 2020).

ResNet-50 with a 1024-d logits layer in parallel with DualCamNet up to its 1024-d layer, per frame;
both are concatenated and followed by two more layers. DualCamNet, the 1024-d layer and the head are
trained; the ResNet-50 below is frozen.
"""

from typing import Any

import keras
import numpy as np

from dualcam.data import schema
from dualcam.models import dualcamnet, layers, resnet

FEATURES = 'fc1'
INPUTS = ('video', 'acoustic')


def build(
    num_classes: int = 14,
    seconds: int = 1,
    frame_stride: int = 1,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
    layout: str = 'slim',
    batch_norm: bool = False,
) -> keras.Model:
    """Builds the network.

    Args:
        num_classes: of the logits.
        seconds: records in a clip.
        frame_stride: 1 uses every frame, n every n-th.
        mean, std_dev: [12], to standardise the cepstral channels, or None.
        layout: of ResNet-50, see `resnet.build`.
        batch_norm: in DualCamNet's part, see `dualcamnet.build`.

    Returns:
        A Keras model from a dictionary of `video` [batch, frames, 224, 224, 3], RGB with the
        means subtracted, only the frames in use, and `acoustic`
        [batch, seconds * 12, 36, 48, 12], to logits [batch, classes]. Its layer `frame_logits`
        has those of every frame.
    """
    used = len(range(frame_stride // 2, schema.FRAMES_PER_SECOND, frame_stride)) * seconds
    video = keras.Input((used, *resnet.IMAGE_SHAPE), name='video')
    features = resnet.backbone(
        keras.ops.reshape(video, [-1, *resnet.IMAGE_SHAPE]), used, layout=layout
    )
    acoustic, logits = head(features, num_classes, seconds, frame_stride, mean, std_dev, batch_norm)
    return keras.Model({'video': video, 'acoustic': acoustic}, logits, name='avnet')


def build_head(
    num_classes: int = 14,
    feature_stats: tuple[np.ndarray, np.ndarray] | None = None,
    seconds: int = 1,
    frame_stride: int = 1,
    **options: Any,
) -> keras.Model:
    """The network above ResNet-50; see `models.build_head`."""
    frames = resnet.clip_frames(seconds, frame_stride)
    inputs, x = resnet.feature_input(len(frames), feature_stats)
    acoustic, logits = head(x, num_classes, seconds, frame_stride, **options)
    return keras.Model({'features': inputs, 'acoustic': acoustic}, logits, name='avnet')


def head(
    features: keras.KerasTensor,
    num_classes: int,
    seconds: int,
    frame_stride: int = 1,
    mean: np.ndarray | None = None,
    std_dev: np.ndarray | None = None,
    batch_norm: bool = False,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The part that is trained.

    Args:
        features: Keras tensor [batch * frames, 2048] of ResNet-50.
        num_classes, seconds, frame_stride, mean, std_dev, batch_norm: as in `build`.

    Returns:
        (Keras input of the acoustic images, logits [batch, classes]).
    """
    acoustic = keras.Input(
        (seconds * schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), name='acoustic'
    )
    heard, used = dualcamnet.trunk(
        acoustic, seconds, frame_stride, batch_norm, mean=mean, std_dev=std_dev
    )
    seen = keras.layers.Dense(1024, name='logits')(features)
    x = keras.ops.concatenate([seen, heard], axis=-1)
    x = keras.layers.Dense(1000, activation='relu', name=FEATURES)(x)
    return acoustic, layers.mean_logits(x, num_classes, used, 'fc2')
