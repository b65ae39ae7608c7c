"""The serialized example within a record file, for tests that change it."""

import pathlib

from dualcam.data.records import framing


def serialized(path):
    """Bytes of the first example of a record file."""
    return next(framing.unframed(framing.inflated(pathlib.Path(path).read_bytes())))
