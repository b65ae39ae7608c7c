"""WACV 2020's runs: teachers and students trained on AVIA's records, by scenario."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

import keras
import numpy as np

from dualcam import models
from dualcam.data import schema, stores
from dualcam.data.clips import record_clips, record_parts
from dualcam.data.packers import record_packer
from dualcam.data.records import reading, record_lists, take_lists
from dualcam.data.sources import datasets, takes
from dualcam.evaluation import metrics
from dualcam.features import frame_features
from dualcam.files import fingerprints
from dualcam.models import resnet, soundnet, weights
from dualcam.training import predictions, recipes, run_data
from experiments.shared import outcomes, workshops
from experiments.wacv2020 import presets

SCENARIOS = ('scenario_1', 'scenario_2', 'scenario_3')
SETTINGS = (*SCENARIOS, 'all')  # of AVIA; see `settings_of` for other data
UNSEEN_SUBJECTS = 'unseen_subjects'  # a test of every setting, if the data set holds some out
VALIDATION = 'validation'

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
        column: its supervision in the papers' terms: 'hard' for a teacher, 'G' for a student
            trained on labels, 'D' or 'R' for one that also has a teacher.
        train_on: 'scenario_1' - 'scenario_3' or 'all'.
        teacher: the teacher's own run, or None.
        overrides: differences from the preset, as (name, value) pairs: 'learning_rate',
            'temperature', 'imitation'. A value equal to the preset's gives an equal run.
    """

    network: str
    column: str
    train_on: str
    teacher: 'Run | None' = None
    overrides: tuple[tuple[str, float], ...] = ()

    def modalities(self):
        """Names of what it and its teacher read from the records."""
        own = {_MODALITIES[part] for part in models.network(self.network).clip_parts}
        return own | (self.teacher.modalities() if self.teacher else set())


@dataclasses.dataclass(frozen=True)
class VideoParams:
    """How teachers on video are built.

    Attributes:
        backbone: file with the weights of ResNet-50; None for a randomly initialised one.
        bgr: frames in the authors' order, see `video.preprocess`.
        batch_norm: see `supervised.RunParams`.
    """

    backbone: str | None = None
    bgr: bool = False
    batch_norm: str = 'frozen'


def scenarios_of(info: datasets.DatasetInfo, places: Iterable[int] = ()) -> tuple[str, ...]:
    """The scenarios of a data set: one per place that it declares or has records of."""
    numbers = {*range(1, info.num_locations + 1), *places}
    return tuple(f'scenario_{number}' for number in sorted(numbers))


def settings_of(info: datasets.DatasetInfo, places: Iterable[int] = ()) -> tuple[str, ...]:
    """Training settings of its runs: each scenario, and all if there are several."""
    scenarios = scenarios_of(info, places)
    return scenarios if len(scenarios) == 1 else (*scenarios, 'all')


class Source:
    """One folder of AVIA's records, or of a data set in its place.

    Attributes:
        info: the `datasets.DatasetInfo`.
        settings: of the data set, see `settings_of`; `blank_settings` have no records.
        scenarios: those with records.
        store: the `record_packer.RecordStore` of all records.
        start: {layer: weights} to initialise OurSoundNet; may be empty.

    Args:
        records: folder of the records; missing lists are created.
        out: folder for packed records.
        preset: a `presets.Preset`.
        wanted: all `Run`s that will be requested, which decides what is read from the records.
        video: how teachers on video are built.
        soundnet_file: with SoundNet-5's weights, to initialise OurSoundNet.
        max_bad: number of unreadable records that may be left out, each with its sequence.
    """

    run_type: ClassVar[type] = Run

    def __init__(
        self,
        records: str | pathlib.Path,
        out: str | pathlib.Path,
        preset: presets.Preset,
        wanted: Sequence[Run],
        video: VideoParams = VideoParams(),
        soundnet_file: str | None = None,
        max_bad: int = 0,
    ):
        self._records, cache = pathlib.Path(records), pathlib.Path(out) / 'cache'
        self.preset = preset
        if not self._records.is_dir():
            raise ValueError(f'{records}: no such folder; make records with make tfrecords')
        self.info = datasets.read_description(self._records)
        places = record_lists.locations(self._records)
        if not places:
            is_acivw = any(self._records.glob('class_*'))
            raise ValueError(
                f'{records}: no records in it; expected Location_LL/Subject_SS/Action_AAA/'
                f'Data_NNN.tfrecord{"; these are of ACIVW: make eccv" if is_acivw else ""}'
            )
        self.settings = settings_of(self.info, places)
        self.scenarios = tuple(f'scenario_{number}' for number in places)
        if wanted and not any(self.has(run.train_on) for run in wanted):
            missing = ', '.join(dict.fromkeys(run.train_on for run in wanted))
            raise ValueError(
                f'{records}: no records of {missing}; available settings: '
                f'{", ".join((*self.scenarios, "all"))}'
            )
        self._lists = self._make_lists()
        paths = [p for setting in self._lists.values() for part in setting.values() for p in part]
        self._holds = reading.first_modalities(paths, max_bad)
        possible = [run for run in wanted if self.can_train(run)]
        self._teachers = {run.teacher for run in possible} - {None}
        needed = {part for run in possible for part in run.modalities()}
        if not needed:
            raise ValueError(
                f'{records}: its records only contain {" and ".join(self._holds)}; '
                'convert them again with --modalities=0,1,2'
            )
        self.store = stores.open_store(
            paths, record_packer.RecordPacker(sorted(needed - {'video'})), cache, max_bad
        )
        self._lists = {
            setting: {
                name: self.store.whole_sequences(part, preset.total_length)
                for name, part in parts.items()
            }
            for setting, parts in self._lists.items()
        }
        self.start = _soundnet_start(soundnet_file) if soundnet_file else {}
        self._start_digest = _digest(self.start) if self.start else None
        self._video, self._backbone = video, None
        if 'video' in needed:
            network = _backbone(video.backbone)
            self._backbone = fingerprints.of_weights(network) + ('-bgr' if video.bgr else '')
            self.store = dataclasses.replace(
                self.store,
                frame_features=frame_features.FrameFeatures(
                    self.store, network, cache / 'features', video.bgr
                ),
            )
        self._data = {}

    @property
    def note(self) -> str:
        """See `workshops.Source`."""
        text = f'Data: {self.info.name}, {self.info.origin}'
        if self.preset.note:
            text += f'; {self.preset.note}'
        if self._backbone and not self._video.backbone:
            text += '; ResNet-50 untrained below its logits'
        return text + self.store.note

    @property
    def is_like_avia(self) -> bool:
        """Whether to show the paper's numbers, which were measured on AVIA."""
        return self.info.name.startswith('avia')

    @property
    def has_unseen_subjects(self) -> bool:
        """Whether the data set holds out subjects."""
        return take_lists.UNSEEN_SUBJECTS in self._lists['all']

    @property
    def blank_settings(self) -> tuple[str, ...]:
        """The `settings` without records."""
        return tuple(one for one in self.settings if not self.has(one))

    def has(self, setting: str) -> bool:
        """Whether there are records of a setting."""
        return setting == 'all' or setting in self.scenarios

    def can_train(self, run: Run) -> bool:
        """Whether there are records of a run's setting with its and its teacher's inputs."""
        return self.has(run.train_on) and run.modalities() <= set(self._holds)

    def prepare_features(
        self, workshop: workshops.Workshop, wanted: Sequence[tuple[Run, Sequence[str]]], seed: int
    ) -> None:
        """Computes all features that runs and their tests will need, in one pass.

        Computed run by run, a record would be read again for each of its frames.

        Args:
            workshop: of this source.
            wanted: (run, tests), as `Workshop.scores` takes them.
            seed: of the runs.
        """
        asked = []
        for run, tests in wanted:
            for one in filter(None, (run, run.teacher)):
                if 'features' not in models.network(one.network).clip_parts:
                    continue
                setting = self._lists[run.train_on]
                others = [
                    setting['validation.txt'],
                    *(self._test_paths(run.train_on, test) for test in tests),
                ]
                if one is run.teacher:
                    others += [self._lists[s]['dataset.txt'] for s in self.scenarios]
                params = workshop.resolve(one, seed).params
                asked.append(
                    run_data.asked_frames(params, self.store, setting['training.txt'], others)
                )
        if asked:
            self.store.frame_features.require(
                *(np.concatenate(parts) for parts in zip(*asked, strict=True))
            )

    def specify(self, run: Run, seed: int) -> workshops.Specification:
        """See `workshops.Source`."""
        params = _overridden(
            self.preset.run_params(run.network, run.column, run.train_on, seed),
            dict(run.overrides),
        )
        if 'features' in models.network(run.network).clip_parts:
            params = dataclasses.replace(
                params, backbone=self._backbone, batch_norm=self._video.batch_norm
            )
        start = {}
        if run.network == 'oursoundnet' and self.start:
            params, start = dataclasses.replace(params, start=self._start_digest), self.start
        key = run.train_on, bool(start)
        if key not in self._data:
            setting = self._lists[run.train_on]
            self._data[key] = run_data.RunData(
                self.store, setting['training.txt'], setting['validation.txt'], self.info, start
            )
        return workshops.Specification(
            recipes.DISTILLATION if run.teacher else recipes.SUPERVISED,
            params,
            self._data[key],
            f'{run.network}-{run.column}-{run.train_on}-seed{seed}',
        )

    def teaching(self, workshop: workshops.Workshop, resolved: workshops.Resolved) -> np.ndarray:
        """The teacher's logits of every record, [records, classes]."""
        return workshop.record_logits(resolved.teacher)

    def file_of(self, test: str) -> tuple[str, type]:
        """See `workshops.Source`; tests are scenarios, 'all', `UNSEEN_SUBJECTS` or `VALIDATION`."""
        if test == VALIDATION:
            return f'{test}.json', outcomes.Validation
        return f'test_{test}.json', outcomes.Tested

    def test(
        self, workshop: workshops.Workshop, resolved: workshops.Resolved, test: str
    ) -> outcomes.Tested | outcomes.Validation:
        """See `workshops.Source`."""
        run, folder = resolved.run, resolved.folder
        network = workshop.network(resolved)
        paths = self._test_paths(run.train_on, test)
        clips = run_data.test_clips(resolved.params, self.store, paths, folder)
        labels = clips.columns['label']
        if test == VALIDATION:
            logits = predictions.predict(network, clips)
            return outcomes.Validation(
                metrics.accuracy(labels, logits),
                metrics.cross_entropy(labels, logits),
                len(labels),
                resolved.seed,
            )
        if run in self._teachers and clips.origin.seconds == 1:
            # It will be evaluated on every record anyway.
            logits = workshop.record_logits(resolved)[clips.origin.windows[:, 0]]
        else:
            logits = predictions.predict(network, clips)
        names = takes.of_records(self.store, clips.origin.windows[:, 0], self.info.take_rule)
        return outcomes.Tested(labels, np.argmax(logits, -1), tuple(names))

    def test_origin(self, resolved: workshops.Resolved, test: str) -> record_parts.RecordOrigin:
        """The clips of a run's test, in the order of its outcome, for their pictures and sound."""
        params = resolved.params.clips
        rows = record_clips.sequence_rows(
            self.store, self._test_paths(resolved.run.train_on, test), params.total_length
        )
        return record_parts.RecordOrigin(self.store, record_clips.inference_windows(rows, params))

    def _make_lists(self):
        """{setting: {list name: paths}}; 'all' joins the scenarios' splits."""
        found = {}
        for scenario in self.scenarios:
            number = int(scenario.removeprefix('scenario_'))
            written = take_lists.write_scenario_lists(
                self._records, self.preset.total_length, number
            )
            empty = [path.stem for path, count in written.items() if not count]
            if empty:
                length = self.preset.total_length
                count = max(written.values()) // length
                raise ValueError(
                    f'{self._records}: the {count} sequences of {length} s of location {number} '
                    f'leave none for {" and ".join(sorted(empty))}; expected 10 or more, or lists '
                    f'by take ("lists" in {datasets.DESCRIPTION_FILE})'
                )
            found[scenario] = {
                path.name: reading.read_list(path, self._records) for path in sorted(written)
            }
        found['all'] = {
            name: [p for s in self.scenarios for p in found[s][name]]
            for name in found[self.scenarios[0]]
            if name != 'dataset.txt'
        }
        return found

    def _test_paths(self, train_on, test):
        """Validation or test split of the training setting itself, or its unseen subjects; all
        data of any other scenario."""
        own = {
            VALIDATION: 'validation.txt',
            UNSEEN_SUBJECTS: take_lists.UNSEEN_SUBJECTS,
            train_on: 'testing.txt',
        }
        if test in own:
            return self._lists[train_on][own[test]]
        return self._lists[test]['dataset.txt']


def open_workshop(
    records: str | pathlib.Path,
    out: str | pathlib.Path,
    preset: presets.Preset,
    wanted: Sequence[Run],
    video: VideoParams = VideoParams(),
    soundnet_file: str | None = None,
    profile: bool = False,
    max_bad: int = 0,
) -> workshops.Workshop:
    """The workshop for a folder of records; see `Source` and `workshops.Workshop`."""
    arguments = records, out, preset, wanted, video, soundnet_file, profile, max_bad
    return workshops.Workshop(
        Source(records, out, preset, wanted, video, soundnet_file, max_bad),
        out,
        profile,
        functools.partial(open_workshop, *arguments),
    )


def _backbone(path):
    """ResNet-50 below its logits, with weights from a file, or untrained with a fixed seed."""
    if path is None:
        keras.utils.set_random_seed(0)
        print('No weights for ResNet-50 (--backbone=FILE): it stays randomly initialised.')
        return resnet.build_backbone()
    layout = weights.layout(path)
    network = models.build('resnet50', frame_stride=schema.FRAMES_PER_SECOND, layout=layout)
    weights.load(network, path)
    backbone = resnet.build_backbone(layout)
    resnet.copy_weights(network, backbone)
    return backbone


def open_soundnet(path: str | pathlib.Path) -> keras.Model:
    """SoundNet-5 from a file written by dualcam import-weights.

    Returns:
        'soundnet5', or, if the file was made for it, 'oursoundnet', which has SoundNet-5's
        weights up to conv4 only.
    """
    is_whole = weights.network_of(path) == 'soundnet5'
    network = soundnet.build_5() if is_whole else models.build('oursoundnet')
    weights.load(network, path)
    return network


def _soundnet_start(path):
    """{layer: its weights} of SoundNet-5's first four convolutions, see `open_soundnet`."""
    network = open_soundnet(path)
    return {
        layer.name: layer.get_weights()
        for layer in network.layers
        if layer.name.removesuffix('_norm') in soundnet.PRETRAINED
    }


def _digest(start):
    return fingerprints.of_arrays(array for layer in sorted(start) for array in start[layer])


def _overridden(params, values):
    """`supervised.RunParams` with some values changed, including the learning rate."""
    if 'learning_rate' in values:
        values = values | {
            'loop': dataclasses.replace(params.loop, learning_rate=values.pop('learning_rate'))
        }
    return dataclasses.replace(params, **values)
