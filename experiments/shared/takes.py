"""Which recording a clip is from: clips of one are not independent of each other."""

import os
from collections.abc import Iterable

from dualcam.data.sources import sound_folders
from dualcam.data.stores import record_store


def of_records(store: record_store.Store, rows: Iterable[int]) -> list[str]:
    """The take of each record: its folder, below that of all records.

    Args:
        store: holds the records.
        rows: of it.
    """
    root = os.path.commonpath(store.paths)
    return [os.path.relpath(os.path.dirname(store.paths[row]), root) for row in rows]


def of_sounds(sounds: Iterable[sound_folders.Sound]) -> list[str]:
    """The recording that each file is from; the file itself where that is unknown."""
    return [f'{one.label}/{one.source or one.path}' for one in sounds]
