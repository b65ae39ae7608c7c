"""How a network or its features are judged, by name: each evaluator makes a `Subject` `Judged`.

'k-NN' and 'linear probe' learn from features of training clips and choose on those of validation
clips; 'classifier' takes the network's own predictions; 'retrieval' lets each sound look for
pictures of its class.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from dualcam.evaluation import metrics, neighbours, retrieval

KNN, PROBE, CLASSIFIER, RETRIEVAL = 'k-NN', 'linear probe', 'classifier', 'retrieval'
ACCURACY = 'accuracy'


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What is judged; what an evaluator does not take may be missing.

    Attributes:
        labels: of training, validation and test clips, [clips] each.
        takes: of the test clips, see `takes`.
        num_classes: of the labels.
        features: gives those of training, validation and test clips, [clips, features] each.
        predictions: gives the network's own of the test clips, [clips].
        maps: gives what the networks on sound and on frames say of the test clips: maps [clips,
            rows, cols, channels], or vectors [clips, channels].
        ks: odd numbers that k is chosen from.
        plain: see `neighbours.nearest_neighbours`.
    """

    labels: Sequence[np.ndarray]
    takes: Sequence[str]
    num_classes: int
    features: Callable[[], Sequence[np.ndarray]] | None = None
    predictions: Callable[[], np.ndarray] | None = None
    maps: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None
    ks: Sequence[int] = neighbours.ODD_KS
    plain: bool = True

    @property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Features and labels of training, validation and test clips."""
        return list(zip(self.features(), self.labels, strict=True))


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """How a subject did on its test clips.

    Attributes:
        right: of each, whether it is, [clips] bool.
        takes: of each, see `takes`.
        choice: k, or the linear probe's inverse penalty; None where nothing was chosen.
        confusion: counts [classes, classes], the row is the label; None of retrieval.
        predictions: [clips] int64; None of retrieval.
    """

    right: np.ndarray
    takes: Sequence[str]
    choice: float | None = None
    confusion: np.ndarray | None = None
    predictions: np.ndarray | None = None

    @property
    def test(self) -> tuple[np.ndarray, Sequence[str]]:
        """One split of a `results.Outcome`."""
        return self.right, self.takes


def judge(name: str, subject: Subject) -> dict[str, Judged]:
    """Judges a subject.

    Args:
        name: of the evaluator, one of `EVALUATORS`.
        subject: has what it takes.

    Returns:
        {column: how it did}; the column is `ACCURACY`, or 'rank 1' and so on.
    """
    return EVALUATORS[name](subject)


def chance_ranks(labels: np.ndarray) -> dict[str, float]:
    """{'rank k': share} of retrieval where pictures come in any order."""
    return {_rank(k): share for k, share in retrieval.chance(labels).items()}


def _k_nearest(subject):
    return _of_outcome(
        subject,
        neighbours.nearest_neighbours(
            *subject.splits, subject.num_classes, subject.ks, subject.plain
        ),
    )


def _linear_probe(subject):
    return _of_outcome(subject, neighbours.linear_probe(*subject.splits, subject.num_classes))


def _of_outcome(subject, outcome):
    right = outcome.answers == subject.labels[2]
    judged = Judged(right, subject.takes, outcome.choice, outcome.confusion, outcome.answers)
    return {ACCURACY: judged}


def _classifier(subject):
    labels, predictions = subject.labels[2], subject.predictions()
    confusion = metrics.confusion(labels, predictions, subject.num_classes)
    judged = Judged(labels == predictions, subject.takes, None, confusion, predictions)
    return {ACCURACY: judged}


def _retrieval(subject):
    heard, seen = subject.maps()
    if seen.ndim == 4:
        ranks = retrieval.ranks(heard, seen, subject.labels[2])
    else:
        ranks = retrieval.ranks_of_features(_unit(heard), _unit(seen), subject.labels[2])
    return {_rank(k): Judged(ranks.places <= k, subject.takes) for k in ranks.ks}


def _unit(features):
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def _rank(k):
    return f'rank {k}'


EVALUATORS: dict[str, Callable[[Subject], dict[str, Judged]]] = {
    KNN: _k_nearest,
    PROBE: _linear_probe,
    CLASSIFIER: _classifier,
    RETRIEVAL: _retrieval,
}
