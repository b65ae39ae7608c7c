"""The interface of training steps for `loop.fit`."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam import losses
from dualcam.evaluation import metrics


class Step:
    """A training step: losses and predictions for a batch.

    Attributes:
        model: the network to train.
        variables: the trained variables.
        compares: whether the loss compares the clips of a batch with each other. Validation clips
            are then shuffled, in the same order in all epochs.
        measure: name of the curve by which epochs are ranked, see `score`.
    """

    compares = False
    measure = 'accuracy'

    def __init__(
        self,
        model: keras.Model,
        variables: list[keras.Variable],
        kernels: list[keras.Variable],
        weight_decay: float,
    ):
        self.model, self.variables = model, variables
        self._kernels, self._weight_decay = kernels, weight_decay

    def losses(
        self, batch: Mapping, training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """Losses and predictions.

        Returns:
            (named scalars, including 'total'; logits [batch, classes], or None if no classes are
            predicted; in that case a scalar 'accuracy', if present, becomes a curve).
        """
        raise NotImplementedError

    @staticmethod
    def score(labels: np.ndarray, logits: np.ndarray) -> float:
        """The `measure` of the validation clips; larger is better.

        Args:
            labels: [clips], or [clips, classes] if a clip has several.
            logits: [clips, classes].
        """
        return metrics.accuracy(labels, logits)

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch with its number, from 0, also when a run resumes."""

    def usable(self, batch: Mapping) -> bool:
        """Whether a batch is usable for training; others are skipped."""
        del batch
        return True

    def add_penalty(self, parts: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`parts` with the L2 penalty, if any, and their 'total'."""
        if self._kernels and self._weight_decay:
            parts = parts | {'l2': losses.l2_penalty(self._kernels, self._weight_decay)}
        return parts | {'total': tf.reduce_sum(list(parts.values()))}


def outputs(network: keras.Model, inputs: Any, training: bool) -> tf.Tensor | dict[str, tf.Tensor]:
    """A network's outputs in float32, whatever its precision: a tensor, or a dictionary."""
    return tf.nest.map_structure(
        lambda values: tf.cast(values, tf.float32), network(inputs, training=training)
    )


def trace(function: Any, batch: Any, num_clips: int, batch_size: int) -> None:
    """Traces a function for batches of any size if the last batch is smaller than the others.

    Otherwise it would be traced twice, which takes longer than a small network's epoch. Nothing is
    done once the function has been traced.

    Args:
        function: a `tf.function` of a batch.
        batch: nested tensors whose first axis is the clips.
        num_clips, batch_size: clips of an epoch, and of all but the last batch.
    """
    is_same_size = num_clips <= batch_size or num_clips % batch_size == 0
    if is_same_size or function.experimental_get_tracing_count():
        return
    function.get_concrete_function(
        tf.nest.map_structure(
            lambda values: tf.TensorSpec([None, *values.shape[1:]], values.dtype), batch
        )
    )
