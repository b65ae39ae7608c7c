"""A folder in memory, where the system has such: flushing to disk takes no time there."""

import os
import tempfile

_PLACE = '/dev/shm'


def folder():
    """A `tempfile.TemporaryDirectory`."""
    return tempfile.TemporaryDirectory(dir=_PLACE if os.path.isdir(_PLACE) else None)
