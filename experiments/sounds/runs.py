"""Students trained on folders of sound files from labels alone, tested on each split."""

import dataclasses
import functools
import pathlib
from typing import ClassVar

import numpy as np
import scipy.special

from dualcam.data.clips import sound_clips
from dualcam.data.packers import sound_packer
from dualcam.data.sources import datasets, sound_folders, splits, takes
from dualcam.inference import network_students, students
from dualcam.training import recipes, run_data
from dualcam.training.run import described, load
from experiments.shared import outcomes, workshops
from experiments.sounds import presets

TEST = 'test'


@dataclasses.dataclass(frozen=True)
class Run:
    """A student for one split: trained on all files that it is not tested on.

    Attributes:
        network: name, see `models.build`.
        split: number of the split.
        start: folder of the run whose weights and front end it starts from; empty for a randomly
            initialised one.
    """

    network: str
    split: int
    start: str = ''
    teacher: ClassVar[None] = None  # a teacher would need acoustic images


class Source:
    """The splits of one folder of sound files.

    Args:
        sound_set: a labelled `sound_folders.SoundSet`.
        out: folder for packed sounds.
        preset: how students are trained.
        max_bad: number of files that may be left out.

    Attributes:
        sound_set: the files without those left out; splits index them.
        splits: the set's `splits.Split`s.
        store: the packed `sound_packer.SoundStore`.
        info: the `datasets.DatasetInfo`.
    """

    run_type: ClassVar[type] = Run

    def __init__(
        self,
        sound_set: sound_folders.SoundSet,
        out: str | pathlib.Path,
        preset: presets.SoundPreset,
        max_bad: int = 0,
    ):
        self.store, self.sound_set = sound_packer.open_sounds(
            sound_set, pathlib.Path(out) / 'cache', max_bad
        )
        self._rows = self.store.rows(sound.path for sound in self.sound_set.sounds)
        self.splits = splits.splits(self.sound_set)
        name = pathlib.Path(sound_set.root).resolve().name
        self.info = datasets.DatasetInfo(name, self.sound_set.classes, f'recordings of {name}', 0)
        self._preset, self._data = preset, {}

    @property
    def note(self) -> str:
        """See `workshops.Source`."""
        text = (
            f'Data: {self.info.name}, {len(self.sound_set.sounds)} recordings, tested on '
            f'{", ".join(split.name for split in self.splits)}'
        )
        return text + (f'; {self._preset.note}' if self._preset.note else '')

    def specify(self, run: Run, seed: int) -> workshops.Specification:
        """See `workshops.Source`; a split's validation files are used for training too."""
        params = self._preset.run_params(run.network, seed)
        if run.start:
            like = described(run.start).params
            params = dataclasses.replace(
                params,
                clips=like.clips,
                normalisation=like.normalisation,
                band_limited=like.band_limited,
            )
        split, start_name = self.splits[run.split], pathlib.Path(run.start).name
        key = run.split, run.start
        if key not in self._data:
            start = {}
            if run.start:
                network = load(run.start)
                start = {one.name: one.get_weights() for one in network.layers if one.weights}
            rows = np.sort(np.concatenate([split.training, split.validation]))
            none = np.zeros(0, np.int64)
            self._data[key] = run_data.SoundData(
                self.store, self._rows[rows], none, self.info, start
            )
        part = split.name.replace(' ', '_')
        return workshops.Specification(
            recipes.SUPERVISED,
            params,
            self._data[key],
            f'{run.network}-{self.info.name}-{part}-seed{seed}',
            (start_name,) if run.start else (),
        )

    def teaching(self, workshop: workshops.Workshop, resolved: workshops.Resolved) -> None:
        """Raises a `ValueError`: there is no teacher."""
        raise ValueError('a folder of sound files has no acoustic images for a teacher')

    def file_of(self, test: str) -> tuple[str, type[outcomes.Tested]]:
        """See `workshops.Source`; the only test is `TEST`, on the run's split."""
        return f'{test}.json', outcomes.Tested

    def test(
        self, workshop: workshops.Workshop, resolved: workshops.Resolved, test: str
    ) -> outcomes.Tested:
        """See `workshops.Source`."""
        del test
        params, folder = resolved.params, resolved.folder
        listener = network_students.from_model(
            workshop.network(resolved),
            run_data.frontend(params, folder),
            params.clips.sample_length,
            self.info.classes,
            folder,
        )
        return self._tested(listener, self.splits[resolved.run.split], listener.clip_samples // 2)

    def test_student(self, listener: students.Listener, split: splits.Split) -> outcomes.Tested:
        """A trained student's predictions for a split's test files; it has the same classes."""
        return self._tested(listener, split, listener.clip_samples)

    def _tested(self, listener, split, hop_samples, batch_size=32):
        """Classes with the largest mean log-probability over each file's windows."""
        rows = self._rows[split.testing]  # of the store
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
        means = np.stack([shares[windows[:, 0] == row].mean(axis=0) for row in rows])
        sounds = [self.sound_set.sounds[row] for row in split.testing]
        return outcomes.Tested(
            self.sound_set.labels[split.testing],
            means.argmax(axis=1),
            tuple(takes.of_sounds(sounds)),
            tuple(sound.path for sound in sounds),
        )


def open_workshop(
    sound_set: sound_folders.SoundSet,
    out: str | pathlib.Path,
    preset: presets.SoundPreset,
    max_bad: int = 0,
    profile: bool = False,
) -> workshops.Workshop:
    """The workshop for a folder of sound files; see `Source` and `workshops.Workshop`."""
    arguments = sound_set, out, preset, max_bad, profile
    source = Source(sound_set, out, preset, max_bad)
    return workshops.Workshop(source, out, profile, functools.partial(open_workshop, *arguments))
