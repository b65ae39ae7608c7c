"""A run is a folder: what it was made with, checkpoints, curves, scores, an exported student.

run.json         parameters, seed, digests of the lists, versions, commit
checkpoints/     the latest state and the best weights, see `checkpoints.py`
tensorboard/     train and validation curves
stats/           statistics of the training set that the input is normalised with
examples/        a few validation clips with the answers to them
metrics.json     the curves and the chosen epoch; written last, so it says the run is done
saved_model/1/   the student, listening to a raw waveform
report.html      all of it to look at
.lock            locked by the process that trains the run
"""

import dataclasses
import pathlib

import keras
import numpy as np

from dualcam import models
from dualcam.data.clips import record_clips
from dualcam.data.signal import augmentation, frontends
from dualcam.evaluation import metrics
from dualcam.export import saved_models
from dualcam.models import resnet
from dualcam.reports import samples, tensorboards
from dualcam.training import hardware, loop, run_data, run_folder
from dualcam.training.recipes import distillation, supervised


@dataclasses.dataclass(frozen=True)
class RunParams:
    """All that decides the outcome of a run, next to its data.

    Attributes:
        network: name, see `models.build`.
        clips: how clips are cut.
        loop: how long and how fast.
        imitation, temperature: of the teacher; None without one.
        weight_decay: of the L2 terms.
        standardise: give acoustic images zero mean and unit deviation per cepstral channel,
            features of video likewise.
        options: further arguments of the network, as (name, value) pairs.
        backbone: names the weights that the features of video come from
            (`digest.of_weights`); None without video.
        batch_norm: 'frozen' keeps a ResNet's normalisation as it is, so that its features are
            worked out once; 'authors' feeds it batch statistics, which move its averages, as
            the authors' programs do while they train the logits, at a hundred times the cost.
        start: names the weights that layers start from (`RunData.start`); None draws all.
        normalisation: of a student's spectrograms, see `frontend.Frontend`.
        band_limited: whether a student's recordings have nothing above 6.1 kHz, likewise.
        augment: an `augmentation.Augmentation` of training clips, or None. For folders of sound.
        frontend_version: of the code that makes a student's input, `frontend.VERSION`.
    """

    network: str
    clips: record_clips.ClipParams
    loop: loop.LoopParams
    imitation: float | None = None
    temperature: float | None = None
    weight_decay: float = 5e-4
    standardise: bool = False
    options: tuple[tuple[str, object], ...] = ()
    backbone: str | None = None
    batch_norm: str = 'frozen'
    start: str | None = None
    normalisation: str = 'min_max'
    band_limited: bool = True
    augment: augmentation.Augmentation | None = None
    frontend_version: int = frontends.VERSION

    def __post_init__(self):
        if self.batch_norm not in ('frozen', 'authors'):
            raise ValueError(f'batch_norm {self.batch_norm!r}: expected frozen or authors')
        if self.network not in models.NAMES:
            raise ValueError(f'network {self.network!r}: expected one of {", ".join(models.NAMES)}')


def train(params, data, folder, teacher_logits=None, name='', profile=False):
    """Trains a network and fills the run's folder; goes on where a stopped run was.

    Args:
        params: a `RunParams`.
        data: an `inputs.RunData` or a `sound_data.SoundData`.
        folder: of the run; if it is complete, nothing is done.
        teacher_logits: [records of the store, classes], to learn from them too.
        name: for the progress bar.
        profile: see `loop.fit`.

    Returns:
        The trained model.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data.
        loop.NotFinite, loop.Stopped, OSError: see `loop.fit`.
    """
    folder = pathlib.Path(folder)
    with run_folder.claimed(folder, params, data) as trained:
        if trained:
            return load(folder)
        return _train(params, data, folder, teacher_logits, name, profile)


def _train(params, data, folder, teacher_logits, name, profile):
    keras.utils.set_random_seed(params.loop.seed)
    training, validation = data.clips(params, folder, teacher_logits)
    with hardware.building(params.loop):
        model = run_data.build(params, data.info.num_classes, folder)
        for layer, values in data.start.items():
            model.get_layer(layer).set_weights(values)
        if 'video' in run_data.kind_of(params):
            resnet.copy_weights(data.store.frame_features.network, model)
        if teacher_logits is None:
            step = supervised.SupervisedStep(model, params.weight_decay)
        else:
            step = distillation.DistillationStep(
                model, params.imitation, params.temperature, params.weight_decay
            )
        optimizer = loop.make_optimizer(params.loop, len(training))
    shown = samples.choose(validation)
    board = (
        tensorboards.Board(folder / 'tensorboard' / 'validation', data.info.classes, shown)
        if validation
        else None
    )
    history = loop.fit(
        step, training, validation, params.loop, folder, optimizer, name, board, profile
    )
    best = loop.chosen_epoch(history)
    model = hardware.settled(
        params.loop, model, lambda: run_data.build(params, data.info.num_classes, folder)
    )
    if models.network(params.network).input in ('waveform', 'spectrogram'):
        export_student(model, params, data.info, folder)
    if validation:
        _show(model, validation, data.info.classes, shown, board, folder)
    run_folder.complete(folder, history, best, training, validation)
    return model


def load(folder):
    """The trained model of a run's folder, with its best weights.

    Raises:
        ValueError: there is no such run.
    """
    folder = pathlib.Path(folder)
    params, classes = described(folder)
    model = run_data.build(params, len(classes), folder)
    run_folder.restore_best(folder, model)
    return model


def described(folder):
    """`RunParams` and class names of a run's folder.

    Raises:
        ValueError: there is no such run, or another version of dualcam made it.
    """
    return run_folder.read(folder, params_from_json)


def params_from_json(fields):
    """`RunParams` from what `run.json` holds."""
    return RunParams(
        **(
            fields
            | {
                'clips': record_clips.ClipParams(**fields['clips']),
                'loop': loop.LoopParams(**fields['loop']),
                'options': tuple((key, value) for key, value in fields['options']),
                'augment': fields.get('augment') and augmentation.Augmentation(**fields['augment']),
            }
        )
    )


def export_student(model, params, info, folder):
    """Exports a student to `saved_model/1` and compares the reloaded one with it."""
    ears = run_data.frontend(params, folder)
    saved_models.export(model, folder / 'saved_model' / '1', info, params.clips.sample_length, ears)
    saved_models.verify(model, folder / 'saved_model' / '1', params.clips.sample_length, ears)


def _show(model, validation, classes, shown, board, folder):
    """Answers to the validation clips, for the board, the report and whoever asks."""
    logits = loop.predict(model, validation)
    labels, answers = validation.columns['label'], np.argmax(logits, axis=-1)
    run_folder.write_json(
        folder / 'answers.json',
        {
            'accuracy': metrics.accuracy(labels, logits),
            'labels': labels.tolist(),
            'answers': answers.tolist(),
        },
    )
    samples.save(shown, logits, classes, folder / 'examples')
    if models.network(model.name).features not in [layer.name for layer in model.layers]:
        return  # a head on features that are its input
    part = keras.Model(model.input, model.get_layer(models.network(model.name).features).output)
    # Not traced: that would cost more than the few clips.
    features = np.concatenate(
        [part(batch['input'], training=False).numpy() for batch in validation.batches(32)]
    )
    columns = {
        'class': [classes[label] for label in labels],
        'answer': [classes[answer] for answer in answers],
    }
    columns |= {'scenario': validation.scenarios.tolist()}
    board.end(features.reshape(len(labels), -1, features.shape[-1]).mean(axis=1), columns)
