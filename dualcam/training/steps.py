"""What a regime of training tells the loop: `loop.fit` takes any step of this kind."""

import tensorflow as tf

from dualcam import losses
from dualcam.evaluation import metrics


class Step:
    """One way to learn from a batch.

    A step also has `losses(batch, training)`, which returns named scalars, 'total' among them,
    and logits [batch, classes]. Where clips have no class to be told, the logits are None; a
    scalar 'accuracy' is then one of the curves, if it is there.

    Attributes:
        model: the network that learns.
        variables: what is trained.
        compares: whether the clips of a batch are set against each other. Validation clips are
            then mixed, once for all epochs.
        measure: name of the curve that tells good epochs from bad ones, see `score`.
    """

    compares = False
    measure = 'accuracy'

    def __init__(self, model, variables, kernels, weight_decay):
        self.model, self.variables = model, variables
        self._kernels, self._weight_decay = kernels, weight_decay

    @staticmethod
    def score(labels, logits):
        """The `measure` of the validation clips: the larger, the better.

        Args:
            labels: [clips], or [clips, classes] where a clip has several.
            logits: [clips, classes].
        """
        return metrics.accuracy(labels, logits)

    def start_epoch(self, epoch):
        """Called before each epoch with its number, from 0, also when a run goes on."""

    def usable(self, batch):
        """Whether there is something to learn from a batch; others are left out."""
        del batch
        return True

    def add_penalty(self, parts):
        """`parts` with the L2 penalty, where there is one, and their 'total'."""
        if self._kernels and self._weight_decay:
            parts = parts | {'l2': losses.l2_penalty(self._kernels, self._weight_decay)}
        return parts | {'total': tf.add_n(list(parts.values()))}


def answers(network, inputs, training):
    """What a network says, in float32 whatever it computes in: a tensor, or a dictionary."""
    return tf.nest.map_structure(
        lambda values: tf.cast(values, tf.float32), network(inputs, training=training)
    )
