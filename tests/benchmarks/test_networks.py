"""What a step costs, by the layers' sizes."""

import keras
import numpy as np
import pytest

from benchmarks import networks


def test_products_and_outputs_of_a_step_are_counted():
    image = keras.Input((6, 8, 3))
    x = keras.layers.Conv2D(5, 3, padding='same', use_bias=False)(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = keras.Model(image, keras.layers.Dense(7)(x))
    gflop, megabytes = networks.work_of(model, np.zeros((1, 6, 8, 3), np.float32))
    convolution = 2 * 6 * 8 * (3 * 3 * 3 * 5)  # forwards, likewise backwards to the weights
    dense = 2 * 5 * 7  # and to its inputs
    assert gflop == pytest.approx((2 * convolution + 3 * dense) / 1e9)
    assert megabytes == pytest.approx(4 * (2 * 6 * 8 * 5 + 5 + 7) / 1e6)
