"""Video frames of records to what the image networks take (WACV 2020, section 5).

Records hold BGR, as OpenCV read it. The smallest side is resized to 256 (bilinear, corners not
aligned), the middle 224 x 224 cut out, and ImageNet's RGB means subtracted.
"""

import numpy as np
import tensorflow as tf

from dualcam.data import schema

MEANS = (123.68, 116.78, 103.94)      # of ImageNet's red, green and blue, 0 - 255
_RESIZED, _CROPPED = 256, 224
SHAPE = (_CROPPED, _CROPPED, 3)       # of a preprocessed frame


def preprocess(frames, bgr=False):
    """Network inputs of frames.

    Args:
        frames: [..., height, width, 3] uint8, BGR.
        bgr: keep that order and subtract the RGB means from it, as the authors' programs do;
            for weights that they trained.

    Returns:
        [..., 224, 224, 3] float32; RGB unless `bgr`, means subtracted.
    """
    frames = tf.convert_to_tensor(frames)
    lead, (height, width) = tf.shape(frames)[:-3], frames.shape[-3:-1]
    if height is None or width is None:
        raise ValueError(f'frames of shape {frames.shape}: height and width must be known')
    scale = _RESIZED / min(height, width)
    size = [round(height * scale), round(width * scale)]
    images = tf.compat.v1.image.resize_bilinear(                           # float32 from here on
        tf.reshape(frames, [-1, height, width, 3]), size, align_corners=False)
    top, left = ((side - _CROPPED) // 2 for side in size)
    images = images[:, top:top + _CROPPED, left:left + _CROPPED]
    # The authors reverse nothing and subtract red's mean from blue; we reverse first.
    images = (images if bgr else images[..., ::-1]) - MEANS
    return tf.reshape(images, tf.concat([lead, [_CROPPED, _CROPPED, 3]], axis=0))


def spread_frames(num_frames, chosen):
    """Numbers of `chosen` frames spread over a clip, [chosen] int64.

    The authors call it a random pick; it is `linspace` rounded down: 0, 14, 29, 44, 59 of 60.
    """
    return np.linspace(0, num_frames - 1, chosen).astype(np.int64)


def strided_frames(seconds, frame_stride):
    """Numbers of every n-th frame of a clip's records, [seconds * answered] int64."""
    second = np.arange(frame_stride // 2, schema.FRAMES_PER_SECOND, frame_stride)
    offsets = np.arange(seconds)[:, None] * schema.FRAMES_PER_SECOND
    return (offsets + second).reshape(-1)
