"""Decodes WAV files with TensorFlow operations, for models served without Python.

RIFF or RF64; PCM of 8, 16, 24 and 32 bit and floating point of 32 and 64 bit, plain or
WAVE_FORMAT_EXTENSIBLE; any number of channels (averaged) and any rate from 4 kHz (resampled to the
requested one); up to half an hour. A size left open by a streaming writer means: to the end of the
file; so does one that an interrupted writer never filled in, as in `files/unfinished_files.py`.
Anything else fails with an `InvalidArgumentError` that says what is wrong.
"""

from collections.abc import Sequence

import tensorflow as tf

from dualcam.data import audio

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ELSEWHERE = 0xFFFF_FFFF  # a size given in a ds64 chunk, or nowhere
# Format, bits per sample, and decoded type.
_DECODED = ((_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64))
# Common names of formats that are not decoded.
_OTHERS = {
    0x02: 'Microsoft ADPCM',
    0x06: 'A-law',
    0x07: 'mu-law',
    0x11: 'IMA ADPCM',
    0x16: 'G.723 ADPCM',
    0x31: 'GSM 6.10',
    0x40: 'G.721 ADPCM',
    0x45: 'G.726 ADPCM',
    0x50: 'MPEG audio',
    0x55: 'MP3',
    0xFF: 'AAC',
    0x161: 'Windows Media Audio',
    0x162: 'Windows Media Audio Pro',
    0x1600: 'AAC',
    0xF1AC: 'FLAC',
}
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 4_000, 384_000
_LONGEST_S = 1800  # half a GB of intermediate samples
_MOST_CHUNKS = 1000
_BLOCK_S, _MARGIN_S = 10, 1
# Passband edge of conversion to a lower rate, as a share of its Nyquist frequency (soxr's HQ).
_PASS_BAND = 0.913


def decode(contents: tf.Tensor, rate_hz: int = audio.SAMPLE_RATE_HZ) -> tf.Tensor:
    """The sound of a WAV file.

    Args:
        contents: scalar string, the whole file.
        rate_hz: of the output.

    Returns:
        [samples] float32, mono, full scale 1.
    """
    return at_rate(*decode_at_own_rate(contents), rate_hz)


def at_rate(
    signal: tf.Tensor, own_rate_hz: tf.Tensor, rate_hz: int = audio.SAMPLE_RATE_HZ
) -> tf.Tensor:
    """[samples] float32 at `rate_hz`, resampled if necessary."""
    return tf.cond(
        own_rate_hz == rate_hz, lambda: signal, lambda: resample(signal, own_rate_hz, rate_hz)
    )


def decode_at_own_rate(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples of a WAV file, [samples] float32 mono, full scale 1, and its rate in Hz, int32."""
    size = tf.strings.length(contents)
    kind, form = (tf.strings.substr(tf.strings.join([contents, ' ' * 12]), at, 4) for at in (0, 8))
    contents = checked(
        contents,
        [
            (size >= 12, 'not a WAV file: only', size, 'bytes'),
            (
                ((kind == b'RIFF') | (kind == b'RF64')) & (form == b'WAVE'),
                'not a WAV file: it does not begin with RIFF....WAVE but with the bytes',
                tf.io.decode_raw(kind, tf.uint8),
            ),
        ],
    )
    data = tf.io.decode_raw(contents, tf.uint8)
    form_at, data_at, data_size = _chunks(contents, data, size)
    data = checked(
        data,
        [
            (form_at >= 0, 'not a whole WAV file: no fmt chunk in', size, 'bytes'),
            (data_at >= 0, 'not a whole WAV file: no data chunk in', size, 'bytes'),
        ],
    )
    code, bits = (_unsigned(data, form_at + at, 2) for at in (0, 14))
    channels, rate_hz = _unsigned(data, form_at + 2, 2), _unsigned(data, form_at + 4, 4)
    if_extended = _unsigned(data, form_at + 24, 2)
    code = tf.where(code == _EXTENSIBLE, if_extended, code)
    known = tf.stack([(code == a) & (bits == b) for a, b in _DECODED])
    names = tf.constant(['another kind', *_OTHERS.values(), 'PCM', 'floating point'])
    codes = tf.constant([-1, *_OTHERS, _PCM, _FLOAT], tf.int64)
    name = names[tf.argmax(tf.cast(codes == code, tf.int32))]
    known = checked(
        known,
        [
            (
                tf.reduce_any(known),
                'a WAV file of',
                name,
                ', format and bits',
                tf.stack([code, bits]),
                '; expected PCM (1) of 8, 16, 24 or 32 bit or floating point (3) of 32 or 64; '
                'convert it first',
            ),
        ],
    )
    # The format is known from here on: its bits determine the length.
    with tf.control_dependencies([known]):
        data_size = checked(
            tf.identity(data_size),
            [
                (channels >= 1, 'a WAV file of', channels, 'channels'),
                (
                    (rate_hz >= _LOWEST_RATE_HZ) & (rate_hz <= _HIGHEST_RATE_HZ),
                    'a WAV file of',
                    rate_hz,
                    f'Hz; expected {_LOWEST_RATE_HZ} - {_HIGHEST_RATE_HZ}',
                ),
                (
                    data_size <= _LONGEST_S * rate_hz * channels * (bits // 8),
                    'a WAV file of more than',
                    _LONGEST_S,
                    's; send it in parts',
                ),
            ],
        )
    frame = channels * (bits // 8)
    length = data_size // frame * frame
    raw = tf.strings.substr(contents, tf.cast(data_at, tf.int32), tf.cast(length, tf.int32))
    samples = tf.switch_case(
        tf.cast(tf.argmax(known), tf.int32),
        [
            lambda: (tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.float32) - 128.0) / 128.0,
            lambda: tf.cast(tf.io.decode_raw(raw, tf.int16), tf.float32) / 2.0**15,
            lambda: _three_bytes(raw) / 2.0**23,
            lambda: tf.cast(tf.io.decode_raw(raw, tf.int32), tf.float32) / 2.0**31,
            lambda: tf.io.decode_raw(raw, tf.float32),
            lambda: tf.cast(tf.io.decode_raw(raw, tf.float64), tf.float32),
        ],
    )
    mono = tf.reduce_mean(tf.reshape(samples, tf.stack([-1, tf.cast(channels, tf.int32)])), axis=1)
    return mono, tf.cast(rate_hz, tf.int32)


def resample(
    signal: tf.Tensor, rate_hz: tf.Tensor, new_rate_hz: int = audio.SAMPLE_RATE_HZ
) -> tf.Tensor:
    """Resamples a signal in blocks by Fourier transforms.

    Args:
        signal: [samples] float32; zero outside its range.
        rate_hz: scalar int32, its own.
        new_rate_hz: the new rate, an int.

    Returns:
        [samples * new_rate_hz / rate_hz, rounded up] float32.
    """
    length = tf.cast(tf.size(signal), tf.int64)
    rate = tf.cast(rate_hz, tf.int64)
    blocks = tf.cast(-(-length // (_BLOCK_S * rate)), tf.int32)
    filled = tf.cast(blocks, tf.int64) * _BLOCK_S * rate - length
    padded = tf.pad(signal, [[_MARGIN_S * rate, filled + _MARGIN_S * rate]])
    seconds = _BLOCK_S + 2 * _MARGIN_S
    new_length = seconds * new_rate_hz
    bins = new_length // 2 + 1
    # Bins are 1 / seconds Hz apart at both rates.
    edge = tf.minimum(tf.cast(rate_hz, tf.float32), float(new_rate_hz)) / 2.0 * seconds
    place = (tf.range(bins, dtype=tf.float32) / edge - _PASS_BAND) / (1.0 - _PASS_BAND)
    response = 0.5 + 0.5 * tf.cos(3.14159265 * tf.clip_by_value(place, 0.0, 1.0))

    def one(number):
        start = number * _BLOCK_S * rate_hz
        part = tf.reshape(padded[start : start + seconds * rate_hz], [1, -1])
        spectrum = tf.signal.rfft(part)[:, :bins]
        spectrum = tf.pad(spectrum, [[0, 0], [0, bins - tf.shape(spectrum)[1]]])
        spectrum *= tf.cast(response, tf.complex64)
        whole = tf.signal.irfft(spectrum, [new_length])[0]
        margin = _MARGIN_S * new_rate_hz
        return whole[margin : margin + _BLOCK_S * new_rate_hz]

    block = tf.TensorSpec([_BLOCK_S * new_rate_hz], tf.float32)
    made = tf.map_fn(one, tf.range(blocks), parallel_iterations=1, fn_output_signature=block)
    gain = new_rate_hz / tf.cast(rate_hz, tf.float32)
    return gain * tf.reshape(made, [-1])[: -(-length * new_rate_hz // rate)]


def _chunks(contents, data, size):
    """Starts of the fmt and data chunks' contents (-1: not found), and the data's size.

    All int64; the size is limited by that of the file.
    """
    size = tf.cast(size, tf.int64)
    nowhere = tf.constant(-1, tf.int64)

    def going_on(at, form_at, data_at, *others):
        return (at + 8 <= size) & ((form_at < 0) | (data_at < 0)) & (others[-1] < _MOST_CHUNKS)

    def step(at, form_at, data_at, data_size, large_size, count):
        name = tf.strings.substr(contents, tf.cast(at, tf.int32), 4)
        length = _unsigned(data, at + 4, 4)
        begin = at + 8
        length = tf.where((name == b'data') & (length == _ELSEWHERE), large_size, length)
        announced = _unsigned(data, begin + 8, 8)
        announced = tf.where(announced < 0, _ELSEWHERE, announced)  # 2^63 and more: left open
        large_size = tf.where(name == b'ds64', announced, large_size)
        here = tf.minimum(length, size - begin)
        form_at = tf.where((name == b'fmt ') & (here >= 16), begin, form_at)
        is_data = name == b'data'
        # Some writers forget the padding of odd chunks.
        unpadded = _unsigned(data, begin + here, 4) == int.from_bytes(b'data', 'little')
        return (
            begin + here + tf.where(unpadded, tf.zeros_like(here), here % 2),
            form_at,
            tf.where(is_data, begin, data_at),
            tf.where(is_data, here, data_size),
            large_size,
            count + 1,
        )

    _, form_at, data_at, data_size, *_ = tf.while_loop(
        going_on,
        step,
        (
            tf.constant(12, tf.int64),
            nowhere,
            nowhere,
            tf.constant(0, tf.int64),
            tf.constant(_ELSEWHERE, tf.int64),
            tf.constant(0),
        ),
    )
    return form_at, data_at, _to_its_end(data, data_at, data_size, size)


def _to_its_end(data, data_at, data_size, size):
    """The data's size, or the rest of the file if an interrupted writer never filled it in.

    This is assumed if no other chunk follows, and more than was announced.
    """
    rest = size - data_at
    following = data_at + data_size + data_size % 2
    left = size - following
    name = tf.cast(data[following : following + 4], tf.int32)
    is_chunk = (
        (left >= 8)
        & (tf.reduce_min(name) >= 0x20)
        & (tf.reduce_max(name) < 0x7F)
        & (_unsigned(data, following + 4, 4) <= left - 8)
    )
    goes_on = (data_at >= 0) & (left >= tf.maximum(data_size, 1)) & ~is_chunk
    return tf.where(goes_on, rest, data_size)


def _unsigned(data, at, count):
    """A little-endian number of `count` bytes, int64; bytes past the end count as zero."""
    part = tf.cast(data[at : at + count], tf.int64)
    part = tf.pad(part, [[0, count - tf.shape(part)[0]]])
    return tf.reduce_sum(part * [256**i for i in range(count)])


def _three_bytes(raw):
    parts = tf.cast(tf.reshape(tf.io.decode_raw(raw, tf.uint8), [-1, 3]), tf.int32)
    low, middle, high = tf.unstack(parts, axis=1)
    high = tf.where(high > 127, high - 256, high)
    return tf.cast(low + middle * 256 + high * 65536, tf.float32)


def checked(value: tf.Tensor, checks: Sequence[tuple]) -> tf.Tensor:
    """`value`, guarded by assertions (condition, message ...)."""
    with tf.control_dependencies(
        [
            tf.debugging.Assert(condition, list(message), summarize=4)
            for condition, *message in checks
        ]
    ):
        return tf.identity(value)
