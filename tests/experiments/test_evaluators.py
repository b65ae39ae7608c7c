"""Evaluators by name: each one's columns for a subject with a known result."""

import numpy as np
import pytest

from experiments.shared import evaluators

LABELS = [np.repeat([0, 1], 10), np.repeat([0, 1], 4), np.repeat([0, 1], 5)]
TAKES = [f'take {i}' for i in range(10)]


def clouds(rng, distance):
    """Features of each split: two clusters at a given distance."""
    return [labels[:, None] * distance + rng.normal(size=(len(labels), 3)) for labels in LABELS]


@pytest.mark.parametrize('name', [evaluators.KNN, evaluators.PROBE])
def test_features_that_lie_apart_are_told_apart(rng, name):
    parts = clouds(rng, 50.0)
    subject = evaluators.Subject(LABELS, TAKES, 3, features=lambda: parts)
    judged = evaluators.judge(name, subject)['accuracy']
    assert judged.right.all() and judged.test == (judged.right, TAKES)
    np.testing.assert_array_equal(judged.confusion, np.diag([5, 5, 0]))
    # Swapped labels of the test clips: everything is wrong.
    swapped = evaluators.Subject([*LABELS[:2], 1 - LABELS[2]], TAKES, 3, features=lambda: parts)
    assert not evaluators.judge(name, swapped)['accuracy'].right.any()


def test_neighbours_are_plain_unless_asked(rng):
    parts = clouds(rng, 2.0)
    for part in parts:
        part[:, 1:] *= 1000.0  # hides the difference between the classes, unless standardised
    plain, scaled = (
        evaluators.judge(
            evaluators.KNN,
            evaluators.Subject(LABELS, TAKES, 2, features=lambda: parts, plain=is_plain),
        )['accuracy']
        for is_plain in (True, False)
    )
    assert scaled.right.mean() > plain.right.mean()
    assert plain.choice in (1, 3, 5, 7, 9)


def test_a_classifier_is_judged_by_its_own_predictions():
    predictions = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    subject = evaluators.Subject(LABELS, TAKES, 2, predictions=lambda: predictions)
    judged = evaluators.judge(evaluators.CLASSIFIER, subject)['accuracy']
    np.testing.assert_array_equal(judged.right, [1, 1, 1, 1, 0, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(judged.confusion, [[4, 1], [1, 4]])


def test_retrieval_has_a_column_per_rank():
    one_hot = np.eye(2)[LABELS[2]]
    subject = evaluators.Subject(LABELS, TAKES, 2, maps=lambda: (one_hot, one_hot))
    found = evaluators.judge(evaluators.RETRIEVAL, subject)
    assert list(found) == ['rank 1', 'rank 2', 'rank 5', 'rank 10', 'rank 30']
    assert all(judged.right.all() for judged in found.values())
    opposite = evaluators.Subject(LABELS, TAKES, 2, maps=lambda: (one_hot, 1.0 - one_hot))
    found = evaluators.judge(evaluators.RETRIEVAL, opposite)
    assert [judged.right.mean() for judged in found.values()] == [0, 0, 0, 1, 1]
    assert evaluators.chance_ranks(LABELS[2])['rank 1'] == pytest.approx(0.5)
