"""Test results in a run's folder, clip by clip, so that each test runs once."""

import dataclasses
import json
import pathlib

import numpy as np

from dualcam.evaluation import metrics, saved_tests
from dualcam.files import atomic
from dualcam.training import run_folder


@dataclasses.dataclass(frozen=True, eq=False)
class Tested(saved_tests.Predictions):
    """Predictions of one class per clip.

    Attributes:
        labels, predictions: [clips] int64.
        takes: of each clip, its recording, see `takes`.
        files: of each clip, if clips are files.
    """

    takes: tuple[str, ...]
    files: tuple[str, ...] = ()

    def confusion(self, num_classes: int) -> np.ndarray:
        """Counts, [classes, classes]; the row is the label."""
        return metrics.confusion(self.labels, self.predictions, num_classes)

    def save(self, path: pathlib.Path) -> None:
        """Writes a JSON file."""
        run_folder.write_json(
            path,
            {
                'accuracy': self.accuracy,
                'num_clips': len(self.labels),
                'labels': self.labels.tolist(),
                'answers': self.predictions.tolist(),
                'takes': list(self.takes),
            }
            | ({'files': list(self.files)} if self.files else {}),
        )

    @classmethod
    def load(cls, path: pathlib.Path) -> 'Tested':
        """What `save` wrote."""
        saved = json.loads(path.read_text(encoding='utf-8'))
        labels, predictions = (np.array(saved[key], np.int64) for key in ('labels', 'answers'))
        return cls(labels, predictions, tuple(saved['takes']), tuple(saved.get('files', ())))

    @classmethod
    def is_saved(cls, path: pathlib.Path) -> bool:
        """Whether a test exists; those of older versions lack the takes."""
        return path.exists() and 'takes' in json.loads(path.read_text(encoding='utf-8'))


@dataclasses.dataclass(frozen=True)
class Validation:
    """Scores of a run's best weights on its validation split.

    Attributes:
        accuracy: fraction of correct clips.
        loss: mean cross-entropy with the labels, in nats. The training losses have different
            weights and temperatures; this one is comparable between runs.
        num_clips: of the split.
        seed: of the run.
    """

    accuracy: float
    loss: float
    num_clips: int
    seed: int

    def save(self, path: pathlib.Path) -> None:
        """Writes a JSON file."""
        run_folder.write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: pathlib.Path) -> 'Validation':
        """What `save` wrote."""
        return cls(**json.loads(path.read_text(encoding='utf-8')))

    @classmethod
    def is_saved(cls, path: pathlib.Path) -> bool:
        """Whether it exists."""
        return path.exists()


@dataclasses.dataclass(frozen=True, eq=False)
class Tagged:
    """Probabilities of each clip's events, [clips, classes]."""

    probabilities: np.ndarray

    def save(self, path: pathlib.Path) -> None:
        """Writes a .npy file."""
        with atomic.writing_file(path) as partial, open(partial, 'wb') as file:
            np.save(file, self.probabilities)

    @classmethod
    def load(cls, path: pathlib.Path) -> 'Tagged':
        """What `save` wrote."""
        return cls(np.load(path))

    @classmethod
    def is_saved(cls, path: pathlib.Path) -> bool:
        """Whether it exists."""
        return path.exists()
