"""Learning from labels."""

import tensorflow as tf

from dualcam import losses, models


class SupervisedStep:
    """A network follows the labels (WACV 2020, section 4.3, columns G and Table 1).

    Attributes:
        model: the network that learns.
        variables: what is trained.
    """

    def __init__(self, model, weight_decay=5e-4):
        self.model = model
        self.variables = models.trained_variables(model)
        self._weight_decay = weight_decay
        self._kernels = models.regularized_kernels(model)

    def losses(self, batch, training):
        """Named scalars, 'total' among them, and the logits [batch, classes]."""
        logits = self.model(batch['input'], training=training)
        if 'other_label' in batch:
            hard = losses.mixed_cross_entropy(batch['label'], batch['other_label'],
                                              batch['other_share'], logits)
        else:
            hard = losses.cross_entropy(batch['label'], logits)
        return self.add_penalty({'hard': hard}), logits

    def add_penalty(self, parts):
        """`parts` with the L2 penalty, where there is one, and their 'total'."""
        if self._kernels and self._weight_decay:
            parts = parts | {'l2': losses.l2_penalty(self._kernels, self._weight_decay)}
        return parts | {'total': tf.add_n(list(parts.values()))}
