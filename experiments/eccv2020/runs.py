"""ECCV 2020's networks, trained on the records of one folder and found again.

Self-supervised ones learn sound and video from each other (`training/recipes/correspondence.py`),
HearNet also from the trained DualCamNet; supervised ones, for comparison, from labels. A run's
folder is named by a digest of all parameters and data.
"""

import dataclasses
import hashlib
import json
import pathlib

import keras
import numpy as np

from dualcam.data.clips import record_clips
from dualcam.data.records import reading, take_lists
from dualcam.data.sources import datasets
from dualcam.data.stores import record_store
from dualcam.reports import run_reports
from dualcam.training import recipes, run, run_data
from dualcam.training.recipes import correspondence, correspondence_steps, distillation
from experiments.eccv2020 import presets
from experiments.eccv2020.features import NetworkFeatures, PairFeatures
from records import video_lists

MODALITIES = ('acoustic', 'audio', 'frames')
_LISTS = ('training.txt', 'validation.txt', 'testing.txt')
_TEACHER = 'dualcamnet_eccv'


class Workshop:
    """Trains networks on ACIVW's records, or on what stands in for them.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: the `store.Store` of all records.
        preset: an `eccv_presets.EccvPreset`.
        windows: of the training, validation and test clips: [clips, 2] rows of the store each.

    Args:
        records: folder of the records.
        lists: folder with training.txt, validation.txt and testing.txt, the authors' say; what
            stands before class_C/... in them is replaced by `records`. None makes lists by video.
        out: folder for runs and packed records.
        preset: as above.
        profile: trace some steps of each new run for TensorBoard's profile page.
        max_bad: records that cannot be read and may be left out, each with its whole sequence.
    """

    def __init__(self, records, out, preset, lists=None, profile=False, max_bad=0):
        records, self._out = pathlib.Path(records), pathlib.Path(out)
        self.preset, self._profile = preset, profile
        if not records.is_dir():
            raise ValueError(f'{records}: no such folder; make records with make eccv')
        self.info = datasets.read_description(records)
        if lists is None:
            lists = next(iter(video_lists.write_video_lists(records, presets.SECONDS))).parent
        lists = {name: reading.read_list(pathlib.Path(lists) / name, records) for name in _LISTS}
        self.store = record_store.open_store(
            [path for name in _LISTS for path in lists[name]],
            MODALITIES,
            self._out / 'cache',
            max_bad,
        )
        lists = {
            name: self.store.whole_sequences(paths, presets.SECONDS)
            for name, paths in lists.items()
        }
        self._data = run_data.RunData(
            self.store, lists['training.txt'], lists['validation.txt'], self.info
        )
        self.windows = tuple(
            record_clips.sequence_rows(self.store, lists[name], presets.SECONDS) for name in _LISTS
        )

    @property
    def note(self):
        """For titles: the data and, where it is not the paper's, the training."""
        text = f'Data: {self.info.name}, {self.info.origin}'
        return (f'{text}; {self.preset.note}' if self.preset.note else text) + self.store.note

    def pretext(self, network, seed, alpha=0.0):
        """Features of two networks that learned without labels; they are trained if need be.

        Args:
            network: on sound: 'dualcamnet_eccv', 'hearnet_eccv' or 'l3_audio'.
            seed: of the run.
            alpha: share of the transfer from DualCamNet's own run of that seed.

        Returns:
            `eccv_features.PairFeatures`.
        """
        params, folder = self._pretext(network, seed, alpha)
        if (folder / 'metrics.json').exists():
            model = run.load(folder)
        else:
            sums = self._teacher_sums(seed) if params.alpha is not None else None
            print(f'training  {folder.name}')
            model = self._train(recipes.CORRESPONDENCE, params, folder, sums)
        return PairFeatures(params, folder, correspondence.split(params, model))

    def untrained(self, network, seed):
        """Features of the same networks as they were drawn, with the statistics of the run."""
        trained = self.pretext(network, seed)
        keras.utils.set_random_seed(seed)
        model = correspondence.build(trained.params, trained.folder)
        return PairFeatures(
            trained.params, trained.folder, correspondence.split(trained.params, model)
        )

    def supervised(self, network, seed, taught=False):
        """Features of a network that learned from labels; it is trained if need be.

        Args:
            network: 'hearnet_eccv', 'dualcamnet_eccv', 'resnet18_eccv', 'l3_audio' or
                'l3_vision'.
            seed: of the run.
            taught: whether it learns from the supervised DualCamNet's answers too.

        Returns:
            `eccv_features.NetworkFeatures`.
        """
        params, folder = self._supervised(network, seed, taught)
        if (folder / 'metrics.json').exists():
            model = run.load(folder)
        else:
            logits = self._teacher_logits(seed) if taught else None
            print(f'training  {folder.name}')
            recipe = recipes.DISTILLATION if taught else recipes.SUPERVISED
            model = self._train(recipe, params, folder, logits)
        return NetworkFeatures(params, folder, model)

    def _train(self, recipe, params, folder, teacher):
        return run.train(
            recipe,
            params,
            self._data,
            folder,
            teacher,
            folder.name.rsplit('-', 1)[0],
            self._profile,
            [run_reports.observe],
        )

    def _pretext(self, network, seed, alpha):
        """Parameters and folder of a run without labels."""
        params = self.preset.pretext_params(network, alpha or None, seed)
        teacher = self._pretext(_TEACHER, seed, 0.0)[1].name if alpha else ''
        kind = 'pretext' + (f'-alpha{alpha:g}' if alpha else '')
        return params, self._folder(params, f'{network}-{kind}-seed{seed}', teacher)

    def _supervised(self, network, seed, taught):
        """Parameters and folder of a run with labels."""
        params = self.preset.supervised_params(network, taught, seed)
        teacher = self._supervised(_TEACHER, seed, False)[1].name if taught else ''
        kind = 'taught' if taught else 'supervised'
        return params, self._folder(params, f'{network}-{kind}-seed{seed}', teacher)

    def _folder(self, params, name, teacher):
        content = json.dumps(
            [
                dataclasses.asdict(params),
                teacher,
                self.store.digest,
                self._data.training,
                self._data.validation,
            ]
        )
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return self._out / 'runs' / f'{name}-{digest}'

    def _teacher_sums(self, seed):
        """What the DualCamNet that learned without labels says of each record, summed over
        space: [records, 128]."""
        teacher = self.pretext(_TEACHER, seed)
        params = _of_one_second(teacher.params.sound)
        network = run_data.build_map(params, teacher.folder)
        network.set_weights(teacher.networks[0].get_weights())
        return self._answers(correspondence_steps.summed(network), params, teacher.folder)

    def _teacher_logits(self, seed):
        """What the DualCamNet that learned from labels says of each record, [records, classes]."""
        teacher = self.supervised(_TEACHER, seed)
        params = _of_one_second(teacher.params)
        network = run_data.build(params, self.info.num_classes, teacher.folder)
        network.set_weights(teacher.network.get_weights())
        return self._answers(network, params, teacher.folder)

    def _answers(self, network, params, folder):
        return distillation.record_predictions(
            network,
            run_data.record_clips(params, self.store, folder),
            folder / f'answers_{self.store.digest}.npy',
        )


class Target:
    """Other records that features are judged on.

    Args:
        folder: of AVIA's records, or what stands in for them.
        cache: folder for packed records.
        flip: whether acoustic images are to be flipped, as the authors' loader does with all.

    Attributes:
        info, store, windows: as of a `Workshop`.
    """

    def __init__(self, folder, cache, flip=False):
        self.info = datasets.read_description(folder)
        written = take_lists.write_take_lists(folder, presets.SECONDS)
        found = {path.name: reading.read_list(path, folder) for path in written}
        paths = [path for name in _LISTS for path in found[name]]
        held = reading.modalities_of(paths[0])
        wanted = [m for m in MODALITIES if ('video' if m == 'frames' else m) in held]
        self.store = record_store.open_store(paths, wanted, cache)
        if flip:
            self.store = dataclasses.replace(self.store, mirrored=True)
        self.windows = tuple(
            record_clips.sequence_rows(self.store, found[name], presets.SECONDS) for name in _LISTS
        )


def labels(store_, windows):
    """Class of each clip, [clips] int64."""
    return np.asarray(store_.labels['action'])[windows[:, 0]]


def _of_one_second(params):
    """`supervised.RunParams` of the same network on single records, which it sees one at a time."""
    return dataclasses.replace(params, clips=record_clips.ClipParams(1, 1, 1))
