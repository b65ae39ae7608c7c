"""Clips in memory, with the part of `dualcam.data.clips.clip_sets.Clips` that training uses."""

import numpy as np
import tensorflow as tf


class MadeUpClips:
    """Clips of given inputs {name: [clips, ...]} and columns {name: [clips, ...]}."""

    def __init__(self, inputs, columns):
        self.inputs, self.columns = inputs, columns

    def __len__(self):
        return len(self.columns['label'])

    def batches(self, batch_size, shuffle_seed=None):
        order = np.arange(len(self))
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
        return tf.data.Dataset.from_tensor_slices(
            {
                'input': {name: value[order] for name, value in self.inputs.items()},
                'clip': order,
                **{name: value[order] for name, value in self.columns.items()},
            }
        ).batch(batch_size)

    def batch(self, size=8):
        return next(iter(self.batches(size, 3)))
