"""Students trained on folders of sound from labels alone, tested on each of the set's splits."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import scipy.special

from dualcam.data.clips import record_clips, sound_clips
from dualcam.data.signal import augmentation
from dualcam.data.sources import datasets, splits
from dualcam.data.stores import sound_store
from dualcam.evaluation import metrics
from dualcam.inference import students
from dualcam.reports import run_page, run_reports
from dualcam.training import loop, recipes, run, run_data, run_folder, sound_data
from dualcam.training.recipes import supervised
from experiments.shared import takes


@dataclasses.dataclass(frozen=True)
class SoundPreset:
    """How students are trained on a folder of sound.

    Attributes:
        epochs: {network: epochs}; the last one's weights are kept, since a fold of a small set
            has no clips to spare for choosing one.
        seconds: {network: length of a clip}.
        learning_rate: {network: rate at the start}, which falls as a cosine to zero.
        weight_decay: of the L2 terms.
        dropout: rate before fc1 and fc2.
        augment: an `augmentation.Augmentation`.
        note: for titles.
        hardware: see `presets.with_hardware`.
    """

    epochs: dict
    seconds: dict
    learning_rate: dict
    weight_decay: float
    dropout: float
    augment: augmentation.Augmentation
    note: str = ''
    hardware: dict = dataclasses.field(default_factory=dict)

    def run_params(self, network, seed):
        """`supervised.RunParams` of a network."""
        seconds = self.seconds[network]
        return supervised.RunParams(
            network=network,
            clips=record_clips.ClipParams(seconds, seconds, 1),
            loop=loop.LoopParams(
                self.epochs[network],
                32,
                self.learning_rate[network],
                seed,
                'cosine',
                **self.hardware,
            ),
            weight_decay=self.weight_decay,
            normalisation='log',
            band_limited=False,
            augment=self.augment,
            options=(('dropout', self.dropout),) if self.dropout else (),
        )


# Chosen by training on one fold and judging by another, the third untouched, over all pairs.
_FULL = SoundPreset(
    epochs={'hearnet': 80, 'oursoundnet': 40},
    seconds={'hearnet': 3, 'oursoundnet': 5},
    learning_rate={'hearnet': 5e-4, 'oursoundnet': 1e-3},
    weight_decay=5e-4,
    dropout=0.5,
    augment=augmentation.Augmentation(mixup=0.4),
)
PRESETS = {
    'demo': _FULL,
    'paper': _FULL,
    'smoke': dataclasses.replace(
        _FULL,
        epochs={'hearnet': 2, 'oursoundnet': 1},
        note='smoke preset: proves the path, not the numbers',
    ),
}


class SoundWorkshop:
    """Trains and tests students on the splits of one folder of sound.

    Args:
        sound_set: a labelled `sounds.SoundSet`.
        out: folder for runs and packed sounds.
        preset: a `SoundPreset`.
        max_bad: files that may be left out.

    Attributes:
        splits: the set's `splits.Split`s.
        store: the packed `sound_store.SoundStore`.
        info: the `datasets.DatasetInfo`.
    """

    def __init__(self, sound_set, out, preset, max_bad=0):
        self.store = sound_store.open_sounds(sound_set, pathlib.Path(out) / 'cache', max_bad)
        self._set = self.store.sound_set
        self.splits = splits.splits(self._set)
        name = pathlib.Path(sound_set.root).resolve().name
        self.info = datasets.DatasetInfo(name, self._set.classes, f'recordings of {name}', 0)
        self._out, self._preset = pathlib.Path(out), preset

    def params(self, network, seed, like=None):
        """`supervised.RunParams` of a network; with `like`, those of a run, its input as it was."""
        params = self._preset.run_params(network, seed)
        if like is None:
            return params
        return dataclasses.replace(
            params,
            clips=like.clips,
            normalisation=like.normalisation,
            band_limited=like.band_limited,
        )

    def folder(self, params, split, start_name=''):
        """Where the run of a split is."""
        content = json.dumps(
            [
                dataclasses.asdict(params),
                self.store.digest,
                start_name,
                split.training.tolist(),
                split.validation.tolist(),
            ]
        )
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        part = split.name.replace(' ', '_')
        return (
            self._out
            / 'runs'
            / f'{params.network}-{self.info.name}-{part}-seed{params.loop.seed}-{digest}'
        )

    def score(self, params, split, start=None, start_name=''):
        """Trains on all files that a split does not test on, and tests.

        Args:
            params: a `supervised.RunParams`.
            split: a `splits.Split`; its validation files are learned from too.
            start: {layer: weights} to start from.
            start_name: where they are from.

        Returns:
            (whether each prediction is right [files] bool, takes of the files).
        """
        folder = self.folder(params, split, start_name)
        path = folder / 'test.json'
        if not path.exists():
            rows = np.sort(np.concatenate([split.training, split.validation]))
            data = sound_data.SoundData(
                self.store, rows, np.zeros(0, np.int64), self.info, start or {}
            )
            print(f'training  {folder.name}')
            model = run.train(
                recipes.SUPERVISED,
                params,
                data,
                folder,
                name=folder.name.rsplit('-', 1)[0],
                observers=[run_reports.observe],
            )
            listener = students.from_model(
                model,
                run_data.frontend(params, folder),
                params.clips.sample_length,
                self.info.classes,
                folder,
            )
            answers = self._answers(listener, split.testing, listener.clip_samples // 2)
            labels = self._set.labels[split.testing]
            run_folder.write_json(
                path,
                {
                    'accuracy': float(np.mean(answers == labels)),
                    'num_files': len(labels),
                    'labels': labels.tolist(),
                    'answers': answers.tolist(),
                    'takes': self._takes(split),
                    'files': [self._set.sounds[row].path for row in split.testing],
                },
            )
            run_page.write(folder)
        saved = json.loads(path.read_text(encoding='utf-8'))
        return np.array(saved['answers']) == np.array(saved['labels']), self._takes(split)

    def confusion(self, params, split, start_name=''):
        """Counts [classes, classes] of a split's test, which `score` made."""
        saved = json.loads(
            (self.folder(params, split, start_name) / 'test.json').read_text(encoding='utf-8')
        )
        return metrics.confusion(saved['labels'], saved['answers'], len(self.info.classes))

    def score_listener(self, listener, split):
        """What `score` returns, of a trained student with the same classes."""
        answers = self._answers(listener, split.testing, listener.clip_samples)
        return answers == self._set.labels[split.testing], self._takes(split)

    def listener(self, params, split, start_name=''):
        """The trained student of a split."""
        return students.open_listener(self.folder(params, split, start_name))

    def _takes(self, split):
        return takes.of_sounds(self._set.sounds[row] for row in split.testing)

    def _answers(self, listener, rows, hop_samples, batch_size=32):
        """Class with the largest mean log-probability over each file's windows, [rows] int64."""
        windows = sound_clips.windows(self.store, rows, listener.clip_samples, hop_samples)
        ask, logits = listener.listen('logits'), []
        for first in range(0, len(windows), batch_size):
            logits.append(
                ask(
                    np.stack(
                        [
                            self.store.clip(row, start, listener.clip_samples)
                            for row, start in windows[first : first + batch_size]
                        ]
                    )
                )
            )
        shares = scipy.special.log_softmax(np.concatenate(logits), axis=1)
        return np.stack([shares[windows[:, 0] == row].mean(axis=0) for row in rows]).argmax(axis=1)
