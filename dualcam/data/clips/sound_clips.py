"""Clips of folders of sound, batch by batch: what `data/clips/record_clips.py` is for records.

Training takes one clip a stretch of each file, moved and changed anew in every epoch
(`data/signal/augmentation.py`); inference covers each file with windows.
"""

import numpy as np
import tensorflow as tf

from dualcam.data import audio, pipelines
from dualcam.data.signal import augmentation, windowing


def windows(store, rows, clip_samples, hop_samples=None):
    """Windows that cover files.

    Args:
        store: a `sound_store.SoundStore`.
        rows: [n] of its files.
        clip_samples: samples of a window.
        hop_samples: from one to the next; default as many.

    Returns:
        [windows, 2] int64: the file's row and the first sample.
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


class SoundClips:
    """Clips of one student's input.

    Args:
        store: a `sound_store.SoundStore`.
        chosen: [clips, 2], see `windows`.
        clip_samples: samples of a clip.
        frontend: a `frontend.Frontend`.
        augment: an `augmentation.Augmentation` for training, or None.

    Attributes:
        columns: {'label': [clips]}, as `clips.Clips` has.
        windows: [clips, 2].
    """

    def __init__(self, store, chosen, clip_samples, frontend, augment=None):
        if not len(chosen):
            raise ValueError('no clips: no files')
        self.windows = chosen
        self.columns = {'label': store.sound_set.labels[chosen[:, 0]]}
        self.scenarios = np.zeros(len(chosen), np.int64)
        self._store, self._clip_samples = store, clip_samples
        self._frontend, self._augment = frontend, augment
        # Traced once for all epochs, which each make a new pipeline.
        signal = tf.TensorSpec([None, clip_samples], tf.float32)
        self._plain = tf.function(frontend.hear, input_signature=[signal], autograph=False)
        self._changed = tf.function(self._change, reduce_retracing=True, autograph=False)

    def __len__(self):
        return len(self.windows)

    def batches(self, batch_size, shuffle_seed=None):
        """One pass over the clips, changed and shuffled by a seed such as (seed, epoch).

        Returns:
            A `tf.data.Dataset` of {'input': ..., 'label': [batch], 'clip': [batch]}; with mixup
            also 'other_label' [batch] and its 'other_share' [batch].
        """
        order, changed = np.arange(len(self)), {}
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
            if self._augment is not None:
                changed = vars(augmentation.draw(self._augment, shuffle_seed, len(self)))
        labels = self.columns['label']

        def gather(item):
            signal = pipelines.call(
                self,
                SoundClips._gather,
                [item['clip'], *([item.pop('place')] if changed else [])],
                tf.float32,
            )
            return item, tf.ensure_shape(signal, [None, self._clip_samples])

        def complete(item, signal):
            batch = {'clip': item['clip'], 'label': item['label']}
            if changed:
                return batch | self._changed(item, signal)
            return batch | {'input': self._plain(signal)}

        items = {'clip': order, 'label': labels[order]}
        items |= {name: values[order] for name, values in changed.items()}
        return pipelines.keep(
            tf.data.Dataset.from_tensor_slices(items)
            .batch(batch_size)
            .map(pipelines.plain(gather), num_parallel_calls=2)
            .map(pipelines.plain(complete), num_parallel_calls=2)
            .prefetch(2),
            self,
        )

    def raw_batches(self, batch_size=32):
        """Yields inputs [batch, ...] as NumPy arrays in the clips' order, for statistics."""
        for batch in self.batches(batch_size):
            yield batch['input'].numpy()

    def records(self, number):
        """Path of the file that a clip is cut from, a list."""
        return [str(self._store.sound_set.sounds[self.windows[number][0]].path)]

    def waveform(self, number):
        """Sound of a clip to listen to, [samples] at 22,050 Hz."""
        return self._gather(np.array([number]))[0]

    def images(self, _):
        """None: there are no acoustic images."""
        return

    def _gather(self, numbers, place=None):
        rows, first = self.windows[numbers].T
        if place is None:
            return np.stack(
                [
                    self._store.clip(row, start, self._clip_samples)
                    for row, start in zip(rows, first, strict=True)
                ]
            )
        lengths = self._store.lengths[rows]
        moved = augmentation.starts(self._augment, place, lengths, self._clip_samples)
        clips = []
        for row, length, by in zip(rows, lengths, moved, strict=True):
            if length > self._clip_samples:
                clips.append(self._store.clip(row, by, self._clip_samples))
            else:
                clips.append(np.roll(self._store.clip(row, 0, self._clip_samples), by))
        return np.stack(clips)

    def _change(self, item, signal):
        signal = self._frontend.scaled(signal) * item['gain']
        mixed = {}
        if self._augment.mixup:
            share = item['other_share']  # [batch, 1]
            signal = (1 - share) * signal + share * tf.reverse(signal, [0])
            mixed = {'other_label': tf.reverse(item['label'], [0]), 'other_share': share[:, 0]}
        inputs = signal * audio.PEAK
        if self._frontend.kind == 'spectrogram':
            inputs = self._frontend.normalise(self._frontend.unnormalised(inputs))
            inputs = augmentation.mask(
                self._augment,
                inputs,
                item['times'],
                item['channels'],
                audio.SAMPLE_RATE_HZ / self._frontend.transform.hop,
            )
        return mixed | {'input': inputs}
