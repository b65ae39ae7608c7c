"""Records of tagged clips (AAAI 2021): sound, a frame a second and labels, in one example a file.

`records.convert_tagging` writes them, `tagging_store` and `tagging_frames` read them.
"""

import re

import tensorflow as tf

from dualcam.data import pipelines, schema
from dualcam.data.records import reading

# TensorFlow puts a record's bytes into some of its messages, which then are no text.
_READING = (tf.errors.OpError, UnicodeDecodeError)
_LARGEST = (4320, 7680)  # height and width of a frame; records have about 256
_FEATURES = {
    schema.CLIP_NAME: tf.io.FixedLenFeature([], tf.string),
    schema.CLIP_AUDIO: tf.io.FixedLenFeature([], tf.string),
    schema.CLIP_RATE: tf.io.FixedLenFeature([], tf.int64),
    schema.CLIP_FRAMES: tf.io.RaggedFeature(tf.string),
    schema.CLIP_LABELS: tf.io.RaggedFeature(tf.int64),
}


def read_clips(paths, skip=None):
    """Yields the clips of records in their order, without decoding frames.

    Args:
        paths: of the records.
        skip: see `reader.read_seconds`.

    Yields:
        {'name': str, 'audio': [samples] int16, 'labels': [classes] int64, 'frames': how many}.

    Raises:
        ValueError: a record cannot be read, or is no such record; the message names it.
    """

    def load(path):
        clip = _parse(path)
        return {
            'name': clip[schema.CLIP_NAME],
            'labels': clip[schema.CLIP_LABELS],
            'audio': tf.io.decode_raw(clip[schema.CLIP_AUDIO], tf.int16),
            'frames': tf.size(clip[schema.CLIP_FRAMES]),
        }

    for row, item in enumerate(_named_errors(load, paths, skip=skip)):
        if item is None:
            yield None
            continue
        clip = {key: value.numpy() for key, value in item.items()}
        try:
            name = clip['name'].decode()
        except UnicodeDecodeError as error:
            text = f'{paths[row]}: {schema.CLIP_NAME} is no text; convert it again'
            if skip is None:
                raise ValueError(text) from error
            skip(row, text)
            yield None
            continue
        yield clip | {'name': name, 'frames': int(clip['frames'])}


def read_frames(paths, frames, size):
    """Yields chosen frames of each record.

    Args:
        paths: of the records.
        frames: for each of them a list of frame numbers, from 0.
        size: (height, width) that they are brought to, whatever their shape: clips differ in
            theirs, and what sounds may be at the side.

    Yields:
        [n, height, width, 3] float32, 0 - 255, RGB.

    Raises:
        ValueError: as `read_clips`.
    """

    def load(path, chosen):
        jpegs = tf.gather(_parse(path)[schema.CLIP_FRAMES], chosen)
        return tf.map_fn(decode, jpegs, fn_output_signature=tf.TensorSpec((*size, 3)))

    def decode(jpeg):
        # First its head alone: decoded, a damaged one may fill the memory.
        sides = tf.io.extract_jpeg_shape(jpeg)[:2]
        tf.debugging.assert_less_equal(sides, _LARGEST, f'{schema.CLIP_FRAMES}: too large')
        pixels = tf.image.decode_jpeg(jpeg, 3, dct_method='INTEGER_ACCURATE')
        return tf.image.resize(pixels, size, antialias=True)

    yield from _named_errors(load, paths, tf.ragged.constant(frames, dtype=tf.int64, ragged_rank=1))


def _parse(path):
    """Tensors of one record file by their keys."""
    clip = tf.io.parse_single_example(reading.read_serialized(path), _FEATURES)
    tf.debugging.assert_equal(
        clip[schema.CLIP_RATE],
        tf.constant(schema.CLIP_RATE_HZ, tf.int64),
        f'{schema.CLIP_RATE}: another rate',
    )
    return clip


def _named_errors(load, paths, *columns, skip=None):
    """Yields `load(path, *items of the columns)` for every path, from a pipeline.

    Raises:
        ValueError: a record stopped the pipeline; the message names it.
    """
    paths = [str(path) for path in paths]

    def dataset_of(rows):
        chosen = [column[rows.start : rows.stop] for column in columns]
        return pipelines.loaded((paths[rows], *chosen), load)

    iterator = iter(dataset_of(slice(0, len(paths))))
    for done in range(len(paths)):
        try:
            item = next(iterator)
        except _READING as error:
            row, text = _explain(dataset_of, paths, done, error)
            if skip is None or row != done:
                raise ValueError(text) from error
            skip(row, text)
            item, iterator = None, iter(dataset_of(slice(done + 1, len(paths))))
        yield item


def _explain(dataset_of, paths, done, error):
    """Which record stopped a pipeline somewhere after `done` records, and what is wrong with it."""
    for row in range(done, len(paths)):
        try:
            next(iter(dataset_of(slice(row, row + 1))))
        except _READING as own_error:
            return row, (
                f'{paths[row]}: not a whole record of a tagged clip '
                f'({_first_line(own_error)}); convert it again'
            )
    return None, f'reading failed after {done} of {len(paths)} records: {_first_line(error)}'


def _first_line(error):
    if isinstance(error, UnicodeDecodeError):
        return 'its bytes are no example'
    # What Python raised within a pipeline comes as "ValueError: text" and its traceback.
    return re.sub(r'^\w*(?:Error|Damaged): ', '', error.message.strip().splitlines()[0])
