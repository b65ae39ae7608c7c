"""A run is a folder: what it was made with, checkpoints, curves, scores, an exported student.

    run.json         parameters, seed, digests of the lists, versions, commit
    checkpoints/     the latest state and the best weights
    tensorboard/     train and validation curves
    stats/           statistics of the training set that the input is normalised with
    metrics.json     the curves and the chosen epoch; written last, so it says the run is done
    saved_model/1/   the student, listening to a raw waveform
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf

from dualcam import export, models
from dualcam.data import augmentation, datasets, schema, stats
from dualcam.data import clips as clips_lib
from dualcam.data import frontend as frontend_lib
from dualcam.models import resnet
from dualcam.training import distillation, loop, supervised


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
    """
    network: str
    clips: clips_lib.ClipParams
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

    def __post_init__(self):
        if self.batch_norm not in ('frozen', 'authors'):
            raise ValueError(f'batch_norm {self.batch_norm!r}: expected frozen or authors')
        if self.network not in models.INPUTS:
            raise ValueError(f'network {self.network!r}: expected one of '
                             f'{", ".join(models.INPUTS)}')


@dataclasses.dataclass(frozen=True, eq=False)
class RunData:
    """What a run learns from.

    Attributes:
        store: holds all records.
        training, validation: record paths in their lists' order.
        info: the data set.
        start: {layer: its weights} that training starts from; the other layers are drawn.
    """
    store: object
    training: list[str]
    validation: list[str]
    info: datasets.DatasetInfo
    start: dict = dataclasses.field(default_factory=dict)

    def clips(self, params, folder, teacher_logits=None):
        """Training and validation clips; statistics they are normalised by land in the folder."""
        rows = clips_lib.sequence_rows(self.store, self.training, params.clips.total_length)
        valid_rows = clips_lib.sequence_rows(self.store, self.validation,
                                             params.clips.total_length)
        windows = (clips_lib.training_windows(rows, params.clips, params.loop.seed),
                   clips_lib.inference_windows(valid_rows, params.clips))
        _gather_stats(params, self.store, rows, windows[0], folder)
        made = []
        for chosen in windows:
            columns = {}
            if teacher_logits is not None:
                columns['teacher_logits'] = teacher_logits[chosen].mean(axis=1)
            made.append(_cut(params, self.store, chosen, folder, columns))
        return made

    def described(self):
        """What run.json says of it: digests of the records and the lists."""
        root = os.path.commonpath(self.store.paths)
        return {'records': self.store.digest, 'lists': {
            name: {'records': len(paths), 'sha256': hashlib.sha256('\n'.join(
                os.path.relpath(p, root) for p in paths).encode()).hexdigest()}
            for name, paths in (('training', self.training), ('validation', self.validation))}}


def train(params, data, folder, teacher_logits=None, name=''):
    """Trains a network and fills the run's folder; goes on where a stopped run was.

    Args:
        params: a `RunParams`.
        data: a `RunData`.
        folder: of the run; if it is complete, nothing is done.
        teacher_logits: [records of the store, classes], to learn from them too.
        name: for the progress bar.

    Returns:
        The trained model.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data.
        loop.NotFinite: the loss was not finite.
    """
    folder = pathlib.Path(folder)
    _claim(folder, params, data)
    if (folder / 'metrics.json').exists():
        return load(folder)
    keras.utils.set_random_seed(params.loop.seed)
    training, validation = data.clips(params, folder, teacher_logits)
    model = _build(params, data.info.num_classes, folder)
    for layer, values in data.start.items():
        model.get_layer(layer).set_weights(values)
    if 'video' in _kind(params):
        resnet.copy_weights(data.store.frame_features.network, model)
    if teacher_logits is None:
        step = supervised.SupervisedStep(model, params.weight_decay)
    else:
        step = distillation.DistillationStep(model, params.imitation, params.temperature,
                                             params.weight_decay)
    optimizer = loop.make_optimizer(params.loop, len(training))
    history = loop.fit(step, training, validation, params.loop, folder, optimizer, name)
    best = loop.chosen_epoch(history)
    if models.INPUTS[params.network] in ('waveform', 'spectrogram'):
        export_student(model, params, data.info, folder)
    write_json(folder / 'metrics.json', {
        'best_epoch': best, 'validation_accuracy': history[best].get('validation/accuracy'),
        'training_clips': len(training),
        'validation_clips': len(validation) if validation else 0, 'history': history})
    return model


def load(folder):
    """The trained model of a run's folder, with its best weights.

    Raises:
        ValueError: there is no such run.
    """
    folder = pathlib.Path(folder)
    params, classes = described(folder)
    model = _build(params, len(classes), folder)
    best = tf.train.latest_checkpoint(str(folder / 'checkpoints' / 'best'))
    if best is None:
        raise ValueError(f'{folder}: no checkpoint; the run has not finished an epoch')
    tf.train.Checkpoint(model=model).restore(best).expect_partial()
    return model


def described(folder):
    """`RunParams` and class names of a run's folder.

    Raises:
        ValueError: there is no such run.
    """
    try:
        saved = json.loads((pathlib.Path(folder) / 'run.json').read_text(encoding='utf-8'))
        return params_from_json(saved['params']), tuple(saved['classes'])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f'{folder}: not the folder of a run ({error!r})') from error


def test_clips(params, store, paths, folder):
    """Clips of a list as the run of this folder takes them, cut without overlap."""
    rows = clips_lib.sequence_rows(store, paths, params.clips.total_length)
    return _cut(params, store, clips_lib.inference_windows(rows, params.clips), folder)


def record_clips(params, store, folder):
    """Every record of a store as a clip of the run of this folder, a teacher of one second."""
    return _cut(params, store, np.arange(len(store.paths))[:, None], folder)


def asked_frames(params, store, training, others):
    """Which frames' features a run on video and its tests need.

    Args:
        params: a `RunParams`.
        store: holds the records.
        training: record paths of its training list.
        others: record paths of the lists that are cut without overlap.

    Returns:
        (rows of the store [n], numbers of frames [n]).
    """
    if 'features' not in _kind(params):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    second, frame = np.divmod(models.feature_frames(params.network, _options(params)),
                              schema.FRAMES_PER_SECOND)
    windows = [clips_lib.training_windows(
        clips_lib.sequence_rows(store, training, params.clips.total_length), params.clips,
        params.loop.seed)]
    for paths in others:
        rows = clips_lib.sequence_rows(store, paths, params.clips.total_length)
        windows.append(clips_lib.inference_windows(rows, params.clips))
    windows = np.concatenate(windows)
    return windows[:, second].reshape(-1), np.tile(frame, len(windows))


def params_from_json(fields):
    """`RunParams` from what `run.json` holds."""
    return RunParams(**(fields | {
        'clips': clips_lib.ClipParams(**fields['clips']),
        'loop': loop.LoopParams(**fields['loop']),
        'options': tuple((key, value) for key, value in fields['options']),
        'augment': fields.get('augment') and augmentation.Augmentation(**fields['augment'])}))


def write_json(path, value):
    """Writes JSON, whole or not at all."""
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(value, indent=1) + '\n', encoding='utf-8')
    os.replace(partial, path)


def export_student(model, params, info, folder):
    """Exports a student to `saved_model/1` and compares the reloaded one with it."""
    ears = frontend(params, folder)
    export.export(model, folder / 'saved_model' / '1', info, params.clips.sample_length, ears)
    export.verify(model, folder / 'saved_model' / '1', params.clips.sample_length, ears)


def frontend(params, folder):
    """The `frontend.Frontend` of a student's run, with the statistics in its folder."""
    kind, statistics = models.INPUTS[params.network], None
    if kind == 'spectrogram':
        names = {'min_max': ('min', 'max'), 'log': ('mean', 'std_dev')}[params.normalisation]
        statistics = stats.load(pathlib.Path(folder) / 'stats', *names)
    return frontend_lib.Frontend(kind, params.normalisation, statistics, params.band_limited)


def _cut(params, store, windows, folder, columns=None):
    """Windows of a store as clips of this run's network."""
    kind = _kind(params)
    frames = None
    if 'features' in kind or 'video' in kind:
        frames = models.feature_frames(params.network, _options(params))
    ears = frontend(params, folder) if kind in ('waveform', 'spectrogram') else None
    return clips_lib.Clips(store, windows, kind, ears, columns, frames)


def _gather_stats(params, store, rows, windows, folder):
    """Statistics of the training set that the input is normalised with, unless they are there."""
    kind = _kind(params)
    if kind == 'spectrogram' and not (folder / 'stats').exists():
        whole = clips_lib.inference_windows(rows, params.clips)
        plain = frontend_lib.Frontend(kind, params.normalisation)
        stats.save(folder / 'stats', stats.gather(
            clips_lib.Clips(store, whole, kind, plain).raw_batches()))
    if not params.standardise:
        return
    if 'acoustic' in kind and not (folder / 'stats').exists():
        acoustic = store.arrays['acoustic']
        stats.save(folder / 'stats', stats.gather(acoustic[row] for row in rows.reshape(-1)))
    if 'features' in kind and not (folder / 'stats_features').exists():
        frames = models.feature_frames(params.network, _options(params))
        stats.save(folder / 'stats_features', stats.gather(
            clips_lib.Clips(store, windows, 'features', frames=frames).raw_batches()))


def _build(params, num_classes, folder):
    kind, options = _kind(params), _options(params)
    if params.standardise and 'acoustic' in kind:
        names = 'mean', 'std_dev'
        options |= dict(zip(names, stats.load(folder / 'stats', *names), strict=True))
    if 'features' not in kind:
        return models.build(params.network, num_classes, **options)
    if params.standardise:
        mean, deviation = stats.load(folder / 'stats_features', 'mean', 'std_dev')
        # A feature that hardly moves in training would otherwise be blown up where it does.
        options['feature_stats'] = mean, np.maximum(deviation, 1e-3 * deviation.max())
    return models.build_head(params.network, num_classes, **options)


def _kind(params):
    """What clips are cut to for this run."""
    kind = models.CLIPS[params.network]
    return kind.replace('features', 'video') if params.batch_norm == 'authors' else kind


def _options(params):
    return dict(params.options) | {'seconds': params.clips.sample_length}


def _claim(folder, params, data):
    """Writes run.json, or refuses a folder that another run has."""
    made_with = {'params': dataclasses.asdict(params), 'classes': list(data.info.classes),
                 'origin': data.info.origin, **data.described()}
    made_with = json.loads(json.dumps(made_with))
    path = folder / 'run.json'
    if path.exists():
        before = json.loads(path.read_text(encoding='utf-8'))
        other = [key for key, value in made_with.items() if before.get(key) != value]
        if other:
            raise ValueError(f'{folder}: holds a run with other {", ".join(other)}; choose '
                             'another folder or delete it')
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, made_with | {
        'seed': params.loop.seed, 'commit': _commit(),
        'versions': {'python': platform.python_version(), 'tensorflow': tf.__version__,
                     'keras': keras.__version__, 'numpy': np.__version__}})


def _commit():
    """The commit of the checkout this runs from, or None."""
    try:
        return subprocess.run(['git', 'rev-parse', 'HEAD'], check=True, capture_output=True,
                              text=True, cwd=pathlib.Path(__file__).parent).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
