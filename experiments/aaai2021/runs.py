"""AAAI 2021's runs: networks that tag the clips in one folder of records."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

import keras
import numpy as np

from dualcam.data import stores
from dualcam.data.packers import tagged_packer
from dualcam.data.records import tagging_records
from dualcam.data.sources import datasets, tagging_lists
from dualcam.evaluation import tagging_scores
from dualcam.features import sound_features
from dualcam.reports import run_reports
from dualcam.training import frame_network, predictions, recipes, tagging_data
from dualcam.training.recipes import tagging
from dualcam.training.run import load_networks
from experiments.aaai2021 import presets
from experiments.shared import outcomes, workshops

TEST = 'test'
TEACHER_TEST = 'teacher_test'  # the same clips, for a mutual run's teacher
_HOLD_OUT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Weights:
    """Files of pretrained networks; None for missing ones.

    Attributes:
        vgg16: see `frame_networks.vgg16`.
        soundnet, vggish: see `sound_features.SoundFeatures`.
    """

    vgg16: str | None = None
    soundnet: str | None = None
    vggish: str | None = None

    @property
    def visuals(self) -> tuple[str, ...]:
        """Available visual features, see `presets.Run.visual`, the best first."""
        return ('fc2', 'predictions') if self.vgg16 else ('frames',)

    def allow(self, run: presets.Run) -> bool:
        """Whether a `Run`'s inputs are available."""
        return set(run.sound) <= {
            'audio',
            *(kind for kind in sound_features.KINDS if getattr(self, kind)),
        } and run.visual in (None, *self.visuals)


class Source:
    """One folder of tagged clips' records.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: the `tagged_packer.TaggedStore` of all records.
        rows: {'training', 'validation', 'testing'}: rows of the store.
        features: {name: file} of features of frames and sound.

    Args:
        records: folder of the records, with training.txt and testing.txt; without validation.txt
            some training clips are held out, the same ones for all runs.
        out: folder for packed records and features.
        preset: how networks are trained.
        wanted: all `presets.Run`s that will be requested, which decides the features to compute.
        weights: pretrained weights for them.
        max_bad: number of unreadable records that may be left out.
        features: as above, from another source of the same records; None computes them.
    """

    run_type: ClassVar[type] = presets.Run

    def __init__(
        self,
        records: str | pathlib.Path,
        out: str | pathlib.Path,
        preset: presets.AaaiPreset,
        wanted: Sequence[presets.Run],
        weights: Weights = Weights(),
        max_bad: int = 0,
        features: Mapping[str, str] | None = None,
    ):
        records, cache = pathlib.Path(records), pathlib.Path(out) / 'cache'
        if not records.is_dir():
            raise ValueError(
                f'{records}: no such folder; make records with make aaai, or with '
                'records.convert_tagging'
            )
        self._preset, self._weights, self._data = preset, weights, {}
        self.info = datasets.read_description(records)
        lists = {
            split: tagging_records.read_split(records, split)
            for split in tagging_lists.SPLITS
            if split != 'validation' or (records / f'{split}.txt').exists()
        }
        self.store = stores.open_store(
            [p for paths in lists.values() for p in paths],
            tagged_packer.TaggedPacker(self.info.num_classes),
            cache,
            max_bad,
        )
        self.rows = {
            split: self.store.rows([p for p in paths if p not in self.store.skipped])
            for split, paths in lists.items()
        }
        if 'validation' not in self.rows:
            fit, held = tagging_lists.hold_out(
                len(self.rows['training']), preset.held_out, _HOLD_OUT_SEED
            )
            self.rows['validation'] = self.rows['training'][held]
            self.rows['training'] = self.rows['training'][fit]
        if self.store.clip_s != int(self.store.clip_s):
            raise ValueError(f'{records}: clips of {self.store.clip_s:g} s; expected whole seconds')
        self._clip_s = int(self.store.clip_s)
        self.features = features or self._make_features(
            cache / 'features',
            {run.visual for run in wanted} - {None},
            {name for run in wanted for name in run.sound} - {'audio'},
        )
        self._arrays = {name: np.load(path, mmap_mode='r') for name, path in self.features.items()}

    @property
    def labels(self) -> np.ndarray:
        """Labels of the test clips, [clips, classes]."""
        return self.store.columns['label'][self.rows['testing']]

    @property
    def note(self) -> str:
        """See `workshops.Source`."""
        text = f'Data: {self.info.name}, {self.info.origin}; clips of {self._clip_s} s'
        if self._preset.note:
            text += f'; {self._preset.note}'
        text += '' if self._weights.vgg16 else f'; {frame_network.STAND_IN}'
        return text + self.store.note

    def judge(self, probabilities: np.ndarray) -> tagging_scores.TaggingScores:
        """Scores of probabilities of the test clips' events."""
        return tagging_scores.evaluate(self.labels, probabilities, self.info.classes)

    def specify(self, run: presets.Run, seed: int) -> workshops.Specification:
        """See `workshops.Source`."""
        words = size = None
        if run.visual:
            words = pathlib.Path(self.features[run.visual]).stem
            size = self._arrays[run.visual].shape[-1]
        heard = [name for name in run.sound if name != 'audio']
        key = tuple(heard), run.visual
        if key not in self._data:
            features = {name: self._arrays[name] for name in heard}
            if run.visual:
                features['visual'] = self._arrays[run.visual]
            self._data[key] = tagging_data.TaggingData(
                self.store,
                self.rows['training'],
                self.rows['validation'],
                self.info,
                features=features,
            )
        return workshops.Specification(
            recipes.TAGGING,
            self._preset.params(run, seed, self._clip_s, words, size),
            self._data[key],
            f'{run.name}-seed{seed}',
            tuple(pathlib.Path(self.features[name]).stem for name in heard),
        )

    def teaching(self, workshop: workshops.Workshop, resolved: workshops.Resolved) -> keras.Model:
        """The trained teacher itself."""
        return workshop.network(resolved.teacher)

    def file_of(self, test: str) -> tuple[str, type[outcomes.Tagged]]:
        """See `workshops.Source`; tests are `TEST` and, for mutual runs, `TEACHER_TEST`."""
        return f'{test}_probabilities.npy', outcomes.Tagged

    def test(
        self, workshop: workshops.Workshop, resolved: workshops.Resolved, test: str
    ) -> outcomes.Tagged:
        """Probabilities of the test clips' events; writes the scores to the run's folder."""
        network, folder = workshop.network(resolved), resolved.folder
        if test == TEACHER_TEST:
            network = load_networks(folder)[tagging.TEACHER]
        clips = resolved.data.cut(resolved.params, self.rows['testing'], folder)
        probabilities = tagging.probabilities(predictions.predict(network, clips))
        run_reports.write_tagging_scores(folder, test, self.judge(probabilities))
        return outcomes.Tagged(probabilities)

    def _make_features(self, folder, visuals, sounds):
        """{name: file} of features of frames and sound."""
        made = {}
        for name in sorted(visuals):
            features, what = frame_network.visual_features(
                self.store,
                self.rows['training'],
                folder,
                self._weights.vgg16,
                *([name] if self._weights.vgg16 else []),
            )
            made[name] = features.array.filename
            print(f'Input of the visual branch: {what}')
        for kind in sorted(sounds):
            made[kind] = sound_features.open_features(
                self.store, kind, getattr(self._weights, kind), folder
            ).filename
        return made


def open_workshop(
    records: str | pathlib.Path,
    out: str | pathlib.Path,
    preset: presets.AaaiPreset,
    wanted: Sequence[presets.Run],
    weights: Weights = Weights(),
    profile: bool = False,
    max_bad: int = 0,
    features: Mapping[str, str] | None = None,
) -> workshops.Workshop:
    """The workshop for a folder of records; see `Source` and `workshops.Workshop`."""
    source = Source(records, out, preset, wanted, weights, max_bad, features)
    arguments = records, out, preset, wanted, weights, profile, max_bad, source.features
    return workshops.Workshop(source, out, profile, functools.partial(open_workshop, *arguments))
