"""Precisions and devices: a step on two devices equals the step on one.

Two logical CPU devices replace two GPUs. They are created before TensorFlow starts, so one separate
process does the work for all of these tests.
"""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam.training import hardware, loop
from experiments.shared.command import chosen_preset
from experiments.wacv2020 import presets
from tests.helpers import two_devices

pytestmark = pytest.mark.numeric


@pytest.fixture(scope='module')
def measured(device_runs):
    """The output of `tests/helpers/two_devices.py`."""
    return json.loads((device_runs / 'printed.json').read_text())


@pytest.fixture(scope='module')
def both(measured):
    return measured['steps']


@pytest.mark.slow
@pytest.mark.parametrize('recipe', ['supervised', 'distilled'])
def test_a_run_on_two_devices_is_that_on_one(measured, recipe):
    one, two = measured['runs'][recipe]
    assert (one['devices'], two['devices']) == (1, 2)
    assert one['files'] == two['files'] and {'metrics.json', 'saved_model'} <= set(two['files'])
    assert len(one['history']) == 3
    for ours, theirs in zip(two['history'], one['history'], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    np.testing.assert_allclose(two['norms'], one['norms'], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('recipe', ['taught', 'mutual', 'visual'])
def test_runs_with_normalisation_learn_on_two_devices(measured, recipe):
    (two,) = measured['runs'][recipe]
    assert two['devices'] == 2 and 'events_validation.json' in two['files']
    assert ('saved_model' in two['files']) == (recipe != 'visual')
    first, *_, last = two['history']
    assert last['train/total'] < first['train/total']
    assert 0.0 < last['validation/mAP'] <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize('recipe', ['taught', 'mutual', 'visual'])
def test_devices_of_a_run_have_one_set_of_averages(measured, recipe):
    (two,) = measured['runs'][recipe]
    assert len(two['spreads']) >= 3 * 2  # epochs, mean and variance
    assert max(two['spreads']) == 0.0


def test_averages_are_the_mean_of_all_devices(measured):
    """Batch normalisation of the clips against NumPy: checkpoints have the mean of both parts."""
    for kind, found in measured['averages'].items():
        mean, variance = np.zeros(4), np.ones(4)
        for batch in found['batches']:
            half = len(batch) // 2
            parts = [np.array(part).reshape(-1, 4) for part in (batch[:half], batch[half:])]
            bessel = [len(part) / (len(part) - 1.0) for part in parts]  # as in TensorFlow's kernel
            scales = bessel if kind.startswith('Fused') else [1.0, 1.0]
            spread = [scale * part.var(axis=0) for scale, part in zip(scales, parts, strict=True)]
            mean = 0.9 * mean + 0.1 * np.mean([part.mean(axis=0) for part in parts], axis=0)
            variance = 0.9 * variance + 0.1 * np.mean(spread, axis=0)
        np.testing.assert_allclose(found['averages'][0], mean, rtol=1e-5)
        np.testing.assert_allclose(found['averages'][1], variance, rtol=1e-5)


@pytest.mark.slow
def test_a_run_on_two_devices_resumes_to_the_same_weights(measured):
    assert measured['runs']['resumed'] == measured['runs']['taught']


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
    """Each device's part has its own statistics; the averages move by their mean."""
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


def cannot_work_in(precision):
    """This machine's error for a precision, or nothing."""
    try:
        hardware.check_machine(precision)
    except ValueError as error:
        return str(error)
    return ''


def test_float32_works_on_any_machine():
    assert cannot_work_in('float32') == ''


@pytest.mark.parametrize('precision', ['mixed_bfloat16', 'mixed_float16'])
def test_a_precision_without_convolutions_is_refused_in_one_line(precision, monkeypatch):
    """TensorFlow's error if oneDNN has no kernel for a type that TensorFlow accepts."""
    tried = []

    def convolve(images, *_):
        tried.append(images.dtype.name)
        raise tf.errors.AbortedError(
            None,
            None,
            'Operation received an exception:Status: 3, message: could not create a primitive '
            'descriptor for a convolution forward propagation primitive, in file mkl.cc:540\n'
            '\t [[{{node Conv2D}}]] [Op:__inference_learn_1]',
        )

    hardware._refusal.cache_clear()
    monkeypatch.setattr(tf.nn, 'conv2d', convolve)
    params = loop.LoopParams(precision=precision)
    flags = types.SimpleNamespace(precision=precision, devices=1)
    try:
        for refuse in (
            lambda: hardware.building(params).__enter__(),
            lambda: chosen_preset(flags, presets.preset_named('smoke')),
        ):
            with pytest.raises(ValueError, match='could not create a primitive desc') as refused:
                refuse()
            assert len(str(refused.value).splitlines()) == 1
            assert str(refused.value).startswith(f'{precision}: this machine has no {tried[0]} ')
        assert tried == [precision.removeprefix('mixed_')]  # once per process
        with hardware.building(loop.LoopParams()):
            pass
    finally:
        hardware._refusal.cache_clear()


def test_a_command_refuses_it_at_once(command):
    """On a processor without the instructions that oneDNN's 16-bit kernels need.

    If TensorFlow's own kernels replace oneDNN's, it works, and the next error is reported.
    """
    code, _, errors = command(
        'experiments/run_table3.py',
        '--records=nowhere',
        '--out=nowhere',
        '--precision=mixed_bfloat16',
        ONEDNN_MAX_CPU_ISA='AVX2',
        TF_ENABLE_ONEDNN_OPTS='1',
    )
    assert code == 1
    (line,) = errors.strip().splitlines()
    assert line.startswith('error: mixed_bfloat16: this machine has no bfloat16 convolutions') or (
        line.startswith('error: ') and 'nowhere' in line
    )


@pytest.mark.parametrize(
    'precision, dtype', [('mixed_bfloat16', 'bfloat16'), ('mixed_float16', 'float16')]
)
def test_mixed_precision_learns_close_to_float32(precision, dtype):
    if refused := cannot_work_in(precision):
        pytest.skip(refused)
    weights, last = {}, {}
    for kind in ('float32', precision):
        params = loop.LoopParams(precision=kind, learning_rate=1e-2)
        keras.utils.set_random_seed(3)
        with hardware.building(params):
            model = two_devices.network(norm=True)
            optimizer = loop.make_optimizer(params, 10)
        assert model.layers[0].compute_dtype == (dtype if kind == precision else 'float32')
        assert {weight.dtype for weight in model.weights} == {'float32'}
        step = two_devices.CheckedStep(model)
        optimizer.build(step.variables)
        train_step = loop.make_train_step(step, optimizer)
        for batch in [b for b in two_devices.batches() if len(b['label']) > 1] * 10:
            losses, _, is_finite = train_step(batch)
            assert bool(is_finite)
        settled = hardware.settled(params, model, lambda: two_devices.network(norm=True))
        assert settled.layers[0].compute_dtype == 'float32'
        weights[kind], last[kind] = settled.get_weights(), float(losses['hard'])
    assert keras.config.dtype_policy().name == 'float32'
    assert 0.0 < abs(last[precision] - last['float32']) < 0.05
    for got, wanted in zip(weights[precision], weights['float32'], strict=True):
        np.testing.assert_allclose(got, wanted, atol=0.1)
