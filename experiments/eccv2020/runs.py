"""ECCV 2020's runs: networks trained on ACIVW's records, with labels or without.

Self-supervised ones learn from the correspondence of sound and video
(`training/recipes/correspondence.py`), HearNet also from the trained DualCamNet; supervised ones,
for comparison, from labels.
"""

import dataclasses
import functools
import pathlib
from typing import ClassVar

import keras
import numpy as np

from dualcam.data import stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.records import reading, take_lists
from dualcam.data.sources import datasets, takes
from dualcam.models import l3net
from dualcam.training import predictions, recipes, run_data
from dualcam.training.recipes import correspondence, correspondence_steps
from experiments.eccv2020 import presets
from experiments.eccv2020.features import NetworkFeatures, PairFeatures
from experiments.shared import outcomes, workshops
from records import video_lists

MODALITIES = ('acoustic', 'audio', 'frames')
PRETEXT, SUPERVISED, TAUGHT = 'pretext', 'supervised', 'taught'
TEST, CORRESPONDENCE = 'test', 'correspondence'
_LISTS = ('training.txt', 'validation.txt', 'testing.txt')
_TEACHER = 'dualcamnet_eccv'
_PAIRING_SEED = 0  # the same pairs for all runs


@dataclasses.dataclass(frozen=True)
class Run:
    """One trained network, or pair of networks.

    Attributes:
        network: on sound: 'dualcamnet_eccv', 'hearnet_eccv' or 'l3_audio'; for supervised runs
            also 'resnet18_eccv' or 'l3_vision'.
        kind: `PRETEXT` learns from the correspondence of sound and frames, `SUPERVISED` from
            labels, `TAUGHT` also from the supervised DualCamNet's predictions.
        alpha: for pretext runs, share of the transfer from DualCamNet's own run.
    """

    network: str
    kind: str
    alpha: float = 0.0

    @property
    def teacher(self) -> 'Run | None':
        """The DualCamNet run that is this one's teacher."""
        if self.kind == TAUGHT:
            return Run(_TEACHER, SUPERVISED)
        return Run(_TEACHER, PRETEXT) if self.alpha else None

    @property
    def name(self) -> str:
        """Name for folders."""
        return f'{self.network}-{self.kind}' + (f'-alpha{self.alpha:g}' if self.alpha else '')


class Source:
    """One folder of ACIVW records, or of a data set in its place.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: the `record_packer.RecordStore` of all records.
        preset: a `presets.EccvPreset`.
        windows: of the training, validation and test clips: [clips, 2] rows of the store each.

    Args:
        records: folder of the records.
        out: folder for packed records.
        preset: as above.
        lists: folder with training.txt, validation.txt and testing.txt, such as the authors'; what
            precedes class_C/... in them is replaced by `records`. None makes lists by video.
        max_bad: number of unreadable records that may be left out, each with its sequence.
    """

    run_type: ClassVar[type] = Run

    def __init__(
        self,
        records: str | pathlib.Path,
        out: str | pathlib.Path,
        preset: presets.EccvPreset,
        lists: str | pathlib.Path | None = None,
        max_bad: int = 0,
    ):
        records, cache = pathlib.Path(records), pathlib.Path(out) / 'cache'
        self.preset = preset
        if not records.is_dir():
            raise ValueError(f'{records}: no such folder; make records with make eccv')
        self.info = datasets.read_description(records)
        if lists is None:
            lists = next(iter(video_lists.write_video_lists(records, presets.SECONDS))).parent
        paths = {name: reading.read_list(pathlib.Path(lists) / name, records) for name in _LISTS}
        self.store = stores.open_store(
            [path for name in _LISTS for path in paths[name]],
            record_packer.RecordPacker(MODALITIES),
            cache,
            max_bad,
        )
        paths = {
            name: self.store.whole_sequences(part, presets.SECONDS) for name, part in paths.items()
        }
        self._data = run_data.RunData(
            self.store, paths['training.txt'], paths['validation.txt'], self.info
        )
        self.windows = tuple(
            record_clips.sequence_rows(self.store, paths[name], presets.SECONDS) for name in _LISTS
        )

    @property
    def note(self) -> str:
        """See `workshops.Source`."""
        text = f'Data: {self.info.name}, {self.info.origin}'
        return (f'{text}; {self.preset.note}' if self.preset.note else text) + self.store.note

    def specify(self, run: Run, seed: int) -> workshops.Specification:
        """See `workshops.Source`."""
        if run.kind == PRETEXT:
            recipe = recipes.CORRESPONDENCE
            params = self.preset.pretext_params(run.network, run.alpha or None, seed)
        else:
            recipe = recipes.DISTILLATION if run.teacher else recipes.SUPERVISED
            params = self.preset.supervised_params(run.network, run.kind == TAUGHT, seed)
        return workshops.Specification(recipe, params, self._data, f'{run.name}-seed{seed}')

    def teaching(self, workshop: workshops.Workshop, resolved: workshops.Resolved) -> np.ndarray:
        """DualCamNet's outputs for each record: logits [records, classes], or, without labels, its
        maps summed over space [records, 128]."""
        teacher = resolved.teacher
        if teacher.run.kind != PRETEXT:
            return workshop.record_logits(teacher)
        params = workshops.one_second(teacher.params.sound)
        trained, _ = correspondence.split(teacher.params, workshop.network(teacher))
        network = run_data.build_map(params, teacher.folder)  # its statistics exist by now
        network.set_weights(trained.get_weights())
        summed = correspondence_steps.summed(network)
        return workshop.record_predictions(summed, params, teacher.folder)

    def file_of(self, test: str) -> tuple[str, type[outcomes.Tested]]:
        """See `workshops.Source`; tests are `TEST` for supervised runs, and `CORRESPONDENCE` for
        L3-Net."""
        return f'{test}.json', outcomes.Tested

    def test(
        self, workshop: workshops.Workshop, resolved: workshops.Resolved, test: str
    ) -> outcomes.Tested:
        """The network's own predictions for the test clips, or for pairs of them."""
        network, windows = workshop.network(resolved), self.windows[2]
        if test == CORRESPONDENCE:
            return test_pairs(network, resolved.params, resolved.folder, self.store, windows)
        clips = run_data.cut(resolved.params, self.store, windows, resolved.folder)
        answers = np.argmax(predictions.predict(network, clips), -1)
        names = takes.of_records(self.store, windows[:, 0])
        return outcomes.Tested(labels(self.store, windows), answers, tuple(names))


def test_pairs(
    network: keras.Model,
    params: correspondence.CorrespondenceParams,
    folder: pathlib.Path,
    store: record_packer.RecordStore,
    windows: np.ndarray,
) -> outcomes.Tested:
    """Tests whether L3-Net distinguishes a clip's own sound from another video's.

    Each clip's frames are paired with their own sound and, as in training, with that of the next
    clip from another video, in a shuffled order.

    Args:
        network: from `l3net.build_correspondence`, trained.
        params, folder: of its run.
        store: contains the records.
        windows: [clips, seconds] rows of it.

    Returns:
        Labels and predictions of two pairs per clip, 1 for those that correspond; their takes are
        those of the frames.
    """
    networks = correspondence.split(params, network)
    heard, seen = PairFeatures(params, folder, networks).maps(store, windows)
    order = np.random.default_rng(_PAIRING_SEED).permutation(len(windows))
    clips = windows[order, 0]
    columns = (np.asarray(store.columns[name])[clips] for name in ('label', 'group'))
    others = order[correspondence_steps.other_videos(*columns).numpy()]
    seen = seen[order]
    logits = [
        np.asarray(l3net.correspondence_logits(network, heard[sounds], seen))
        for sounds in (order, others)
    ]
    names = takes.of_records(store, clips)
    return outcomes.Tested(
        np.repeat([1, 0], len(clips)), np.argmax(np.concatenate(logits), -1), (*names, *names)
    )


def features_of(
    workshop: workshops.Workshop, run: Run, seed: int
) -> PairFeatures | NetworkFeatures:
    """Features of a run, which is trained if necessary."""
    resolved = workshop.resolve(run, seed)
    network = workshop.network(resolved)
    if run.kind == PRETEXT:
        networks = correspondence.split(resolved.params, network)
        return PairFeatures(resolved.params, resolved.folder, networks)
    return NetworkFeatures(resolved.params, resolved.folder, network)


def untrained_features(workshop: workshops.Workshop, network: str, seed: int) -> PairFeatures:
    """Features of the networks of a pretext run, randomly initialised, with its statistics."""
    resolved = workshop.resolve(Run(network, PRETEXT), seed)
    workshop.train(resolved.run, seed)
    keras.utils.set_random_seed(seed)
    model = correspondence.build(resolved.params, resolved.folder)
    networks = correspondence.split(resolved.params, model)
    return PairFeatures(resolved.params, resolved.folder, networks)


class Target:
    """Other records on which features are evaluated.

    Args:
        folder: of AVIA's records, or of a data set in their place.
        cache: folder for packed records.
        flip: whether to flip acoustic images, as the authors' loader always does.

    Attributes:
        info, store, windows: as in `Source`.
    """

    def __init__(self, folder: str | pathlib.Path, cache: str | pathlib.Path, flip: bool = False):
        self.info = datasets.read_description(folder)
        written = take_lists.write_take_lists(folder, presets.SECONDS)
        found = {path.name: reading.read_list(path, folder) for path in written}
        paths = [path for name in _LISTS for path in found[name]]
        held = reading.modalities_of(paths[0])
        wanted = [m for m in MODALITIES if ('video' if m == 'frames' else m) in held]
        self.store = stores.open_store(paths, record_packer.RecordPacker(wanted), cache)
        if flip:
            self.store = dataclasses.replace(self.store, mirrored=True)
        self.windows = tuple(
            record_clips.sequence_rows(self.store, found[name], presets.SECONDS) for name in _LISTS
        )


def labels(store: stores.Store, windows: np.ndarray) -> np.ndarray:
    """Class of each clip, [clips] int64."""
    return np.asarray(store.columns['label'])[windows[:, 0]]


def open_workshop(
    records: str | pathlib.Path,
    out: str | pathlib.Path,
    preset: presets.EccvPreset,
    lists: str | pathlib.Path | None = None,
    max_bad: int = 0,
    profile: bool = False,
) -> workshops.Workshop:
    """The workshop for a folder of records; see `Source` and `workshops.Workshop`."""
    arguments = records, out, preset, lists, max_bad, profile
    source = Source(records, out, preset, lists, max_bad)
    return workshops.Workshop(source, out, profile, functools.partial(open_workshop, *arguments))
