"""Reads records of one second each, of AVIA or ACIVW: from lists of paths to arrays.

`records/` or the authors' converters wrote them. A second is a dictionary of arrays.
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

# The part of a path that is the same on every machine.
_PLACE = re.compile(
    r'(?:Location_\d+/Subject_\d+/Action_\d+(?:_take_\d+)?|class_\d+/data_\d+)/Data_\d+'
    + re.escape(schema.RECORD_SUFFIX)
)


def read_list(path: AnyPath, root: AnyPath | None = None) -> list[str]:
    """Reads the record paths of a list file.

    Lists contain paths of the machine they were made on. Therefore the part of a path before
    Location_LL/... or class_C/... is replaced by `root`; by the default root only if the file does
    not exist as written. No line may point outside the root, except through links in it.

    Args:
        path: a text file with one record path per line, absolute or relative to the records' root.
        root: the records' root; default two folders above the list's (<root>/<N>_seconds/lists).

    Returns:
        Absolute paths as strings, in the list's order.

    Raises:
        ValueError: the list is missing or empty, or a line's record does not exist or is outside
            the root.
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
    """The record of a list's line; `replacing` whatever precedes the portable part of the path."""
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
                f'{where}: {line} is outside {root}; correct it, or pass the '
                'folder of the records (--root)'
            )
    for record in candidates:
        if os.path.isfile(record):  # works for any name, however long or odd
            return str(record)
    raise ValueError(
        f'{where}: lists {candidates[-1]}, which does not exist (written as {line}); '
        'pass the folder of the records (--root), convert the missing ones, '
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
        labels: to read, some of `schema.LABELS`.
        skip, take: see `loading.load_each`.

    Yields:
        A dictionary with 'acoustic' [12, 36, 48, 12] float32, 'audio' [12, mics, 1024] int32 and
        'video' [12, height, width, 3] uint8 BGR, as requested, and each label, an integer; in
        ACIVW records the 'subject' is 0.

    Raises:
        ValueError: a record is unreadable, or something in it is missing or has the wrong size;
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
        frames: for each record its frame indices, 0 - 11; only those are decoded.

    Raises:
        ValueError: as `read_seconds`.
    """

    def load(row, context, lists):
        return _frames(schema.VIDEO, context, lists, frames[row])

    return loading.load_each(paths, load, _expected(['video']))


def modalities_of(path: str | os.PathLike) -> list[str]:
    """Names of the modalities in a record, in the order of their numbers.

    Raises:
        ValueError: the record cannot be read.
    """
    _, lists = _read_example(path)
    return [m.name for m in schema.MODALITIES.values() if m.feature_list in lists]


def first_modalities(paths: Sequence[str], max_bad: int = 0) -> list[str]:
    """`modalities_of` the first readable record.

    Raises:
        ValueError: the first record is unreadable, or, if some may be bad, more than
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
    """Whether a record is from ACIVW, with acoustic images upside down and mirrored.

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
    """Labels of either kind of record; missing ones are 0."""
    keys = schema.ACIVW_KEYS if schema.ACIVW_CLASS in context else schema.AVIA_KEYS
    labels = {}
    for name in names:
        if name in keys and keys[name] not in context:
            raise ValueError(f'it has no label {keys[name]}')
        labels[name] = fields.whole_number(context, keys[name]) if name in keys else 0
    return labels


def _frames(modality, context, lists, chosen=range(schema.FRAMES_PER_SECOND)):
    """Frames of a modality; checks the record's stated sizes before allocating memory."""
    shape = fields.shape_of(modality, context)
    items = list(fields.frames_of(modality, shape, lists))
    held = bytearray().join([items[i] for i in chosen])
    return np.frombuffer(held, modality.dtype).reshape(len(chosen), *shape)


def _expected(modalities):
    return f'a whole record with {" and ".join(modalities)}'
