"""Acoustic images as ECCV 2020's networks see them.

ACIVW's images lie upside down and mirrored against its video. They are stored so, and turned
where clips are cut, because networks compare the two place by place.
"""


def flip(images):
    """Acoustic images with rows and columns in reverse order.

    Args:
        images: [..., 36, 48, 12].

    Returns:
        The same shape and values.
    """
    return images[..., ::-1, ::-1, :]
