"""Acoustic images as ECCV 2020's networks see them.

ACIVW's images are upside down and mirrored relative to its video. They are stored that way and
flipped where clips are cut, because networks compare the two place by place.
"""

import numpy as np


def flip(images: np.ndarray) -> np.ndarray:
    """Acoustic images with rows and columns in reverse order.

    Args:
        images: [..., 36, 48, 12].

    Returns:
        The same shape and values.
    """
    return images[..., ::-1, ::-1, :]
