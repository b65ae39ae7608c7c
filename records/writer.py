"""Writes records of every kind: examples from arrays, and GZIP files, atomically."""

import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from dualcam.data import schema
from dualcam.data.records import framing, protobufs
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

Example = Any  # `protobufs.SequenceExample`, whose class is made at run time
_FASTEST_LEVELS = 3  # the highest level of ISA-L
_GZIP = 16 + zlib.MAX_WBITS
_BYTES_AT_A_TIME = 1 << 18  # per write; much faster than megabytes


def second_to_example(
    labels: Mapping[str, int], frames: Mapping[str, Sequence[np.ndarray]]
) -> Example:
    """Makes the record of one second.

    Args:
        labels: {context key: int}, for example action, location and subject, all from 0.
        frames: {modality name: list of 12 arrays}, dtypes and shapes as in the schema.

    Returns:
        A `protobufs.SequenceExample`, which is used like TensorFlow's.

    Raises:
        ValueError: there are not 12 frames, or frames of one modality differ in shape.
    """
    example = protobufs.SequenceExample()
    _set_integers(example, {key: [value] for key, value in labels.items()})
    for name, items in frames.items():
        modality = schema.MODALITIES[name]
        shape = items[0].shape
        if len(items) != schema.FRAMES_PER_SECOND or any(x.shape != shape for x in items):
            raise ValueError(
                f'{name}: {len(items)} frames of shapes '
                f'{sorted({x.shape for x in items})}; expected '
                f'{schema.FRAMES_PER_SECOND} of one shape'
            )
        _set_integers(
            example,
            {key: [size] for key, size in zip(modality.size_keys, shape, strict=True)},
        )
        features = example.feature_lists.feature_list[modality.feature_list].feature
        for item in items:
            data = np.ascontiguousarray(item, modality.dtype).tobytes()
            features.add().bytes_list.value.append(data)
    return example


def sound_to_example(samples: npt.ArrayLike, label: int, start: int) -> Example:
    """Makes the example of a stretch of one sound.

    Args:
        samples: [samples] float32, mono at 22,050 Hz.
        label: of the sound, from 0.
        start: the stretch's first sample within the sound.

    Returns:
        A `protobufs.SequenceExample` with the bytes of a `tf.train.Example`.
    """
    example = protobufs.SequenceExample()
    data = np.ascontiguousarray(samples, '<f4').tobytes()
    example.context.feature[schema.SOUND_DATA].bytes_list.value.append(data)
    _set_integers(
        example,
        {
            schema.SOUND_RATE: [schema.SOUND_RATE_HZ],
            schema.SOUND_START: [start],
            schema.SOUND_LABEL: [label],
        },
    )
    return example


def clip_to_example(
    name: str, samples: npt.ArrayLike, jpegs: Iterable[bytes], labels: Iterable[int]
) -> Example:
    """Makes the example of a tagged clip.

    Args:
        name: of the clip.
        samples: [samples] int16, mono at 32 kHz.
        jpegs: bytes of the frames, one per second.
        labels: [classes], ones and zeros.

    Returns:
        A `protobufs.SequenceExample` with the bytes of a `tf.train.Example`.
    """
    example = protobufs.SequenceExample()
    feature = example.context.feature
    feature[schema.CLIP_NAME].bytes_list.value.append(name.encode())
    data = np.ascontiguousarray(samples, '<i2').tobytes()
    feature[schema.CLIP_AUDIO].bytes_list.value.append(data)
    feature[schema.CLIP_FRAMES].bytes_list.value.extend(jpegs)
    _set_integers(
        example, {schema.CLIP_RATE: [schema.CLIP_RATE_HZ], schema.CLIP_LABELS: list(labels)}
    )
    return example


def _set_integers(example, values):
    for key, numbers in values.items():
        example.context.feature[key].int64_list.value.extend(map(int, numbers))


def write_record(path: AnyPath, example: Example, compression_level: int = 1) -> None:
    """Writes a record of one example, atomically; equal examples give equal bytes.

    Args:
        path: of the .tfrecord file; its folder is created.
        example: a message, of TensorFlow or of `protobufs`.
        compression_level: of GZIP, 1 (fast) to 9 (small). Up to 3, Intel's ISA-L compresses, ten
            times as fast as zlib, which is used from 4 on; sound and images are noisy, so 9 saves
            only about 2 %.

    Raises:
        OSError: the disk is full (`errno.ENOSPC`), or the file cannot be written.
    """
    if compression_level > _FASTEST_LEVELS:
        write_examples(path, [example], compression_level)
        return
    # In one piece: fed in parts, ISA-L occasionally gives other bytes.
    data = b''.join(_framed(example))
    _write_file(path, [isal_zlib.compress(data, compression_level, _GZIP)])


def write_examples(path: AnyPath, examples: Iterable[Example], compression_level: int = 1) -> None:
    """Writes a record of any number of examples as they arrive; see `write_record`.

    Args:
        path: of the .tfrecord file; its folder is created.
        examples: an iterable; if it raises an error, no file is left.
        compression_level: of GZIP, 1 - 9; always compressed by zlib.

    Raises:
        OSError: the disk is full (`errno.ENOSPC`), or the file cannot be written.
    """

    def compressed() -> Iterator[bytes]:
        packer = zlib.compressobj(compression_level, zlib.DEFLATED, _GZIP)
        for example in examples:
            yield from map(packer.compress, _framed(example))
        yield packer.flush()

    _write_file(path, compressed())


def _framed(example):
    return framing.framed(example.SerializeToString(deterministic=True))


def _write_file(path, parts):
    path = pathlib.Path(path)
    atomic.make_folder(path.parent)
    with atomic.writing_file(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            for part in parts:
                view = memoryview(part)
                for start in range(0, len(view), _BYTES_AT_A_TIME):
                    _write(descriptor, view[start : start + _BYTES_AT_A_TIME], path)
        finally:
            os.close(descriptor)


def _write(descriptor, data, path):
    """Writes all of `data`; an error names the record that the file becomes."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
