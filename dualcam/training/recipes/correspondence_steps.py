"""Steps that learn without labels, from sound and video together (ECCV 2020: pretext, transfer).

A network on sound and one on video are trained together: `CorrespondenceStep` with triplets of
clips, `TransferStep` also with a trained DualCamNet's features, and `L3Step`, the baseline of
Arandjelovic and Zisserman (2017), by classifying pairs as true or false. A batch has 'input' (a
dictionary of the sound-side input and 'frames'), 'label' and 'video', the video's number.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from dualcam import losses, models
from dualcam.losses import triplet
from dualcam.training import steps

FRAMES = 'frames'
MARGIN = 0.2
ALL_EPOCHS = 4  # in which all triplets count; afterwards the hardest of each anchor


def pair(audio_model: keras.Model, video_model: keras.Model) -> keras.Model:
    """Two networks as one that takes a clip's sound and frames.

    Args:
        audio_model: from sound to a map [batch, rows, cols, channels] or a vector [batch,
            channels]; its input's name becomes the key, 'acoustic' or 'spectrogram'.
        video_model: from frames to a map [batch, rows, cols, channels].

    Returns:
        A `keras.Model` from {<sound-side input>, 'frames'} to {'audio', 'video'}. It shares its
        weights with the two networks, which are its layers.

    Raises:
        ValueError: the shapes of the outputs do not match.
    """
    sound, picture = audio_model.output_shape, video_model.output_shape
    if len(picture) != 4 or tuple(sound[1:]) not in (picture[1:], picture[3:]):
        raise ValueError(
            f'{audio_model.name} gives {sound[1:]}, {video_model.name} gives '
            f'{picture[1:]}: expected two maps [rows, cols, channels] of one shape, '
            'or a vector of as many channels and a map; see models.build_map'
        )
    inputs = {
        name: keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype, name=name)
        for name, model in ((audio_model.inputs[0].name, audio_model), (FRAMES, video_model))
    }
    name = audio_model.inputs[0].name
    return keras.Model(
        inputs,
        {'audio': audio_model(inputs[name]), 'video': video_model(inputs[FRAMES])},
        name='correspondence',
    )


class _ComparedStep(steps.Step):
    """A step that compares the clips of a batch, which must be from at least two videos."""

    compares = True

    def __init__(self, model, weight_decay):
        super().__init__(model, model.trainable_variables, _kernels(model), weight_decay)

    def usable(self, batch):
        """Whether a batch has clips of more than one video."""
        clips = np.stack([batch['label'].numpy(), batch['video'].numpy()])
        return bool((clips != clips[:, :1]).any())


class CorrespondenceStep(_ComparedStep):
    """Pulls sounds close to audio-visual features of their own video, by triplets.

    All active triplets count in the first epochs, then the hardest of each anchor. Validation
    always uses the hardest, so that its epochs can be compared.

    Args:
        model: see `pair`.
        margin: of squared distances between unit-length features.
        weight_decay: of the two networks' L2 terms.
        all_epochs: the epochs in which all triplets count.
    """

    def __init__(
        self,
        model: keras.Model,
        margin: float = MARGIN,
        weight_decay: float = 5e-4,
        all_epochs: int = ALL_EPOCHS,
    ):
        super().__init__(model, weight_decay)
        self._margin, self._all_epochs = margin, all_epochs
        self._epoch = tf.Variable(0, trainable=False)

    def start_epoch(self, epoch: int) -> None:
        """Sets which triplets count."""
        self._epoch.assign(epoch)

    def losses(
        self, batch: Mapping, training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """Named scalars and no logits.

        Returns:
            ({'total', 'triplet', 'l2' (with a penalty), 'active': share of active triplets,
            'positive', 'negative': mean squared distances}, None).
        """
        outputs = steps.outputs(self.model, batch['input'], training)
        positive = triplet.same_video(batch['label'], batch['video'])
        distances = triplet.squared_distances(
            triplet.audio_features(outputs['audio']),
            triplet.audio_visual_features(outputs['audio'], outputs['video']),
        )
        loss, active = self._triplets(distances, positive, training)
        parts = self._parts(loss, outputs['audio'], batch, positive, training)
        return self.add_penalty(parts) | {
            'active': active,
            'positive': tf.reduce_mean(tf.boolean_mask(distances, positive)),
            'negative': tf.reduce_mean(tf.boolean_mask(distances, ~positive)),
        }, None

    def _parts(self, loss, audio, batch, positive, training):
        """The terms of the total, without the L2 terms."""
        del audio, batch, positive, training
        return {'triplet': loss}

    def _triplets(self, distances, positive, training):
        """The epoch's loss, and the share of active triplets."""
        everything, active = triplet.all_triplets(distances, positive, self._margin)
        hardest, _ = triplet.hardest_triplets(distances, positive, self._margin)
        early = training & (self._epoch < self._all_epochs)
        return tf.where(early, everything, hardest), active


class TransferStep(CorrespondenceStep):
    """`CorrespondenceStep` plus transfer from a DualCamNet to a network on one microphone's sound.

    The total is (1 - alpha) * the triplets of `CorrespondenceStep` + alpha * those of HearNet's
    embeddings, as anchors, and a trained DualCamNet's features of the batch's clips, which are in
    the batch as 'teacher_feature' [batch, channels], see `clip_features`. Both follow one schedule.

    Args:
        model: see `pair`; its sound-side output is a vector.
        alpha: weight of the transfer, 0 - 1.
        margin, weight_decay, all_epochs: as for `CorrespondenceStep`.
    """

    def __init__(
        self,
        model: keras.Model,
        alpha: float,
        margin: float = MARGIN,
        weight_decay: float = 5e-4,
        all_epochs: int = ALL_EPOCHS,
    ):
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f'alpha {alpha}: expected 0 - 1')
        shape = model.output['audio'].shape
        if len(shape) != 2:
            raise ValueError(
                f'sounds are maps {shape[1:]}: features are transferred to a network '
                'that outputs vectors, such as hearnet_eccv'
            )
        super().__init__(model, margin, weight_decay, all_epochs)
        self._alpha = alpha

    def _parts(self, loss, audio, batch, positive, training):
        # Without the ReLU, which is part of the product with video: the embedding is linear here.
        anchors = tf.math.l2_normalize(audio, axis=-1)
        distances = triplet.squared_distances(anchors, batch['teacher_feature'])
        transfer, _ = self._triplets(distances, positive, training)
        return {'triplet': (1.0 - self._alpha) * loss, 'transfer': self._alpha * transfer}


class L3Step(_ComparedStep):
    """Trains a network to predict whether sound and frames correspond: the L3-Net baseline.

    A batch has as many false pairs as true ones: each clip's frames are also paired with the sound
    of the next clip in the batch from another video. Batches are shuffled by seed and epoch, so it
    is a different clip in every epoch, and the same one when a run resumes.

    Args:
        model: from {<sound-side input>, 'frames'} to logits [batch, 2]; class 1: they correspond.
        weight_decay: of the L2 terms.
    """

    def __init__(self, model: keras.Model, weight_decay: float = 5e-4):
        super().__init__(model, weight_decay)
        (self._sound,) = set(model.input) - {FRAMES}

    def losses(
        self, batch: Mapping, training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """Named scalars, including the pairs' 'accuracy', and no logits."""
        sound, frames = batch['input'][self._sound], batch['input'][FRAMES]
        other = tf.gather(sound, other_videos(batch['label'], batch['video']))
        # One pass for both halves: batch normalisation must not give them away.
        logits = steps.outputs(
            self.model,
            {
                self._sound: tf.concat([sound, other], axis=0),
                FRAMES: tf.concat([frames, frames], axis=0),
            },
            training,
        )
        true = tf.ones(tf.shape(sound)[0], tf.int64)
        labels = tf.concat([true, tf.zeros_like(true)], axis=0)
        right = tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32)
        parts = self.add_penalty({'correspondence': losses.cross_entropy(labels, logits)})
        return parts | {'accuracy': tf.reduce_mean(right)}, None


def other_videos(labels: tf.Tensor, videos: tf.Tensor) -> tf.Tensor:
    """For each clip the next one, wrapping around, that is of another video.

    Args:
        labels, videos: [clips] integers, see `triplet.same_video`.

    Returns:
        [clips] numbers of clips.
    """
    count = tf.shape(labels)[0]
    clips = tf.range(count)
    distance = (clips - clips[:, None]) % count  # [clips, clips]
    return tf.argmin(tf.where(triplet.same_video(labels, videos), count, distance), axis=1)


def summed(map_model: keras.Model) -> keras.Model:
    """A map network with its map summed over space, for `distillation.record_predictions`.

    Returns:
        A `keras.Model` to [batch, channels].
    """
    return keras.Model(
        map_model.input,
        keras.ops.sum(map_model.output, axis=(1, 2)),
        name=f'{map_model.name}_summed',
    )


def clip_features(record_sums: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """The trained network's features of clips, from its outputs for single records.

    A clip's map is the mean of its records' maps. Mean and sum over space are linear, so the mean
    of the sums is the sum of the mean.

    Args:
        record_sums: [records, channels], the outputs of a `summed` network for every record.
        windows: [clips, seconds] rows of it.

    Returns:
        [clips, channels] float32 of unit length, for the column 'teacher_feature'.
    """
    return tf.math.l2_normalize(record_sums[windows].mean(axis=1), axis=-1).numpy()


def _kernels(model):
    """The kernels with an L2 penalty in a network, or in the networks that it consists of."""
    parts = [layer for layer in model.layers if isinstance(layer, keras.Model)] or [model]
    return [
        kernel
        for part in parts
        if part.name in models.NETWORKS
        for kernel in models.regularized_kernels(part)
    ]
