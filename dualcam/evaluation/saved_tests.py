"""Test results in a run's folder, with the interval of each accuracy.

answers.json         validation clips
test_<name>.json     a test

Each has a label and a prediction per clip, and, except in old runs, the clip's take. Clips of one
take are not independent, so there is no interval without takes.
"""

import dataclasses
import functools
import json
import pathlib

import numpy as np

from dualcam.evaluation import uncertainty
from dualcam.files.path_types import AnyPath

VALIDATION_FILE = 'answers.json'
EVENTS = 'events_{}.json'  # scores of a split's clips, for tagging runs instead of these tests


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one class per clip.

    Attributes:
        labels, predictions: [clips] int64.
    """

    labels: np.ndarray
    predictions: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each prediction is the label, [clips] bool."""
        return self.labels == self.predictions

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions."""
        return float(np.mean(self.right))


@dataclasses.dataclass(frozen=True, eq=False)
class SavedTest(Predictions):
    """One test.

    Attributes:
        labels, predictions: see `Predictions`.
        name: 'validation', or such as 'test all'.
        takes: of each clip; empty if unknown.
    """

    name: str
    takes: tuple[str, ...] = ()

    @functools.cached_property
    def interval(self) -> uncertainty.Interval | None:
        """95 % bootstrap interval over takes; None if these are unknown or too few."""
        if len(set(self.takes)) < uncertainty.MIN_TAKES:
            return None
        return uncertainty.interval([uncertainty.Accuracy([(self.right, self.takes)])])

    def __str__(self) -> str:
        """For example '0.6497 [0.595, 0.707] (294 clips of 294 takes)'."""
        text, counted = f'{self.accuracy:.4f}', f'{len(self.labels)} clips'
        if self.takes:
            counted += f' of {len(set(self.takes))} takes'
        if self.interval:
            text += f' [{self.interval.low:.3f}, {self.interval.high:.3f}]'
        return f'{text} ({counted})'


def of_run(folder: AnyPath) -> list[SavedTest]:
    """The tests in a run's folder, validation first."""
    folder = pathlib.Path(folder)
    found = []
    for path in (folder / VALIDATION_FILE, *sorted(folder.glob('test*.json'))):
        if path.exists():
            saved = json.loads(path.read_text(encoding='utf-8'))
            labels, predictions = (np.array(saved[key], np.int64) for key in ('labels', 'answers'))
            name = 'validation' if path.name == VALIDATION_FILE else path.stem.replace('_', ' ')
            found.append(SavedTest(labels, predictions, name, tuple(saved.get('takes', ()))))
    return found
