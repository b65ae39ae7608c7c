"""Record files to seconds: lists of paths, parsing, errors that name the file.

Reads what records/ (or the authors' converters) wrote; hands on one second at a time as a
dictionary of arrays. `data/stores/record_store.py` reads each record once through here, and
nothing else does.
"""

import collections
import concurrent.futures
import os
import pathlib
import re

import numpy as np
import tensorflow as tf
from google.protobuf import message

from dualcam.data import schema
from dualcam.data.records import fields, framing
from dualcam.files import large_arrays, text_files

LABELS = schema.LABELS
_THREADS = os.cpu_count() or 1
_AHEAD = _THREADS + 8  # records that are read before they are asked for

# What of a path is the same on every machine.
_PLACE = re.compile(
    r'(?:Location_\d+/Subject_\d+/Action_\d+(?:_take_\d+)?|class_\d+/data_\d+)/Data_\d+'
    + re.escape(schema.RECORD_SUFFIX)
)


def read_list(path, root=None):
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


def parse_second(serialized, modalities, label_keys=LABELS):
    """Arrays of one serialized record, of AVIA or ACIVW.

    Args:
        serialized: bytes of a `tf.train.SequenceExample`.
        modalities: names, from 'acoustic', 'audio', 'video'.
        label_keys: labels to read, of `LABELS`.

    Returns:
        A dictionary with 'acoustic' [12, 36, 48, 12] float32, 'audio' [12, mics, 1024] int32,
        'video' [12, height, width, 3] uint8 BGR, as far as asked for, and each label, a whole
        number. In a record of ACIVW the class is the 'action', the video's number the 'location',
        and the 'subject' 0.

    Raises:
        ValueError: something is missing, or of another size.
        google.protobuf.message.DecodeError: the bytes are no example.
    """
    example = tf.train.SequenceExample.FromString(serialized)
    second = _labels(example.context.feature, label_keys)
    return second | {name: _frames(example, schema.MODALITIES[name]) for name in modalities}


def parse_frames(serialized, frames):
    """Some video frames of one serialized record; the others are not decoded.

    Args:
        serialized: bytes of a `tf.train.SequenceExample`.
        frames: [n] numbers of frames, 0 - 11.

    Returns:
        [n, height, width, 3] uint8 BGR.

    Raises:
        ValueError, google.protobuf.message.DecodeError: as `parse_second`.
    """
    return _frames(tf.train.SequenceExample.FromString(serialized), schema.VIDEO, frames)


def _labels(context, label_keys):
    """The labels of either kind of record, by `LABELS`' names."""
    stands_for = {key: key for key in LABELS}
    if schema.ACIVW_CLASS in context:
        stands_for = {'action': schema.ACIVW_CLASS, 'location': 'location', 'subject': None}
    labels = {}
    for label in label_keys:
        key = stands_for[label]
        if key and key not in context:
            raise ValueError(f'no label {label} in it')
        labels[label] = fields.whole_number(context, key) if key else 0
    return labels


def _frames(example, modality, chosen=range(schema.FRAMES_PER_SECOND)):
    """Frames of a modality; what is said of their size is checked before memory is taken."""
    shape = fields.shape_of(modality, example.context.feature)
    lists = {key: value.feature for key, value in example.feature_lists.feature_list.items()}
    items = list(fields.frames_of(modality, shape, lists))
    held = bytearray().join([items[i] for i in chosen])
    return np.frombuffer(held, modality.dtype).reshape(len(chosen), *shape)


def modalities_of(path):
    """Names of the modalities that a record holds, in the order of their numbers.

    Raises:
        ValueError: no such record can be read there.
    """
    held = _example(path).feature_lists.feature_list
    return [m.name for m in schema.MODALITIES.values() if m.feature_list in held]


def is_acivw(path):
    """Whether a record is of ACIVW: its acoustic images are to be flipped, up and left.

    Raises:
        ValueError: no such record can be read there.
    """
    return schema.ACIVW_CLASS in _example(path).context.feature


def _example(path):
    try:
        return tf.train.SequenceExample.FromString(_serialized(str(path)))
    except (OSError, ValueError, message.DecodeError) as error:
        raise ValueError(f'{path}: not a record ({error}); convert it again') from error


def read_serialized(path):
    """The serialized example of a record file that holds one."""
    return tf.ensure_shape(tf.numpy_function(_serialized, [path], tf.string, stateful=False), [])


def _serialized(path):
    """Not by TensorFlow's own reader, which takes three times as long."""
    with open(np.asarray(path).item(), 'rb') as file:
        examples = list(framing.unframed(framing.inflated(file.read())))
    if len(examples) != 1:
        raise ValueError(f'{len(examples)} examples; expected one')
    return examples[0]


def read_seconds(paths, modalities, label_keys=LABELS, skip=None, take=None):
    """Yields the seconds of `paths` as dictionaries of NumPy arrays.

    Args:
        paths, modalities, label_keys: see `parse_second`.
        skip: called with row and message of a record that cannot be read, for which None comes
            out; without it such a record is an error.
        take: function of row and second, called from several threads; what it returns comes out
            in the second's place.

    Raises:
        ValueError: a record cannot be read, or is no such record; the message names it.
    """
    paths = list(paths)

    def load(row):
        return parse_second(_serialized(paths[row]), modalities, label_keys)

    return _loaded(paths, load, _described(modalities), skip, take)


def read_frames(paths, frames):
    """Yields chosen video frames of each record, [n, height, width, 3] uint8 BGR.

    Args:
        paths: of the records.
        frames: for each of them a list of frame numbers, 0 - 11.

    Raises:
        ValueError: as `read_seconds`.
    """
    paths = list(paths)

    def load(row):
        return parse_frames(_serialized(paths[row]), frames[row])

    return _loaded(paths, load, _described(['video']))


def _loaded(paths, load, wanted, skip=None, take=None):
    """Yields `load(row)` for each path, in order, worked out by several threads."""

    def work(row):
        try:
            item = load(row)
        except (OSError, ValueError, message.DecodeError) as error:
            return error
        return item if take is None else take(row, item)

    large_arrays.keep_freed_memory()
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        ahead = collections.deque()
        try:
            for row in range(len(paths) + _AHEAD):
                if row < len(paths):
                    ahead.append(pool.submit(work, row))
                if row < _AHEAD:
                    continue
                done, item = row - _AHEAD, ahead.popleft().result()
                if isinstance(item, Exception):
                    text = f'{paths[done]}: not {wanted} ({item}); convert it again'
                    if skip is None:
                        raise ValueError(text) from item
                    skip(done, text)
                    item = None
                yield item
        finally:
            for future in ahead:
                future.cancel()


def _described(modalities):
    return f'a whole record with {" and ".join(modalities)}'
