"""Front end of AAAI 2021's audio network: 64 log-mel bands at 32 kHz.

The paper only says 64 bands, and takes its network (CNN8) from the cross-task baselines of Kong et
al.; rate, window, hop and band are those of their later version (arXiv:1904.03476, for DCASE 2019):
32 kHz, 64 frames per second. Their mel filters are Slaney's: linear up to 1 kHz, logarithmic above,
triangles of equal area.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# Version of this code's inputs. Networks trained with another version are refused.
VERSION = 1

_BREAK_HZ, _LINEAR_HZ = 1000.0, 200.0 / 3.0  # Slaney's scale: a mel is 66.7 Hz up to here
_BREAK_MEL, _LOG_STEP = 15.0, np.log(6.4) / 27.0  # and above a factor of 6.4 ** (1 / 27)
_NARROW_DB = 1e-2  # a band with less deviation is empty


@dataclasses.dataclass(frozen=True)
class LogMelParams:
    """Parameters of the log-mel spectrogram (Kong et al., arXiv:1904.03476).

    10 s give 640 frames.
    """

    sample_rate_hz: int = 32_000
    window: int = 1024  # samples, periodic Hann
    hop: int = 500  # samples
    num_bands: int = 64
    low_hz: float = 50.0
    high_hz: float = 14_000.0
    floor: float = 1e-10  # of a band's power

    @property
    def frames_per_second(self) -> int:
        """Frames per second; an integer, so that clips can be cut at whole seconds."""
        return self.sample_rate_hz // self.hop

    def num_frames(self, num_samples: Any) -> Any:
        """Number of frames of a waveform; the first one is centred on its first sample."""
        return num_samples // self.hop


def hz_to_mel(hz: npt.ArrayLike) -> np.ndarray:
    """Slaney's scale, float64."""
    hz = np.asarray(hz, np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, above)


def mel_to_hz(mel: npt.ArrayLike) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


@functools.lru_cache(maxsize=8)
def mel_filters(params: LogMelParams = LogMelParams()) -> np.ndarray:
    """Weights of the bands.

    Args:
        params: a `LogMelParams`.

    Returns:
        [window / 2 + 1, num_bands] float32: triangles over the frequencies of the bins, each as
        high as 2 over its width in Hz.
    """
    bins_hz = np.linspace(0.0, params.sample_rate_hz / 2, params.window // 2 + 1)
    edges_hz = mel_to_hz(
        np.linspace(hz_to_mel(params.low_hz), hz_to_mel(params.high_hz), params.num_bands + 2)
    )
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    return weights.astype(np.float32)


def log_mel(waveform: Any, params: LogMelParams = LogMelParams()) -> tf.Tensor:
    """Log-mel spectrogram.

    The waveform is mirrored at both ends by half a window, so that frames are centred; the last of
    the frames that extend past its end is dropped, so 10 s give 640 instead of 641 frames.

    Args:
        waveform: [..., samples] float32, full scale 1, longer than half a window.
        params: a `LogMelParams`.

    Returns:
        [..., samples // hop, num_bands] float32, dB of power, at least 10 log10(floor).
    """
    waveform = tf.convert_to_tensor(waveform)
    half = params.window // 2
    padded = tf.concat(
        [
            tf.reverse(waveform[..., 1 : half + 1], [-1]),
            waveform,
            tf.reverse(waveform[..., -half - 1 : -1], [-1]),
        ],
        axis=-1,
    )
    samples = waveform.shape[-1]
    frames = params.num_frames(tf.shape(waveform)[-1] if samples is None else samples)
    padded = padded[..., : (frames - 1) * params.hop + params.window]
    spectrum = tf.signal.stft(padded, params.window, params.hop, params.window)
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    bands = tf.tensordot(power, mel_filters(params), 1)
    return 10.0 / np.log(10.0) * tf.math.log(tf.maximum(bands, params.floor))


@dataclasses.dataclass(frozen=True, eq=False)
class LogMelFrontend:
    """A tagging network's front end for sound, shared by clips, exports and commands.

    Attributes:
        params: a `LogMelParams`.
        statistics: mean and deviation of each band in the training set, two arrays [num_bands];
            None does not normalise.
    """

    params: LogMelParams = LogMelParams()
    statistics: tuple | None = None

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the waveforms for `hear`."""
        return self.params.sample_rate_hz

    def hear(self, waveform: Any) -> tf.Tensor:
        """Network input [..., frames, num_bands] for a waveform [..., samples], full scale 1.

        The waveform is not scaled: loudness is information too.
        """
        return self.normalise(log_mel(waveform, self.params))

    def normalise(self, decibels: Any) -> Any:
        """Log-mel spectrograms with zero mean and unit deviation per band; empty bands are zero."""
        if self.statistics is None:
            return decibels
        mean, deviation = (np.asarray(values, np.float32) for values in self.statistics)
        scale = np.divide(
            1.0, deviation, out=np.zeros_like(deviation), where=deviation > _NARROW_DB
        )
        return (decibels - mean) * scale
