"""One second to one GZIP SequenceExample, written whole or not at all."""

import os
import pathlib
import zlib

import numpy as np
from isal import isal_zlib

from dualcam.data import schema
from dualcam.data.records import framing, protobufs
from dualcam.files import atomic

_FASTEST_LEVELS = 3  # that ISA-L has; it has no smaller ones
_GZIP = 16 + zlib.MAX_WBITS
_BYTES_AT_A_TIME = 1 << 18  # written; much quicker than megabytes


def second_to_example(labels, frames):
    """The record of one second.

    Args:
        labels: {context key: int}, for example action, location and subject, all from 0.
        frames: {modality name: list of 12 arrays}, dtypes and shapes as in the schema.

    Returns:
        A `record_files.SequenceExample`, used as TensorFlow's is.

    Raises:
        ValueError: not 12 frames, or frames of one modality that differ in shape.
    """
    example = protobufs.SequenceExample()
    for key, value in labels.items():
        example.context.feature[key].int64_list.value.append(int(value))
    for name, items in frames.items():
        modality = schema.MODALITIES[name]
        shape = items[0].shape
        if len(items) != schema.FRAMES_PER_SECOND or any(x.shape != shape for x in items):
            raise ValueError(
                f'{name}: {len(items)} frames of shapes '
                f'{sorted({x.shape for x in items})}; expected '
                f'{schema.FRAMES_PER_SECOND} of one shape'
            )
        for key, size in zip(modality.size_keys, shape, strict=True):
            example.context.feature[key].int64_list.value.append(size)
        features = example.feature_lists.feature_list[modality.feature_list].feature
        for item in items:
            data = np.ascontiguousarray(item, modality.dtype).tobytes()
            features.add().bytes_list.value.append(data)
    return example


def write_record(path, example, compression_level=1):
    """Writes a record of one example, whole or not at all; the same one gives the same bytes.

    Args:
        path: of the .tfrecord file; its folder is made.
        example: a message, TensorFlow's or that of `record_files`.
        compression_level: of GZIP, 1 (fast) to 9 (small). Up to 3 Intel's ISA-L packs, ten times
            as fast as zlib, which packs from 4 on; sound and images are noisy, so that 9 saves
            about 2 %.

    Raises:
        OSError: the disk is full (`errno.ENOSPC`), or the file cannot be written.
    """
    if compression_level > _FASTEST_LEVELS:
        write_examples(path, [example], compression_level)
        return
    # All at once: given its input in parts, ISA-L now and then gives other bytes for the same.
    data = b''.join(_framed(example))
    _write_file(path, [isal_zlib.compress(data, compression_level, _GZIP)])


def write_examples(path, examples, compression_level=1):
    """Writes a record of any number of examples as they come, see `write_record`.

    Args:
        path: of the .tfrecord file; its folder is made.
        examples: an iterable; an error that it raises leaves no file.
        compression_level: of GZIP, 1 - 9; zlib packs.

    Raises:
        OSError: the disk is full (`errno.ENOSPC`), or the file cannot be written.
    """

    def packed():
        packer = zlib.compressobj(compression_level, zlib.DEFLATED, _GZIP)
        for example in examples:
            yield from map(packer.compress, _framed(example))
        yield packer.flush()

    _write_file(path, packed())


def _framed(example):
    return framing.framed(example.SerializeToString(deterministic=True))


def _write_file(path, parts):
    path = pathlib.Path(path)
    atomic.make_folder(path.parent)
    with atomic.writing_file(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for part in map(memoryview, parts):
                for start in range(0, len(part), _BYTES_AT_A_TIME):
                    _write(descriptor, part[start : start + _BYTES_AT_A_TIME], path)
        finally:
            os.close(descriptor)


def _write(descriptor, data, path):
    """Writes all of `data`; an error is said of the record that the file becomes."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
