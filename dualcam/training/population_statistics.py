"""Batch normalisation's averages: one set for all devices, or measured (Wu and Johnson 2021).

Moving averages lag behind the weights in short training runs. To measure them instead, the clips
are passed through the network once; each batch normalisation layer uses the statistics of its
batch, as in training, and its population mean and variance combine those of all batches by the law
of total variance. This is exact for the first such layer; for later ones, whose input depends on
how the clips were batched, it is exact for these batches.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam import models
from dualcam.models import layers
from dualcam.training import hardware, hosts, steps


class PopulationStatistics:
    """Measures the averages of the batch normalisation layers that a step trains.

    Args:
        step: a `steps.Step`. Layers whose scale and offset it does not train, such as a frozen
            backbone's, keep their averages.
    """

    def __init__(self, step: steps.Step):
        trained = {id(variable) for variable in step.variables}
        self.norms = [
            norm
            for norm in normalisations(step.model)
            if any(id(variable) in trained for variable in norm.trainable_variables)
        ]

        def moments(inputs):
            with layers.collecting_moments(self.norms) as collected:
                step.model(models.inputs_of(step.model, inputs), training=False)
            return [collected[id(norm)] for norm in self.norms]

        self._moments = tf.function(moments, reduce_retracing=True, autograph=False)

    def measure(
        self,
        clips: Any,
        batch_size: int,
        shuffle_seed: tuple[int, ...],
        max_clips: int | None = None,
    ) -> None:
        """Replaces the averages; nothing else in the network changes.

        In distributed training the chief measures them for all processes.

        Args:
            clips: training clips. They are shuffled, since clips of a class are adjacent in lists,
                and split into batches that are as equal in size as possible.
            batch_size: largest number of clips per batch.
            shuffle_seed: determines the batches.
            max_clips: number of clips to use; None for all.
        """
        if hosts.is_chief():
            self._measure(clips, batch_size, shuffle_seed, max_clips)
        for norm in self.norms:
            for average in (norm.moving_mean, norm.moving_variance):
                average.assign(hosts.from_chief(average.numpy()))

    def _measure(self, clips, batch_size, shuffle_seed, max_clips):
        if not self.norms:
            return
        count = min(len(clips), max_clips or len(clips))
        size = -(-count // -(-count // batch_size))
        collected: list[list] = [[] for _ in self.norms]
        left = count
        for batch in clips.batches(size, shuffle_seed):
            inputs = tf.nest.map_structure(lambda values, left=left: values[:left], batch['input'])
            steps.trace(self._moments, inputs, count, size)
            for found, calls in zip(collected, self._moments(inputs), strict=True):
                found += [[np.asarray(part, np.float64) for part in call] for call in calls]
            left -= min(left, len(batch['label']))
            if not left:
                break
        for norm, found in zip(self.norms, collected, strict=True):
            means, variances, counts = (np.stack(parts) for parts in zip(*found, strict=True))
            shares = (counts / counts.sum())[:, None]
            mean = np.sum(shares * means, axis=0)
            norm.moving_mean.assign(mean)
            norm.moving_variance.assign(
                np.sum(shares * (variances + np.square(means - mean)), axis=0)
            )


def make_join(model: keras.Model, devices: int) -> Callable[[], None]:
    """A function that replaces each device's moving averages by the mean over all devices.

    Each device's averages follow its own part of every batch, and nothing reads them during an
    epoch. They are linear in the statistics of the parts, so their mean after an epoch equals the
    moving average of the parts' mean statistics.

    Args:
        model: the network that is trained, built within `hardware.building`.
        devices: number of devices that share a batch; with one, the function does nothing.
    """
    if devices == 1:
        return lambda: None
    averages = [
        variable
        for norm in normalisations(model)
        if norm.trainable
        for variable in (norm.moving_mean, norm.moving_variance)
    ]
    if not averages:
        return lambda: None

    def join():
        # Copies are placed on the device; a variable's value itself has no device to reduce to.
        own = [tf.identity(variable.value) for variable in averages]
        means = tf.distribute.get_replica_context().all_reduce('MEAN', own)
        for variable, mean in zip(averages, means, strict=True):
            variable.assign(mean)

    @tf.function(autograph=False)
    def join_all():
        hardware.strategy(devices).run(join)

    return join_all


def normalisations(model: keras.Model) -> list[layers.BatchNormalization]:
    """The batch normalisation layers of a network, including nested networks, each once."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= {id(norm): norm for norm in normalisations(layer)}
        elif isinstance(layer, layers.BatchNormalization):
            found[id(layer)] = layer
    return list(found.values())
