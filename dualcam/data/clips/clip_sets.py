"""Batches of clips: parts gather and transform a network's inputs for each clip.

A clip is a second or more of sound, images or both. `record_clips`, `sound_clips` and
`tagged_clips` cut the clips of each kind of store and define their parts.
"""

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import pipelines

MEMORY_BYTES = 3 << 30  # memory that a part may use by default


class Part(abc.ABC):
    """One input of a network.

    Attributes:
        shape: of `gather`'s result for each clip.
        dtype: of `gather`'s result.
    """

    shape: tuple[int, ...]
    dtype: tf.DType = tf.float32

    @abc.abstractmethod
    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """Values [n, *shape] of some clips.

        Args:
            clips: [n] numbers of clips.
            drawn: {name: [n, ...]}, drawn for them by a `Variation`.
        """

    def transform(self, values: tf.Tensor, drawn: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Network inputs [n, ...] from gathered values; runs in a graph."""
        return values


class Variation(abc.ABC):
    """Random variation of each clip in every epoch."""

    @abc.abstractmethod
    def draw(
        self, seed: Any, rng: np.random.Generator | None, num_clips: int
    ) -> dict[str, np.ndarray]:
        """Draws for all clips.

        Args:
            seed: of the epoch; None for inference.
            rng: a generator with that seed, after drawing the order of the clips, or None.
            num_clips: number of clips.

        Returns:
            {name: [clips, ...]}, may be empty.
        """

    def columns(self, drawn: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Additional columns of a batch with these draws and labels."""
        return {}


class Origin(abc.ABC):
    """Source of clips, for their labels, pictures and sound.

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
        """Paths of the files that a clip is made from."""

    @abc.abstractmethod
    def waveform(self, number: int) -> np.ndarray | None:
        """Sound of a clip, [samples], or None."""

    def images(self, number: int) -> np.ndarray | None:
        """Acoustic images of a clip, [frames, 36, 48, 12], aligned with the video, or None."""
        return None

    def picture(self, number: int, *which: Any) -> np.ndarray | None:
        """A video frame of a clip, [height, width, 3] uint8 RGB, or None."""
        return None


class Clips:
    """A set of clips as a network's inputs.

    Args:
        parts: a `Part`, or {name: part} for a dictionary of inputs.
        origin: of the clips.
        columns: {name: [clips, ...]} in addition to the origin's own.
        variation: for training clips; None for none.

    Attributes:
        origin: as given.
        columns: all of them, including 'label'.
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
            batch_size: clips per batch; the last one may have fewer.
            shuffle_seed: seed of the order and the variation, for example (seed, epoch); None
                keeps the clips' own order and varies nothing.

        Returns:
            A `tf.data.Dataset` of {'input': ..., 'clip': [batch] indices of the clips, 'label' and
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
        """See `Origin.picture`."""
        return self.origin.picture(number, *which)

    def _gather(self, numbers, drawn):
        return [part.gather(numbers, drawn) for part in self._parts.values()]
