"""Evaluates features by k nearest neighbours and by a linear probe.

k is odd and chosen on validation data, as in WACV 2020's transfer and ECCV 2020's evaluation. Both
papers compare unnormalised features (`plain`). Otherwise, and for the linear probe, features are
first normalised to zero mean and unit deviation by the training set, so that scales do not matter.

Equally close neighbours, up to rounding (`ties.py`), are ordered as in the training data; among
classes with equally many of the k nearest, the first one wins.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import sklearn.exceptions
import threadpoolctl
from scipy.spatial import distance
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dualcam.evaluation import metrics, ties

ODD_KS = (1, 3, 5, 7, 9)
ECCV_KS = (7, 9, 11, 13, 15)
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse strengths of the linear probe
_BLOCK = 512  # test samples whose distances are in memory at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """A classifier's predictions on test data.

    Attributes:
        accuracy: fraction of correct predictions, 0 - 1.
        validation_accuracy: of `choice`, on validation data.
        choice: k, or the linear probe's inverse penalty.
        answers: [tests] int64, predicted classes.
        confusion: [classes, classes] int64; the row is the label.
    """

    accuracy: float
    validation_accuracy: float
    choice: float
    answers: np.ndarray
    confusion: np.ndarray

    @property
    def per_class(self) -> np.ndarray:
        """Accuracy of each class, [classes]; NaN for a class without test samples."""
        with np.errstate(invalid='ignore'):
            return np.diag(self.confusion) / self.confusion.sum(axis=1)


def nearest_neighbours(
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    testing: tuple[np.ndarray, np.ndarray],
    num_classes: int,
    ks: Sequence[int] = ODD_KS,
    plain: bool = False,
) -> Outcome:
    """k nearest neighbours, k chosen on validation data.

    Args:
        training, validation, testing: pairs of features [n, features] and labels [n]. Once k is
            chosen, validation data count as neighbours too, unless `plain`.
        num_classes: of the labels.
        ks: candidates, odd; those larger than the training set are ignored. Among equally good
            ones the smallest wins.
        plain: as in the papers: unnormalised features, and neighbours from training data only.

    Returns:
        An `Outcome`.

    Raises:
        ValueError: a k is even, or none is small enough; features are not finite.
    """
    if any(k < 1 or k % 2 == 0 for k in ks):
        raise ValueError(f'k of {list(ks)}: expected odd numbers, so that two classes do not tie')
    ks = sorted(k for k in ks if k <= len(training[1]))
    if not ks:
        raise ValueError(f'{len(training[1])} training clips are fewer than the smallest k')
    return _choose(_answers_by_neighbours, ks, training, validation, testing, num_classes, plain)


def linear_probe(
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    testing: tuple[np.ndarray, np.ndarray],
    num_classes: int,
) -> Outcome:
    """Logistic regression with its penalty chosen on validation data; see `nearest_neighbours`."""
    return _choose(_answers_by_regression, _PENALTIES, training, validation, testing, num_classes)


def _choose(answer, choices, training, validation, testing, num_classes, plain=False):
    for features, _ in (training, validation, testing):
        if not np.isfinite(features).all():
            raise ValueError('features are not finite')
    right = [
        np.sum(answers == validation[1])
        for answers in answer(training, validation[0], choices, plain)
    ]
    best = int(np.argmax(right))
    known = (
        training
        if plain
        else [np.concatenate(parts) for parts in zip(training, validation, strict=True)]
    )
    (answers,) = answer(known, testing[0], choices[best : best + 1], plain)
    confusion = metrics.confusion(testing[1], answers, num_classes)
    return Outcome(
        float(np.mean(answers == testing[1])),
        float(right[best] / len(validation[1])),
        float(choices[best]),
        answers,
        confusion,
    )


def _answers_by_neighbours(known, asked, ks, plain):
    """Predictions for the features `asked`, [n], for each k."""
    features, labels = known
    coarsest = np.result_type(features.dtype, asked.dtype)
    classes, numbers = np.unique(labels, return_inverse=True)
    mean, deviation = np.zeros(features.shape[1]), np.ones(features.shape[1])
    if not plain:
        scaler = StandardScaler().fit(features.astype(np.float64))
        mean, deviation = scaler.mean_, scaler.scale_
    near = (features - mean) / deviation
    # Rounding of a given feature changes its distances by at most a share of its length.
    longest = np.linalg.norm(features / deviation, axis=1).max()
    answers = [[] for _ in ks]
    for first in range(0, len(asked), _BLOCK):
        block = asked[first : first + _BLOCK]
        lengths = np.linalg.norm(block / deviation, axis=1, keepdims=True)
        distances = ties.merged(
            # Not by products, which cancel: identical clips must have a distance of zero.
            distance.cdist((block - mean) / deviation, near),
            ties.tolerance(1, lengths + longest, coarsest),
            ties.tolerance(near.shape[1] + 3),
        )
        nearest = numbers[np.argsort(distances, axis=1, kind='stable')[:, : max(ks)]]
        for k, found in zip(ks, answers, strict=True):
            votes = np.sum(nearest[:, :k, None] == np.arange(len(classes)), axis=1)
            found.append(classes[votes.argmax(axis=1)])
    return [np.concatenate(found) for found in answers]


def _answers_by_regression(known, asked, penalties, _):
    """Predictions for the features `asked`, [n], for each inverse penalty."""
    answers = []
    for penalty in penalties:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=300))
        # The optimizer's vectors are too short for threads, which take 5 to 25 times as long.
        with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1, 'blas'):
            # A probe that stopped early is still valid; validation data judge it.
            warnings.simplefilter('ignore', sklearn.exceptions.ConvergenceWarning)
            answers.append(model.fit(*known).predict(asked))
    return answers
