"""Tagged clips, batch by batch (AAAI 2021): see `record_clips` for one-second records.

A clip is a log-mel spectrogram, features of a frame a second, whatever further features a network
fuses, and a multi-hot label. Training may see a stretch of each clip, drawn anew in every epoch;
inference sees its middle. Stretches start at whole seconds, so that sound and frames stay
together, and are cut out of the whole clip's spectrogram.
"""

import numpy as np
import tensorflow as tf

from dualcam.data import pipelines
from dualcam.features import tagging_frames


class TaggingClips:
    """Clips of a tagging network's inputs.

    Args:
        store: a `tagging_store.TaggingStore`.
        rows: [clips] of it.
        frontend: a `logmel.LogMelFrontend`.
        features: {name: array [store's clips, steps, ...]} of further inputs, for example
            {'visual': `KeptFeatures.array`}; they are gathered row by row, so may be mapped.
        crop_s: whole seconds to cut from each clip; None for all of it.
        memory_bytes: spectrograms are worked out once and kept up to this size; past it, in
            every epoch anew.

    Attributes:
        columns: {'label': [clips, classes] float32}, as `clips.Clips` has.
        rows: as given.

    Raises:
        ValueError: there are no clips, they are shorter than `crop_s`, or features cannot be cut
            at seconds.
    """

    def __init__(self, store, rows, frontend, features=None, crop_s=None, memory_bytes=3 << 30):
        self.rows = np.asarray(rows, np.int64)
        if not len(self.rows):
            raise ValueError('no clips: the list is empty')
        self._store, self._frontend = store, frontend
        self._features = dict(features or {})
        self._room_s = self._check_crop(crop_s)
        self._crop_s = crop_s
        self.columns = {'label': store.labels[self.rows]}
        params = frontend.params
        self._shape = (params.num_frames(store.audio.shape[1]), params.num_bands)
        # Traced once for all epochs, which each make a new pipeline.
        self._see = tf.function(
            frontend.hear,
            autograph=False,
            input_signature=[tf.TensorSpec([None, store.audio.shape[1]], tf.float32)],
        )
        self._kept = None
        if 4 * len(self.rows) * np.prod(self._shape) <= memory_bytes:
            self._kept = np.concatenate(
                [
                    self._spectrograms(self.rows[first : first + 32])
                    for first in range(0, len(self.rows), 32)
                ]
            )

    def __len__(self):
        return len(self.rows)

    def batches(self, batch_size, shuffle_seed=None):
        """One pass over the clips.

        Args:
            batch_size: clips in a batch; the last one may have fewer.
            shuffle_seed: seed of the order and of the stretches, for example (seed, epoch); None
                keeps the clips' own order, and takes the stretch in the middle.

        Returns:
            A `tf.data.Dataset` of {'input': {'audio': [batch, time, bands], and the features
            [batch, steps, ...], all float32}, 'label': [batch, classes], 'clip': [batch] numbers
            of the clips}.
        """
        order, starts_s = np.arange(len(self)), np.full(len(self), self._room_s // 2)
        if shuffle_seed is not None:
            rng = np.random.default_rng(shuffle_seed)
            order = rng.permutation(order)
            starts_s = rng.integers(0, self._room_s + 1, len(self))
        names = ['audio', *self._features]
        shapes = [self._cut_shape(self._shape)] + [
            self._cut_shape(array.shape[1:]) for array in self._features.values()
        ]

        def gather(chosen):
            values = pipelines.call(
                self,
                lambda clips, numbers: clips._gather(numbers, starts_s),
                [chosen],
                [tf.float32] * len(names),
            )
            inputs = {
                name: tf.ensure_shape(value, [None, *shape])
                for name, value, shape in zip(names, values, shapes, strict=True)
            }
            return {'input': inputs, 'label': tf.gather(labels, chosen), 'clip': chosen}

        labels = tf.constant(self.columns['label'])
        return pipelines.keep(
            tf.data.Dataset.from_tensor_slices(order)
            .batch(batch_size)
            .map(pipelines.plain(gather), num_parallel_calls=2)
            .prefetch(2),
            self,
        )

    def raw_batches(self, batch_size=32):
        """Yields spectrograms [batch, time, bands] in the clips' order, for statistics."""
        for batch in self.batches(batch_size):
            yield batch['input']['audio'].numpy()

    def records(self, number):
        """Path of the record that a clip is in, a list."""
        return [self._store.paths[self.rows[number]]]

    def waveform(self, number):
        """Sound of a whole clip to listen to, [samples] float32 within 1 at 32 kHz."""
        return self._store.waveforms(self.rows[number][None])[0]

    def picture(self, number, size):
        """The frame in the middle of a clip, [height, width, 3] uint8 RGB; size (width, height)."""
        return tagging_frames.read_frames(
            self._store, self.rows[number][None], [self._store.num_frames // 2], size[::-1]
        )[0]

    def _check_crop(self, crop_s):
        """Seconds that are left over by a stretch."""
        if crop_s is None:
            return 0
        clip_s = self._store.clip_s
        if not (crop_s == int(crop_s) and 1 <= crop_s <= clip_s):
            raise ValueError(
                f'stretches of {crop_s} s of clips of {clip_s:g} s; expected whole '
                'seconds, 1 or more, up to the clip'
            )
        for name, array in self._features.items():
            if array.shape[1] % clip_s:
                raise ValueError(
                    f'features {name}: {array.shape[1]} steps of a clip of '
                    f'{clip_s:g} s cannot be cut at seconds; use whole clips'
                )
        return int(clip_s - crop_s)

    def _cut_shape(self, shape):
        return (self._steps(shape[0]), *shape[1:])

    def _steps(self, of_clip):
        """Steps of a stretch, of the steps of a clip."""
        if self._crop_s is None:
            return of_clip
        return int(of_clip * self._crop_s / self._store.clip_s)

    def _gather(self, numbers, starts_s):
        rows, starts_s = self.rows[numbers], starts_s[numbers]
        whole = self._kept[numbers] if self._kept is not None else self._spectrograms(rows)
        return [self._cut(whole, starts_s)] + [
            self._cut(array[rows], starts_s) for array in self._features.values()
        ]

    def _cut(self, whole, starts_s):
        """[clips, steps, ...] to the stretches that begin at seconds [clips]."""
        steps = self._steps(whole.shape[1])
        if steps == whole.shape[1]:
            return np.asarray(whole, np.float32)
        per_second = steps // self._crop_s
        return np.stack(
            [
                clip[start * per_second :][:steps]
                for clip, start in zip(whole, starts_s, strict=True)
            ]
        ).astype(np.float32, copy=False)

    def _spectrograms(self, rows):
        return self._see(self._store.waveforms(rows)).numpy()
