"""Converts the sound of one microphone to the students' inputs: waveform and spectrogram.

Follows the WACV 2020 programs to the sample: frames are joined, divided by the largest magnitude,
resampled from 12,288 to 22,050 Hz, divided by the largest magnitude again, and scaled by 256; then
comes the magnitude of a short-time Fourier transform. Silence stays zero (theirs divides zero by
zero).

The resampling filter is resampy 0.2.2's `kaiser_best`, which their librosa used: a Kaiser-windowed
sinc over 64 zero crossings on both sides. It is applied in the frequency domain, where it costs two
transforms per clip and agrees with their waveform to more than 100 dB.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dualcam.data import schema

SAMPLE_RATE_HZ = schema.SOUND_RATE_HZ
PEAK = 256.0  # of a waveform
NARROWEST = 1e-4  # smallest range of a channel that is used, as a share of the widest
_UP, _DOWN = 3675, 2048  # 22,050 / 12,288 in lowest terms
_ZERO_CROSSINGS = 64
_ROLL_OFF, _BETA = 0.9475937167399596, 14.769656459379492


@dataclasses.dataclass(frozen=True)
class SpectrogramParams:
    """Parameters of the students' short-time Fourier transform (WACV 2020).

    5 s give 500 frames. ECCV 2020 takes 2 s with a hop of 219, which gives 200.
    """

    sample_rate_hz: int = SAMPLE_RATE_HZ
    window: int = 440  # samples, periodic Hann; the paper's 20 ms would be 441
    hop: int = 220  # samples
    n_fft: int = 512

    @property
    def num_bins(self) -> int:
        """Frequency bins of a frame."""
        return self.n_fft // 2 + 1

    def num_frames(self, num_samples: Any) -> Any:
        """Number of frames of a waveform; an incomplete last window is dropped."""
        return 1 + (num_samples - self.window) // self.hop


def num_samples(seconds: int) -> int:
    """Samples of a clip of `seconds` at 22,050 Hz."""
    return SAMPLE_RATE_HZ * seconds


def waveform(frames: Any) -> tf.Tensor:
    """Waveform of a clip.

    Args:
        frames: [..., seconds * 12, mics, 1024] int32; microphone 0 is used.

    Returns:
        [..., seconds * 22,050] float32, its largest magnitude 256.

    Raises:
        ValueError: the frames are not whole seconds.
    """
    frames = tf.convert_to_tensor(frames)
    num_frames, _, size = frames.shape[-3:]
    if num_frames % schema.FRAMES_PER_SECOND or size != schema.SAMPLES_PER_FRAME:
        raise ValueError(
            f'frames of shape {tuple(frames.shape)}; expected [..., seconds * '
            f'{schema.FRAMES_PER_SECOND}, mics, {schema.SAMPLES_PER_FRAME}]'
        )
    mono = tf.cast(frames[..., 0, :], tf.float32)
    joined = tf.reshape(mono, tf.concat([tf.shape(mono)[:-2], [num_frames * size]], 0))
    joined.set_shape([*mono.shape[:-2], num_frames * size])
    return to_peak(resample(to_peak(joined))) * PEAK


def to_peak(signal: Any) -> tf.Tensor:
    """`signal` [..., samples] divided by its largest magnitude; silence is unchanged."""
    return tf.math.divide_no_nan(signal, tf.reduce_max(tf.abs(signal), axis=-1, keepdims=True))


def resample(signal: tf.Tensor) -> tf.Tensor:
    """Resamples from 12,288 to 22,050 Hz.

    Args:
        signal: [..., samples] float32, whole seconds, of known length.

    Returns:
        [..., samples * 3675 / 2048] float32; the signal is zero outside its range.
    """
    length = signal.shape[-1]
    blocks, response = _response(length)
    spectrum = tf.signal.rfft(signal, [blocks * _DOWN])  # [..., half + 1]
    # The filter's transition band reaches 5 % past half the input rate, where a sampled signal's
    # spectrum continues mirrored.
    half, extra = blocks * _DOWN // 2, len(response) - blocks * _DOWN // 2 - 1
    mirrored = tf.math.conj(tf.reverse(spectrum[..., half - extra : half], axis=[-1]))
    spectrum = tf.concat([spectrum, mirrored], axis=-1) * response
    result = tf.signal.irfft(spectrum, [blocks * _UP])
    return result[..., : length * _UP // _DOWN]


def limit_band(signal: tf.Tensor) -> tf.Tensor:
    """A 22,050 Hz signal as if resampled to 12,288 Hz and back, as in training.

    Networks were trained without anything above 6.1 kHz; above it, the range that normalises their
    spectrograms is that of rounding errors.

    Args:
        signal: [..., samples] float32 at 22,050 Hz, of known length.

    Returns:
        [..., samples] float32.
    """
    length = signal.shape[-1]
    kernel, before = _band_blocks()
    block = kernel.shape[1]
    blocks = -(-length // block)
    rows = tf.reshape(signal, [-1, length])
    padded = tf.pad(rows, [[0, 0], [before, (blocks + len(kernel) - 1) * block - before - length]])
    steps = tf.reshape(padded, [-1, blocks + len(kernel) - 1, block])
    result = tf.nn.conv1d(steps, kernel, 1, 'VALID')  # [rows, blocks, block]
    result = tf.reshape(result, [-1, blocks * block])[:, :length]
    return tf.reshape(result, tf.concat([tf.shape(signal)[:-1], [length]], 0))


def spectrogram(signal: Any, params: SpectrogramParams = SpectrogramParams()) -> tf.Tensor:
    """Magnitude spectrogram.

    Args:
        signal: [..., samples] float32.
        params: a `SpectrogramParams`.

    Returns:
        [..., frames, 257] float32, in the signal's unit times samples.
    """
    return tf.abs(tf.signal.stft(signal, params.window, params.hop, params.n_fft))


def normalise(
    magnitude: Any, minimum: npt.ArrayLike, maximum: npt.ArrayLike, floor: float = NARROWEST
) -> Any:
    """Scales magnitudes to about 0 - 1 by the training set's range (WACV 2020).

    Nothing is clipped.

    Args:
        magnitude: [..., 257].
        minimum, maximum: [257] of the training set.
        floor: smallest range of a channel as a share of the largest; narrower channels are set to
            0. Sound that was recorded at 12,288 Hz has only rounding errors above 6.2 kHz, which
            differ between machines; the authors (floor=0) scale those to 0 - 1 too. In the
            narrowest remaining channel, the rounding of the loudest value, 2^-24, is
            2^-24 / floor: 6e-4 of its range.

    Returns:
        [..., 257] float32.
    """
    width = np.subtract(maximum, minimum).astype(np.float32)
    scale = np.divide(1.0, width, out=np.zeros_like(width), where=heard(minimum, maximum, floor))
    return (magnitude - minimum) * scale


def heard(minimum: npt.ArrayLike, maximum: npt.ArrayLike, floor: float = NARROWEST) -> np.ndarray:
    """Which channels of a training set are not empty, [257] bool; see `normalise`.

    Deviations may be passed as maximum, with a minimum of 0.
    """
    width = np.subtract(maximum, minimum)
    return width > floor * width.max()


@functools.lru_cache(maxsize=64)
def _response(length):
    """Number of blocks of 2,048 input samples to transform at once, and the filter's response."""
    # Half a filter length of zeros after the signal, so that it does not wrap around.
    blocks = -(-(length + _ZERO_CROSSINGS) // _DOWN)
    blocks = next(b for b in range(blocks, 2 * blocks + 2) if b % 2 == 0 and _is_smooth(b))
    dense = 8  # kernel samples per input sample; it has nothing above 1.05
    kernel = _kernel(np.arange(-_ZERO_CROSSINGS * dense, _ZERO_CROSSINGS * dense + 1) / dense)
    total = np.zeros(blocks * _DOWN * dense)
    total[: len(kernel)] = kernel
    total = np.roll(total, -_ZERO_CROSSINGS * dense)
    count = int(blocks * _DOWN / 2 * 1.05) + 1
    response = np.fft.rfft(total)[:count].real / dense * (_UP / _DOWN)
    return blocks, response.astype(np.complex64)


@functools.lru_cache(maxsize=1)
def _band_blocks(block=16):
    """The filter at 22,050 Hz, as a kernel that computes a block of outputs at a time.

    A convolution with a single input and output channel would be limited by memory bandwidth.

    Returns:
        The kernel [steps, block, block] float32 of a convolution over steps of `block` samples,
        and the number of zeros to put before the signal.
    """
    reach = _ZERO_CROSSINGS * _UP // _DOWN  # samples on both sides
    taps = _kernel(np.arange(-reach, reach + 1) * (_DOWN / _UP)) * (_DOWN / _UP)
    steps = -(-(len(taps) + block - 1) // block)
    kernel = np.zeros((steps * block, block), np.float32)
    for place in range(block):
        kernel[place : place + len(taps), place] = taps
    return kernel.reshape(steps, block, block), reach


def _kernel(time):
    """resampy's kaiser_best at times in samples of 12,288 Hz, up to its zero crossings."""
    return (
        _ROLL_OFF
        * np.sinc(_ROLL_OFF * time)
        * np.i0(_BETA * np.sqrt(1 - (time / _ZERO_CROSSINGS) ** 2))
        / np.i0(_BETA)
    )


def _is_smooth(number):
    """Whether a transform of this many blocks is fast: no prime factor above 7."""
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number == 1
