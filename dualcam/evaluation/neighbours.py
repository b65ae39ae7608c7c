"""How well features tell classes apart: k nearest neighbours, and a linear probe beside them.

Features are brought to zero mean and unit deviation by the training set first, so that no
dimension counts for its scale. (WACV 2020, section 5.3: k odd, chosen on validation data.) ECCV
2020's features, of which every dimension is of one scale, are compared as they are.
"""

import dataclasses
import warnings

import numpy as np
import sklearn.exceptions
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dualcam.evaluation import metrics

ODD_KS = (1, 3, 5, 7, 9)
ECCV_KS = (7, 9, 11, 13, 15)
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse strengths of the linear probe


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """A classifier's answers on test data.

    Attributes:
        accuracy: share of right answers, 0 - 1.
        validation_accuracy: of the choice, on validation data.
        choice: k, or the linear probe's inverse penalty.
        answers: [tests] int64.
        confusion: [classes, classes] int64; the row is the label.
    """

    accuracy: float
    validation_accuracy: float
    choice: float
    answers: np.ndarray
    confusion: np.ndarray

    @property
    def per_class(self):
        """Accuracy of each class, [classes]; NaN for one that no test has."""
        with np.errstate(invalid='ignore'):
            return np.diag(self.confusion) / self.confusion.sum(axis=1)


def nearest_neighbours(training, validation, testing, num_classes, ks=ODD_KS, plain=False):
    """k nearest neighbours, k chosen on validation data.

    Args:
        training, validation, testing: pairs of features [n, features] and labels [n]. Once k is
            chosen, validation data count as neighbours too.
        num_classes: of the labels.
        ks: to choose from, odd; those larger than the training set are left out. Of equally
            good ones the smallest wins.
        plain: as ECCV 2020's program has it: features as they are, and neighbours of training
            data alone.

    Returns:
        An `Outcome`.

    Raises:
        ValueError: an even k, or none that fits; features that are not finite.
    """
    if any(k < 1 or k % 2 == 0 for k in ks):
        raise ValueError(f'k of {list(ks)}: expected odd numbers, so that two classes do not tie')
    ks = sorted(k for k in ks if k <= len(training[1]))
    if not ks:
        raise ValueError(f'{len(training[1])} training clips are fewer than the smallest k')
    return _choose(
        lambda k: KNeighborsClassifier(int(k)),
        ks,
        training,
        validation,
        testing,
        num_classes,
        plain,
    )


def linear_probe(training, validation, testing, num_classes):
    """Logistic regression, its penalty chosen on validation data; see `nearest_neighbours`."""
    return _choose(
        lambda c: LogisticRegression(C=c, max_iter=300),
        _PENALTIES,
        training,
        validation,
        testing,
        num_classes,
    )


def _choose(make, choices, training, validation, testing, num_classes, plain=False):
    for features, _ in (training, validation, testing):
        if not np.isfinite(features).all():
            raise ValueError('features are not finite')
    scores = [_fitted(make(choice), training, plain).score(*validation) for choice in choices]
    best = int(np.argmax(scores))
    known = (
        training
        if plain
        else [np.concatenate(parts) for parts in zip(training, validation, strict=True)]
    )
    answers = _fitted(make(choices[best]), known, plain).predict(testing[0])
    confusion = metrics.confusion(testing[1], answers, num_classes)
    return Outcome(
        float(np.mean(answers == testing[1])),
        float(scores[best]),
        float(choices[best]),
        answers,
        confusion,
    )


def _fitted(classifier, data, plain):
    if plain:
        return classifier.fit(*data)
    with warnings.catch_warnings():
        # A probe that stopped early is a valid one; validation data judge it.
        warnings.simplefilter('ignore', sklearn.exceptions.ConvergenceWarning)
        return make_pipeline(StandardScaler(), classifier).fit(*data)
