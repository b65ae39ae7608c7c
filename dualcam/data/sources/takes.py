"""The recording that a clip is from: clips of one recording are not independent."""

import os
import pathlib
import re
from collections.abc import Iterable

from dualcam.data import stores
from dualcam.data.sources import datasets, sound_folders

_NUMBER = re.compile(r'\d+')


def of_records(
    store: stores.Store, rows: Iterable[int], rule: datasets.TakeRule | None = None
) -> list[str]:
    """The take of each record: its folder, relative to that of all records.

    Args:
        store: holds the records.
        rows: of it.
        rule: of the data set; if a folder is a concatenation of takes, the take's number, from 1,
            follows the folder.
    """
    root = os.path.commonpath(store.paths)
    names = []
    for row in rows:
        path = pathlib.Path(store.paths[row])
        name = os.path.relpath(path.parent, root)
        if rule is not None and rule.take_s is not None:
            number = _NUMBER.search(path.name)
            assert number is not None, 'the names of records have numbers'
            name += f'/take {(int(number.group()) - 1) // rule.take_s + 1}'  # seconds from 1
        names.append(name)
    return names


def of_sounds(sounds: Iterable[sound_folders.Sound]) -> list[str]:
    """The recording that each file is from; the file itself if unknown."""
    return [f'{one.label}/{one.source or one.path}' for one in sounds]
