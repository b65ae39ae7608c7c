"""Invariants, and independent NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses

pytestmark = pytest.mark.numeric


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.fixture
def batch(rng):
    return rng.integers(0, 7, 9), rng.standard_normal((9, 7)), rng.standard_normal((9, 7)) * 3


def test_distillation_equals_numpy(batch):
    labels, student, teacher = batch
    hard = -np.log(softmax(student)[np.arange(9), labels]).mean()
    soft = -(softmax(teacher / 2.5) * np.log(softmax(student))).sum(axis=1).mean()
    assert float(losses.distillation(labels, student, teacher, 0.3, 2.5)) == pytest.approx(
        0.7 * hard + 0.3 * soft
    )


def test_a_certain_right_teacher_gives_plain_cross_entropy(batch):
    labels, student, _ = batch
    certain = np.eye(7)[labels] * 1e4
    assert float(losses.distillation(labels, student, certain, 0.5, 1.0)) == pytest.approx(
        float(losses.cross_entropy(labels, student))
    )


def test_an_endlessly_hot_teacher_knows_nothing(batch):
    _, student, teacher = batch
    assert float(losses.soft_cross_entropy(teacher, student, 1e9)) == pytest.approx(
        float(-np.log(softmax(student)).mean(axis=1).mean())
    )


def test_binary_cross_entropies_equal_numpy(batch, rng):
    _, own, peer = batch
    labels = (rng.random((9, 7)) < 0.3).astype(np.float64)

    def want(targets):
        p = 1 / (1 + np.exp(-own))
        return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum() / 9

    assert float(losses.binary_cross_entropy(labels, own)) == pytest.approx(want(labels))
    assert float(losses.soft_binary_cross_entropy(peer, own)) == pytest.approx(
        want(1 / (1 + np.exp(-peer)))
    )


def test_feature_distance_equals_numpy_and_leaves_the_peer_alone(rng):
    peer, own = (tf.constant(rng.standard_normal((9, 4))) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch([peer, own])
        distance = losses.feature_distance(peer, own)
    difference = own.numpy() - peer.numpy()
    assert float(distance) == pytest.approx((difference**2).sum() / 9)
    to_peer, to_own = tape.gradient(distance, [peer, own])
    assert to_peer is None
    np.testing.assert_allclose(to_own, 2 * difference / 9)


def test_l2_penalty_equals_numpy(rng):
    kernels = [rng.standard_normal((3, 4)), rng.standard_normal((5,))]
    want = 1e-3 * sum((k**2).sum() for k in kernels) / 2
    assert float(losses.l2_penalty(kernels, 1e-3)) == pytest.approx(want)
