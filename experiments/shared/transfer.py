"""Transfer of features to another data set: embeddings, k-NN and a linear probe on its splits."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from dualcam.data import stores
from dualcam.data.signal import mfcc
from dualcam.data.sources import sound_files, sound_folders, splits, takes
from dualcam.evaluation import neighbours
from dualcam.files import atomic, locking, progress_bars
from dualcam.inference import embeddings
from experiments.shared import evaluators

FEATURES = (evaluators.KNN, evaluators.PROBE)  # evaluators of features
_DCASE = 'dcase2018'
_KINDS = (_DCASE, 'folder')


def read_target(text):
    """Kind and folder of a command's `--target`."""
    kind, _, folder = text.partition(':')
    if kind not in _KINDS or not folder:
        raise ValueError(f'--target={text}: expected {" or ".join(f"{k}:DIR" for k in _KINDS)}')
    return kind, folder


def find_target(kind, folder):
    """The `sounds.SoundSet` of a target; a folder that is not of its kind is a `ValueError`."""
    found = sound_folders.find_sounds(folder)
    if kind == _DCASE and not any(sound.split for sound in found.sounds):
        raise ValueError(
            f'{folder}: not DCASE 2018 task 1A; expected its meta.csv and '
            'evaluation_setup, or --target=folder:DIR'
        )
    return found


@dataclasses.dataclass(frozen=True)
class Judged:
    """Results of features on the splits of a set: {name of the evaluator: one per split}."""

    by_evaluator: dict[str, list[evaluators.Judged]]

    def tests(self, name: str) -> list[tuple[np.ndarray, Sequence[str]]]:
        """The `results.Outcome` of an evaluator."""
        return [judged.test for judged in self.by_evaluator[name]]

    @property
    def confusion(self) -> np.ndarray:
        """Counts of k-NN on all splits, [classes, classes]; the row is the label."""
        return sum(judged.confusion for judged in self.by_evaluator[evaluators.KNN])

    @property
    def chosen_k(self) -> str:
        """A note of the chosen k of each split."""
        ks = (judged.choice for judged in self.by_evaluator[evaluators.KNN])
        return 'k ' + ', '.join(f'{k:.0f}' for k in ks)


class Target:
    """A data set on which features are evaluated.

    Args:
        sound_set: a labelled `sounds.SoundSet`.
        cache: folder of cached embeddings.
        max_bad: number of files that may be left out.
        ks: odd candidates for k.
        plain: see `neighbours.nearest_neighbours`.

    Attributes:
        skipped: messages about files left out.
    """

    def __init__(self, sound_set, cache, max_bad=0, ks=neighbours.ODD_KS, plain=True):
        if not sound_set.classes:
            raise ValueError(f'{sound_set.root}: has no classes; expected one folder per class')
        self.sound_set = sound_set
        self.skipped = ()
        self._cache, self._max_bad = pathlib.Path(cache), max_bad
        self._ks, self._plain = ks, plain
        self._digest = stores.content_digest([sound.path for sound in sound_set.sounds])

    def by_listener(self, listener, layer):
        """A student's features of each file: (features [files, n], names of the files)."""
        name = f'{listener.network}-{layer}-{listener.digest}-{self._digest}'
        path = self._cache / f'{name}.npz'
        with locking.held_folder(self._cache, 'embeds files'):
            if not path.exists():
                made = embeddings.embed(
                    listener,
                    self.sound_set,
                    embeddings.EmbedParams(layer, max_bad=self._max_bad),
                    self._cache / f'{name}.parts',
                )
                self.skipped = made.skipped
                embeddings.save(path, made, layer, listener.source)
        with np.load(path) as file:
            return file['features'], file['files']

    def by_mfcc(self):
        """MFCC statistics of each file, in the same form."""
        path = self._cache / f'mfcc-{self._digest}.npz'
        if not path.exists():
            features, files, bad = [], [], []
            for sound in progress_bars.bar(self.sound_set.sounds, desc='MFCC', unit='file'):
                try:
                    features.append(mfcc.statistics(sound_files.read_sound(sound.path)))
                    files.append(sound.path)
                except sound_files.BadSound as error:
                    bad.append(str(error))
                    sound_files.check_bad(bad, self._max_bad)
            self.skipped = tuple(bad)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.writing_file(path, path.suffix) as partial:
                np.savez(partial, features=np.stack(features), files=np.array(files))
        with np.load(path) as file:
            return file['features'], file['files']

    def judge(self, features, files, seed=0, only=None):
        """k-NN and a linear probe on all splits of the set.

        Args:
            features: [files, n].
            files: [files] their paths.
            seed: of random splits.
            only: index of the only split to use; None for all.

        Returns:
            The results, `Judged`.
        """
        place = {path: row for row, path in enumerate(files)}
        sounds, labels = self.sound_set.sounds, self.sound_set.labels
        found = {name: [] for name in FEATURES}
        chosen = splits.splits(self.sound_set, seed)
        for split in chosen if only is None else chosen[only : only + 1]:
            rows = [
                [row for row in part if sounds[row].path in place]
                for part in (split.training, split.validation, split.testing)
            ]
            parts = [features[[place[sounds[row].path] for row in part]] for part in rows]
            subject = evaluators.Subject(
                [labels[part] for part in rows],
                takes.of_sounds(sounds[row] for row in rows[2]),
                len(self.sound_set.classes),
                features=lambda parts=parts: parts,
                ks=self._ks,
                plain=self._plain,
            )
            for name in FEATURES:
                found[name].append(evaluators.judge(name, subject)[evaluators.ACCURACY])
        return Judged(found)
