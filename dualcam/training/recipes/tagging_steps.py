"""Training steps for several labels per clip: alone, from a frozen teacher, or mutual (AAAI 2021).

A teacher uses sound and frames, a student only sound; see `models/cnn8.py`. `MutualStep` trains
both at once, each on the labels, the other's predictions, and the other's features: h^a of both
(single-modal transfer), and the teacher's h^v and the student's estimate of it (cross-modal
transfer). The rows of the paper's Table 3, as interpreted here:

    standard backpropagation  TaggingStep(tagging_audio)
    knowledge distillation    TaughtStep(tagging_audio, Transfer(1, 0, 0)); as Hinton et al.,
                              labels and teacher with equal weights
    enhanced feature          TaughtStep(tagging_audio, Transfer(1, 0, 0, hard=0)); as Watanabe et
                              al., the teacher learned from the enhanced features, sound and
                              frames, and the student learns from its soft targets only
    FitNets                   FitNetsStep(tagging_audio): as Romero et al., first a hint, then
                              distillation; a fully connected regressor maps the student's h^a to
                              the hint, the teacher's h^a and h^v together
    deep mutual learning      MutualStep(tagging_teacher, tagging_audio, Transfer(1, 0, 0)); as
                              Zhang et al., predictions only
    proposed student          MutualStep(tagging_teacher, tagging_student)

For Table 2: the last one with `Transfer(single_modal=0)` and `Transfer(cross_modal=0)`, and for
"without mutual learning" TaughtStep(tagging_student), whose teacher was trained first and is
frozen. A batch has 'input', a dictionary with the inputs of both networks, and 'label' [batch,
classes], 0 or 1; the logits returned to the loop are the student's, and their mean average
precision selects the epoch.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam import losses, models
from dualcam.data import pipelines
from dualcam.data.clips import clip_sets
from dualcam.evaluation import tagging_scores
from dualcam.files import progress_bars
from dualcam.models import cnn8
from dualcam.training import steps

_TAUGHT = 'teacher_'  # prefix of a teacher's outputs in a batch


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Weights of the transfer from a peer, besides the labels.

    Attributes:
        soft: lambda, of the cross-entropy with the peer's probabilities.
        single_modal: gamma, of the distance between both h^a.
        cross_modal: omega, of the distance between h^v and the student's estimate of it.
        hard: of the cross-entropy with the labels; the paper's own losses have 1.
    """

    soft: float = 1.0
    single_modal: float = 1.0
    cross_modal: float = 1.0
    hard: float = 1.0

    def __post_init__(self):
        weights = dataclasses.astuple(self)
        if min(weights) < 0.0 or max(weights) == 0.0:
            raise ValueError(f'{self}: expected weights of 0 or more, one of them above 0')


class TaggingStep(steps.Step):
    """Trains a network on labels."""

    measure = 'mAP'

    def __init__(self, model: keras.Model):
        super().__init__(model, models.trained_variables(model), [], 0.0)
        self._network = cnn8.with_features(model)

    @staticmethod
    def score(labels: np.ndarray, logits: np.ndarray) -> float:
        """Mean average precision."""
        return tagging_scores.mean_average_precision(labels, logits)

    def losses(self, batch: Mapping, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named scalars, including 'total', and the logits [batch, classes]."""
        own = _outputs(self._network, batch, training)
        return self.add_penalty(
            {'hard': losses.binary_cross_entropy(batch['label'], own['logits'])}
        ), own['logits']


class TaughtStep(TaggingStep):
    """Trains a network with a frozen teacher, and with labels unless their weight is 0.

    With `TaughtClips`, the teacher's outputs are in the batches. If clips are cut differently in
    every epoch, the teacher runs in every step.

    Args:
        model: the network to train.
        teacher: a trained network.
        transfer: a `Transfer`.

    Raises:
        ValueError: a feature to compare is missing or has another size.
    """

    def __init__(self, model: keras.Model, teacher: keras.Model, transfer: Transfer = Transfer()):
        super().__init__(model)
        _check_pair(teacher, model, transfer)
        self._teacher, self._transfer = cnn8.with_features(teacher), transfer

    def losses(self, batch: Mapping, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named scalars, including 'total', and the logits [batch, classes]."""
        own = _outputs(self._network, batch, training)
        taught = {
            name.removeprefix(_TAUGHT): batch[name] for name in batch if name.startswith(_TAUGHT)
        }
        if not taught:
            taught = _outputs(self._teacher, batch, training=False)
        parts = _parts(batch['label'], own, taught, self._transfer)
        return self.add_penalty(self._weighted(parts, own, taught)), own['logits']

    def _weighted(self, parts, own, taught):
        del own, taught
        return parts


class FitNetsStep(TaughtStep):
    """Trains on the teacher's h^a and h^v first, then on labels and predictions only.

    Args:
        model, teacher: as for `TaughtStep`; the teacher uses frames.
        regressor: from `cnn8.build_regressor`, from the student's h^a to the teacher's h^a and
            h^v; it is trained too, in the first stage, and is not part of the student.
        hint_epochs: epochs of the first stage, in which the last layer is not trained.

    Raises:
        ValueError: the hint has another size than the regressor's, or there is no first stage.
    """

    def __init__(
        self, model: keras.Model, teacher: keras.Model, regressor: keras.Model, hint_epochs: int
    ):
        super().__init__(model, teacher, Transfer(single_modal=0.0, cross_modal=0.0))
        hint = _size(teacher, cnn8.AUDIO) + _size(teacher, cnn8.VISUAL)
        if not _size(teacher, cnn8.VISUAL) or hint != regressor.output_shape[-1]:
            raise ValueError(
                f'the hint of {teacher.name} has {hint} values, the regressor of {model.name} '
                f'{regressor.output_shape[-1]}: take a tagging_teacher with the same sound and '
                'width'
            )
        if hint_epochs < 1:
            raise ValueError(f'hint_epochs {hint_epochs}: expected 1 or more')
        self.model = guided(model, regressor)
        self.variables = [*self.variables, *regressor.trainable_variables]
        self._regressor = regressor
        self._hint_epochs = hint_epochs
        self._hinted = tf.Variable(1.0, trainable=False)

    def start_epoch(self, epoch: int) -> None:
        """Sets the stage."""
        self._hinted.assign(float(epoch < self._hint_epochs))

    def _weighted(self, parts, own, taught):
        guess = steps.outputs(self._regressor, own[cnn8.AUDIO], training=True)
        hint = tf.concat([taught[cnn8.AUDIO], taught[cnn8.VISUAL]], axis=-1)
        later = {name: part * (1.0 - self._hinted) for name, part in parts.items()}
        return {'hint': losses.feature_distance(hint, guess) * self._hinted, **later}


class MutualStep(steps.Step):
    """Trains teacher and student together; one optimizer step updates both.

    No loss term of one network has a gradient in the other. With all weights zero, each network
    trains independently.

    Args:
        teacher, student: from `models.build`; both are trained.
        student_transfer: a `Transfer` from teacher to student.
        teacher_transfer: a `Transfer` from student to teacher; default the student's.

    Raises:
        ValueError: their classes differ, or a feature to compare is missing or has another size.
    """

    measure = 'mAP'
    score = staticmethod(TaggingStep.score)

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        student_transfer: Transfer = Transfer(),
        teacher_transfer: Transfer | None = None,
    ):
        self._transfers = {
            'student': student_transfer,
            'teacher': teacher_transfer or student_transfer,
        }
        for transfer in self._transfers.values():
            _check_pair(teacher, student, transfer)
        super().__init__(
            joint(teacher, student),
            [*models.trained_variables(student), *models.trained_variables(teacher)],
            [],
            0.0,
        )
        self._networks = {
            'student': cnn8.with_features(student),
            'teacher': cnn8.with_features(teacher),
        }

    def losses(self, batch: Mapping, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named scalars and the student's logits [batch, classes].

        Returns:
            ({'total': of both, and those of 'student_hard', 'student_soft',
            'student_single_modal', 'student_cross_modal', 'teacher_hard' ... whose weights are
            not zero}, logits).
        """
        outputs = {
            role: _outputs(network, batch, training) for role, network in self._networks.items()
        }
        parts: dict[str, tf.Tensor] = {}
        for role, peer in (('student', 'teacher'), ('teacher', 'student')):
            own = _parts(batch['label'], outputs[role], outputs[peer], self._transfers[role])
            parts |= {f'{role}_{name}': part for name, part in own.items()}
        return self.add_penalty(parts), outputs['student']['logits']


class TaughtClips:
    """Clips with a frozen teacher's outputs, which are computed once, before the first epoch.

    Args:
        clips: with the same sound and frames of each clip in every epoch.
        teacher: a trained tagging network.
        batch_size: clips per call of the teacher.
    """

    def __init__(self, clips: clip_sets.Clips, teacher: keras.Model, batch_size: int = 32):
        self._clips = clips
        network = cnn8.with_features(teacher)
        bar = progress_bars.bar(
            clips.batches(batch_size),
            desc='predictions of the teacher',
            unit='batch',
            total=-(-len(clips) // batch_size),
        )
        outputs = [
            network.predict_on_batch(models.inputs_of(network, batch['input'])) for batch in bar
        ]
        self.columns = clips.columns | {
            f'{_TAUGHT}{name}': np.concatenate([part[name] for part in outputs])
            for name in outputs[0]
        }

    def __len__(self) -> int:
        return len(self._clips)

    def batches(self, batch_size: int, shuffle_seed: Any = None) -> tf.data.Dataset:
        """The clips' batches, with 'teacher_logits', 'teacher_audio_feature' and so on."""
        taught = {
            name: tf.constant(values)
            for name, values in self.columns.items()
            if name.startswith(_TAUGHT)
        }
        return self._clips.batches(batch_size, shuffle_seed).map(
            pipelines.plain(
                lambda batch: (
                    batch
                    | {name: tf.gather(values, batch['clip']) for name, values in taught.items()}
                )
            )
        )

    def records(self, number: int) -> list[str]:
        """See the clips."""
        return self._clips.records(number)

    def waveform(self, number: int) -> np.ndarray | None:
        """See the clips."""
        return self._clips.waveform(number)

    def picture(self, number: int, size: tuple[int, int]) -> np.ndarray | None:
        """See the clips."""
        return self._clips.picture(number, size)


def guided(student: keras.Model, regressor: keras.Model) -> keras.Model:
    """A student and the regressor of its h^a as one model, for checkpoints.

    Returns:
        A Keras model to {'logits' [batch, classes], 'hint' [batch, features]}; it shares their
        weights.
    """
    hint = regressor(student.get_layer(cnn8.AUDIO).output)
    return keras.Model(student.input, {'logits': student.output, 'hint': hint}, name='guided')


def joint(teacher: keras.Model, student: keras.Model) -> keras.Model:
    """Two networks as one model, for checkpoints.

    Returns:
        A Keras model to {'teacher', 'student'}, logits [batch, classes]; it shares their weights.

    Raises:
        ValueError: their classes differ.
    """
    if teacher.output_shape != student.output_shape:
        raise ValueError(
            f'{teacher.name} gives {teacher.output_shape}, {student.name} gives '
            f'{student.output_shape}: expected the same classes'
        )
    inputs = {
        name: keras.Input(tensor.shape[1:], name=name)
        for name, tensor in (teacher.input | student.input).items()
    }
    # By role, since peers may be of the same kind.
    networks = {
        role: keras.Model(network.input, network.output, name=role)
        for role, network in (('teacher', teacher), ('student', student))
    }
    return keras.Model(
        inputs,
        {role: network(models.inputs_of(network, inputs)) for role, network in networks.items()},
        name='mutual',
    )


def _outputs(network, batch, training):
    return steps.outputs(network, models.inputs_of(network, batch['input']), training)


def _parts(labels, own, peer, transfer):
    """The weighted terms of one network, without those of weight 0."""
    parts = {}
    if transfer.hard:
        parts['hard'] = transfer.hard * losses.binary_cross_entropy(labels, own['logits'])
    if transfer.soft:
        parts['soft'] = transfer.soft * losses.soft_binary_cross_entropy(
            peer['logits'], own['logits']
        )
    if transfer.single_modal:
        parts['single_modal'] = transfer.single_modal * losses.feature_distance(
            peer[cnn8.AUDIO], own[cnn8.AUDIO]
        )
    if transfer.cross_modal:
        parts['cross_modal'] = transfer.cross_modal * losses.feature_distance(
            _visual(peer), _visual(own)
        )
    return parts


def _visual(outputs):
    """h^v of a network with frames, or the estimate of it by one without."""
    return outputs[cnn8.VISUAL if cnn8.VISUAL in outputs else cnn8.CROSS]


def _check_pair(teacher, student, transfer):
    """Raises a `ValueError` for features to compare that do not match."""
    for weight, there, here in (
        (transfer.single_modal, cnn8.AUDIO, cnn8.AUDIO),
        (transfer.cross_modal, cnn8.VISUAL, cnn8.CROSS),
    ):
        sizes = _size(teacher, there), _size(student, here)
        if weight and not sizes[0] == sizes[1] > 0:
            raise ValueError(
                f'{there} of {teacher.name} has {sizes[0]} values, {here} of {student.name} has '
                f'{sizes[1]}: to transfer it, take a tagging_teacher and a tagging_student with '
                'the same sound and width; or set its weight to 0'
            )


def _size(network, name):
    """Number of values of a feature; 0 if a network has none of that name."""
    return sum(layer.output.shape[-1] for layer in network.layers if layer.name == name)
