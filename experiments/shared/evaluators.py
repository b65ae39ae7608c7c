"""Evaluators of a network or its features, by name: from a `Subject` to a `Judged`.

'k-NN' and 'linear probe' are fitted to features of training clips and tuned on those of validation
clips; 'classifier' uses the network's own predictions; 'retrieval' retrieves pictures of each
sound's class.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from dualcam.evaluation import metrics, neighbours, retrieval

KNN, PROBE, CLASSIFIER, RETRIEVAL = 'k-NN', 'linear probe', 'classifier', 'retrieval'
ACCURACY = 'accuracy'


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What is evaluated; parts that an evaluator does not use may be missing.

    Attributes:
        labels: of training, validation and test clips, [clips] each.
        takes: of the test clips, see `takes`.
        num_classes: of the labels.
        features: returns those of training, validation and test clips, [clips, features] each.
        predictions: returns the network's own for the test clips, [clips].
        maps: returns the outputs of the networks on sound and on frames for the test clips: maps
            [clips, rows, cols, channels], or vectors [clips, channels].
        ks: odd candidates for k.
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
    """A subject's result on its test clips.

    Attributes:
        right: whether each is right, [clips] bool.
        takes: of each clip, see `takes`.
        choice: k, or the linear probe's inverse penalty; None if nothing was chosen.
        confusion: counts [classes, classes], the row is the label; None for retrieval.
        predictions: [clips] int64; None for retrieval.
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
    """Evaluates a subject.

    Args:
        name: of the evaluator, one of `EVALUATORS`.
        subject: with the parts that it uses.

    Returns:
        {column: result}; the column is `ACCURACY`, or 'rank 1' and so on.
    """
    return EVALUATORS[name](subject)


def chance_ranks(labels: np.ndarray) -> dict[str, float]:
    """{'rank k': fraction} of retrieval with pictures in random order."""
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
