"""Acoustic images as inputs of ECCV 2020's networks.

ACIVW's images are upside down and mirrored relative to its video. They are stored that way and
flipped when clips are cut, because networks compare the two position by position.
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
