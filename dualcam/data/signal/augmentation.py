"""Light augmentation of training clips of sound: shift, gain, masks in time and frequency.

Each clip's changes depend on the seed, the epoch and the clip's number only, so that a resumed
run sees the same clips as one that was never stopped. Masks follow SpecAugment (Park et al.,
Interspeech 2019).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How clips are augmented.

    Attributes:
        shift: move each clip to a random start: along its file if that is longer than the clip,
            otherwise circularly.
        gain_db: largest random gain or attenuation in decibels, after scaling the largest
            magnitude to 256.
        time_masks, time_mask_s: number and largest length of stretches of a spectrogram that are
            set to the training set's mean.
        frequency_masks, frequency_mask_bins: likewise for channels.
        mixup: parameter of the Beta distribution of two clips' weights; 0 disables mixing
            (Zhang et al., ICLR 2018).
    """

    shift: bool = True
    gain_db: float = 6.0
    time_masks: int = 2
    time_mask_s: float = 0.4
    frequency_masks: int = 2
    frequency_mask_bins: int = 24
    mixup: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Draws:
    """Random numbers for the clips of an epoch.

    Attributes:
        place: [clips] 0 - 1, start of a clip.
        gain: [clips, 1] float32, factors.
        other_share: [clips, 1] float32, 0 - 0.5, weight of the clip that is mixed in.
        times: [clips, time_masks, 2] float32, 0 - 1: width and position of masks.
        channels: [clips, frequency_masks, 2] float32, likewise.
    """

    place: np.ndarray
    gain: np.ndarray
    other_share: np.ndarray
    times: np.ndarray
    channels: np.ndarray


def draw(augmentation: Augmentation, seed: Sequence[int], num_clips: int) -> Draws:
    """Draws the random numbers of an epoch.

    Args:
        augmentation: an `Augmentation`.
        seed: integers, such as (seed, epoch).
        num_clips: of the training set.

    Returns:
        `Draws`.
    """
    plan, rng = augmentation, np.random.default_rng([*seed, 1])
    place = rng.random(num_clips)
    gain = 10.0 ** (rng.uniform(-plan.gain_db, plan.gain_db, (num_clips, 1)) / 20.0)
    times = rng.random((num_clips, plan.time_masks, 2))
    channels = rng.random((num_clips, plan.frequency_masks, 2))
    share = np.zeros((num_clips, 1))
    if plan.mixup:
        share = rng.beta(plan.mixup, plan.mixup, (num_clips, 1))
    return Draws(
        place,
        *(
            values.astype(np.float32)
            for values in (gain, np.minimum(share, 1.0 - share), times, channels)
        ),
    )


def starts(
    augmentation: Augmentation, place: np.ndarray, lengths: np.ndarray, clip_samples: int
) -> np.ndarray:
    """Starts of clips in their files.

    Args:
        augmentation: an `Augmentation`.
        place: [n] 0 - 1, drawn.
        lengths: [n] lengths of their files, samples.
        clip_samples: samples of a clip.

    Returns:
        [n] int64: for a file longer than a clip the first sample to use, otherwise the circular
        shift of the clip.
    """
    if not augmentation.shift:
        return np.zeros(len(place), np.int64)
    room = np.where(lengths > clip_samples, lengths - clip_samples + 1, clip_samples)
    return (place * room).astype(np.int64)


def mask(
    augmentation: Augmentation,
    spectrograms: tf.Tensor,
    times: tf.Tensor,
    channels: tf.Tensor,
    frames_per_second: float,
) -> tf.Tensor:
    """Spectrograms [n, frames, bins] of mean 0 with stretches and channels set to 0.

    `times` [n, masks, 2] and `channels` likewise are those of `Draws`.
    """
    _, frames, bins = spectrograms.shape
    longest = augmentation.time_mask_s * frames_per_second
    keep = _masks(times, longest, frames)[:, :, None]
    return (
        spectrograms * keep * _masks(channels, augmentation.frequency_mask_bins, bins)[:, None, :]
    )


def _masks(draws, longest, size):
    """[n, size] float32: 0 within random stretches of up to `longest`, else 1."""
    width = draws[..., :1] * longest  # [n, masks, 1]
    start = draws[..., 1:] * (size - width)
    place = tf.range(size, dtype=tf.float32)[None, None]
    outside = (place < start) | (place >= start + width)
    return tf.cast(tf.reduce_all(outside, axis=1), tf.float32)
