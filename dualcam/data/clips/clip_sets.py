"""Clips, batch by batch: parts gather and transform what a network takes of each clip.

A clip is a second or more of sound, images or both. `record_clips`, `sound_clips` and
`tagged_clips` cut the clips of each kind of store and hold the parts for them.
"""

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import pipelines

MEMORY_BYTES = 3 << 30  # what a part may keep in memory by default


class Part(abc.ABC):
    """One input of a network.

    Attributes:
        shape: of what `gather` returns for each clip.
        dtype: likewise.
    """

    shape: tuple[int, ...]
    dtype: tf.DType = tf.float32

    @abc.abstractmethod
    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Values [n, *shape] of some clips.

        Args:
            clips: [n] numbers of clips.
            drawn: {name: [n, ...]}, what a `Variation` drew for them.
        """

    def transform(self, values: tf.Tensor, drawn: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Network inputs [n, ...] of gathered values; runs in a graph."""
        return values


class Variation(abc.ABC):
    """What is drawn anew for each clip in every epoch."""

    @abc.abstractmethod
    def draw(
        self, seed: Any, rng: np.random.Generator | None, num_clips: int
    ) -> dict[str, np.ndarray]:
        """Draws for all clips.

        Args:
            seed: of the epoch; None for inference.
            rng: a generator of that seed which has drawn the order of the clips, or None.
            num_clips: how many there are.

        Returns:
            {name: [clips, ...]}, may be empty.
        """

    def columns(self, drawn: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Further columns of a batch with these draws and labels."""
        return {}


class Origin(abc.ABC):
    """Where clips come from, to look at and to listen to.

    Attributes:
        columns: {'label': [clips, ...]}.
        groups: [clips] int64, see `schema.LABELS`.
    """

    columns: dict[str, np.ndarray]
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.columns['label'])

    @abc.abstractmethod
    def records(self, number: int) -> list[str]:
        """Paths of the files that a clip is made of."""

    @abc.abstractmethod
    def waveform(self, number: int) -> np.ndarray | None:
        """Sound of a clip, [samples]; None where there is none."""

    def images(self, number: int) -> np.ndarray | None:
        """Acoustic images of a clip, [frames, 36, 48, 12], as they lie over the video, or None."""
        return None

    def picture(self, number: int, *which: Any) -> np.ndarray | None:
        """A video frame of a clip, [height, width, 3] uint8 RGB; None without video."""
        return None


class Clips:
    """Clips of a network's inputs.

    Args:
        parts: of the input: a `Part`, or {name: part} for a dictionary of inputs.
        origin: of the clips.
        columns: {name: [clips, ...]} that go along with the origin's own.
        variation: of training clips; None for none.

    Attributes:
        origin: as given.
        columns: all of them, 'label' among them.
    """

    def __init__(
        self,
        parts: Part | Mapping[str, Part],
        origin: Origin,
        columns: Mapping[str, np.ndarray] | None = None,
        variation: Variation | None = None,
    ) -> None:
        self.origin, self.columns = origin, {**origin.columns, **(columns or {})}
        self._parts = {'': parts} if isinstance(parts, Part) else dict(parts)
        self._variation = variation

    def __len__(self) -> int:
        return len(self.origin)

    def batches(
        self, batch_size: int, shuffle_seed: Sequence[int] | int | None = None
    ) -> tf.data.Dataset:
        """One pass over the clips.

        Args:
            batch_size: clips in a batch; the last one may have fewer.
            shuffle_seed: seed of the order and of what varies, for example (seed, epoch); None
                keeps the clips' own order and varies nothing.

        Returns:
            A `tf.data.Dataset` of {'input': ..., 'clip': [batch] numbers of the clips, 'label' and
            the other columns [batch, ...], and those of the variation}.
        """
        order, rng = np.arange(len(self)), None
        if shuffle_seed is not None:
            rng = np.random.default_rng(shuffle_seed)
            order = rng.permutation(order)
        variation = self._variation
        drawn = variation.draw(shuffle_seed, rng, len(self)) if variation else {}
        names = tuple(drawn)
        constants = {name: tf.constant(values) for name, values in self.columns.items()}

        def gather(item):
            values = pipelines.call(
                self,
                lambda clips, numbers, *draws: clips._gather(
                    numbers, dict(zip(names, draws, strict=True))
                ),
                [item['clip'], *(item[name] for name in names)],
                [part.dtype for part in self._parts.values()],
            )
            return item, tuple(
                tf.ensure_shape(value, [None, *part.shape])
                for value, part in zip(values, self._parts.values(), strict=True)
            )

        def complete(item, values):
            chosen = item.pop('clip')
            inputs = {
                name: part.transform(value, item)
                for (name, part), value in zip(self._parts.items(), values, strict=True)
            }
            batch = {'input': inputs.get('', inputs), 'clip': chosen}
            batch |= {name: tf.gather(column, chosen) for name, column in constants.items()}
            if variation is None or not names:
                return batch
            return batch | variation.columns(item, batch['label'])

        items = {'clip': order} | {name: values[order] for name, values in drawn.items()}
        return pipelines.keep(
            tf.data.Dataset.from_tensor_slices(items)
            .batch(batch_size)
            .map(pipelines.plain(gather), num_parallel_calls=2)
            .map(pipelines.plain(complete), num_parallel_calls=2)
            .prefetch(2),
            self,
        )

    def raw_batches(self, batch_size: int = 32) -> Iterator[np.ndarray]:
        """Yields the (first) input [batch, ...] in the clips' order, for statistics."""
        first = next(iter(self._parts))
        for batch in self.batches(batch_size):
            yield (batch['input'][first] if first else batch['input']).numpy()

    def records(self, number: int) -> list[str]:
        """See `Origin.records`."""
        return self.origin.records(number)

    def waveform(self, number: int) -> np.ndarray | None:
        """See `Origin.waveform`."""
        return self.origin.waveform(number)

    def images(self, number: int) -> np.ndarray | None:
        """See `Origin.images`."""
        return self.origin.images(number)

    def picture(self, number: int, *which: Any) -> np.ndarray | None:
        """See `Origin.picture` of the origin at hand."""
        return self.origin.picture(number, *which)

    def _gather(self, numbers, drawn):
        return [part.gather(numbers, drawn) for part in self._parts.values()]
