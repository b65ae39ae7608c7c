"""Runs that tables are made of: trained once for all tables, tested once, found again.

A `Run` says what is learned from what, with whose help. Its folder's name is made of that and a
digest of all parameters and data, so that equal runs of different tables are one folder.
"""

import dataclasses
import hashlib
import json
import pathlib

import keras
import numpy as np

from dualcam import models
from dualcam.data import schema
from dualcam.data.records import reading, take_lists
from dualcam.data.sources import datasets
from dualcam.data.stores import record_store
from dualcam.evaluation import metrics
from dualcam.features import frame_features
from dualcam.files import fingerprints
from dualcam.models import resnet, weights
from dualcam.models import soundnet as soundnet_lib
from dualcam.reports import run_page, run_reports
from dualcam.training import loop, recipes, run, run_data, run_folder
from dualcam.training.recipes import distillation
from experiments.shared import takes

SCENARIOS = ('scenario_1', 'scenario_2', 'scenario_3')
SETTINGS = (*SCENARIOS, 'all')
UNSEEN_SUBJECTS = 'unseen_subjects'  # a test of every setting, where the data set holds some out

_MODALITIES = {
    'acoustic': 'acoustic',
    'waveform': 'audio',
    'spectrogram': 'audio',
    'features': 'video',
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One trained network.

    Attributes:
        network: name, see `models.build`.
        column: what the papers call its supervision: 'hard' for a teacher, 'G' for a student
            that learns from labels, 'D' or 'R' for one that learns from a teacher too.
        train_on: 'scenario_1' - 'scenario_3' or 'all'.
        teacher: the teacher's own run, or None.
        overrides: what differs from the preset, as (name, value) pairs: 'learning_rate',
            'temperature', 'imitation'. A value equal to the preset's makes an equal run.
    """

    network: str
    column: str
    train_on: str
    teacher: 'Run | None' = None
    overrides: tuple[tuple[str, float], ...] = ()

    def modalities(self):
        """Names of what is read of the records for it and its teacher."""
        own = {_MODALITIES[part] for part in models.network(self.network).clips.split('+')}
        return own | (self.teacher.modalities() if self.teacher else set())


@dataclasses.dataclass(frozen=True, eq=False)
class Tested:
    """A test of one run.

    Attributes:
        labels, predictions: [clips] int64.
        takes: of each clip, the folder of its records below that of all.
    """

    labels: np.ndarray
    predictions: np.ndarray
    takes: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Whether each prediction is the label, [clips] bool."""
        return self.labels == self.predictions

    @property
    def accuracy(self) -> float:
        """Share of the clips that are right."""
        return float(np.mean(self.right))


@dataclasses.dataclass(frozen=True)
class VideoParams:
    """How teachers that see video are made.

    Attributes:
        backbone: file with the weights of ResNet-50; None for an untrained one, which is said.
        bgr: feed frames as the authors do, see `video.preprocess`.
        batch_norm: see `supervised.RunParams`.
    """

    backbone: str | None = None
    bgr: bool = False
    batch_norm: str = 'frozen'


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the best weights of a run score on its validation split.

    Attributes:
        accuracy: share of right clips.
        loss: mean cross-entropy with the labels, in nats. The loss that is trained weighs and
            softens it differently in each run; this one compares them.
        num_clips: of the split.
        seed: of the run.
    """

    accuracy: float
    loss: float
    num_clips: int
    seed: int


class Workshop:
    """Trains and tests runs on the records of one folder.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: the `store.Store` of all records.
        start: {layer: weights} that OurSoundNet starts from; empty without them.
        arguments: what makes another one like it.

    Args:
        records: folder of the records; its lists are made if they are not there.
        out: folder for runs and packed records.
        preset: a `presets.Preset`.
        wanted: all `Run`s that will be asked for, which decides what is read of the records.
        video: a `VideoParams`.
        soundnet: file with SoundNet-5's weights, which OurSoundNet then starts from.
        profile: trace some steps of each new run for TensorBoard's profile page.
        max_bad: records that cannot be read and may be left out, each with its whole sequence.
    """

    def __init__(
        self,
        records,
        out,
        preset,
        wanted,
        video=VideoParams(),
        soundnet=None,
        profile=False,
        max_bad=0,
    ):
        self.records, self.out = pathlib.Path(records), pathlib.Path(out)
        self.preset, self._profile = preset, profile
        self.arguments = records, out, preset, wanted, video, soundnet, profile, max_bad
        if not self.records.is_dir():
            raise ValueError(f'{records}: no such folder; make records with make tfrecords')
        self.info = datasets.read_description(self.records)
        self._lists = self._make_lists()
        self._models = {}
        paths = [p for setting in self._lists.values() for part in setting.values() for p in part]
        self._holds = record_store.modalities_of(paths, max_bad)
        self._teachers = {one.teacher for one in wanted if self.can_train(one)} - {None}
        needed = {part for one in wanted if self.can_train(one) for part in one.modalities()}
        if not needed:
            raise ValueError(
                f'{records}: its records hold {" and ".join(self._holds)} only; '
                'convert them again with --modalities=0,1,2'
            )
        self.store = record_store.open_store(
            paths, sorted(needed - {'video'}), self.out / 'cache', max_bad
        )
        self._lists = {
            setting: {
                name: self.store.whole_sequences(part, preset.total_length)
                for name, part in parts.items()
            }
            for setting, parts in self._lists.items()
        }
        self.start = _soundnet_start(soundnet) if soundnet else {}
        self._video, self._backbone = video, None
        if 'video' in needed:
            network = _backbone(video.backbone)
            self._backbone = fingerprints.of_weights(network) + ('-bgr' if video.bgr else '')
            self.store = dataclasses.replace(
                self.store,
                frame_features=frame_features.FrameFeatures(
                    self.store, network, self.out / 'cache' / 'features', video.bgr
                ),
            )

    def can_train(self, wanted):
        """Whether the records hold what a `Run` and its teacher see."""
        return wanted.modalities() <= set(self._holds)

    def prepare_features(self, wanted, seed):
        """Works out all features that runs and their tests will ask for, in one pass.

        Asked for run by run, a record would be read again for each of its frames.

        Args:
            wanted: [(`Run`, tests)], as `scores` takes them.
            seed: of the runs.
        """
        asked = []
        for one, tests in wanted:
            for student_or_teacher in filter(None, (one, one.teacher)):
                if 'features' not in models.network(student_or_teacher.network).clips:
                    continue
                params, _ = self._prepare(student_or_teacher, seed)
                setting = self._lists[one.train_on]
                others = [
                    setting['validation.txt'],
                    *(self._test_paths(one.train_on, test) for test in tests),
                ]
                if student_or_teacher is one.teacher:
                    others += [self._lists[s]['dataset.txt'] for s in SCENARIOS]
                asked.append(
                    run_data.asked_frames(params, self.store, setting['training.txt'], others)
                )
        if asked:
            self.store.frame_features.require(
                *(np.concatenate(parts) for parts in zip(*asked, strict=True))
            )

    def scores(self, wanted, tests, seed):
        """Trains a run if need be, and tests it.

        Args:
            wanted: a `Run`.
            tests: scenarios to test on, 'all' or `UNSEEN_SUBJECTS`.
            seed: of the run and its teacher.

        Returns:
            {test: `Tested`}
        """
        folder = self.folder(wanted, seed)
        found, made = {}, False
        for test in tests:
            path = folder / f'test_{test}.json'
            if not _has_takes(path):
                made = True
                labels, logits, names = self._test(
                    wanted, seed, self._test_paths(wanted.train_on, test)
                )
                run_folder.write_json(
                    path,
                    {
                        'accuracy': metrics.accuracy(labels, logits),
                        'num_clips': len(labels),
                        'labels': labels.tolist(),
                        'answers': np.argmax(logits, -1).tolist(),
                        'takes': names,
                    },
                )
            saved = json.loads(path.read_text(encoding='utf-8'))
            found[test] = Tested(
                np.array(saved['labels'], np.int64),
                np.array(saved['answers'], np.int64),
                tuple(saved['takes']),
            )
        if made:
            run_page.write(folder)
        return found

    def has_scores(self, wanted, tests, seed):
        """Whether a run was tested on all of them."""
        folder = self.folder(wanted, seed)
        return all(_has_takes(folder / f'test_{test}.json') for test in tests)

    def train(self, wanted, seed):
        """Trains a run if need be; its folder."""
        self._trained(wanted, seed)
        return self.folder(wanted, seed)

    def validation(self, wanted, seed):
        """Trains a run if need be; its `Validation`. No test data are looked at."""
        params, folder = self._prepare(wanted, seed)
        path = folder / 'validation.json'
        if not path.exists():
            model = self._trained(wanted, seed)
            clips = run_data.test_clips(
                params, self.store, self._lists[wanted.train_on]['validation.txt'], folder
            )
            logits = loop.predict(model, clips)
            labels = clips.columns['label']
            run_folder.write_json(
                path,
                dataclasses.asdict(
                    Validation(
                        metrics.accuracy(labels, logits),
                        metrics.cross_entropy(labels, logits),
                        len(labels),
                        seed,
                    )
                ),
            )
        return Validation(**json.loads(path.read_text(encoding='utf-8')))

    def _test(self, wanted, seed, paths):
        """Labels [clips], logits [clips, classes] and names of the takes [clips] of a list."""
        params, folder = self._prepare(wanted, seed)
        model = self._trained(wanted, seed)
        clips = run_data.test_clips(params, self.store, paths, folder)
        if wanted in self._teachers and clips.seconds == 1:
            # It will be asked for every record anyway.
            logits = self._answers(wanted, seed)[clips.windows[:, 0]]
        else:
            logits = loop.predict(model, clips)
        return clips.columns['label'], logits, takes.of_records(self.store, clips.windows[:, 0])

    def _answers(self, teacher, seed):
        """A teacher's logits of every record, [records, classes], worked out once."""
        params, folder = self._prepare(teacher, seed)
        return distillation.record_predictions(
            self._trained(teacher, seed),
            run_data.record_clips(params, self.store, folder),
            folder / f'answers_{self.store.digest}.npy',
        )

    @property
    def note(self):
        """For titles: the data and, where they are not the paper's, training and backbone."""
        text = f'Data: {self.info.name}, {self.info.origin}'
        if self.preset.note:
            text += f'; {self.preset.note}'
        if self._backbone and not self._video.backbone:
            text += '; ResNet-50 untrained below its logits'
        return text + self.store.note

    def folder(self, wanted, seed):
        """Where a run is."""
        return self._prepare(wanted, seed)[1]

    def _trained(self, wanted, seed):
        params, folder = self._prepare(wanted, seed)
        if folder not in self._models:
            while len(self._models) > 1:  # a teacher and a student at a time
                del self._models[next(iter(self._models))]
            self._models[folder] = self._train(wanted, seed, params, folder)
        return self._models[folder]

    def _train(self, wanted, seed, params, folder):
        if (folder / 'metrics.json').exists():
            return run.load(folder)
        teacher_logits = None
        if wanted.teacher is not None:
            teacher_logits = self._answers(wanted.teacher, seed)
        setting = self._lists[wanted.train_on]
        data = run_data.RunData(
            self.store,
            setting['training.txt'],
            setting['validation.txt'],
            self.info,
            self.start if params.start else {},
        )
        print(f'training  {folder.name}')
        return run.train(
            recipes.SUPERVISED if wanted.teacher is None else recipes.DISTILLATION,
            params,
            data,
            folder,
            teacher_logits,
            folder.name.rsplit('-', 1)[0],
            self._profile,
            [run_reports.observe],
        )

    def _prepare(self, wanted, seed):
        params = _overridden(
            self.preset.run_params(wanted.network, wanted.column, wanted.train_on, seed),
            dict(wanted.overrides),
        )
        if 'features' in models.network(wanted.network).clips:
            params = dataclasses.replace(
                params, backbone=self._backbone, batch_norm=self._video.batch_norm
            )
        if wanted.network == 'oursoundnet' and self.start:
            params = dataclasses.replace(params, start=_digest(self.start))
        teacher = self.folder(wanted.teacher, seed).name if wanted.teacher else ''
        setting = self._lists[wanted.train_on]
        content = json.dumps(
            [
                dataclasses.asdict(params),
                teacher,
                self.store.digest,
                setting['training.txt'],
                setting['validation.txt'],
            ]
        )
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        name = f'{wanted.network}-{wanted.column}-{wanted.train_on}-seed{seed}-{digest}'
        return params, self.out / 'runs' / name

    def _make_lists(self):
        """{setting: {list name: paths}}; 'all' joins the scenarios' splits."""
        seconds = self.preset.total_length
        found = {}
        for number, scenario in enumerate(SCENARIOS, 1):
            written = take_lists.write_scenario_lists(self.records, seconds, number)
            found[scenario] = {
                path.name: reading.read_list(path, self.records) for path in sorted(written)
            }
        found['all'] = {
            name: [p for s in SCENARIOS for p in found[s][name]]
            for name in found[SCENARIOS[0]]
            if name != 'dataset.txt'
        }
        return found

    def _test_paths(self, train_on, test):
        """Test split of the training setting itself, or its unseen subjects; all data of any
        other scenario."""
        if test == UNSEEN_SUBJECTS:
            return self._lists[train_on][take_lists.UNSEEN_SUBJECTS]
        return self._lists[test]['testing.txt' if test == train_on else 'dataset.txt']


def _has_takes(path):
    """Whether a file of a test is there; one of an older version lacks the takes."""
    return path.exists() and 'takes' in json.loads(path.read_text(encoding='utf-8'))


def _backbone(path):
    """ResNet-50 below its logits, with the weights of a file, or untrained, the same each time."""
    if path is None:
        keras.utils.set_random_seed(0)
        print('No weights for ResNet-50 (--backbone=FILE): it stays as it was drawn, untrained.')
        return resnet.build_backbone()
    layout = weights.layout(path)
    network = models.build('resnet50', frame_stride=schema.FRAMES_PER_SECOND, layout=layout)
    weights.load(network, path)
    backbone = resnet.build_backbone(layout)
    resnet.copy_weights(network, backbone)
    return backbone


def _soundnet_start(path):
    """{layer: its weights} of SoundNet-5 in a file that dualcam import-weights made."""
    network = models.build('oursoundnet')
    weights.load(network, path)
    return {
        layer.name: layer.get_weights()
        for layer in network.layers
        if layer.name.removesuffix('_norm') in soundnet_lib.PRETRAINED
    }


def _digest(start):
    return fingerprints.of_arrays(array for layer in sorted(start) for array in start[layer])


def _overridden(params, values):
    """`supervised.RunParams` with some values changed, the learning rate among them."""
    if 'learning_rate' in values:
        values = values | {
            'loop': dataclasses.replace(params.loop, learning_rate=values.pop('learning_rate'))
        }
    return dataclasses.replace(params, **values)
