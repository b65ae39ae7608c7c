"""Front ends: from a waveform to a student's input (band, peak, spectrogram, normalisation).

A network must be used with the front end that it was trained with: its training clips, its
SavedModel and its embeddings all use this module.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import audio, schema

# Version of this code's inputs. Networks trained with another version are refused.
VERSION = 2
# See `Frontend`; with the names of their statistics.
NORMALISATIONS = {
    'min_max': ('min', 'max'),
    'mean_std': ('mean', 'std_dev'),
    'log': ('mean', 'std_dev'),
}
_NARROW = 1e-2  # a channel of logarithms with less deviation is empty


def without_offset(signal: tf.Tensor) -> tf.Tensor:
    """Subtracts a signal's mean if that is large enough to be an offset.

    A mean below a tenth of the sound's deviation is not subtracted: a short sound's mean is never
    exactly zero.

    Args:
        signal: [..., samples] float32, full scale 1.

    Returns:
        [..., samples]; exactly zero if the signal is constant.
    """
    first = signal[..., :1]
    moved = signal - first  # makes a constant exactly zero
    mean = tf.reduce_mean(moved, axis=-1, keepdims=True)
    centred = moved - mean
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    is_offset = tf.square(first + mean) > schema.SMALL_OFFSET**2 * variance
    return tf.where(is_offset, centred, signal)


@dataclasses.dataclass(frozen=True, eq=False)
class Frontend:
    """A student's front end.

    Attributes:
        kind: 'waveform' or 'spectrogram'.
        normalisation: of spectrograms: 'min_max' maps each channel's range in the training set to
            0 - 1 (WACV 2020); 'mean_std' scales each to zero mean and unit deviation
            (ECCV 2020); 'log' does so with log(1 + magnitude), which suits recordings of very
            different loudness.
        statistics: two arrays [257] of the training set: minimum and maximum, or mean and
            deviation of the magnitudes or logarithms; None does not normalise.
        band_limited: whether frequencies above 6.1 kHz are removed, for students that were
            trained on records of 12,288 Hz.
        transform: an `audio.SpectrogramParams`; `models.network` gives the one of a
            network.
    """

    kind: str
    normalisation: str = 'min_max'
    statistics: tuple | None = None
    band_limited: bool = True
    transform: audio.SpectrogramParams = dataclasses.field(default_factory=audio.SpectrogramParams)

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(
                f'normalisation {self.normalisation!r}: expected one of {", ".join(NORMALISATIONS)}'
            )

    def hear(self, waveform: Any) -> tf.Tensor:
        """Network input for a waveform of any scale at 22,050 Hz.

        A constant offset is removed: it comes from a converter, not from the sound. Training clips
        use `scaled` and `see`, which do not remove it.

        Args:
            waveform: [..., samples] float32.

        Returns:
            [..., samples], or [..., frames, 257]; see `see`.
        """
        signal = without_offset(audio.to_peak(waveform))
        return self.see(self.scaled(signal) * audio.PEAK)

    def scaled(self, waveform: Any) -> tf.Tensor:
        """A waveform of largest magnitude 1, its band limited if so configured."""
        # Scaled first: rounding in the transforms is relative to the largest magnitude.
        signal = audio.to_peak(waveform)
        if self.band_limited:
            signal = audio.to_peak(audio.limit_band(signal))
        return signal

    def see(self, signal: Any) -> Any:
        """Network input for a clip whose largest magnitude is already 256."""
        if self.kind == 'waveform':
            return signal
        return self.normalise(self.unnormalised(signal))

    def unnormalised(self, signal: Any) -> tf.Tensor:
        """Spectrogram from which `statistics` are computed, [..., frames, 257]."""
        magnitude = audio.spectrogram(signal, self.transform)
        return tf.math.log1p(magnitude) if self.normalisation == 'log' else magnitude

    def normalise(self, spectrogram: Any) -> Any:
        """Normalises `unnormalised` spectrograms by the training set's statistics."""
        if self.statistics is None:
            return spectrogram
        if self.normalisation == 'min_max':
            return audio.normalise(spectrogram, *self.statistics)
        mean, deviation = (values.astype(np.float32) for values in self.statistics)
        scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=self._heard())
        return (spectrogram - mean) * scale

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the waveforms for `hear`."""
        return self.transform.sample_rate_hz

    @property
    def bins_heard(self) -> int:
        """Number of frequency bins up to the last one that is not always zero."""
        if self.statistics is None:
            return self.transform.num_bins
        heard = np.flatnonzero(self._heard())
        if not len(heard):
            raise ValueError(
                'the training set is silent: all channels of its spectrograms are empty'
            )
        return int(heard[-1]) + 1

    def _heard(self):
        assert self.statistics is not None, 'without them all bins are used'
        if self.normalisation == 'log':
            return self.statistics[1] > _NARROW
        if self.normalisation == 'mean_std':
            return audio.heard(0.0, self.statistics[1])
        return audio.heard(*self.statistics)
