"""Precisions and devices: a step on two of them is the step on one.

Two logical processors stand in for two GPUs. They are made before TensorFlow starts, so the work is
done by one other process for all of these tests.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses as losses_lib
from dualcam.models import layers
from dualcam.training import hardware, loop, steps

_WORK = """
import json, sys
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.dualcam.training import test_hardware
print(json.dumps(test_hardware.two_devices()))
"""


def two_devices():
    """What two devices do, for `test_two_devices_learn_as_one`; JSON."""
    made = {}
    for devices, norm in ((1, False), (2, False), (2, True)):
        params = loop.LoopParams(devices=devices, learning_rate=1e-2)
        keras.utils.set_random_seed(3)
        with hardware.building(params):
            model = _network(norm)
            step = _Step(model)
            optimizer = loop.make_optimizer(params, 10)
            optimizer.build(step.variables)
        train_step = loop.make_train_step(step, optimizer, devices)
        said = []
        for batch in _batches():
            losses, right, is_finite = train_step(batch)
            said.append([float(losses['hard']), float(losses['l2']), int(right), bool(is_finite)])
        settled = hardware.settled(params, model, lambda norm=norm: _network(norm))
        assert settled(_batches()[0]['input']).shape == (6, 3)
        made['normalised' if norm else devices] = {
            'said': said,
            'weights': [weight.tolist() for weight in settled.get_weights()],
            'strategy': type(hardware.strategy(devices)).__name__,
        }
    try:
        hardware.strategy(3)
    except ValueError as error:
        made['error'] = str(error)
    return made


def _network(norm=False):
    layers_ = [keras.Input((8, 4)), keras.layers.Conv1D(5, 3, activation='relu', name='conv1')]
    if norm:
        layers_ += [layers.FusedBatchNormalization()]
    return keras.Sequential(
        [*layers_, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)], name='small'
    )


def _batches():
    rng = np.random.default_rng(5)
    return [
        {
            'input': tf.constant(rng.standard_normal((size, 8, 4)), tf.float32),
            'label': tf.constant(rng.integers(0, 3, size)),
        }
        for size in (6, 5, 1, 4)
    ]


class _Step(steps.Step):
    """Cross-entropy with an L2 term."""

    def __init__(self, model):
        super().__init__(model, model.trainable_variables, [model.layers[0].kernel], 0.1)

    def losses(self, batch, training):
        logits = steps.answers(self.model, batch['input'], training)
        assert logits.dtype == tf.float32
        return self.add_penalty({'hard': losses_lib.cross_entropy(batch['label'], logits)}), logits


@pytest.fixture(scope='module')
def both(command):
    code, out, errors = command('-W', 'ignore', '-c', _WORK)
    assert code == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


def test_two_devices_learn_as_one(both):
    one, two = both['1'], both['2']
    assert (one['strategy'], two['strategy']) == (
        '_DefaultDistributionStrategy',
        'MirroredStrategy',
    )
    for told, wanted in zip(two['said'], one['said'], strict=True):
        np.testing.assert_allclose(told[:2], wanted[:2], rtol=1e-5)
        assert told[2:] == wanted[2:]
    for got, wanted in zip(two['weights'], one['weights'], strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_averages_of_a_normalisation_follow_all_devices(both):
    """Each device's batch has its own statistics; the averages move by the mean of both."""
    mean, variance = both['normalised']['weights'][4:6]
    assert np.all(np.isfinite(mean)) and np.all(np.array(mean) > 0.0)  # after ReLU
    assert np.all(np.array(variance) != 1.0)
    assert all(is_finite for *_, is_finite in both['normalised']['said'])


def test_more_devices_than_there_are_are_refused(both):
    assert '--devices=2' in both['error']
    assert '3 devices asked for' in both['error']


@pytest.mark.parametrize(
    'options, message',
    [
        ({'precision': 'half'}, 'mixed_bfloat16'),
        ({'devices': 0}, '1 or more'),
        ({'precision': 'mixed_float16', 'devices': 2}, 'take mixed_bfloat16'),
    ],
)
def test_impossible_hardware_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        loop.LoopParams(**options)


@pytest.mark.parametrize(
    'precision, dtype', [('mixed_bfloat16', 'bfloat16'), ('mixed_float16', 'float16')]
)
def test_mixed_precision_learns_close_to_float32(precision, dtype):
    weights, last = {}, {}
    for kind in ('float32', precision):
        params = loop.LoopParams(precision=kind, learning_rate=1e-2)
        keras.utils.set_random_seed(3)
        with hardware.building(params):
            model = _network(norm=True)
            optimizer = loop.make_optimizer(params, 10)
        assert model.layers[0].compute_dtype == (dtype if kind == precision else 'float32')
        assert {weight.dtype for weight in model.weights} == {'float32'}
        step = _Step(model)
        optimizer.build(step.variables)
        train_step = loop.make_train_step(step, optimizer)
        for batch in [b for b in _batches() if len(b['label']) > 1] * 10:
            losses, _, is_finite = train_step(batch)
            assert bool(is_finite)
        settled = hardware.settled(params, model, lambda: _network(norm=True))
        assert settled.layers[0].compute_dtype == 'float32'
        weights[kind], last[kind] = settled.get_weights(), float(losses['hard'])
    assert keras.config.dtype_policy().name == 'float32'
    assert 0.0 < abs(last[precision] - last['float32']) < 0.05
    for got, wanted in zip(weights[precision], weights['float32'], strict=True):
        np.testing.assert_allclose(got, wanted, atol=0.1)
