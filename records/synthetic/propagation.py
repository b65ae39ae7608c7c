"""Propagates point sources to microphones: distance, delay, motion, near field.

Each source is computed at the array centre with its true, time-varying delay and 1/r loss (hence
with Doppler shift), and from there propagated to each microphone in the frequency domain with the
exact spherical delay and loss, in overlapping blocks of 2048 samples. Between microphones a wave
takes at most 8 samples, so wrap-around occurs where a block's Hann window is nearly zero. Air
absorption and microphone responses are not modelled.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.fft
import scipy.signal

from dualcam.acoustics.microphones import SPEED_OF_SOUND
from dualcam.data import schema

_HOP = schema.SAMPLES_PER_FRAME
_BLOCK = 2 * _HOP
_BINS = _BLOCK // 2 + 1
_BLOCKS_PER_POSE = 3  # a moving source's direction is updated every quarter of a second
_POSES_AT_A_TIME = 7  # limits memory for sequences of any length
_BINS_AT_A_TIME = 32  # their data fit the cache
_OVERSAMPLING = 8  # for a linear interpolation error below -35 dB at 6 kHz


@dataclasses.dataclass(frozen=True, eq=False)
class PointSource:
    """A point source.

    Attributes:
        signal: [samples], pressure at 1 m.
        path_m: [frames + 1, 3] positions at the start of each frame, or [1, 3] for a fixed source.
        gain: factor on the signal; reflections share their source's signal.
    """

    signal: np.ndarray
    path_m: np.ndarray
    gain: float = 1.0


def plane_wave_source(
    signal: np.ndarray, direction: np.ndarray, distance_m: float = 50.0
) -> PointSource:
    """A source so far away that its wave is plane, with `signal` heard at the array."""
    position_m = distance_m * np.asarray(direction, np.float64) / np.linalg.norm(direction)
    return PointSource(signal * distance_m, position_m[None])


def heard_at_centre(
    source: PointSource, num_samples: int, dense: np.ndarray | None = None
) -> np.ndarray:
    """A source's signal at the array centre.

    Args:
        source: a `PointSource`.
        num_samples: length of the result.
        dense: `oversample(source.signal)`, if already computed.

    Returns:
        [num_samples] float64, silent until the first wave arrives.
    """
    distance_m = np.linalg.norm(source.path_m, axis=1)
    if len(distance_m) == 1:  # fixed source: integer samples suffice
        shift = round(distance_m[0] / SPEED_OF_SOUND * schema.ARRAY_RATE_HZ)
        heard = np.zeros(num_samples)
        count = max(0, min(num_samples - shift, len(source.signal)))
        heard[shift : shift + count] = source.signal[:count]
        return heard * (source.gain / distance_m)
    frames = np.arange(len(distance_m)) * schema.SAMPLES_PER_FRAME
    distance_m = np.interp(np.arange(num_samples), frames, distance_m)
    sent = np.arange(num_samples) - distance_m / SPEED_OF_SOUND * schema.ARRAY_RATE_HZ
    if dense is None:
        dense = oversample(source.signal)
    heard = np.interp(sent * _OVERSAMPLING, np.arange(len(dense)), dense, left=0.0, right=0.0)
    return heard * (source.gain / distance_m)


def oversample(signal: np.ndarray) -> np.ndarray:
    """`signal` at eight times its rate, [8 * samples]."""
    return scipy.signal.resample(signal, len(signal) * _OVERSAMPLING)


def microphone_signals(
    sources: Sequence[PointSource],
    positions_m: np.ndarray,
    num_frames: int,
    dense: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """The signals of all microphones.

    Args:
        sources: `PointSource`s.
        positions_m: [mics, 3].
        num_frames: length of the result.
        dense: {id of a signal: `oversample` of it}, if already computed.

    Returns:
        [mics, num_frames * 1024] float32, pressure in the sources' unit.
    """
    num_samples, num_blocks = num_frames * _HOP, num_frames + 1
    num_poses = -(-num_blocks // _BLOCKS_PER_POSE)
    moving = [source for source in sources if len(source.path_m) > 1]
    still = [source for source in sources if len(source.path_m) == 1]
    # Blocks start one hop before the first sample, so that two windows sum to one everywhere.
    padded = np.zeros((len(sources), (num_poses * _BLOCKS_PER_POSE + 1) * _HOP), np.float32)
    dense = dict(dense or {})
    for row, source in zip(padded, [*moving, *still], strict=True):
        key = id(source.signal)
        if len(source.path_m) > 1 and key not in dense:
            dense[key] = oversample(source.signal)
        row[_HOP : _HOP + num_samples] = heard_at_centre(source, num_samples, dense.get(key))
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_BLOCK) / _BLOCK)).astype(np.float32)
    blocks = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK, axis=1)[:, ::_HOP]
    to_still = _Transfer(np.array([source.path_m for source in still]).reshape(-1, 3), positions_m)
    still_transfer = np.concatenate(
        [block.copy() for block in to_still.blocks()]
    )  # [bins, still, mics]

    # [mics, half blocks, 1024]
    halves = np.zeros((len(positions_m), num_poses * _BLOCKS_PER_POSE + 1, _HOP), np.float32)
    for first in range(0, num_poses, _POSES_AT_A_TIME):
        poses = range(first, min(first + _POSES_AT_A_TIME, num_poses))
        some = slice(first * _BLOCKS_PER_POSE, (poses[-1] + 1) * _BLOCKS_PER_POSE)
        spectra = scipy.fft.rfft(blocks[:, some] * window)  # [sources, blocks, bins]
        spectra = np.ascontiguousarray(np.moveaxis(spectra, -1, 0))
        places_m = np.array([[_place(source, pose) for source in moving] for pose in poses])
        heard = _heard_at_mics(
            spectra[:, : len(moving)].reshape(_BINS, len(moving), len(poses), _BLOCKS_PER_POSE),
            places_m.reshape(len(poses), len(moving), 3),
            spectra[:, len(moving) :],
            still_transfer,
            positions_m,
        )
        pressures = scipy.fft.irfft(heard, overwrite_x=True)  # [mics, blocks, 2048]
        pressures = pressures.reshape(*pressures.shape[:2], 2, _HOP)
        halves[:, some.start : some.stop] += pressures[:, :, 0]
        halves[:, some.start + 1 : some.stop + 1] += pressures[:, :, 1]
    return halves.reshape(len(halves), -1)[:, _HOP : _HOP + num_samples]


def _place(source, pose):
    """Position of a moving source in the middle of a pose's blocks."""
    frame = pose * _BLOCKS_PER_POSE + _BLOCKS_PER_POSE // 2
    return source.path_m[min(frame, len(source.path_m) - 1)]


def _heard_at_mics(moving, places_m, still, still_transfer, positions_m):
    """Spectra of blocks at all microphones.

    Args:
        moving: [bins, sources, poses, blocks of a pose] complex64 spectra at the array centre.
        places_m: [poses, sources, 3] of the moving ones.
        still: [bins, sources, blocks] complex64 spectra at the array centre.
        still_transfer: [bins, sources, mics] complex64.
        positions_m: [mics, 3].

    Returns:
        [mics, blocks, bins] complex64.
    """
    num_mics, num_blocks = len(positions_m), still.shape[-1]
    result = np.empty((num_mics, num_blocks, _BINS), np.complex64)
    moving = np.ascontiguousarray(moving.transpose(0, 2, 1, 3))  # [bins, poses, sources, blocks]
    transfers = _Transfer(places_m, positions_m).blocks()
    for first, transfer in zip(range(0, _BINS, _BINS_AT_A_TIME), transfers, strict=True):
        bins = slice(first, first + len(transfer))
        heard = still_transfer[bins].transpose(0, 2, 1) @ still[bins]  # [bins, mics, blocks]
        if transfer.size:
            of_moving = transfer.transpose(0, 1, 3, 2) @ moving[bins]  # [bins, poses, mics, ..]
            by_pose = heard.reshape(len(heard), num_mics, len(places_m), -1)
            by_pose += of_moving.transpose(0, 2, 1, 3)
        result[..., bins] = heard.transpose(1, 2, 0)
    return result


class _Transfer:
    """Transfer from the array centre to each microphone, for sources at positions [..., 3]."""

    def __init__(self, places_m, positions_m):
        centre_m = np.linalg.norm(places_m, axis=-1)[..., None]  # [..., 1]
        mics_m = np.linalg.norm(positions_m - places_m[..., None, :], axis=-1)  # [..., mics]
        turns = (mics_m - centre_m) * (schema.ARRAY_RATE_HZ / _BLOCK / SPEED_OF_SOUND)  # per bin
        self._gain, self._step = centre_m / mics_m, np.exp(-2j * np.pi * turns)

    def blocks(self):
        """Yields [some bins, ..., mics] complex64 until all bins are done; each overwrites the
        last.

        One complex exponential per pair; its powers by repeated squaring give all bins.
        """
        leading, powers, step = self._gain.astype(complex), [], self._step
        while 2 ** len(powers) < _BINS_AT_A_TIME:
            powers.append(step.astype(np.complex64))
            step = step * step
        block = np.empty((_BINS_AT_A_TIME, *leading.shape), np.complex64)
        for first in range(0, _BINS, _BINS_AT_A_TIME):
            block[0] = leading
            for i, power in enumerate(powers):
                np.multiply(block[: 2**i], power, out=block[2**i : 2 ** (i + 1)])
            leading = leading * step
            yield block[: _BINS - first]
