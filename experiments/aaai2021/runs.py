"""AAAI 2021's networks, trained on the records of one folder, tested, and found again.

A run's folder is named by a digest of all parameters and data. What the runs of one seed say of
the test clips is kept beside them, so that seeds can be averaged.
"""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np

from dualcam.data.sources import datasets, tagging_lists
from dualcam.data.stores import tagging_store
from dualcam.evaluation import tagging_scores
from dualcam.features import sound_features
from dualcam.reports import run_page, run_reports
from dualcam.training import frame_network, recipes, run, run_folder, tagging_data
from dualcam.training.recipes import tagging

_ANSWERS = 'test_probabilities.npy'
_HOLD_OUT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Weights:
    """Files of networks that their authors trained; None for those that are not there.

    Attributes:
        vgg16: see `frame_networks.vgg16`.
        soundnet, vggish: see `sound_features.SoundFeatures`.
    """

    vgg16: str | None = None
    soundnet: str | None = None
    vggish: str | None = None

    @property
    def visuals(self):
        """What there is to see, see `aaai_presets.Run.visual`, the best first."""
        return ('fc2', 'predictions') if self.vgg16 else ('frames',)

    def allow(self, run):
        """Whether what a `Run` hears and sees can be had."""
        return set(run.sound) <= {
            'audio',
            *(kind for kind in sound_features.KINDS if getattr(self, kind)),
        } and run.visual in (None, *self.visuals)


class Workshop:
    """Trains and tests runs on the records of one folder.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: the `tagging_store.TaggingStore` of all records.
        rows: {'training', 'validation', 'testing'}: rows of the store.
        arguments: what makes another one like it.

    Args:
        records: folder of the records, with training.txt and testing.txt; without validation.txt
            some training clips are held out, the same ones for all.
        out: folder for runs, packed records and features.
        preset: an `aaai_presets.AaaiPreset`.
        wanted: all `Run`s that will be asked for, which decides what features are worked out.
        weights: a `Weights`, which allows them.
        profile: trace some steps of each new run for TensorBoard's profile page.
        max_bad: records that cannot be read and may be left out.
        kept: {name: file} of features that another workshop has made; None makes them.
    """

    def __init__(
        self, records, out, preset, wanted, weights=Weights(), profile=False, max_bad=0, kept=None
    ):
        records, self._out = pathlib.Path(records), pathlib.Path(out)
        if not records.is_dir():
            raise ValueError(
                f'{records}: no such folder; make records with make aaai, or with '
                'records.convert_tagging'
            )
        self._preset, self._profile, self._weights = preset, profile, weights
        self.info = datasets.read_description(records)
        lists = {
            split: tagging_store.read_split(records, split)
            for split in tagging_lists.SPLITS
            if split != 'validation' or (records / f'{split}.txt').exists()
        }
        self.store = tagging_store.open_clips(
            [p for paths in lists.values() for p in paths], self.info, self._out / 'cache', max_bad
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
        if kept is None:
            kept = self._make_features(
                {run.visual for run in wanted} - {None},
                {name for run in wanted for name in run.sound} - {'audio'},
            )
        self._features = {name: np.load(path, mmap_mode='r') for name, path in kept.items()}
        self.arguments = records, out, preset, wanted, weights, profile, max_bad, kept

    @property
    def labels(self):
        """Of the test clips, [clips, classes]."""
        return self.store.labels[self.rows['testing']]

    @property
    def note(self):
        """For titles: the data, their length and, where they are not the paper's, the training."""
        text = f'Data: {self.info.name}, {self.info.origin}; clips of {self._clip_s} s'
        if self._preset.note:
            text += f'; {self._preset.note}'
        text += '' if self._weights.vgg16 else f'; {frame_network.STAND_IN}'
        return text + self.store.note

    def scores(self, run, seed):
        """Trains a `Run` if need be, and tests it.

        Returns:
            (`tagging.TaggingScores`, probabilities of the test clips' events [clips, classes]).
        """
        path = self.folder(run, seed) / _ANSWERS
        if not path.exists():
            network = self._trained(run, seed)
            params, folder = self._prepare(run, seed)
            clips = self._data(run).cut(params, self.rows['testing'], folder)
            probabilities = tagging.probabilities(network, clips)
            run_reports.write_tagging_scores(folder, 'test', self.judge(probabilities))
            run_page.write(folder)
            with open(path.with_suffix('.partial'), 'wb') as file:
                np.save(file, probabilities)
            path.with_suffix('.partial').replace(path)
        probabilities = np.load(path)
        return self.judge(probabilities), probabilities

    def has_scores(self, run, seed):
        """Whether a run was tested."""
        return (self.folder(run, seed) / _ANSWERS).exists()

    def judge(self, probabilities):
        """`tagging.TaggingScores` of probabilities of the test clips' events."""
        return tagging_scores.evaluate(self.labels, probabilities, self.info.classes)

    def folder(self, run, seed):
        """Where a run is."""
        return self._prepare(run, seed)[1]

    def _trained(self, wanted, seed):
        params, folder = self._prepare(wanted, seed)
        if run_folder.is_complete(folder):
            return run.load(folder)
        teacher = self._trained(wanted.teacher, seed) if wanted.teacher else None
        print(f'training  {folder.name}')
        return run.train(
            recipes.TAGGING,
            params,
            self._data(wanted),
            folder,
            teacher,
            folder.name.rsplit('-', 1)[0],
            self._profile,
            [run_reports.observe],
        )

    def _data(self, run):
        features = {name: self._features[name] for name in run.sound if name != 'audio'}
        if run.visual:
            features['visual'] = self._features[run.visual]
        return tagging_data.TaggingData(
            self.store, self.rows['training'], self.rows['validation'], features, self.info
        )

    def _prepare(self, run, seed):
        """Parameters and folder of a run."""
        words = size = None
        if run.visual:
            array = self._features[run.visual]
            words, size = pathlib.Path(array.filename).stem, array.shape[-1]
        params = self._preset.params(run, seed, self._clip_s, words, size)
        teacher = self.folder(run.teacher, seed).name if run.teacher else ''
        heard = [
            pathlib.Path(self._features[name].filename).stem
            for name in run.sound
            if name != 'audio'
        ]
        content = json.dumps(
            [
                dataclasses.asdict(params),
                teacher,
                heard,
                self.store.digest,
                *(self.rows[split].tolist() for split in ('training', 'validation')),
            ]
        )
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return params, self._out / 'runs' / f'{run.name}-seed{seed}-{digest}'

    def _make_features(self, visuals, sounds):
        """{name: file} of features of frames and of sound."""
        folder = self._out / 'cache' / 'features'
        kept = {}
        for name in sorted(visuals):
            made, what = frame_network.visual_features(
                self.store,
                self.rows['training'],
                folder,
                self._weights.vgg16,
                *([name] if self._weights.vgg16 else []),
            )
            kept[name] = made.array.filename
            print(f'What the visual branch sees: {what}')
        for kind in sorted(sounds):
            kept[kind] = sound_features.open_features(
                self.store, kind, getattr(self._weights, kind), folder
            ).filename
        return kept
