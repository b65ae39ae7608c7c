"""Weakly labelled clips: the classes and lists of AAAI 2021's data sets.

DCASE 2017 task 4 has one row per event of a clip: file, onset, offset and label, tab-separated.
DCASE 2018 task 4 has one row per clip: file, tab, labels separated by commas (or semicolons); its
test list has onsets and offsets. Lists that a spreadsheet saved with commas or semicolons instead
of tabs are understood too. Tagging only needs the events of a clip, so rows of one file are merged,
and times are checked but not kept.
"""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from dualcam.data.sources import datasets, sound_formats
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

DCASE2017 = datasets.DatasetInfo(
    'dcase2017',
    (
        'Train horn',
        'Air horn, truck horn',
        'Car alarm',
        'Reversing beeps',
        'Ambulance (siren)',
        'Police car (siren)',
        'Fire engine, fire truck (siren)',
        'Civil defense siren',
        'Screaming',
        'Bicycle',
        'Skateboard',
        'Car',
        'Car passing by',
        'Bus',
        'Truck',
        'Motorcycle',
        'Train',
    ),
    'DCASE 2017 task 4 recordings',
    num_locations=1,
)
DCASE2018 = datasets.DatasetInfo(
    'dcase2018',
    (
        'Alarm_bell_ringing',
        'Blender',
        'Cat',
        'Dishes',
        'Dog',
        'Electric_shaver_toothbrush',
        'Frying',
        'Running_water',
        'Speech',
        'Vacuum_cleaner',
    ),
    'DCASE 2018 task 4 recordings',
    num_locations=1,
)
DATASETS = {info.name: info for info in (DCASE2017, DCASE2018)}

SPLITS = ('training', 'validation', 'testing')


@dataclasses.dataclass(frozen=True)
class ListedClip:
    """A list's entry for one clip.

    Attributes:
        name: of its file, without folders and suffix.
        labels: indices of its classes, ascending; empty if it has none of them.
        row: the first one that names it, from 1.
    """

    name: str
    labels: tuple[int, ...]
    row: int


def read_list(path: AnyPath, classes: Sequence[str]) -> list[ListedClip]:
    """Reads the clips of a list file; see the module docstring.

    Args:
        path: a table, with or without a line of column names.
        classes: names in label order.

    Returns:
        `ListedClip`s in the order of their first rows.

    Raises:
        ValueError: the list is missing or empty, or a row is malformed or has an unknown label;
            the message says which.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            f'{path}: no such list; expected rows of file, onset, offset and label, '
            'or of file and labels, separated by tabs'
        )
    number_of = {name: number for number, name in enumerate(classes)}
    found: dict[str, tuple[set[int], int]] = {}
    for row, fields in enumerate(text_files.read_rows(path), 1):
        if not fields or (row == 1 and fields[0].lower() == 'filename'):
            continue
        where = f'{path}, row {row}'
        name = _clip_name(fields[0])
        if not name:
            raise ValueError(f'{where}: names no file')
        labels, _ = found.setdefault(name, (set(), row))
        for label in _labels_of(fields, where):
            if label not in number_of:
                raise ValueError(
                    f'{where}: unknown label {label!r}; expected one of {"; ".join(classes)}'
                )
            labels.add(number_of[label])
    if not found:
        raise ValueError(f'{path}: lists no clip')
    return [ListedClip(name, tuple(sorted(labels)), row) for name, (labels, row) in found.items()]


def multi_hot(labels: Sequence[Sequence[int]], num_classes: int) -> np.ndarray:
    """[clips, num_classes] float32, 1 at each clip's labels."""
    hot = np.zeros((len(labels), num_classes), np.float32)
    for row, numbers in zip(hot, labels, strict=True):
        row[list(numbers)] = 1.0
    return hot


def hold_out(num_clips: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits clips at random, for data sets without a validation list.

    Args:
        num_clips: number of clips to split.
        share: to hold out, more than 0 and less than 1.
        seed: of the split.

    Returns:
        Rows to train on and rows held out, both ascending int64.

    Raises:
        ValueError: one of the two would be empty.
    """
    held = round(num_clips * share)
    if not 0 < held < num_clips:
        raise ValueError(
            f'{share} of {num_clips} clips to hold out: that leaves {held} and '
            f'{num_clips - held}; expected some of both'
        )
    order = np.random.default_rng(seed).permutation(num_clips)
    return np.sort(order[held:]), np.sort(order[:held])


def _labels_of(fields, where):
    """Label names of a row's fields."""
    if len(fields) > 2 and fields[1] and not any(map(text_files.is_number, fields[1:3])):
        fields = [fields[0], ','.join(filter(None, fields[1:]))]  # commas instead of tabs
    elif len(fields) > 4:
        fields = [*fields[:3], ', '.join(filter(None, fields[3:]))]  # likewise
    if len(fields) == 4:
        _, onset, offset, label = fields
        if not (onset or offset or label):  # a clip without events in the 2018 test list
            return []
        try:
            long_enough = float(offset) > float(onset) >= 0.0
        except ValueError:
            long_enough = False
        if not long_enough:
            raise ValueError(
                f'{where}: onset {onset!r} and offset {offset!r}; expected seconds, '
                'the offset after the onset'
            )
        labels = [label]
    elif len(fields) == 2:
        labels = [label.strip() for label in re.split('[,;]', fields[1])]
    else:
        raise ValueError(
            f'{where}: {len(fields)} columns; expected file, onset, offset and '
            'label, or file and labels, separated by tabs'
        )
    if '' in labels:
        raise ValueError(f'{where}: a label is empty; expected a class in its place')
    return labels


def _clip_name(file):
    """A list's file name without folders and suffix; other dots stay."""
    name = pathlib.PurePosixPath(file.replace('\\', '/')).name
    stem, dot, suffix = name.rpartition('.')
    return stem if dot and f'.{suffix.lower()}' in sound_formats.SUFFIXES else name
