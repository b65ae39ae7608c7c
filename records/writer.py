"""One second to one GZIP SequenceExample, written whole or not at all.

The only file of records/ that needs TensorFlow.
"""

import os
import pathlib
import zlib

import numpy as np
import tensorflow as tf
from isal import isal_zlib

from dualcam import whole
from dualcam.data import record_bytes, schema

_FASTEST_LEVELS = 3                   # that ISA-L has; it has no smaller ones


def second_to_example(labels, frames):
    """The record of one second.

    Args:
        labels: {context key: int}, for example action, location and subject, all from 0.
        frames: {modality name: list of 12 arrays}, dtypes and shapes as in the schema.

    Returns:
        A `tf.train.SequenceExample`.

    Raises:
        ValueError: not 12 frames, or frames of one modality that differ in shape.
    """
    example = tf.train.SequenceExample()
    for key, value in labels.items():
        example.context.feature[key].int64_list.value.append(int(value))
    for name, items in frames.items():
        modality = schema.MODALITIES[name]
        shape = items[0].shape
        if len(items) != schema.FRAMES_PER_SECOND or any(x.shape != shape for x in items):
            raise ValueError(f'{name}: {len(items)} frames of shapes '
                             f'{sorted({x.shape for x in items})}; expected '
                             f'{schema.FRAMES_PER_SECOND} of one shape')
        for key, size in zip(modality.size_keys, shape, strict=True):
            example.context.feature[key].int64_list.value.append(size)
        features = example.feature_lists.feature_list[modality.feature_list].feature
        for item in items:
            data = np.ascontiguousarray(item, modality.dtype).tobytes()
            features.add().bytes_list.value.append(data)
    return example


def write_record(path, example, compression_level=1):
    """Writes one record, see `write_examples`."""
    write_examples(path, [example], compression_level)


def write_examples(path, examples, compression_level=1):
    """Writes a record, whole or not at all.

    Args:
        path: of the .tfrecord file; its folder is made.
        examples: `tf.train.SequenceExample`s or `tf.train.Example`s; an error that this iterator
            raises leaves no file.
        compression_level: of GZIP, 1 (fast) to 9 (small). Up to 3 Intel's ISA-L packs, ten times
            as fast as zlib, which packs from 4 on; sound and images are noisy, so that 9 saves
            about 2 %.

    Raises:
        OSError: the disk is full (`errno.ENOSPC`), or the file cannot be written.
    """
    path = pathlib.Path(path)
    whole.make_folder(path.parent)
    library = isal_zlib if compression_level <= _FASTEST_LEVELS else zlib
    packer = library.compressobj(compression_level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with whole.writing_file(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for example in examples:
                for part in record_bytes.framed(example.SerializeToString()):
                    _write(descriptor, packer.compress(part), path)
            _write(descriptor, packer.flush(), path)
        finally:
            os.close(descriptor)


def _write(descriptor, data, path):
    """Writes all of `data`; an error is said of the record that the file becomes."""
    data = memoryview(data)
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
