"""Training, validation and test lists by the authors' seed-42 rule, reproduced exactly.

The unit that is shuffled is a sequence of N consecutive records of one folder. Folders are sorted
by name; a remainder at a folder's end is not used. Of the shuffled sequences the first 80 % are for
training, the next 10 % for validation, and the rest for testing. (WACV 2020 prints 302 / 39 / 37
sequences of 30 s; the authors' program, and this one, give 302 / 37 / 39.)
"""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dualcam.data import schema
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

SPLITS = ('train_valid_test', 'train_valid', 'all')
_RECORD = re.compile(r'Data_(\d{3,})' + re.escape(schema.RECORD_SUFFIX))
_LOCATION = re.compile(r'Location_(\d+)$')


def make_lists(
    root: AnyPath, num_seconds: int, split: str, location: int | None = None
) -> dict[str, list[str]]:
    """Makes the lists of a records folder.

    Args:
        root: contains Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord.
        num_seconds: records in a sequence.
        split: 'train_valid_test'; 'train_valid', with the rest for validation; or 'all'.
        location: scenario from 1, or None for all.

    Returns:
        {'training.txt' | 'validation.txt' | 'testing.txt' | 'dataset.txt': [record paths
        relative to root]}

    Raises:
        ValueError: the split is unknown, a folder's numbering has a gap, or there are no records,
            or too few for one sequence.
    """
    if split not in SPLITS:
        raise ValueError(f'split {split!r}: expected one of {", ".join(SPLITS)}')
    if num_seconds < 1:
        raise ValueError(f'{num_seconds} seconds per sequence: expected 1 or more')
    files = []
    for folder, count in record_folders(pathlib.Path(root), location):
        used = num_seconds * (count // num_seconds)
        files += [f'{folder}/{record_name(i)}' for i in range(1, used + 1)]
    if not files:
        raise ValueError(
            f'{root}: no folder has {num_seconds} consecutive records'
            + (f' of location {location}' if location else '')
            + '; if their folders are class_C/data_DDD, as for ACIVW, pass --by_video'
        )
    starts = list(range(0, len(files), num_seconds))
    np.random.RandomState(42).shuffle(starts)
    num_train = int(len(files) * 0.8 / num_seconds)
    num_valid = int(len(files) * 0.1 / num_seconds)
    parts = {
        'train_valid_test': {
            'training.txt': starts[:num_train],
            'validation.txt': starts[num_train : num_train + num_valid],
            'testing.txt': starts[num_train + num_valid :],
        },
        'train_valid': {
            'training.txt': starts[: num_train + num_valid],
            'validation.txt': starts[num_train + num_valid :],
        },
        'all': {'dataset.txt': starts},
    }[split]
    return {
        name: [path for start in chosen for path in files[start : start + num_seconds]]
        for name, chosen in parts.items()
    }


def lists_folder(root: AnyPath, num_seconds: int, location: int | None = None) -> pathlib.Path:
    """The folder for lists with these settings: <root>/<N>_seconds[_location_L]/lists."""
    seconds = f'{num_seconds}_second' + ('s' if num_seconds != 1 else '')
    place = f'_location_{location}' if location else ''
    return pathlib.Path(root) / (seconds + place) / 'lists'


def write_lists(
    root: AnyPath,
    num_seconds: int,
    split: str,
    location: int | None = None,
    absolute: bool = False,
) -> dict[pathlib.Path, int]:
    """Writes the lists of `make_lists`; returns {path of the list: number of records}.

    Args:
        absolute: write absolute paths, which the authors' programs need; otherwise paths are
            relative to root, so the folder can be moved.
    """
    lists = make_lists(root, num_seconds, split, location)
    return write(lists, lists_folder(root, num_seconds, location), root, absolute)


def write(
    lists: Mapping[str, Sequence[str]],
    folder: pathlib.Path,
    root: AnyPath,
    absolute: bool = False,
) -> dict[pathlib.Path, int]:
    """Writes lists of records into a folder; see `write_lists`.

    Args:
        lists: {name of the list: [record paths relative to root]}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = str(pathlib.Path(root).resolve()) + '/' if absolute else ''
    written = {}
    for name, paths in lists.items():
        path = folder / name
        atomic.write_text(path, ''.join(f'{prefix}{p}\n' for p in paths))
        written[path] = len(paths)
    return written


def count_records(folder: AnyPath) -> int:
    """Number of records in a folder.

    Raises:
        ValueError: their numbering has a gap.
    """
    names = {e.name for e in os.scandir(folder) if _RECORD.fullmatch(e.name)}
    for i in range(1, len(names) + 1):
        if record_name(i) not in names:
            raise ValueError(
                f'{folder}: {len(names)} records, but no {record_name(i)}; convert it again'
            )
    return len(names)


def record_name(number: int) -> str:
    """File name of a folder's record `number`, from 1."""
    return f'Data_{number:03d}{schema.RECORD_SUFFIX}'


def locations(root: AnyPath) -> list[int]:
    """Sorted numbers, from 1, of the scenarios in a records folder."""
    root = pathlib.Path(root)
    if not root.is_dir():
        return []
    found = (_LOCATION.match(entry.name) for entry in os.scandir(root))
    numbers = sorted({int(one.group(1)) for one in found if one})
    return [n for n in numbers if any(count for _, count in record_folders(root, n))]


def record_folders(root: pathlib.Path, location: int | None) -> Iterator[tuple[str, int]]:
    """Yields (folder relative to root, number of records) for folders with records, by name."""
    if not root.is_dir():
        raise ValueError(f'{root}: no such folder')

    def wanted(name):
        found = _LOCATION.match(name)
        return found and location in (None, int(found.group(1)))

    for place in sorted(e.name for e in os.scandir(root) if e.is_dir() and wanted(e.name)):
        for subject in sorted(e.name for e in os.scandir(root / place) if e.is_dir()):
            for action in sorted(e.name for e in os.scandir(root / place / subject) if e.is_dir()):
                folder = f'{place}/{subject}/{action}'
                yield folder, count_records(root / folder)
