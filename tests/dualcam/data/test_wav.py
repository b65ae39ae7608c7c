"""WAV files decoded in a graph, compared with the sound library."""

import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from dualcam.data.signal import wav
from dualcam.data.sources import sound_files


@pytest.fixture(scope='module')
def decode():
    return tf.function(wav.decode, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.fixture(scope='module')
def decode_at_own_rate():
    return tf.function(wav.decode_at_own_rate, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize('kind', ['PCM_U8', 'PCM_16', 'PCM_24', 'PCM_32', 'FLOAT', 'DOUBLE'])
@pytest.mark.parametrize('form', ['WAV', 'WAVEX', 'RF64'])
@pytest.mark.parametrize('channels', [1, 3])
def test_samples_are_the_librarys(tmp_path, decode_at_own_rate, rng, kind, form, channels):
    soundfile.write(
        tmp_path / 'a.wav', rng.uniform(-1, 1, (1001, channels)), 8000, kind, format=form
    )
    want, _ = soundfile.read(tmp_path / 'a.wav', dtype='float32', always_2d=True)
    signal, rate_hz = decode_at_own_rate(tf.constant((tmp_path / 'a.wav').read_bytes()))
    assert rate_hz == 8000
    np.testing.assert_allclose(signal, want.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize('rate_hz', [8000, 11_025, 16_000, 22_050, 22_051, 44_100, 48_000, 96_000])
def test_other_rates_are_converted_as_the_library_does(tmp_path, decode, rate_hz):
    time = np.arange(round(11.3 * rate_hz)) / rate_hz  # more than one block
    sound = sum(0.2 * np.sin(2 * np.pi * hz * time + hz) for hz in (50, 440, 1234, 3300))
    soundfile.write(tmp_path / 'a.wav', sound, rate_hz, 'FLOAT')
    got = decode(tf.constant((tmp_path / 'a.wav').read_bytes())).numpy()
    want = sound_files.read_sound(tmp_path / 'a.wav')
    assert abs(len(got) - len(want)) <= 1 and len(got) == -(-len(time) * 22_050 // rate_hz)
    time = np.arange(len(got)) / 22_050
    exact = sum(0.2 * np.sin(2 * np.pi * hz * time + hz) for hz in (50, 440, 1234, 3300))
    middle = slice(2000, -2000)
    assert np.abs(got[middle] - exact[middle]).max() < 1e-4
    length = min(len(got), len(want))
    assert np.linalg.norm(got[:length] - want[:length]) < 0.01 * np.linalg.norm(want)


def test_what_lies_above_half_the_new_rate_is_gone(tmp_path, decode):
    soundfile.write(tmp_path / 'a.wav', np.sin(np.arange(44_100) * 2.4), 44_100)  # 16.8 kHz
    got = decode(tf.constant((tmp_path / 'a.wav').read_bytes())).numpy()
    assert np.abs(got[2000:-2000]).max() < 1e-3


def chunk(name, content, size=None):
    return (
        name
        + struct.pack('<I', len(content) if size is None else size)
        + content
        + b'\0' * (len(content) % 2)
    )


def wav_file(*chunks, kind=b'RIFF'):
    body = b'WAVE' + b''.join(chunks)
    return kind + struct.pack('<I', len(body)) + body


def form(code=1, channels=1, rate_hz=22_050, bits=16):
    frame = channels * bits // 8
    return chunk(
        b'fmt ', struct.pack('<HHIIHH', code, channels, rate_hz, rate_hz * frame, frame, bits)
    )


DATA = np.arange(-50, 50, dtype='<i2').tobytes()


@pytest.mark.parametrize(
    'contents',
    [
        wav_file(form(), chunk(b'LIST', b'odd'), chunk(b'data', DATA)),
        wav_file(chunk(b'JUNK', bytes(28)), form(), chunk(b'data', DATA), chunk(b'id3 ', b'x')),
        wav_file(form(), chunk(b'data', DATA, 0xFFFF_FFFF)),  # a stream of unknown length
        wav_file(form(), chunk(b'data', DATA + b'\x01', 2**20)[:-1]),
    ],
)  # plus half a sample
def test_other_chunks_and_open_sizes_do_no_harm(decode, contents):
    np.testing.assert_array_equal(
        decode(tf.constant(contents)), np.arange(-50, 50, dtype=np.float32) / 2**15
    )


@pytest.mark.parametrize(
    'contents, message',
    [
        (wav_file(form(code=85), chunk(b'data', DATA)), 'format and bits.*85 16'),
        (wav_file(form(bits=12), chunk(b'data', DATA)), 'format and bits.*1 12'),
        (wav_file(form(channels=0), chunk(b'data', DATA)), '0.*channels'),
        (wav_file(form(rate_hz=0), chunk(b'data', DATA)), 'of.*0.*Hz'),
        (wav_file(form(rate_hz=2**30), chunk(b'data', DATA)), 'Hz'),
        (wav_file(form(rate_hz=1), chunk(b'data', DATA)), r'of.*1.*Hz; expected 4000'),
        (
            wav_file(form(rate_hz=4000, bits=8), chunk(b'data', bytes(4000 * 1801))),
            'more than.*1800',
        ),
        (wav_file(*[chunk(b'JUNK', b'')] * 1001, form(), chunk(b'data', DATA)), 'no fmt chunk'),
        (wav_file(form()), 'no data chunk'),
        (wav_file(chunk(b'data', DATA)), 'no fmt chunk'),
        (wav_file(form(code=0xFFFE), chunk(b'data', b'')), 'format and bits'),
        (b'OggS' + bytes(40), 'RIFF....WAVE but with.*79 103 103 83'),
        (b'RIFF', 'only.*4.*bytes'),
    ],
)
def test_what_cannot_be_decoded_is_named(decode, contents, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(tf.constant(contents))


def test_no_bytes_crash_it(decode, rng):
    whole = bytearray(wav_file(form(), chunk(b'LIST', b'abcd'), chunk(b'data', DATA)))
    answered = 0
    for number in range(300):
        contents = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for _ in range(rng.integers(0, 4)):
            contents[rng.integers(len(contents))] = rng.integers(256)
        try:
            got = decode(tf.constant(bytes(contents))).numpy()
            assert got.ndim == 1, number
            answered += 1
        except tf.errors.InvalidArgumentError as error:
            assert 'WAV' in str(error), number
    assert 0 < answered < 300


def test_a_large_size_that_was_left_open_means_the_rest(tmp_path, rng):
    soundfile.write(tmp_path / 'a.wav', rng.uniform(-1, 1, 700), 8000, 'PCM_16', format='RF64')
    whole = (tmp_path / 'a.wav').read_bytes()
    at = whole.index(b'ds64') + 16
    left_open = whole[:at] + b'\xff' * 8 + whole[at + 8 :]
    decode = tf.function(wav.decode_at_own_rate)
    np.testing.assert_array_equal(decode(tf.constant(left_open))[0], decode(tf.constant(whole))[0])
