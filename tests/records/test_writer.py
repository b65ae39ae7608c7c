"""Examples written without TensorFlow have the same bytes as TensorFlow's own."""

import gzip

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.records import framing
from dualcam.data.sources import sound_files
from records import writer


def of_integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def of_bytes(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def serialized(features):
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def announced(length):
    """A TFRecord's header that announces a length, with the correct checksum."""
    data = length.to_bytes(8, 'little')
    crc = google_crc32c.value(data)
    return data + (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, 'little')


def test_examples_of_sounds_are_tensorflows(rng):
    samples = rng.standard_normal(3000).astype(np.float32)
    example = writer.sound_to_example(samples, 3, 500)
    assert example.SerializeToString(deterministic=True) == serialized(
        {
            'audio/data': of_bytes([samples.tobytes()]),
            'audio/rate': of_integers([22_050]),
            'audio/start': of_integers([500]),
            'label': of_integers([3]),
        }
    )


def test_examples_of_tagged_clips_are_tensorflows(rng):
    samples = rng.integers(-99, 99, 64_000).astype(np.int16)
    example = writer.clip_to_example('a b', samples, [b'one', b'two'], np.array([0, 1, 0]))
    assert example.SerializeToString(deterministic=True) == serialized(
        {
            'name': of_bytes([b'a b']),
            'audio/pcm': of_bytes([samples.tobytes()]),
            'audio/rate': of_integers([32_000]),
            'video/jpeg': of_bytes([b'one', b'two']),
            'labels': of_integers([0, 1, 0]),
        }
    )


def test_records_are_read_as_a_stream_or_refused(tmp_path, rng):
    stretches = [rng.standard_normal(count).astype(np.float32) for count in (4000, 1, 2500)]
    starts = [0, 4000, 4001]
    path = tmp_path / f'a{schema.RECORD_SUFFIX}'
    examples = [
        writer.sound_to_example(samples, 1, start)
        for samples, start in zip(stretches, starts, strict=True)
    ]
    writer.write_examples(path, examples)
    assert list(framing.read_stream(path)) == [
        example.SerializeToString(deterministic=True) for example in examples
    ]
    np.testing.assert_array_equal(sound_files.read_sound(path), np.concatenate(stretches))
    whole = path.read_bytes()
    for number in rng.integers(10, len(whole), 40):  # before it, times and names are not checked
        damaged = bytearray(whole)
        damaged[number] ^= 1 << int(rng.integers(8))
        for data in (damaged, whole[:number]):
            path.write_bytes(data)
            with pytest.raises(framing.Damaged):
                list(framing.read_stream(path))
            with pytest.raises(sound_files.BadSound, match='not a whole record of a sound'):
                sound_files.read_sound(path)


def test_an_example_of_absurd_length_is_refused_before_its_memory_is_taken(tmp_path):
    path = tmp_path / f'a{schema.RECORD_SUFFIX}'
    length = (1 << 40).to_bytes(8, 'little')
    checksum = framing.framed(b'')[1]  # the checksum of length 0: wrong for this one
    path.write_bytes(gzip.compress(length + checksum))
    with pytest.raises(framing.Damaged, match='CRC-32C of a length'):
        list(framing.read_stream(path))
    path.write_bytes(gzip.compress(announced(1 << 40)))
    with pytest.raises(framing.Damaged, match='announces an example of 1099511627776 bytes'):
        list(framing.read_stream(path))
