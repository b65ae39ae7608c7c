"""A run of a network that tags: alone, from a trained teacher, or with one (AAAI 2021).

Its folder is like that of `run.py`. Of a mutual run the checkpoints hold teacher and student, and
the student is what is exported; `events_validation.json` and `events_test.json` hold the scores.
What is learned, is in `mutual.py`.
"""

import dataclasses
import hashlib
import pathlib

import keras
import numpy as np
import scipy.special

from dualcam import models
from dualcam.data.clips import tagging_clips
from dualcam.data.signal import channel_statistics, logmel
from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores
from dualcam.export import saved_models
from dualcam.reports import figures, overlays, run_page, samples, tensorboards
from dualcam.training import hardware, loop, run_folder
from dualcam.training.recipes import mutual

METHODS = ('alone', 'taught', 'fitnets', 'mutual')
_TEACHER = 'tagging_teacher'


@dataclasses.dataclass(frozen=True)
class TaggingParams:
    """All that decides the outcome of such a run, next to its data.

    Attributes:
        network: what is judged and exported: one of `models.TAGGING_NAMES`.
        method: 'alone' follows the labels; 'taught' a trained teacher too; 'fitnets' likewise,
            after a hint; 'mutual' learns together with a teacher. See `mutual.py`.
        loop: how long and how fast; AAAI 2021 has Adam, batches of 32 and a rate of 1e-3.
        clip_s: seconds of a clip.
        sound: what the network, and a teacher beside it, hears; see `cnn8.SOUND_SIZES`.
        width: factor on the numbers of CNN8's filters.
        crop_s: whole seconds of each clip that a training step sees; None for all of them.
        transfer: a `mutual.Transfer`, of 'taught' and 'mutual' runs what the student takes.
        teacher_transfer: what the teacher of a mutual run takes; None for the same.
        hint_epochs: of FitNets' first stage.
        visual: what the features of frames are, in words; None where no frame is seen.
        visual_size: how many of them a frame has.
        frontend: a `logmel.LogMelParams`.
        frontend_version: of the code that makes the input, `logmel.VERSION`.
    """

    network: str
    method: str
    loop: loop.LoopParams
    clip_s: int
    sound: tuple[str, ...] = ('audio',)
    width: float = 1.0
    crop_s: int | None = None
    transfer: mutual.Transfer | None = None
    teacher_transfer: mutual.Transfer | None = None
    hint_epochs: int = 0
    visual: str | None = None
    visual_size: int | None = None
    frontend: logmel.LogMelParams = dataclasses.field(default_factory=logmel.LogMelParams)
    frontend_version: int = logmel.VERSION

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f'method {self.method!r}: expected one of {", ".join(METHODS)}')
        if self.network not in models.TAGGING_NAMES:
            raise ValueError(
                f'network {self.network!r}: expected one of {", ".join(models.TAGGING_NAMES)}'
            )
        if (self.transfer is not None) != (self.method in ('taught', 'mutual')):
            raise ValueError(
                f'method {self.method} with transfer {self.transfer}: taught and '
                'mutual runs have one'
            )
        if self.sees and not self.visual_size:
            raise ValueError(
                f'{self.network}, {self.method}: sees frames; expected visual and visual_size'
            )

    @property
    def sees(self):
        """Whether this network, or what teaches it, takes features of frames."""
        return self.method != 'alone' or self.network in (_TEACHER, 'tagging_visual')


@dataclasses.dataclass(frozen=True, eq=False)
class TaggingData:
    """What a run learns from.

    Attributes:
        store: a `tagging_store.TaggingStore`.
        training, validation: [n] rows of it.
        features: {'visual': ..., 'soundnet': ..., 'vggish': ...}, as far as they are there: arrays
            [store's clips, steps, features].
        info: the data set.
    """

    store: object
    training: np.ndarray
    validation: np.ndarray
    features: dict
    info: datasets.DatasetInfo

    def cut(self, params, rows, folder, crop_s=None):
        """Clips of a run, normalised by the statistics in its folder.

        Args:
            params: a `TaggingParams`.
            rows: [n] of the store.
            folder: of the run.
            crop_s: see `TaggingParams`.

        Returns:
            `tagging_clips.TaggingClips`.

        Raises:
            ValueError: features that the run takes are not there.
        """
        wanted = [name for name in params.sound if name != 'audio']
        wanted += ['visual'] if params.sees else []
        missing = sorted(set(wanted) - set(self.features))
        if missing:
            raise ValueError(
                f'{params.network} takes {", ".join(missing)}, which the data lack; '
                f'they have {", ".join(self.features) or "sound alone"}'
            )
        return tagging_clips.TaggingClips(
            self.store,
            rows,
            frontend(params, folder),
            {name: self.features[name] for name in wanted},
            crop_s,
        )

    def described(self):
        """What run.json says of it."""
        return {
            'clips': self.store.digest,
            'lists': {
                name: {
                    'clips': len(rows),
                    'sha256': hashlib.sha256(np.asarray(rows, '<i8').tobytes()).hexdigest(),
                }
                for name, rows in (('training', self.training), ('validation', self.validation))
            },
        }


def train(params, data, folder, teacher=None, name='', profile=False):
    """Trains and fills the run's folder; goes on where a stopped run was.

    Args:
        params: a `TaggingParams`.
        data: a `TaggingData`.
        folder: of the run; if it is complete, nothing is done.
        teacher: the trained network that a 'taught' or 'fitnets' run follows.
        name: for the progress bar.
        profile: see `loop.fit`.

    Returns:
        The trained network; of a mutual run the student.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data;
            a teacher is missing, or not wanted.
        loop.NotFinite, loop.Stopped, OSError: see `loop.fit`.
    """
    folder = pathlib.Path(folder)
    if (teacher is not None) != (params.method in ('taught', 'fitnets')):
        raise ValueError(
            f'method {params.method}: '
            + ('expected no teacher' if teacher else 'expected a trained teacher')
        )
    with run_folder.claimed(folder, params, data) as trained:
        if trained:
            return load(folder)
        return _train(params, data, folder, teacher, name, profile)


def _train(params, data, folder, teacher, name, profile):
    keras.utils.set_random_seed(params.loop.seed)
    if not (folder / 'stats').exists():
        whole = tagging_clips.TaggingClips(
            data.store, data.training, logmel.LogMelFrontend(params.frontend), memory_bytes=0
        )
        channel_statistics.save(folder / 'stats', channel_statistics.gather(whole.raw_batches()))
    training = data.cut(params, data.training, folder, params.crop_s)
    validation = data.cut(params, data.validation, folder)
    with hardware.building(params.loop):
        networks = _build(params, data.info.num_classes)
        step = _step(params, networks, teacher)
        optimizer = loop.make_optimizer(params.loop, len(training))
    learned, judged = training, validation
    if teacher is not None:
        judged = mutual.TaughtClips(validation, teacher)
        if params.crop_s is None:
            learned = mutual.TaughtClips(training, teacher)
    shown = samples.choose_tagged(validation)
    board = tensorboards.TaggingBoard(
        folder / 'tensorboard' / 'validation', data.info.classes, shown
    )
    history = loop.fit(step, learned, judged, params.loop, folder, optimizer, name, board, profile)
    best = loop.chosen_epoch(history, measure=step.measure)
    network = hardware.settled(
        params.loop, networks['student'], lambda: _build(params, data.info.num_classes)['student']
    )
    if listens(params):
        ears = frontend(params, folder)
        saved_models.export(network, folder / 'saved_model' / '1', data.info, params.clip_s, ears)
        saved_models.verify(network, folder / 'saved_model' / '1', params.clip_s, ears)
    _show(network, validation, data.info.classes, shown, board, folder)
    run_folder.complete(folder, history, best, training, validation)
    return network


def load(folder):
    """The trained network of a run's folder, of a mutual run the student; see `load_networks`."""
    return load_networks(folder)['student']


def load_networks(folder):
    """The trained networks of a run's folder.

    Returns:
        {'student': a Keras model, and of a mutual run 'teacher'}.

    Raises:
        ValueError: there is no such run.
    """
    folder = pathlib.Path(folder)
    params, classes = described(folder)
    networks = _build(params, len(classes))
    run_folder.restore_best(
        folder, mutual.joint(**networks) if 'teacher' in networks else networks['student']
    )
    return networks


def is_tagging(folder):
    """Whether a run's folder is of this kind."""
    return 'hint_epochs' in run_folder.saved_params(folder)


def described(folder):
    """`TaggingParams` and class names of a run's folder.

    Raises:
        ValueError: there is no such run, or another version of dualcam made it.
    """
    return run_folder.read(folder, params_from_json, logmel.VERSION)


def params_from_json(fields):
    """`TaggingParams` from what `run.json` holds."""
    peers = {
        key: fields[key] and mutual.Transfer(**fields[key])
        for key in ('transfer', 'teacher_transfer')
    }
    return TaggingParams(
        **(
            fields
            | peers
            | {
                'loop': loop.LoopParams(**fields['loop']),
                'sound': tuple(fields['sound']),
                'frontend': logmel.LogMelParams(**fields['frontend']),
            }
        )
    )


def frontend(params, folder):
    """The `logmel.LogMelFrontend` of a run, with the statistics in its folder."""
    return logmel.LogMelFrontend(
        params.frontend, channel_statistics.load(pathlib.Path(folder) / 'stats', 'mean', 'std_dev')
    )


def listens(params):
    """Whether the network of a run needs no more than a microphone."""
    return params.sound == ('audio',) and params.network in ('tagging_audio', 'tagging_student')


def probabilities(network, clips):
    """Probability of each event in each clip, [clips, classes] float64."""
    return scipy.special.expit(loop.predict(network, clips).astype(np.float64))


def _build(params, num_classes):
    """{'student': what is judged, and of a mutual run 'teacher'}."""
    heard = {'sound': params.sound, 'width': params.width}
    options = {
        'tagging_visual': {'visual_size': params.visual_size},
        _TEACHER: heard | {'visual_size': params.visual_size},
    }
    roles = {'student': params.network}
    if params.method == 'mutual':
        roles = {'teacher': _TEACHER, **roles}
    return {
        role: models.build(network, num_classes, **options.get(network, heard))
        for role, network in roles.items()
    }


def _step(params, networks, teacher):
    network = networks['student']
    if params.method == 'mutual':
        return mutual.MutualStep(
            networks['teacher'], network, params.transfer, params.teacher_transfer
        )
    if params.method == 'taught':
        return mutual.TaughtStep(network, teacher, params.transfer)
    if params.method == 'fitnets':
        return mutual.FitNetsStep(network, teacher, params.hint_epochs)
    return mutual.TaggingStep(network)


def _show(network, validation, classes, shown, board, folder):
    """Scores and examples of the validation clips, for the board and the report."""
    labels = validation.columns['label']
    shares = probabilities(network, validation)
    found = tagging_scores.evaluate(labels, shares, classes)
    write_scores(folder, 'validation', found)
    (folder / run_page.PICTURES).mkdir(exist_ok=True)
    figure = tagging_scores.precision_figure(
        {network.name: found.average_precision},
        classes,
        'average precision of each event, validation clips',
    )
    (folder / run_page.PICTURES / 'average_precision.png').write_bytes(
        overlays.png(figures.pixels(figure))
    )
    samples.save_tagged(shown, shares, classes, tagging_scores.THRESHOLD, folder / 'examples')
    part = keras.Model(
        network.input, network.get_layer(models.network(network.name).features).output
    )
    words = [', '.join(np.array(classes)[row > 0]) or 'none' for row in labels]
    board.end(
        loop.predict(part, validation),
        {'events': words, 'first event': [text.partition(', ')[0] for text in words]},
    )


def write_scores(folder, split, found):
    """Keeps a `tagging.TaggingScores` of a split's clips for the report."""
    run_folder.write_json(folder / run_page.EVENTS.format(split), dataclasses.asdict(found))
