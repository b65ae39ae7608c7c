"""Clips from folders of sound files.

Training takes one clip per stretch of each file, shifted and augmented afresh in every epoch
(`data/signal/augmentation.py`); inference covers each file with windows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import audio
from dualcam.data.clips import clip_sets
from dualcam.data.packers import sound_packer
from dualcam.data.signal import augmentation, frontends, windowing


def windows(
    store: sound_packer.SoundStore,
    rows: Sequence[int] | np.ndarray,
    clip_samples: int,
    hop_samples: int | None = None,
) -> np.ndarray:
    """Windows that cover files.

    Args:
        store: contains the files.
        rows: [n] of its files.
        clip_samples: samples of a window.
        hop_samples: between window starts; default a window's length.

    Returns:
        [windows, 2] int64: the file's row and the window's first sample.
    """
    return np.array(
        [
            (row, start)
            for row in rows
            for start in windowing.starts(
                store.lengths[row], clip_samples, hop_samples or clip_samples
            )
        ],
        np.int64,
    )


class SoundOrigin(clip_sets.Origin):
    """Clips of a store of sounds.

    Args:
        store: with labels, see `sound_packer.open_sounds`.
        chosen: [clips, 2], see `windows`.
        clip_samples: samples of a clip.

    Raises:
        ValueError: there are no clips.
    """

    def __init__(
        self, store: sound_packer.SoundStore, chosen: np.ndarray, clip_samples: int
    ) -> None:
        if not len(chosen):
            raise ValueError('no clips: no files')
        self.store, self.windows, self.clip_samples = store, chosen, clip_samples
        self.columns = {'label': store.columns['label'][chosen[:, 0]]}
        self.groups = np.zeros(len(chosen), np.int64)

    def records(self, number: int) -> list[str]:
        return [self.store.paths[self.windows[number][0]]]

    def waveform(self, number: int) -> np.ndarray | None:
        """Sound of a clip, [samples] at 22,050 Hz."""
        return self.clip(*self.windows[number])

    def clip(self, row: int, start: int) -> np.ndarray:
        """[samples] of a file from a sample on, padded with zeros past its end."""
        return self.store.clip(row, start, self.clip_samples)


class Sound(clip_sets.Part):
    """A student's input for each clip; in training, for the augmented clip.

    Args:
        origin: of the clips.
        frontend: makes the network input.
        plan: of the augmentation; None for none.
    """

    def __init__(
        self,
        origin: SoundOrigin,
        frontend: frontends.Frontend,
        plan: augmentation.Augmentation | None = None,
    ) -> None:
        self._origin, self._frontend, self._plan = origin, frontend, plan
        self.shape = (origin.clip_samples,)
        # Traced once for all epochs, each of which makes a new pipeline.
        signal = tf.TensorSpec([None, *self.shape], tf.float32)
        self._plain = tf.function(frontend.hear, input_signature=[signal], autograph=False)
        self._changed = tf.function(self._change, reduce_retracing=True, autograph=False)

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        rows, first = self._origin.windows[clips].T
        if not drawn:
            return np.stack([self._origin.clip(*place) for place in zip(rows, first, strict=True)])
        assert self._plan is not None, 'something was drawn'
        lengths, size = self._origin.store.lengths[rows], self._origin.clip_samples
        moved = augmentation.starts(self._plan, drawn['place'], lengths, size)
        return np.stack(
            [
                self._origin.clip(row, by)
                if length > size
                else np.roll(self._origin.clip(row, 0), by)
                for row, length, by in zip(rows, lengths, moved, strict=True)
            ]
        )

    def transform(self, values: tf.Tensor, drawn: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self._changed(values, drawn) if drawn else self._plain(values)

    def _change(self, signal, drawn):
        assert self._plan is not None, 'something was drawn'
        signal = self._frontend.scaled(signal) * drawn['gain']
        if self._plan.mixup:
            share = drawn['other_share']  # [batch, 1]
            signal = (1 - share) * signal + share * tf.reverse(signal, [0])
        inputs = signal * audio.PEAK
        if self._frontend.kind != 'spectrogram':
            return inputs
        return augmentation.mask(
            self._plan,
            self._frontend.normalise(self._frontend.unnormalised(inputs)),
            drawn['times'],
            drawn['channels'],
            audio.SAMPLE_RATE_HZ / self._frontend.transform.hop,
        )


class Augmented(clip_sets.Variation):
    """Augmentation by `Sound`; with mixup, batches include the labels that are mixed in.

    These are 'other_label' [batch] and its 'other_share' [batch].

    Args:
        plan: of the augmentation.
    """

    def __init__(self, plan: augmentation.Augmentation) -> None:
        self._plan = plan

    def draw(
        self, seed: Any, rng: np.random.Generator | None, num_clips: int
    ) -> dict[str, np.ndarray]:
        return {} if seed is None else vars(augmentation.draw(self._plan, seed, num_clips))

    def columns(self, drawn: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        if not self._plan.mixup:
            return {}
        return {'other_label': tf.reverse(labels, [0]), 'other_share': drawn['other_share'][:, 0]}


def cut(
    store: sound_packer.SoundStore,
    chosen: np.ndarray,
    clip_samples: int,
    frontend: frontends.Frontend,
    plan: augmentation.Augmentation | None = None,
) -> clip_sets.Clips:
    """Clips as one student's input.

    Args:
        store, chosen, clip_samples: see `SoundOrigin`.
        frontend, plan: see `Sound`.

    Raises:
        ValueError: there are no clips.
    """
    origin = SoundOrigin(store, chosen, clip_samples)
    variation = None if plan is None else Augmented(plan)
    return clip_sets.Clips(Sound(origin, frontend, plan), origin, variation=variation)
