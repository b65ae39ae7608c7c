"""Learning from labels and a frozen teacher, which is evaluated once per record.

DualCamNet's temporal convolution covers a single record, so a record's logits do not depend on its
clip: their mean over a clip's records equals the teacher's logits for the clip. This is exact, and
a step costs no more than the student's.
"""

import pathlib
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from dualcam import losses
from dualcam.data.clips import clip_sets
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from dualcam.training import predictions, steps
from dualcam.training.recipes import supervised
from dualcam.training.recipes.recipe import NETWORK


class DistillationStep(supervised.SupervisedStep):
    """Trains a student on labels and a teacher's softened predictions (WACV 2020's distillation).

    Args:
        model: the student.
        imitation: lambda, the teacher's weight.
        temperature: T, which softens the teacher's predictions.
        weight_decay: of the student's own L2 terms.
    """

    def __init__(
        self,
        model: keras.Model,
        imitation: float = 0.5,
        temperature: float = 1.0,
        weight_decay: float = 5e-4,
    ):
        if not 0.0 <= imitation <= 1.0 or temperature <= 0.0:
            raise ValueError(
                f'imitation {imitation}, temperature {temperature}: expected 0 - 1 and above 0'
            )
        super().__init__(model, weight_decay)
        self._imitation, self._temperature = imitation, temperature

    def losses(self, batch: Mapping, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named scalars, including 'total', and the student's logits [batch, classes]."""
        logits = steps.outputs(self.model, batch['input'], training)
        hard, soft = losses.distillation_terms(
            batch['label'], logits, batch['teacher_logits'], self._imitation, self._temperature
        )
        return self.add_penalty({'hard': hard, 'soft': soft}), logits


class DistillationRecipe(supervised.SupervisedRecipe):
    """Trains a student with labels and a teacher.

    Its data are a `RunData`; the teacher is given as its logits for every record of the store,
    [records, classes], see `record_predictions`.
    """

    kind = 'distillation'

    def check(self, params: supervised.RunParams, teacher: np.ndarray | None) -> None:
        """Raises a `ValueError` unless logits, imitation and temperature are given together."""
        if teacher is None or None in (params.imitation, params.temperature):
            raise ValueError(
                f'imitation {params.imitation}, temperature {params.temperature}, '
                f"{'without' if teacher is None else 'with'} a teacher's logits: expected all three"
            )

    def step(
        self,
        params: supervised.RunParams,
        networks: dict[str, keras.Model],
        teacher: np.ndarray | None,
    ) -> steps.Step:
        """A `DistillationStep`; the logits are in the batches."""
        del teacher
        assert params.imitation is not None and params.temperature is not None, 'as `check` says'
        return DistillationStep(
            networks[NETWORK], params.imitation, params.temperature, params.weight_decay
        )


DISTILLATION = DistillationRecipe()


def record_predictions(
    teacher: keras.Model, seconds: clip_sets.Clips, path: AnyPath, batch_size: int = 32
) -> np.ndarray:
    """The teacher's logits for every record of a store, computed once and cached.

    Args:
        teacher: a network on clips of one second.
        seconds: `clip_sets.Clips` of every record, see `run_data.second_clips`.
        path: of the .npy file that caches them.
        batch_size: records per call of the teacher.

    Returns:
        [records, classes] float32.
    """
    path = pathlib.Path(path)
    if path.exists():
        return np.load(path)
    logits = predictions.predict(teacher, seconds, batch_size, 'predictions of the teacher')
    with atomic.writing_file(path) as partial, open(partial, 'wb') as file:
        np.save(file, logits)
    return logits
