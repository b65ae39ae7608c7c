"""Records of one second each, of AVIA or ACIVW: from lists of paths to arrays.

Reads what `records/`, or the authors' converters, wrote. A second is a dictionary of arrays.
"""

import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dualcam.data import schema
from dualcam.data.records import fields, loading
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

# What of a path is the same on every machine.
_PLACE = re.compile(
    r'(?:Location_\d+/Subject_\d+/Action_\d+(?:_take_\d+)?|class_\d+/data_\d+)/Data_\d+'
    + re.escape(schema.RECORD_SUFFIX)
)


def read_list(path: AnyPath, root: AnyPath | None = None) -> list[str]:
    """Record paths of a list file.

    Lists name records of the machine they were made on. So the part of a path that stands before
    Location_LL/... or class_C/... is replaced by `root`; by the default root only where there is
    no such file as written. No line may point outside of the root, but for links in it.

    Args:
        path: a text file with one record path a line, absolute or relative to the records' root.
        root: the records' root; default two folders above the list's (<root>/<N>_seconds/lists).

    Returns:
        Absolute paths as strings, in the list's order.

    Raises:
        ValueError: no such list, an empty one, or a line of it whose record does not exist or
            lies outside of the root.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such list; make it with python -m records.make_lists')
    lines = [
        (number, line.strip())
        for number, line in enumerate(text_files.read_lines(path), 1)
        if line.strip()
    ]
    if not lines:
        raise ValueError(f'{path}: an empty list; are there enough records for this split?')
    return [
        _find_record(f'{path}, line {number}', line, root or path.resolve().parents[2], bool(root))
        for number, line in lines
    ]


def _find_record(where, line, root, replacing):
    """The record that a list's line means; `replacing` whatever stands before its place."""
    root = pathlib.Path(root)
    written = root / line
    place = _PLACE.search(line.replace('\\', '/'))  # lists of Windows programs too
    if place is None:
        candidates = [written]
    elif replacing and not _is_relative(line):
        candidates = [root / place.group()]
    else:
        candidates = [written, root / place.group()]
    outside = not text_files.is_within(written, root)
    if outside and written in candidates:
        candidates.remove(written)
        if (
            not candidates
            or _is_relative(line)
            or (os.path.isfile(written) and not os.path.isfile(candidates[0]))
        ):
            raise ValueError(
                f'{where}: {line} lies outside of {root}; correct it, or pass the '
                'folder that holds the records (--root)'
            )
    for record in candidates:
        if os.path.isfile(record):  # of any name, however long or odd
            return str(record)
    raise ValueError(
        f'{where}: lists {candidates[-1]}, which does not exist (written as {line}); '
        'pass the folder that holds the records (--root), convert the missing ones, '
        'or make the lists again'
    )


def _is_relative(line):
    return not (pathlib.PurePosixPath(line).is_absolute() or pathlib.PureWindowsPath(line).drive)


def read_seconds(
    paths: Sequence[str],
    modalities: Sequence[str],
    labels: Sequence[str] = schema.LABELS,
    skip: Callable[[int, str], None] | None = None,
    take: Callable[[int, dict], Any] | None = None,
) -> Iterator[Any]:
    """Yields the second of each record.

    Args:
        paths: of the records.
        modalities: names, from 'acoustic', 'audio' and 'video'.
        labels: to read, of `schema.LABELS`.
        skip, take: see `loading.load_each`.

    Yields:
        A dictionary with 'acoustic' [12, 36, 48, 12] float32, 'audio' [12, mics, 1024] int32 and
        'video' [12, height, width, 3] uint8 BGR, as requested, and each label, a whole number; in
        records of ACIVW the 'subject' is 0.

    Raises:
        ValueError: a record cannot be read, or something in it is missing or of another size;
            the message names it.
    """

    def load(_, context, lists):
        second: dict[str, Any] = _labels(context, labels)
        for name in modalities:
            second[name] = _frames(schema.MODALITIES[name], context, lists)
        return second

    return loading.load_each(paths, load, _expected(modalities), skip, take)


def read_frames(
    paths: Sequence[str], frames: Sequence[Sequence[int] | np.ndarray]
) -> Iterator[np.ndarray]:
    """Yields chosen video frames of each record, [n, height, width, 3] uint8 BGR.

    Args:
        paths: of the records.
        frames: for each of them the numbers of its frames, 0 - 11; only those are decoded.

    Raises:
        ValueError: as `read_seconds`.
    """

    def load(row, context, lists):
        return _frames(schema.VIDEO, context, lists, frames[row])

    return loading.load_each(paths, load, _expected(['video']))


def modalities_of(path: str | os.PathLike) -> list[str]:
    """Names of the modalities that a record holds, in the order of their numbers.

    Raises:
        ValueError: the record cannot be read.
    """
    _, lists = _read_example(path)
    return [m.name for m in schema.MODALITIES.values() if m.feature_list in lists]


def first_modalities(paths: Sequence[str], max_bad: int = 0) -> list[str]:
    """`modalities_of` the first record that can be read.

    Raises:
        ValueError: the first record cannot be read, or, where some may be bad, more than
            `max_bad` of the first ones.
    """
    for number, path in enumerate(paths):
        try:
            return modalities_of(path)
        except ValueError:
            if number >= max_bad:
                raise
    raise ValueError('no record can be read')


def is_acivw(path: str | os.PathLike) -> bool:
    """Whether a record is of ACIVW: its acoustic images lie upside down and mirrored.

    Raises:
        ValueError: the record cannot be read.
    """
    context, _ = _read_example(path)
    return schema.ACIVW_CLASS in context


def _read_example(path):
    try:
        return loading.read_example(path)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: not a record ({error}); convert it again') from error


def _labels(context, names):
    """Labels of either kind of record; what a kind does not have is 0."""
    keys = schema.ACIVW_KEYS if schema.ACIVW_CLASS in context else schema.AVIA_KEYS
    labels = {}
    for name in names:
        if name in keys and keys[name] not in context:
            raise ValueError(f'no label {keys[name]} in it')
        labels[name] = fields.whole_number(context, keys[name]) if name in keys else 0
    return labels


def _frames(modality, context, lists, chosen=range(schema.FRAMES_PER_SECOND)):
    """Frames of a modality; the sizes that the record states are checked before memory is used."""
    shape = fields.shape_of(modality, context)
    items = list(fields.frames_of(modality, shape, lists))
    held = bytearray().join([items[i] for i in chosen])
    return np.frombuffer(held, modality.dtype).reshape(len(chosen), *shape)


def _expected(modalities):
    return f'a whole record with {" and ".join(modalities)}'
