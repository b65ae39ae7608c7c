"""Clips for audio tagging (AAAI 2021).

A clip consists of a log-mel spectrogram, features of one frame per second, any further features
that a network fuses, and a multi-hot label. Training may use a random stretch of each clip, redrawn
in every epoch; inference uses its middle. Stretches start at whole seconds, so that sound and
frames stay aligned, and are cut from the whole clip's spectrogram.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data.clips import clip_sets
from dualcam.data.packers import tagged_packer
from dualcam.data.signal import logmel

_BATCH = 32  # spectrograms computed at a time


class TaggedOrigin(clip_sets.Origin):
    """Rows of a store of tagged clips.

    Args:
        store: contains the clips.
        rows: [clips] of it.

    Raises:
        ValueError: there are no clips.
    """

    def __init__(self, store: tagged_packer.TaggedStore, rows: Sequence[int] | np.ndarray) -> None:
        self.store, self.rows = store, np.asarray(rows, np.int64)
        if not len(self.rows):
            raise ValueError('no clips: the list is empty')
        self.columns = {'label': store.columns['label'][self.rows]}
        self.groups = np.zeros(len(self.rows), np.int64)

    def records(self, number: int) -> list[str]:
        return [self.store.paths[self.rows[number]]]

    def waveform(self, number: int) -> np.ndarray | None:
        """Sound of a whole clip, [samples] float32, full scale 1, at 32 kHz."""
        return self.store.waveforms(self.rows[number][None])[0]

    def picture(self, number: int, *which: Any) -> np.ndarray | None:
        """The middle frame of a clip, [height, width, 3] uint8 RGB; size is (width, height)."""
        (size,) = which
        middle = self.store.num_frames // 2
        return self.store.pixels(self.rows[number][None], [middle], size[::-1])[0]


class Stretches(clip_sets.Variation):
    """Random choice of the seconds used of each clip.

    Args:
        clip_s: seconds of a clip.
        crop_s: whole seconds of a stretch.

    Raises:
        ValueError: such stretches cannot be cut.
    """

    def __init__(self, clip_s: float, crop_s: int) -> None:
        if not (crop_s == int(crop_s) and 1 <= crop_s <= clip_s):
            raise ValueError(
                f'stretches of {crop_s} s from clips of {clip_s:g} s; expected whole '
                'seconds, 1 or more, up to the clip'
            )
        self._clip_s, self._crop_s, self._room_s = clip_s, crop_s, int(clip_s - crop_s)

    def draw(
        self, seed: Any, rng: np.random.Generator | None, num_clips: int
    ) -> dict[str, np.ndarray]:
        if seed is None:
            return {'start_s': np.full(num_clips, self._room_s // 2)}
        assert rng is not None, 'a seed comes with its generator'
        return {'start_s': rng.integers(0, self._room_s + 1, num_clips)}

    def steps(self, of_clip: int) -> int:
        """Steps of a stretch, of the steps of a clip."""
        return int(of_clip * self._crop_s / self._clip_s)

    def cut(self, whole: np.ndarray, start_s: np.ndarray) -> np.ndarray:
        """[clips, steps, ...] to the stretches that begin at seconds [clips]."""
        steps = self.steps(whole.shape[1])
        per_second = steps // self._crop_s
        return np.stack(
            [clip[start * per_second :][:steps] for clip, start in zip(whole, start_s, strict=True)]
        )


class _Stretched(clip_sets.Part):
    """An input with time steps, whole or cut to stretches.

    Args:
        origin: of the clips.
        shape: of a whole clip, (steps, ...).
        stretches: seconds to use; None for whole clips.
    """

    def __init__(
        self, origin: TaggedOrigin, shape: tuple[int, ...], stretches: Stretches | None
    ) -> None:
        self._origin, self._stretches = origin, stretches
        self.shape = (stretches.steps(shape[0]) if stretches else shape[0], *shape[1:])

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        whole = self._whole(clips)
        if whole.shape[1] != self.shape[0]:
            assert self._stretches is not None, 'they made the shape'
            whole = self._stretches.cut(whole, drawn['start_s'])
        return np.asarray(whole, np.float32)

    @abc.abstractmethod
    def _whole(self, clips: np.ndarray) -> np.ndarray:
        """[n, steps, ...] of whole clips."""


class Features(_Stretched):
    """Cached features of the store's clips.

    Args:
        origin: of the clips.
        array: [store's clips, steps, ...]; may be memory-mapped, since rows are read when needed.
        stretches: seconds to use; None for whole clips.
    """

    def __init__(
        self, origin: TaggedOrigin, array: np.ndarray, stretches: Stretches | None = None
    ) -> None:
        super().__init__(origin, array.shape[1:], stretches)
        self._array = array

    def _whole(self, clips):
        return self._array[self._origin.rows[clips]]


class LogMel(_Stretched):
    """Log-mel spectrograms, [time, bands], computed once if they fit in memory.

    Args:
        origin: of the clips.
        frontend: makes them.
        stretches: seconds to use; None for whole clips.
        memory_bytes: up to this size they are cached; larger ones are recomputed in each epoch.
    """

    def __init__(
        self,
        origin: TaggedOrigin,
        frontend: logmel.LogMelFrontend,
        stretches: Stretches | None = None,
        memory_bytes: int = clip_sets.MEMORY_BYTES,
    ) -> None:
        samples, params = origin.store.arrays['audio'].shape[1], frontend.params
        shape = params.num_frames(samples), params.num_bands
        super().__init__(origin, shape, stretches)
        # Traced once for all epochs, each of which makes a new pipeline.
        signal = tf.TensorSpec([None, samples], tf.float32)
        self._hear = tf.function(frontend.hear, autograph=False, input_signature=[signal])
        self._kept = None
        if 4 * len(origin) * np.prod(shape) <= memory_bytes:
            clips = np.arange(len(origin))
            self._kept = np.concatenate(
                [self._see(clips[first : first + _BATCH]) for first in range(0, len(clips), _BATCH)]
            )

    def _whole(self, clips):
        return self._see(clips) if self._kept is None else self._kept[clips]

    def _see(self, clips):
        return self._hear(self._origin.store.waveforms(self._origin.rows[clips])).numpy()


def cut(
    store: tagged_packer.TaggedStore,
    rows: Sequence[int] | np.ndarray,
    frontend: logmel.LogMelFrontend,
    features: Mapping[str, np.ndarray] | None = None,
    crop_s: int | None = None,
    memory_bytes: int = clip_sets.MEMORY_BYTES,
) -> clip_sets.Clips:
    """Clips as a tagging network's inputs, a dictionary with 'audio' and the features.

    Args:
        store, rows: see `TaggedOrigin`.
        frontend, memory_bytes: see `LogMel`.
        features: {name: array [store's clips, steps, ...]} of further inputs, for example
            {'visual': cached features of frames}.
        crop_s: whole seconds to cut from each clip; None for all of it.

    Raises:
        ValueError: there are no clips, they are shorter than `crop_s`, or features cannot be cut
            at seconds.
    """
    origin, clip_s = TaggedOrigin(store, rows), store.clip_s
    stretches = None if crop_s is None else Stretches(clip_s, crop_s)
    parts: dict[str, clip_sets.Part] = {}
    for name, array in (features or {}).items():
        if stretches and array.shape[1] % clip_s:
            raise ValueError(
                f'features {name}: {array.shape[1]} steps for a clip of '
                f'{clip_s:g} s cannot be cut at whole seconds; use whole clips'
            )
        parts[name] = Features(origin, array, stretches)
    audio = LogMel(origin, frontend, stretches, memory_bytes)
    return clip_sets.Clips({'audio': audio, **parts}, origin, variation=stretches)
