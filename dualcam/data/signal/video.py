"""Converts video frames of records to inputs of image networks.

Records contain BGR, as read by OpenCV. WACV 2020 resizes the smallest side to 256 (bilinear,
corners not aligned), crops the central 224 x 224, and subtracts ImageNet's RGB means. ECCV 2020
uses whole frames of 224 x 298, as in ACIVW's records, and subtracts the same means.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from dualcam.data import schema

MEANS = (123.68, 116.78, 103.94)  # of ImageNet's red, green and blue, 0 - 255
_RESIZED, _CROPPED = 256, 224
SHAPE = (_CROPPED, _CROPPED, 3)  # of a preprocessed frame
FRAME_SHAPE = (schema.ACIVW_SMALLEST_SIDE, 298, 3)  # of a whole frame
# Frames of a record for training on whole frames: with one per second, a clip of 2 s uses its first
# and its last.
KEPT_FRAMES = (0, schema.FRAMES_PER_SECOND - 1)


def preprocess(frames: npt.ArrayLike | tf.Tensor, bgr: bool = False) -> tf.Tensor:
    """Network inputs from frames.

    Args:
        frames: [..., height, width, 3] uint8, BGR.
        bgr: keep that order and subtract the RGB means from it, as in the authors' programs;
            for their weights.

    Returns:
        [..., 224, 224, 3] float32; RGB unless `bgr`, means subtracted.
    """
    frames = tf.convert_to_tensor(frames)
    lead, (height, width) = tf.shape(frames)[:-3], frames.shape[-3:-1]
    if height is None or width is None:
        raise ValueError(f'frames of shape {frames.shape}: height and width must be known')
    scale = _RESIZED / min(height, width)
    size = [round(height * scale), round(width * scale)]
    images = tf.compat.v1.image.resize_bilinear(  # float32 from here on
        tf.reshape(frames, [-1, height, width, 3]), size, align_corners=False
    )
    top, left = ((side - _CROPPED) // 2 for side in size)
    images = images[:, top : top + _CROPPED, left : left + _CROPPED]
    return tf.reshape(subtract_means(images, bgr), tf.concat([lead, SHAPE], axis=0))


def subtract_means(images: npt.ArrayLike | tf.Tensor, bgr: bool = False) -> tf.Tensor:
    """Network inputs from images of the right size.

    Args:
        images: [..., height, width, 3], 0 - 255, BGR.
        bgr: as in `preprocess`.

    Returns:
        [..., height, width, 3] float32, RGB unless `bgr`.
    """
    images = tf.cast(images, tf.float32)
    # The authors do not reverse channels and subtract red's mean from blue; we reverse first.
    return (images if bgr else images[..., ::-1]) - MEANS


def fit(frames: np.ndarray) -> np.ndarray:
    """Resizes frames of any size to whole frames of 224 x 298.

    Args:
        frames: [n, height, width, 3] uint8.

    Returns:
        [n, 224, 298, 3] uint8: resized (bicubic) to cover that size, then centre-cropped. From
        480 x 640 that loses two thirds of a column; frames of 224 x 298 are unchanged.
    """
    rows, cols = FRAME_SHAPE[:2]
    height, width = frames.shape[1:3]
    if (height, width) == (rows, cols):
        return frames
    if rows * width >= cols * height:
        resized = rows, rows * width // height
    else:
        resized = cols * height // width, cols
    top, left = (resized[0] - rows) // 2, (resized[1] - cols) // 2
    return np.stack(
        [
            np.asarray(Image.fromarray(frame).resize(resized[::-1], Image.Resampling.BICUBIC))
            for frame in frames
        ]
    )[:, top : top + rows, left : left + cols]


def spread_frames(num_frames: int, chosen: int) -> np.ndarray:
    """Indices of `chosen` frames spread evenly over a clip, [chosen] int64.

    The authors call it a random pick; it is `linspace` rounded down: 0, 14, 29, 44, 59 of 60.
    """
    return np.linspace(0, num_frames - 1, chosen).astype(np.int64)


def strided_frames(seconds: int, frame_stride: int) -> np.ndarray:
    """Indices of every n-th frame of a clip's records, [seconds * chosen] int64."""
    second = np.arange(frame_stride // 2, schema.FRAMES_PER_SECOND, frame_stride)
    offsets = np.arange(seconds)[:, None] * schema.FRAMES_PER_SECOND
    return (offsets + second).reshape(-1)
