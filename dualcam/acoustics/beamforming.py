"""Microphone signals to multispectral acoustic images: filter-and-sum in the frequency domain.

One image per frame of 1024 samples, 36 x 48 directions, 512 frequencies (WACV 2020).
Bin k is k * 12 Hz; of the 513 bins of a real 1024-point transform the last (6,144 Hz, half the
sample rate) is dropped. Frames have a periodic Hann window and do not overlap. The filters are pure
delays, all microphones have the same weight, and powers are divided by mics**2, so that a source in
the look direction shows the power that a single microphone receives.

A steering matrix [mics, directions] of one frequency has far fewer large singular values than
microphones, because the view is narrow; that of a strip of the view has fewer still, and that of a
single row the fewest. `Beamformer` keeps only those: it goes from microphones to the subspaces of
strips, from there to those of rows, which neighbouring frequencies share, and then to directions.
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

_BINS_AT_A_TIME = 16  # stored together: one cache line of each direction
_BINS_IN_CACHE = 4  # whose pressures, for some frames and a row of directions, fit a cache
_FRAMES_AT_A_TIME = 144  # reuses each steering matrix fetched from memory
_FRAMES_TO_TRANSFORM = 8  # at a time, whose spectra fit a cache
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


def spectra_by_bin(frames: np.ndarray, pool: concurrent.futures.Executor) -> np.ndarray:
    """Spectra of windowed frames, in the order of products with steering matrices.

    Args:
        frames: [frames, mics, 1024] samples.
        pool: its threads transform some frames each.

    Returns:
        [512, frames, mics] complex64.
    """
    spectra = np.empty((dimensions.BINS, *frames.shape[:2]), np.complex64)

    def transform(chosen):
        spectra[:, chosen] = np.moveaxis(frame_spectra(frames[chosen]), -1, 0)

    for _ in pool.map(transform, _slices(len(frames), _FRAMES_TO_TRANSFORM)):
        pass
    return spectra


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
        self._strips = _slices(grid.shape[0], _ROWS_AT_A_TIME)
        with single_threaded_pool(self.num_threads) as pool:
            self._blocks = list(
                pool.map(
                    lambda bins: self._factors_of(np.arange(dimensions.BINS)[bins], rank_tolerance),
                    _slices(dimensions.BINS, _BINS_AT_A_TIME),
                )
            )

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
        check_frames(frames, self.array)

        def steer(block):
            in_bases = [
                spectra[k] @ basis for k, basis in zip(block.bins, block.bases, strict=True)
            ]
            same = np.eye(len(block.bins), dtype=np.float32)
            of_block = images[..., block.bins[0] : block.bins[-1] + 1]
            for rows, strip in zip(self._strips, block.strips, strict=True):
                for chosen in _slices(len(frames), _FRAMES_AT_A_TIME):
                    powers = strip.powers([in_basis[chosen] for in_basis in in_bases])
                    # A product with ones moves bins to the last axis, much faster than a copy.
                    np.matmul(powers.transpose(2, 0, 3, 1), same, out=of_block[chosen, rows])

        with single_threaded_pool(self.num_threads) as pool:
            spectra = spectra_by_bin(frames, pool)
            for _ in pool.map(steer, self._blocks):
                pass
        return images

    def _factors_of(self, bins, rank_tolerance):
        """The `_Block` of consecutive bins."""
        turns = self._step_hz * self._delays_s.T  # [mics, directions]
        steering = np.exp(2j * np.pi * bins[0] * turns) / self.array.num_mics
        from_bin_to_bin = np.exp(2j * np.pi * turns)
        width = self.grid.shape[1]
        strips = [slice(rows.start * width, rows.stop * width) for rows in self._strips]
        bases, in_strips = [], []
        for _ in bins:
            # Strips are factored within the view's subspace, whose matrices are smaller.
            of_view = _large_directions(steering, rank_tolerance / len(strips))
            in_view = of_view.conj().T @ steering
            of_strips = [_large_directions(in_view[:, one], rank_tolerance) for one in strips]
            bases.append(of_view @ np.concatenate(of_strips, axis=1))
            in_strips.append(
                [
                    of_strip.conj().T @ in_view[:, strip]
                    for of_strip, strip in zip(of_strips, strips, strict=True)
                ]
            )
            steering *= from_bin_to_bin
        firsts = [np.cumsum([0, *map(len, of_bin)]) for of_bin in in_strips]
        return _Block(
            bins,
            [basis.astype(np.complex64) for basis in bases],
            [
                _Strip.of(
                    [of_bin[number] for of_bin in in_strips],
                    [slice(*first[number : number + 2]) for first in firsts],
                    width,
                    rank_tolerance,
                )
                for number in range(len(strips))
            ],
        )


@dataclasses.dataclass(frozen=True)
class _Block:
    """Matrices that steer consecutive bins.

    Attributes:
        bins: [bins] indices.
        bases: for each bin, [mics, sum of the strips' ranks] complex64.
        strips: for each strip of directions, its `_Strip`.
    """

    bins: np.ndarray
    bases: list
    strips: list


@dataclasses.dataclass(frozen=True)
class _Strip:
    """The same for one strip.

    Attributes:
        columns: for each bin, its slice of the basis.
        to_rows: for each bin, [rank, rows * the rows' rank] complex64.
        steering: [rows, 2, 2 * rank, width] float32, for all bins: from real and imaginary parts in
            turn to real parts, and to imaginary ones.
    """

    columns: list
    to_rows: list
    steering: np.ndarray

    @classmethod
    def of(cls, matrices, columns, width, rank_tolerance):
        """Of each bin's [rank, directions of the strip]."""
        rows = [
            [matrix[:, i : i + width] for matrix in matrices]
            for i in range(0, matrices[0].shape[1], width)
        ]
        # Of the energy of all bins together, of which the loudest bin has at least its share.
        share = rank_tolerance / np.sqrt(len(matrices))
        of_rows = [_large_eigenvectors(np.concatenate(row).conj().T, share) for row in rows]
        rank = max(of_row.shape[1] for of_row in of_rows)
        to_rows = np.zeros((len(rows), sum(map(len, matrices)), rank), np.complex64)
        steering = np.zeros((len(rows), 2, rank, 2, width), np.float32)
        for number, (row, of_row) in enumerate(zip(rows, of_rows, strict=True)):
            used = of_row.shape[1]
            to_rows[number, :, :used] = np.concatenate(row) @ of_row
            real, imaginary = of_row.T.real, -of_row.T.imag
            steering[number, :, :used] = np.stack(
                [np.stack([real, -imaginary], 1), np.stack([imaginary, real], 1)]
            )
        return cls(
            columns,
            [
                np.ascontiguousarray(of_bin).reshape(-1, len(rows) * rank)
                for of_bin in np.split(
                    np.moveaxis(to_rows, 0, 1), np.cumsum([*map(len, matrices)])[:-1]
                )
            ],
            steering.reshape(len(rows), 2, 2 * rank, width),
        )

    def powers(self, in_bases):
        """[rows, bins, frames, width] float32 of each bin's [frames, rank of its basis]."""
        rows, _, twice_rank, width = self.steering.shape
        num_bins, num_frames = len(in_bases), len(in_bases[0])
        powers = np.empty((rows, num_bins, num_frames, width), np.float32)
        for some in _slices(num_bins, _BINS_IN_CACHE):
            shape = some.stop - some.start, num_frames, rows * twice_rank // 2
            in_rows = np.empty(shape, np.complex64)
            for k, made in zip(range(num_bins)[some], in_rows, strict=True):
                np.matmul(in_bases[k][:, self.columns[k]], self.to_rows[k], out=made)
            parts = in_rows.view(np.float32).reshape(-1, rows, twice_rank)  # re, im, re, im ...
            pressures = np.empty((2, len(parts), width), np.float32)
            for row, steering in enumerate(self.steering):
                np.matmul(parts[:, row], steering, out=pressures)
                np.square(pressures, out=pressures)
                np.add(pressures[0], pressures[1], out=powers[row, some].reshape(-1, width))
        return powers


def _slices(total, size):
    return [slice(i, min(i + size, total)) for i in range(0, total, size)]


def _large_directions(matrix, tolerance):
    """The left singular vectors whose singular values are at least a share of the largest.

    The rank depends on aperture and view more than on the number of rows, so of many rows a random
    subspace is taken first, wide enough to hold these vectors (Halko, Martinsson and Tropp 2011,
    algorithm 4.1): 1,024 rows need a tenth of the time. Without a tolerance, all directions are
    kept, and any basis of the whole space is as good.
    """
    if not tolerance:
        return np.eye(len(matrix), dtype=matrix.dtype)
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
