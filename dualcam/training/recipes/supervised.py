"""Learning from labels."""

from dualcam import losses, models
from dualcam.training import steps


class SupervisedStep(steps.Step):
    """A network follows the labels (WACV 2020, section 4.3, columns G and Table 1)."""

    def __init__(self, model, weight_decay=5e-4):
        super().__init__(
            model, models.trained_variables(model), models.regularized_kernels(model), weight_decay
        )

    def losses(self, batch, training):
        """Named scalars, 'total' among them, and the logits [batch, classes]."""
        logits = steps.answers(self.model, batch['input'], training)
        if 'other_label' in batch:
            hard = losses.mixed_cross_entropy(
                batch['label'], batch['other_label'], batch['other_share'], logits
            )
        else:
            hard = losses.cross_entropy(batch['label'], logits)
        return self.add_penalty({'hard': hard}), logits
