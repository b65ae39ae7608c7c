"""Adam against Keras' own and against NumPy."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam.training import optimizers

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize('compiled', [False, True])
def test_adam_equals_keras_and_numpy(rng, compiled):
    start = rng.standard_normal((7, 5)).astype(np.float32)
    gradients = rng.standard_normal((20, 7, 5)).astype(np.float32) * 10.0 ** np.arange(-4, 1)
    made = []
    for kind in (optimizers.Adam, keras.optimizers.Adam):
        rate = keras.optimizers.schedules.CosineDecay(0.1, 30)
        optimizer, variable = kind(rate), keras.Variable(start)
        optimizer.build([variable])

        def step(optimizer, variable, gradient):
            optimizer.apply_gradients([(gradient, variable)])

        step = functools.partial(step, optimizer, variable)
        work = tf.function(step) if compiled else step
        for gradient in gradients:
            work(tf.constant(gradient, tf.float32))
        made.append([value.numpy() for value in (variable, *optimizer.variables)])
        assert int(optimizer.iterations) == len(gradients)
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)
    mean = square = 0.0
    value = start.astype(np.float64)
    for i, gradient in enumerate(gradients):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = 0.05 * (1.0 + np.cos(np.pi * i / 30))
        value = value - rate * (mean / (1 - 0.9 ** (i + 1))) / (
            np.sqrt(square / (1 - 0.999 ** (i + 1))) + 1e-7 / np.sqrt(1 - 0.999 ** (i + 1))
        )
    np.testing.assert_allclose(made[0][0], value, rtol=1e-4, atol=2e-5)


def test_sparse_gradients_change_their_rows_only():
    optimizer, variable = optimizers.Adam(0.1), keras.Variable(np.ones((4, 2), np.float32))
    optimizer.build([variable])
    rows = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([2]), tf.constant([4, 2]))
    optimizer.apply_gradients([(rows, variable)])
    changed = np.any(variable.numpy() != 1.0, axis=1)
    assert changed.tolist() == [False, False, True, False]
