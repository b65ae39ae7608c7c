"""Sound maps of a frequency band, at a recording's own sample rate, for arrays of any size.

A map is made from a stretch of sound (`maps_per_s`): Hann-windowed blocks that overlap by half,
with their spectra in the band steered to each look direction. Power is the mean square that one
microphone receives from a source there, in squared units of the samples, summed over the band.

The methods:

* `sum`, filter-and-sum: exact. A single source has its level; two add up with their side lobes.
* `diagonal`, the same without the cross-spectra's diagonal: exact for a single source, and removes
  noise of individual microphones (wind, electronics); levels between sources are meaningless and
  may be negative, which is shown as nothing.
* `functional` (Dougherty 2014), of order `functional_order`: for viewing. Side lobes fall with the
  order; levels are valid at peaks only, and only if the steering is exact.
* `clean-sc` (Sijtsma 2007): for viewing and counting sources. Repeatedly removes what is coherent
  with the loudest direction; levels are estimates for each source. Far from real time.

`acoular_maps` offers acoular's implementations of these and of orthogonal beamforming.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage
import scipy.signal

from dualcam.acoustics import dimensions, microphones

METHODS = ('sum', 'diagonal', 'functional', 'clean-sc')
LOW_HZ, HIGH_HZ = 900.0, 6400.0  # WACV 2020, Figure 1
_BLOCK_HZ = 47.0  # approximate bin spacing of a block: 1024 samples at 48 kHz
_FEWEST_BINS = 2
TINY = float(np.finfo(np.float32).tiny)
_SPOT = 1.0  # standard deviation of clean-sc's spot for a source, pixels
_LOOP_GAIN, _MOST_LOOPS = 0.6, 100  # of clean-sc
_CLEAN_DB = 40.0  # below the loudest source, where it stops


@dataclasses.dataclass(frozen=True)
class MapParams:
    """How maps are made; see the module docstring.

    Attributes:
        low_hz, high_hz: the band.
        method: of `METHODS`.
        focus_m: focus distance; None for plane waves.
        maps_per_s: number of maps; each is made from its own stretch of sound.
        functional_order: of that method.
        overlap: of blocks, 0 (less work) or 0.5 (better use of the sound).
        rank_tolerance: singular values of the steering below this share of the largest are
            dropped, 0 for none: see `beamforming.Beamformer`. Only for `sum` and `diagonal`.
    """

    low_hz: float = LOW_HZ
    high_hz: float = HIGH_HZ
    method: str = 'sum'
    focus_m: float | None = 1.5
    maps_per_s: float = float(dimensions.FRAMES_PER_SECOND)
    functional_order: float = 8.0
    overlap: float = 0.5
    rank_tolerance: float = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class SoundMap:
    """A map of a stretch of sound.

    Attributes:
        time_s: of its middle, from the first sample.
        power: [rows, cols] float32, never below the smallest normal number.
        gain_db: level of the loudest direction of a filter-and-sum map above that of unrelated
            noise in the microphones: about 0 for such noise, 10 log10(microphones) for a single
            source.
    """

    time_s: float
    power: np.ndarray
    gain_db: float

    @property
    def level_db(self) -> np.ndarray:
        """[rows, cols], re squared units of the samples."""
        return to_db(self.power)


class MapMaker:
    """Maps of one array over one grid, with precomputed steering.

    Args:
        array: the microphones.
        grid: the look directions.
        rate_hz: of the sound.
        params: see `MapParams`.

    Raises:
        ValueError: the method is unknown, or the rate does not allow the band or number of maps.
    """

    methods: tuple[str, ...] = METHODS

    def __init__(
        self,
        array: microphones.MicArray,
        grid: microphones.Grid,
        rate_hz: float,
        params: MapParams = MapParams(),
    ) -> None:
        if params.method not in self.methods:
            raise ValueError(f'method {params.method!r}: expected one of {", ".join(self.methods)}')
        if params.overlap not in (0, 0.5):
            raise ValueError(f'an overlap of {params.overlap}: expected 0 or 0.5')
        if not 0 < params.maps_per_s <= rate_hz / 16:
            raise ValueError(
                f'{params.maps_per_s:g} maps per second of {rate_hz:g} Hz: expected more than 0, '
                f'up to {rate_hz / 16:g}'
            )
        self.array, self.grid, self.rate_hz, self.params = array, grid, rate_hz, params
        span = int(rate_hz / params.maps_per_s)
        self.block_samples = min(
            2 ** round(np.log2(rate_hz / _BLOCK_HZ)), 2 ** int(np.log2(max(span, 16)))
        )
        self.bins = band_bins(self.block_samples, rate_hz, params.low_hz, params.high_hz)
        self.frequencies_hz = self.bins * rate_hz / self.block_samples
        window = scipy.signal.get_window('hann', self.block_samples)
        # Makes the bins' squares add up to the mean square of the samples.
        scale = np.sqrt(2.0 / (self.block_samples * np.square(window).sum()))
        self._window = (scale * window).astype(np.float32)
        delays_s = microphones.steering_delays(array.positions_m, grid.directions, params.focus_m)
        turns = 2j * np.pi * delays_s.reshape(-1, array.num_mics).T  # [mics, directions]
        steering = [np.exp(hz * turns).astype(np.complex64) for hz in self.frequencies_hz]
        tolerance = params.rank_tolerance if params.method in ('sum', 'diagonal') else 0.0
        self._factors = [_thin(one, tolerance) for one in steering]

    def spectra(self, samples: np.ndarray) -> np.ndarray:
        """Scaled spectra of the blocks of a stretch of sound.

        Args:
            samples: [samples, mics], at least `block_samples`.

        Returns:
            [bins, blocks, mics] complex64; the bins' squares add up to the band's mean square.
        """
        if samples.ndim != 2 or samples.shape[1] != self.array.num_mics:
            raise ValueError(
                f'sound of shape {samples.shape}; expected [samples, {self.array.num_mics}], of '
                f'the array "{self.array.name}"'
            )
        size = self.block_samples
        if len(samples) < size:
            raise ValueError(f'{len(samples)} samples; expected {size} or more')
        hop = size - int(self.params.overlap * size)
        blocks = np.lib.stride_tricks.sliding_window_view(samples, size, axis=0)[::hop]
        windowed = np.multiply(blocks, self._window, dtype=np.float32)  # [blocks, mics, samples]
        spectra = scipy.fft.rfft(windowed, overwrite_x=True)[..., self.bins]
        return np.ascontiguousarray(np.moveaxis(spectra, -1, 0))

    def power(self, samples: np.ndarray) -> np.ndarray:
        """The map of a stretch of sound.

        Args:
            samples: [samples, mics], at least `block_samples`.

        Returns:
            [rows, cols] float32, power, never below the smallest normal number.
        """
        return self.measure(samples).power

    def measure(self, samples: np.ndarray, time_s: float = 0.0) -> SoundMap:
        """The `SoundMap` of a stretch of sound [samples, mics], at least `block_samples`."""
        spectra = self.spectra(samples)
        num_mics = self.array.num_mics
        own = float(np.square(np.abs(spectra)).sum(dtype=np.float64)) / len(samples.T)
        own /= spectra.shape[1]  # mean square of the band in one microphone
        summed = self._summed(spectra)
        gain_db = float(to_db(summed.max()) - to_db(own / num_mics))
        power = self._power(spectra, summed, own).reshape(self.grid.shape)
        return SoundMap(time_s, np.maximum(power, TINY).astype(np.float32), gain_db)

    def maps(self, blocks: Iterable[np.ndarray]) -> Iterator[SoundMap]:
        """Maps of a recording.

        Args:
            blocks: consecutive [samples, mics] of any length.

        Yields:
            A `SoundMap` of each stretch. A remainder shorter than a block is dropped.
        """
        for start, samples in stretches(blocks, self.rate_hz, self.params.maps_per_s):
            if len(samples) >= self.block_samples:
                yield self.measure(samples, (start + len(samples) / 2) / self.rate_hz)

    def _power(self, spectra, summed, own):
        """[directions] by the method, given a filter-and-sum map and a microphone's mean square."""
        num_mics, method = self.array.num_mics, self.params.method
        if method == 'functional':
            return self._functional(spectra)
        if method == 'clean-sc':
            return self._cleaned(spectra)
        if method == 'diagonal':
            return (summed * num_mics - own) / (num_mics - 1)
        return summed

    def _summed(self, spectra):
        num_directions = self.grid.directions[..., 0].size
        total = np.zeros(num_directions, np.float32)
        for block, factors in zip(spectra, self._factors, strict=True):
            total += _squares(block, factors)
        return total / (spectra.shape[1] * self.array.num_mics**2)

    def _functional(self, spectra):
        num_mics, order = self.array.num_mics, self.params.functional_order
        total = np.zeros(self.grid.directions[..., 0].size)
        for block, factors in zip(spectra, self._factors, strict=True):
            _, values, vectors = np.linalg.svd(block, full_matrices=False)
            strengths = (values / np.sqrt(len(block))) ** (1.0 / order)  # squared below
            steered = _squares((strengths[:, None] * vectors).astype(np.complex64), factors)
            total += (steered.astype(np.float64) / num_mics) ** order
        return total / num_mics

    def _cleaned(self, spectra):
        total = np.zeros(self.grid.directions[..., 0].size)
        for block, (steering,) in zip(spectra, self._factors, strict=True):
            total += clean_sc(block, steering)
        return spots(total.reshape(self.grid.shape))


def spots(points: np.ndarray) -> np.ndarray:
    """Widens single-pixel sources [rows, cols] to visible spots; isolated ones keep their level."""
    return scipy.ndimage.gaussian_filter(points, _SPOT) * (2 * np.pi * _SPOT**2)


def clean_sc(
    spectra: np.ndarray,
    steering: np.ndarray,
    loop_gain: float = _LOOP_GAIN,
    most_loops: int = _MOST_LOOPS,
) -> np.ndarray:
    """CLEAN-SC of one frequency (Sijtsma 2007), without the cross-spectra's diagonal.

    Args:
        spectra: [blocks, mics] complex.
        steering: [mics, directions], exp(2 pi i f delay).
        loop_gain: share of a source that is removed at a time.
        most_loops: stops earlier if removing more leaves more, or 40 dB below the loudest source.

    Returns:
        [directions] float64, power of the sources found there, zero elsewhere.
    """
    num_mics = len(steering)
    pairs = num_mics * (num_mics - 1)
    cross = spectra.T @ spectra.conj() / len(spectra)  # [mics, mics], x_m x_n*
    np.fill_diagonal(cross, 0)
    left = np.abs(cross).sum()
    clean = np.zeros(steering.shape[1])
    arriving = steering.conj()  # received from a source of power 1 in each direction
    dirty = np.einsum('md,md->d', steering, cross @ arriving).real / pairs
    least = dirty.max() * 10 ** (-_CLEAN_DB / 10)
    for _ in range(most_loops):
        source = int(dirty.argmax())
        peak = float(dirty[source])
        if peak <= max(least, 0.0):
            break
        weights = arriving[:, source] / np.sqrt(pairs)
        component = _component(cross, weights, peak)
        taken = np.outer(component, component.conj())
        np.fill_diagonal(taken, 0)
        less = cross - loop_gain * peak * taken
        now = np.abs(less).sum()
        if now >= left:
            break
        cross, left = less, now
        clean[source] += loop_gain * peak * float(np.vdot(component, component).real) / num_mics
        towards = np.abs(component @ steering) ** 2 - np.vdot(component, component).real
        dirty -= loop_gain * peak * towards / pairs
    return clean


def _component(cross, weights, peak):
    """[mics]: the part of all microphones coherent with a direction, for a trimmed matrix."""
    steered = cross @ weights / peak
    component = weights
    for _ in range(20):
        own = np.abs(component) ** 2
        new = (steered + own * weights) / np.sqrt(1.0 + np.vdot(weights, own * weights).real)
        if np.abs(new - component).max() < 1e-6 * np.abs(new).max():
            return new
        component = new
    return component


def stretches(
    blocks: Iterable[np.ndarray], rate_hz: float, per_s: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Cuts sound into stretches of equal duration.

    Yields:
        (first sample, [samples, mics]); lengths differ by up to one sample, the last may be short.
    """
    held: np.ndarray | None = None
    first = number = 0
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        while (end := round((number + 1) * rate_hz / per_s)) <= first + len(held):
            yield first, held[: end - first]
            held, first, number = held[end - first :], end, number + 1
    if held is not None and len(held):
        yield first, held


def band_bins(block_samples: int, rate_hz: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Indices of a block's spectral bins in a band, never the first or last bin.

    Raises:
        ValueError: the band contains fewer than two.
    """
    step_hz = rate_hz / block_samples
    bins = np.arange(1, block_samples // 2)
    bins = bins[(bins * step_hz >= low_hz) & (bins * step_hz <= high_hz)]
    if len(bins) < _FEWEST_BINS:
        raise ValueError(
            f'a band of {low_hz:g} - {high_hz:g} Hz contains {len(bins)} frequencies of sound at '
            f'{rate_hz:g} Hz, {step_hz:.3g} Hz apart; expected two or more below {rate_hz / 2:g} Hz'
        )
    return bins


def to_db(power: npt.ArrayLike) -> np.ndarray:
    """Decibels of power, re squared units of the samples."""
    return 10.0 * np.log10(np.maximum(power, TINY))


def _thin(steering, tolerance):
    """Factors of a matrix [mics, directions]: itself, or two thin ones.

    The view is narrow, so low frequencies have few large singular values.
    """
    if tolerance:
        energy, vectors = np.linalg.eigh(steering @ steering.conj().T)
        large = vectors[:, energy >= energy[-1] * tolerance**2]
        if large.shape[1] < 0.8 * len(steering):
            return large, large.conj().T @ steering
    return (steering,)


def _squares(spectra, factors):
    """Sum over blocks of the steered squares: [blocks, mics], factors -> [directions] float32."""
    for factor in factors:
        spectra = spectra @ factor
    parts = spectra.view(np.float32)
    np.square(parts, out=parts)
    summed = parts.sum(axis=0)
    return summed[::2] + summed[1::2]
