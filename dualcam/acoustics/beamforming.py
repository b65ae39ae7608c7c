"""Microphone signals to multispectral acoustic images: filter-and-sum in the frequency domain.

One image per frame of 1024 samples, 36 x 48 directions, 512 frequencies (WACV 2020).
Bin k is k * 12 Hz; of the 513 bins of a real 1024-point transform the last (6,144 Hz, half the
sample rate) is dropped. Frames have a periodic Hann window and do not overlap. The filters are pure
delays, all microphones have the same weight, and powers are divided by mics**2, so that a source in
the look direction shows the power that a single microphone receives.

A steering matrix [mics, directions] of one frequency has far fewer large singular values than
microphones, because the view is narrow, and that of a strip of the view has fewer still.
`Beamformer` keeps only those and multiplies two thin matrices per strip.
`Beamformer(rank_tolerance=0)` keeps all. `band_beamforming` computes images of a few bands faster.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import scipy.fft
import threadpoolctl

from dualcam.acoustics import dimensions, microphones
from dualcam.files import large_arrays

_BINS_AT_A_TIME = 16  # their powers, for some frames and a strip of directions, fit a cache
_FRAMES_AT_A_TIME = 144  # reuses each steering matrix fetched from memory
_SKETCH_WIDTH = 256  # of the first random subspace for factoring
_SKETCH_MARGIN = 20  # unused vectors that show that it is wide enough
_ROWS_AT_A_TIME = 6  # of the grid: a strip


def frame_spectra(frames: np.ndarray) -> np.ndarray:
    """Spectra of windowed frames.

    Args:
        frames: [..., 1024] samples.

    Returns:
        [..., 512] complex64; bin k is k * 12 Hz.
    """
    samples = frames.shape[-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)
    windowed = np.multiply(frames, window.astype(np.float32), dtype=np.float32)
    return scipy.fft.rfft(windowed)[..., : dimensions.BINS]


def check_frames(frames: np.ndarray, array: microphones.MicArray) -> None:
    """Raises a `ValueError` unless frames are [frames, mics, 1024] of an array."""
    wanted = (array.num_mics, dimensions.SAMPLES_PER_FRAME)
    if frames.ndim != 3 or frames.shape[1:] != wanted:
        raise ValueError(
            f'frames of shape {frames.shape}, but the array "{array.name}" gives '
            f'[frames, {wanted[0]}, {wanted[1]}]; pass the layout this take was recorded with'
        )


@contextlib.contextmanager
def single_threaded_pool(
    num_threads: int,
) -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """A thread pool in which each matrix product is single-threaded."""
    with (
        threadpoolctl.threadpool_limits(1, 'blas'),
        concurrent.futures.ThreadPoolExecutor(num_threads) as pool,
    ):
        yield pool


class Beamformer:
    """Acoustic images of one array over one grid, with precomputed steering.

    Args:
        array: a `MicArray`.
        grid: a `Grid`.
        focus_m: focus distance in metres; None for plane waves.
        rank_tolerance: singular values below this share of the largest are dropped. Relative to
            the loudest direction, power changes by about twice that for unrelated noise in the
            microphones, and by about its square for sound from the view.
        sample_rate_hz: of the signals.
        num_threads: blocks of frequencies processed concurrently; None for one per core.
    """

    def __init__(
        self,
        array: microphones.MicArray,
        grid: microphones.Grid,
        focus_m: float | None = None,
        rank_tolerance: float = 1e-4,
        sample_rate_hz: float = dimensions.ARRAY_RATE_HZ,
        num_threads: int | None = None,
    ):
        self.array, self.grid = array, grid
        self.num_threads = num_threads or os.cpu_count() or 1
        delays_s = microphones.steering_delays(array.positions_m, grid.directions, focus_m)
        self._delays_s = delays_s.reshape(-1, array.num_mics)  # [directions, mics]
        self._step_hz = sample_rate_hz / dimensions.SAMPLES_PER_FRAME
        width = grid.shape[1]
        self._strips = [
            slice(row * width, min(row + _ROWS_AT_A_TIME, grid.shape[0]) * width)
            for row in range(0, grid.shape[0], _ROWS_AT_A_TIME)
        ]
        with single_threaded_pool(self.num_threads) as pool:
            all_bins = _blocks(np.arange(dimensions.BINS))
            blocks = pool.map(lambda bins: self._factors_of(bins, rank_tolerance), all_bins)
            self._factors = [factors for block in blocks for factors in block]

    def power(self, frames: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Multispectral acoustic images.

        Args:
            frames: [frames, mics, 1024], any real dtype.
            out: [frames, rows, cols, 512] float32 in C order to write to, preferably an earlier
                result; for a stream of frames this saves allocating 42 MB per second of recording.

        Returns:
            [frames, rows, cols, 512] float32, power in squared units of the samples; `out` if
            that was given.

        Raises:
            ValueError: the frames do not fit this array, or `out` does not fit the frames.
        """
        shape = (len(frames), *self.grid.shape, dimensions.BINS)
        images = large_arrays.aligned(shape, np.float32) if out is None else out
        if images.shape != shape or images.dtype != np.float32 or not images.flags.c_contiguous:
            raise ValueError(
                f'out of shape {images.shape}, {images.dtype}: expected {shape}, '
                'float32, in C order'
            )
        flat = images.reshape(len(frames), -1, dimensions.BINS)
        same = np.eye(_BINS_AT_A_TIME, dtype=np.float32)

        def store(bins, frames, strip, powers):
            # A product with ones moves bins to the last axis, much faster than a copy.
            np.matmul(
                np.moveaxis(powers, 0, -1),
                same[: len(bins), : len(bins)],
                out=flat[frames, strip, bins[0] : bins[-1] + 1],
            )

        self._for_each_block(frames, np.arange(dimensions.BINS), store)
        return images

    def _for_each_block(self, frames, bins, consume):
        """Calls `consume(bins, frames, strip, powers)`, from several threads.

        `bins` are integers, `frames` and `strip` slices, `powers` [bins, frames, directions of the
        strip], which the thread's next call overwrites.
        """
        check_frames(frames, self.array)
        spectra = np.empty((dimensions.BINS, *frames.shape[:2]), np.complex64)
        some_frames = [
            slice(i, min(i + _FRAMES_AT_A_TIME, len(frames)))
            for i in range(0, len(frames), _FRAMES_AT_A_TIME)
        ]

        def work(block):
            in_bases = [spectra[k] @ self._factors[k].basis for k in block]
            for number, strip in enumerate(self._strips):
                size = strip.stop - strip.start
                pressures = np.empty((min(len(frames), _FRAMES_AT_A_TIME), size), np.complex64)
                powers = np.empty((len(block), *pressures.shape), np.float32)
                for chosen in some_frames:
                    some, made = (
                        array[..., : chosen.stop - chosen.start, :] for array in (pressures, powers)
                    )
                    parts = some.view(np.float32)  # re, im, re, im ...
                    for k, in_basis, power in zip(block, in_bases, made, strict=True):
                        steering, columns = self._factors[k].strips[number]
                        np.matmul(in_basis[chosen, columns], steering, out=some)
                        np.square(parts, out=parts)
                        np.add(parts[:, ::2], parts[:, 1::2], out=power)
                    consume(block, chosen, strip, made)

        def transform(chosen):
            spectra[:, chosen] = np.moveaxis(frame_spectra(frames[chosen]), -1, 0)

        with single_threaded_pool(self.num_threads) as pool:
            for function, parts in (transform, some_frames), (work, _blocks(bins)):
                for _ in pool.map(function, parts):
                    pass

    def _factors_of(self, bins, rank_tolerance):
        """The `_Factors` for consecutive bins."""
        turns = self._step_hz * self._delays_s.T  # [mics, directions]
        steering = np.exp(2j * np.pi * bins[0] * turns) / self.array.num_mics
        from_bin_to_bin = np.exp(2j * np.pi * turns)
        made = []
        for _ in bins:
            # Strips are factored within the view's subspace, whose matrices are smaller.
            of_view = _large_directions(steering, rank_tolerance / len(self._strips))
            in_view = of_view.conj().T @ steering
            bases, strips, start = [], [], 0
            for strip in self._strips:
                of_strip = _large_directions(in_view[:, strip], rank_tolerance)
                thin = of_strip.conj().T @ in_view[:, strip]
                bases.append(of_view @ of_strip)
                strips.append((thin.astype(np.complex64), slice(start, start + len(thin))))
                start += len(thin)
            made.append(_Factors(np.concatenate(bases, axis=1).astype(np.complex64), strips))
            steering *= from_bin_to_bin
        return made


@dataclasses.dataclass(frozen=True)
class _Factors:
    """Matrices whose products steer one bin.

    Attributes:
        basis: [mics, sum of the strips' ranks] complex64.
        strips: for each ([rank, directions] complex64, its columns of the basis).
    """

    basis: np.ndarray
    strips: list


def _blocks(bins):
    return [bins[i : i + _BINS_AT_A_TIME] for i in range(0, len(bins), _BINS_AT_A_TIME)]


def _large_directions(matrix, tolerance):
    """The left singular vectors whose singular values are at least a share of the largest.

    The rank depends on aperture and view more than on the number of rows, so of many rows a random
    subspace is taken first, wide enough to hold these vectors (Halko, Martinsson and Tropp 2011,
    algorithm 4.1): 1,024 rows need a tenth of the time.
    """
    width = _SKETCH_WIDTH
    while 2 * width < len(matrix):
        mixed = np.random.default_rng(width).standard_normal((matrix.shape[1], width))
        subspace, _ = np.linalg.qr(matrix @ mixed)
        found = _large_eigenvectors(subspace.conj().T @ matrix, tolerance)
        if found.shape[1] <= width - _SKETCH_MARGIN:
            return subspace @ found
        width *= 2
    return _large_eigenvectors(matrix, tolerance)


def _large_eigenvectors(matrix, tolerance):
    energy, vectors = np.linalg.eigh(matrix @ matrix.conj().T)
    return vectors[:, energy >= energy[-1] * tolerance**2]


def beamform(
    frames: np.ndarray,
    array: microphones.MicArray,
    grid: microphones.Grid,
    focus_m: float | None = None,
) -> np.ndarray:
    """Multispectral acoustic images of a few frames; reuse a `Beamformer` for many.

    Args:
        frames: [frames, mics, 1024] samples, any real dtype.
        array: a `MicArray`.
        grid: a `Grid`.
        focus_m: focus distance in metres; None for plane waves.

    Returns:
        [frames, rows, cols, 512] float32 power.

    Raises:
        ValueError: the frames do not fit this array.
    """
    return Beamformer(array, grid, focus_m).power(frames)
