"""Microphone signals to multispectral acoustic images: filter-and-sum in the frequency domain.

One image a frame of 1024 samples, 36 x 48 directions, 512 frequencies (WACV 2020, section 3).
Bin k stands for k * 12 Hz; of the 513 bins of a real 1024-point transform the last (6,144 Hz,
half the sample rate) is dropped. Frames are windowed by a periodic Hann and not overlapped. The
filters are pure delays, all microphones weigh the same, and powers are divided by
mics**2, so that a source in the look direction shows the power that one microphone hears.

A steering matrix [mics, directions] of one frequency has far fewer large singular values than
microphones, because the view is narrow; `Beamformer` keeps those and multiplies two thin
matrices. `Beamformer(rank_tolerance=0)` keeps all.
"""

import concurrent.futures
import os
import threading

import numpy as np
import scipy.fft
import threadpoolctl

from dualcam.data import schema
from records import array as array_lib

_BINS_AT_A_TIME = 8


def frame_spectra(frames):
    """Spectra of windowed frames.

    Args:
        frames: [..., 1024] samples.

    Returns:
        [..., 512] complex64; bin k is k * 12 Hz.
    """
    samples = frames.shape[-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)
    return scipy.fft.rfft((frames * window).astype(np.float32))[..., :schema.BINS]


class Beamformer:
    """Acoustic images of one array over one grid, with the steering worked out beforehand.

    Args:
        array: a `MicArray`.
        grid: a `Grid`.
        focus_m: distance to focus at, metres; None for plane waves.
        rank_tolerance: singular values below this share of the largest are left out; what that
            changes is below about its square in power, relative to the loudest direction.
        sample_rate_hz: of the signals.
        num_threads: frequencies worked on at a time; None for one a processor.
    """

    def __init__(self, array, grid, focus_m=None, rank_tolerance=1e-4,
                 sample_rate_hz=schema.ARRAY_RATE_HZ, num_threads=None):
        self.array, self.grid = array, grid
        self.num_threads = num_threads or os.cpu_count()
        delays_s = array_lib.steering_delays(array.positions_m, grid.directions, focus_m)
        self._delays_s = delays_s.reshape(-1, array.num_mics)               # [directions, mics]
        self._step_hz = sample_rate_hz / schema.SAMPLES_PER_FRAME
        with threadpoolctl.threadpool_limits(1, 'blas'), \
                concurrent.futures.ThreadPoolExecutor(self.num_threads) as pool:
            self._factors = list(pool.map(lambda k: self._factor(k, rank_tolerance),
                                          range(schema.BINS)))

    def power(self, frames):
        """Multispectral acoustic images.

        Args:
            frames: [frames, mics, 1024], any real dtype.

        Returns:
            [frames, rows, cols, 512] float32, power in squared units of the samples.
        """
        images = np.empty((len(frames), *self.grid.shape, schema.BINS), np.float32)
        flat = images.reshape(len(frames), -1, schema.BINS)

        def store(bins, pressures):
            flat[:, :, bins] = np.moveaxis(np.square(pressures.real) + np.square(pressures.imag),
                                           0, -1)
        self._for_each_block(frames, np.arange(schema.BINS), store)
        return images

    def band_energies(self, frames, filters):
        """Acoustic images summed over frequency bands, without holding all bins at once.

        Args:
            frames: [frames, mics, 1024], any real dtype.
            filters: [bands, 512] weights of the bins.

        Returns:
            [frames, rows, cols, bands] float32; what `power(frames) @ filters.T` gives.
        """
        num_bands, num_directions = len(filters), self.grid.directions[..., 0].size
        filters = np.asarray(filters, np.float32)
        bands = np.zeros((num_bands, len(frames) * num_directions), np.float32)
        locks = [threading.Lock() for _ in range(num_bands)]

        def add(bins, pressures):
            touched = np.flatnonzero(filters[:, bins].any(axis=1))
            parts = pressures.view(np.float32).reshape(len(bins), -1)        # re, im, re, im ...
            np.square(parts, out=parts)
            sums = filters[np.ix_(touched, bins)] @ parts                    # [touched, 2 * ...]
            sums = sums[:, ::2] + sums[:, 1::2]
            for band, energies in zip(touched, sums, strict=True):
                with locks[band]:
                    bands[band] += energies
        self._for_each_block(frames, np.flatnonzero(filters.any(axis=0)), add)
        return np.moveaxis(bands.reshape(num_bands, len(frames), *self.grid.shape), 0, -1)

    def _for_each_block(self, frames, bins, consume):
        """Calls `consume(bins, pressures [bins, frames, directions])`, from several threads."""
        self._check(frames)
        spectra = np.moveaxis(frame_spectra(frames), -1, 0).copy()
        num_directions = self.grid.directions[..., 0].size

        def work(block):
            pressures = np.empty((len(block), len(frames), num_directions), np.complex64)
            for k, pressure in zip(block, pressures, strict=True):
                basis, steering = self._factors[k]
                np.matmul(spectra[k] @ basis, steering, out=pressure)
            consume(block, pressures)

        blocks = [bins[i:i + _BINS_AT_A_TIME] for i in range(0, len(bins), _BINS_AT_A_TIME)]
        with threadpoolctl.threadpool_limits(1, 'blas'), \
                concurrent.futures.ThreadPoolExecutor(self.num_threads) as pool:
            for _ in pool.map(work, blocks):
                pass

    def _factor(self, k, rank_tolerance):
        """Matrices [mics, rank] and [rank, directions] whose product steers bin k."""
        turns = self._step_hz * k * self._delays_s.T                         # [mics, directions]
        steering = np.exp(2j * np.pi * turns) / self.array.num_mics
        energy, basis = np.linalg.eigh(steering @ steering.conj().T)
        basis = basis[:, energy >= energy[-1] * rank_tolerance**2]
        return basis.astype(np.complex64), (basis.conj().T @ steering).astype(np.complex64)

    def _check(self, frames):
        wanted = (self.array.num_mics, schema.SAMPLES_PER_FRAME)
        if frames.ndim != 3 or frames.shape[1:] != wanted:
            raise ValueError(
                f'frames of shape {frames.shape}, but the array "{self.array.name}" gives '
                f'[frames, {wanted[0]}, {wanted[1]}]; pass the layout this take was recorded with')


def beamform(frames, array, grid, focus_m=None):
    """Multispectral acoustic images of a few frames; keep a `Beamformer` for many.

    Args:
        frames: [frames, mics, 1024] samples, any real dtype.
        array: a `MicArray`.
        grid: a `Grid`.
        focus_m: distance to focus at, metres; None for plane waves.

    Returns:
        [frames, rows, cols, 512] float32 power.

    Raises:
        ValueError: the frames are not of this array.
    """
    return Beamformer(array, grid, focus_m).power(frames)
