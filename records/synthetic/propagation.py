"""From point sources to microphone signals: distance, delay, motion, near field.

Each source is heard at the array centre with its true, moving delay and 1/r loss (so that it
is Doppler shifted), and from there carried to each microphone in the frequency domain with the
exact spherical delay and loss, in overlapping blocks of 2048 samples. Between microphones a
wave needs 8 samples at the most, so what wraps around a block falls where its Hann window is
nearly zero. Air absorption and the microphones' own responses are left out.
"""

import dataclasses

import numpy as np
import scipy.fft
import scipy.signal

from dualcam.acoustics.microphones import SPEED_OF_SOUND
from dualcam.data import schema

_HOP = schema.SAMPLES_PER_FRAME
_BLOCK = 2 * _HOP
_BLOCKS_PER_POSE = 3  # a moving source's direction is renewed every quarter of a second
_OVERSAMPLING = 8  # linear interpolation then errs by less than -35 dB at 6 kHz


@dataclasses.dataclass(frozen=True, eq=False)
class PointSource:
    """Something that sounds at a place.

    Attributes:
        signal: [samples], pressure at 1 m.
        path_m: [frames + 1, 3] positions at the frames' beginnings, or [1, 3] for a fixed one.
    """

    signal: np.ndarray
    path_m: np.ndarray


def plane_wave_source(signal, direction, distance_m=50.0):
    """A source so far away that its wave is plane, with `signal` heard at the array."""
    position_m = distance_m * np.asarray(direction, np.float64) / np.linalg.norm(direction)
    return PointSource(signal * distance_m, position_m[None])


def heard_at_centre(source, num_samples, dense=None):
    """What the array centre hears of a source.

    Args:
        source: a `PointSource`.
        num_samples: length of the result.
        dense: what `oversample(source.signal)` gives, where it is known already.

    Returns:
        [num_samples] float64, silent until the first wave arrives.
    """
    distance_m = np.linalg.norm(source.path_m, axis=1)
    if len(distance_m) == 1:  # a fixed source: whole samples suffice
        shift = round(distance_m[0] / SPEED_OF_SOUND * schema.ARRAY_RATE_HZ)
        heard = np.zeros(num_samples)
        count = max(0, min(num_samples - shift, len(source.signal)))
        heard[shift : shift + count] = source.signal[:count]
        return heard / distance_m
    frames = np.arange(len(distance_m)) * schema.SAMPLES_PER_FRAME
    distance_m = np.interp(np.arange(num_samples), frames, distance_m)
    sent = np.arange(num_samples) - distance_m / SPEED_OF_SOUND * schema.ARRAY_RATE_HZ
    if dense is None:
        dense = oversample(source.signal)
    return (
        np.interp(sent * _OVERSAMPLING, np.arange(len(dense)), dense, left=0.0, right=0.0)
        / distance_m
    )


def oversample(signal):
    """`signal` at eight times its rate, [8 * samples]."""
    return scipy.signal.resample(signal, len(signal) * _OVERSAMPLING)


def microphone_signals(sources, positions_m, num_frames):
    """The signals of all microphones.

    Args:
        sources: `PointSource`s.
        positions_m: [mics, 3].
        num_frames: length of the result.

    Returns:
        [mics, num_frames * 1024] float32, pressure in the sources' unit.
    """
    num_samples = num_frames * _HOP
    sources = sorted(sources, key=lambda source: len(source.path_m) == 1)  # moving ones first
    num_moving = sum(len(source.path_m) > 1 for source in sources)
    # Blocks start one hop before the first sample, so that two windows sum to one everywhere.
    padded = np.zeros((len(sources), num_samples + _BLOCK), np.float32)
    dense = {}
    for row, source in zip(padded, sources, strict=True):
        key = id(source.signal)  # reflections share their source's signal
        if len(source.path_m) > 1 and key not in dense:
            dense[key] = oversample(source.signal)
        row[_HOP : _HOP + num_samples] = heard_at_centre(source, num_samples, dense.get(key))
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_BLOCK) / _BLOCK)).astype(np.float32)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK, axis=1)[:, ::_HOP]
    transfer = np.empty((_BLOCK // 2 + 1, len(sources), len(positions_m)), np.complex64)
    _fill_transfer(transfer, np.array([source.path_m[0] for source in sources]), positions_m)

    num_mics, num_blocks = len(positions_m), blocks.shape[1]
    result = np.zeros((num_mics, num_samples + _BLOCK), np.float32)
    # A pose at a time: what it needs stays in the cache.
    for first in range(0, num_blocks, _BLOCKS_PER_POSE):
        last = min(first + _BLOCKS_PER_POSE, num_blocks)
        if num_moving:
            frame = (first + last) // 2
            now_m = [s.path_m[min(frame, len(s.path_m) - 1)] for s in sources[:num_moving]]
            _fill_transfer(transfer[:, :num_moving], np.array(now_m), positions_m)
        spectra = scipy.fft.rfft(blocks[:, first:last] * window)  # [sources, blocks, bins]
        spectra = np.ascontiguousarray(np.moveaxis(spectra, -1, 0))
        heard = transfer.transpose(0, 2, 1) @ spectra  # [bins, mics, blocks] complex64
        heard = np.ascontiguousarray(heard.reshape(len(heard), -1).T)
        pressures = scipy.fft.irfft(heard, overwrite_x=True).reshape(num_mics, -1, _BLOCK)
        for block in range(first, last):
            result[:, block * _HOP : block * _HOP + _BLOCK] += pressures[:, block - first]
    return result[:, _HOP : _HOP + num_samples]


def _fill_transfer(transfer, places_m, positions_m):
    """From the array centre to each microphone, into [bins, sources, mics] complex64."""
    bins = len(transfer)
    centre_m = np.linalg.norm(places_m, axis=1)[:, None]  # [sources, 1]
    mics_m = np.linalg.norm(positions_m - places_m[:, None], axis=-1)  # [sources, mics]
    turns = (mics_m - centre_m) * (schema.ARRAY_RATE_HZ / _BLOCK / SPEED_OF_SOUND)  # per bin
    # One complex exponential a pair; its powers by repeated squaring give all bins.
    transfer[0] = centre_m / mics_m
    power, done = np.exp(-2j * np.pi * turns), 1
    while done < bins:
        count = min(done, bins - done)
        np.multiply(transfer[:count], power.astype(np.complex64), out=transfer[done : done + count])
        power, done = power * power, done + count
