"""Record files to seconds: lists of paths, parsing, errors that name the file.

Reads what records/ (or the authors' converters) wrote; hands on one second at a time as a
dictionary of tensors. `data/store.py` reads each record once through here; nothing else does.
"""

import os
import pathlib
import re

import numpy as np
import tensorflow as tf
from google.protobuf import message

from dualcam.data import pipelines, record_bytes, schema, texts

LABELS = schema.LABELS
_NO_LABEL = -1      # labels count from 0
# TensorFlow puts a record's bytes into some of its messages, which then are no text.
_READING = (tf.errors.OpError, UnicodeDecodeError)

# What of a path is the same on every machine.
_PLACE = re.compile(r'(?:Location_\d+/Subject_\d+/Action_\d+|class_\d+/data_\d+)/Data_\d+'
                    + re.escape(schema.RECORD_SUFFIX))


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
    lines = [(number, line.strip()) for number, line in enumerate(
        texts.read(path).splitlines(), 1) if line.strip()]
    if not lines:
        raise ValueError(f'{path}: an empty list; are there enough records for this split?')
    return [_find_record(f'{path}, line {number}', line, root or path.resolve().parents[2],
                         bool(root)) for number, line in lines]


def _find_record(where, line, root, replacing):
    """The record that a list's line means; `replacing` whatever stands before its place."""
    root = pathlib.Path(root)
    written = root / line
    place = _PLACE.search(line.replace('\\', '/'))           # lists of Windows programs too
    if place is None:
        candidates = [written]
    elif replacing and not _is_relative(line):
        candidates = [root / place.group()]
    else:
        candidates = [written, root / place.group()]
    outside = not texts.is_within(written, root)
    if outside and written in candidates:
        candidates.remove(written)
        if not candidates or _is_relative(line) or (
                os.path.isfile(written) and not os.path.isfile(candidates[0])):
            raise ValueError(f'{where}: {line} lies outside of {root}; correct it, or pass the '
                             'folder that holds the records (--root)')
    for record in candidates:
        if os.path.isfile(record):                    # of any name, however long or odd
            return str(record)
    raise ValueError(f'{where}: lists {candidates[-1]}, which does not exist (written as {line}); '
                     'pass the folder that holds the records (--root), convert the missing ones, '
                     'or make the lists again')


def _is_relative(line):
    return not (pathlib.PurePosixPath(line).is_absolute()
                or pathlib.PureWindowsPath(line).drive)


def parse_second(serialized, modalities, label_keys=LABELS):
    """Tensors of one serialized record, of AVIA or ACIVW; a pure TensorFlow function.

    Args:
        serialized: scalar string.
        modalities: names, from 'acoustic', 'audio', 'video'.
        label_keys: labels to read, of `LABELS`.

    Returns:
        A dictionary with 'acoustic' [12, 36, 48, 12] float32, 'audio' [12, mics, 1024] int32,
        'video' [12, height, width, 3] uint8 BGR, as far as asked for, and each label, int64. In
        a record of ACIVW the class is the 'action', the video's number the 'location', and the
        'subject' 0.
    """
    wanted = [schema.MODALITIES[name] for name in modalities]
    sizes_of = {key: tf.io.FixedLenFeature([], tf.int64) for m in wanted for key in m.size_keys}
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features=sizes_of | {key: tf.io.FixedLenFeature([], tf.int64, _NO_LABEL)
                                     for key in (*LABELS, schema.ACIVW_CLASS)},
        sequence_features={m.feature_list: tf.io.FixedLenSequenceFeature([], tf.string)
                           for m in wanted})
    second = _labels(context, label_keys)
    for modality in wanted:
        sizes = [context[key] for key in modality.size_keys]
        _check_sizes(modality, sizes, lists[modality.feature_list])
        data = tf.io.decode_raw(lists[modality.feature_list],
                                tf.dtypes.as_dtype(np.dtype(modality.dtype)))
        second[modality.name] = tf.reshape(data, [schema.FRAMES_PER_SECOND, *sizes])
    return second


def _labels(context, label_keys):
    """The labels of either kind of record, by `LABELS`' names."""
    kind = context[schema.ACIVW_CLASS]
    acivw = tf.not_equal(kind, _NO_LABEL)
    stands_for = {'action': kind, 'location': context['location'], 'subject': tf.zeros_like(kind)}
    labels = {key: tf.where(acivw, stands_for[key], context[key]) for key in label_keys}
    for key, value in labels.items():
        tf.debugging.assert_none_equal(value, tf.constant(_NO_LABEL, tf.int64),
                                       message=f'no label {key} in it')
    return labels


def parse_frames(serialized, frames):
    """Some video frames of one serialized record; the others are not decoded.

    Args:
        serialized: scalar string.
        frames: [n] numbers of frames, 0 - 11.

    Returns:
        [n, height, width, 3] uint8 BGR.
    """
    video = schema.VIDEO
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features={k: tf.io.FixedLenFeature([], tf.int64) for k in video.size_keys},
        sequence_features={video.feature_list: tf.io.FixedLenSequenceFeature([], tf.string)})
    sizes = [context[key] for key in video.size_keys]
    items = lists[video.feature_list]
    _check_sizes(video, sizes, items)
    pixels = tf.io.decode_raw(tf.gather(items, frames), tf.uint8)
    return tf.reshape(pixels, [-1, *sizes[:2], 3])


def _check_sizes(modality, sizes, items):
    """Stops on sizes that are not the modality's, before memory is taken for them."""
    for key, size, (least, most) in zip(modality.size_keys, sizes, modality.size_ranges,
                                        strict=True):
        expected = f'{least} - {most}' if least < most else least
        tf.debugging.Assert((size >= least) & (size <= most),
                            [f'{key} is', size, f'expected {expected}'])
    tf.debugging.assert_equal(tf.size(items), schema.FRAMES_PER_SECOND,
                              f'{modality.feature_list}: not 12 frames')
    num_bytes = tf.reduce_prod(tf.stack(sizes)) * np.dtype(modality.dtype).itemsize
    tf.debugging.assert_equal(tf.cast(tf.strings.length(items), tf.int64),
                              num_bytes, f'{modality.feature_list}: items of another size')


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


def frames_dataset(paths, frames):
    """A `tf.data.Dataset` of chosen video frames, record by record, in the order of `paths`.

    Args:
        paths: of the records.
        frames: for each of them a list of frame numbers, 0 - 11.

    Returns:
        Yields [n, height, width, 3] uint8 BGR.
    """
    def load(path, chosen):
        return parse_frames(read_serialized(path), chosen)
    frames = tf.ragged.constant(frames, dtype=tf.int64, ragged_rank=1)
    return pipelines.loaded((list(paths), frames), load, ahead=4)


def read_serialized(path):
    """The serialized example of a record file that holds one."""
    return tf.ensure_shape(tf.numpy_function(_serialized, [path], tf.string, stateful=False), [])


def _serialized(path):
    """Not by TensorFlow's own reader, which inflates at a quarter of the rate."""
    with open(np.asarray(path).item(), 'rb') as file:
        examples = list(record_bytes.unframed(record_bytes.inflated(file.read())))
    if len(examples) != 1:
        raise ValueError(f'{len(examples)} examples; expected one')
    return examples[0]


def seconds_dataset(paths, modalities, label_keys=LABELS):
    """A `tf.data.Dataset` of parsed seconds in the order of `paths`, decoded in parallel."""
    def load(path):
        return parse_second(read_serialized(path), modalities, label_keys)
    return pipelines.loaded(list(paths), load)


def read_seconds(paths, modalities, label_keys=LABELS, skip=None):
    """Yields the seconds of `paths` as dictionaries of NumPy arrays.

    Args:
        paths, modalities, label_keys: see `parse_second`.
        skip: called with row and message of a record that cannot be read, for which None comes
            out; without it such a record is an error.

    Raises:
        ValueError: a record cannot be read, or is no such record; the message names it.
    """
    paths = list(paths)

    def dataset_of(rows):
        return seconds_dataset(paths[rows], modalities, label_keys)
    for second in named_errors(dataset_of, paths, _described(modalities), skip):
        yield second and {key: value.numpy() for key, value in second.items()}


def read_frames(paths, frames):
    """Yields chosen video frames of each record, see `frames_dataset`, as tensors.

    Raises:
        ValueError: as `read_seconds`.
    """
    paths = list(paths)

    def dataset_of(rows):
        return frames_dataset(paths[rows], frames[rows])
    yield from named_errors(dataset_of, paths, _described(['video']))


def named_errors(dataset_of, paths, wanted, skip=None):
    """Yields what a pipeline makes of records, one item a record.

    Args:
        dataset_of: gives the `tf.data.Dataset` of a slice of the records.
        paths: of the records.
        wanted: what each is to be, for the message.
        skip: see `read_seconds`.

    Raises:
        ValueError: a record stopped the pipeline; the message names it.
    """
    iterator = iter(dataset_of(slice(0, len(paths))))
    for done in range(len(paths)):
        try:
            item = next(iterator)
        except _READING as error:
            row, text = _explain(dataset_of, paths, done, wanted, error)
            if skip is None or row != done:
                raise ValueError(text) from error
            skip(row, text)
            item, iterator = None, iter(dataset_of(slice(done + 1, len(paths))))
        yield item


def _explain(dataset_of, paths, done, wanted, error):
    """Which record stopped a pipeline somewhere after `done` records, and what is wrong with it."""
    for row in range(done, len(paths)):
        try:
            next(iter(dataset_of(slice(row, row + 1))))
        except _READING as own_error:
            return row, (f'{paths[row]}: not {wanted} ({_first_line(own_error)}); '
                         'convert it again')
    return None, f'reading failed after {done} of {len(paths)} records: {_first_line(error)}'


def _first_line(error):
    if isinstance(error, UnicodeDecodeError):
        return 'its bytes are no example'
    # What Python raised within a pipeline comes as "ValueError: text" and its traceback.
    return re.sub(r'^\w*(?:Error|Damaged): ', '', error.message.strip().splitlines()[0])


def _described(modalities):
    return f'a whole record with {" and ".join(modalities)}'
