"""Tagging networks: counts, shapes, and all outputs reproduced in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import models
from dualcam.models import cnn8, resnet
from tests.helpers import numpy_layers

pytestmark = pytest.mark.numeric

FILTERS = (64, 64, 128, 128, 256, 256, 512, 512)
SHAPES = {'audio': (37, 64), 'soundnet': (5, 1024), 'vggish': (4, 128), 'visual': (3, 20)}
SMALL = {'width': 1 / 16}
SEES = {'visual_size': 20}
NETWORKS = [
    ('tagging_audio', SMALL),
    ('tagging_visual', SEES),
    ('tagging_teacher', SMALL | SEES),
    ('tagging_student', SMALL),
    ('tagging_audio', {'sound': ('soundnet',)}),
    ('tagging_teacher', SMALL | SEES | {'sound': ('audio', 'vggish')}),
    ('tagging_student', SMALL | {'sound': ('audio', 'soundnet', 'vggish')}),
]


def make(name, options, rng, num_classes=5):
    """A network in which no weight is 0 or 1, and a batch for it."""
    keras.utils.set_random_seed(3)
    model = models.build(name, num_classes, **options)
    for layer in model.layers:
        if layer.name.endswith('_norm'):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    inputs = {key: rng.standard_normal((3, *SHAPES[key])).astype(np.float32) for key in model.input}
    return model, inputs


def cnn8_values(width=1.0):
    """Numbers of (trained, untrained) values of the eight convolutions with batch normalisation."""
    trained, channels = 0, 1
    for count in (int(filters * width) for filters in FILTERS):
        trained += 3 * 3 * channels * count + count + count
        channels = count
    return trained, 2 * sum(int(filters * width) for filters in FILTERS)


def test_parameter_counts():
    convolutions, moving = cnn8_values()
    assert (convolutions, moving) == (4_686_144, 3_840)
    branch = 4096 * 128 + 2 * 128  # and as many moving values as offsets
    for name, trained, still in (
        ('tagging_audio', convolutions + 512 * 17 + 17, moving),
        ('tagging_visual', branch + 128 * 17 + 17, 2 * 128),
        ('tagging_teacher', convolutions + branch + 640 * 17 + 17, moving + 2 * 128),
        ('tagging_student', convolutions + 512 * 128 + 128 + 640 * 17 + 17, moving),
    ):
        model = models.build(name, 17)
        counted = [
            sum(np.prod(v.shape) for v in variables)
            for variables in (models.trained_variables(model), model.non_trainable_variables)
        ]
        assert counted == [trained, still], name
    assert models.build('tagging_audio', 17).count_params() == 4_698_705
    wide, narrow = cnn8_values(1.5)[0], cnn8_values(0.25)[0]
    for width, values in ((1.5, wide), (0.25, narrow)):
        model = models.build('tagging_audio', 10, width=width)
        assert (
            sum(np.prod(v.shape) for v in model.trainable_variables)
            == values + int(512 * width) * 10 + 10
        )
    sizes = [
        models.build('tagging_audio', 10, sound=sound).count_params()
        for sound in (('audio',), ('audio', 'soundnet', 'vggish'))
    ]
    assert sizes[1] - sizes[0] == (1024 + 128) * 128 + 2 * 4 * 128 + 2 * 128 * 10


def by_numpy(model, inputs, training):
    """{'logits', h^a, h^v or its estimate}, computed from the layers' weights only."""
    values = {
        layer.name: [weight.numpy().astype(np.float64) for weight in layer.weights]
        for layer in model.layers
    }

    def normalised(x, name):
        gamma, beta, mean, variance = values[name]
        return numpy_layers.normalise(x, gamma, beta, *(() if training else (mean, variance)))

    def branch(name):
        x = inputs[name] @ values[f'{name}_dense'][0]
        return numpy_layers.relu(normalised(x, f'{name}_norm')).mean(axis=1)

    def audio():
        x = inputs['audio'][..., None]
        for number in range(1, 9):
            x = numpy_layers.convolve(x, values[f'conv{number}'][0])
            x = numpy_layers.relu(normalised(x, f'conv{number}_norm'))
            x = x if number % 2 else numpy_layers.pool(x)
        return x.mean(axis=(1, 2))

    sound = [
        audio() if name == 'audio' else branch(name)
        for name in ('audio', 'soundnet', 'vggish')
        if name in inputs
    ]
    found = {cnn8.AUDIO: np.concatenate(sound, axis=1)} if sound else {}
    if 'visual' in inputs:
        found[cnn8.VISUAL] = branch('visual')
    if cnn8.CROSS in values:
        weights, bias = values[cnn8.CROSS]
        found[cnn8.CROSS] = numpy_layers.relu(found[cnn8.AUDIO] @ weights + bias)
    weights, bias = values['logits']
    return {'logits': np.concatenate(list(found.values()), axis=1) @ weights + bias, **found}


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('name, options', NETWORKS)
def test_all_outputs_equal_numpy(name, options, training, rng):
    model, inputs = make(name, options, rng)
    want = by_numpy(model, inputs, training)
    got = cnn8.with_features(model)(inputs, training=training)
    assert set(got) == set(want)
    for key, values in want.items():
        np.testing.assert_allclose(
            got[key], values, rtol=1e-5, atol=1e-5 * np.abs(values).max(), err_msg=key
        )


@pytest.mark.parametrize('name, options', NETWORKS)
def test_network(name, options, rng, tmp_path):
    model, inputs = make(name, options, rng)
    assert model(inputs).shape == (3, 5) and model.name == name
    unknown = tf.function(
        lambda x: model(x, training=False),
        input_signature=[
            {key: tf.TensorSpec((None, None, SHAPES[key][1]), tf.float32) for key in inputs}
        ],
    )
    np.testing.assert_allclose(
        unknown({key: x[:2] for key, x in inputs.items()}), model(inputs)[:2], rtol=1e-4, atol=1e-5
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs, training=True)))
    assert len(models.trained_variables(model)) == len(model.trainable_variables)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient.numpy() != 0), variable.path
    assert models.network(name).input == 'tagging' and models.network(name).regularized == ()
    embedding = model.get_layer(models.network(name).features).output
    assert embedding is cnn8.with_features(model).output[models.network(name).features]
    model.save_weights(tmp_path / 'a.weights.h5')
    other = models.build(name, 5, **options)
    other.load_weights(tmp_path / 'a.weights.h5')
    np.testing.assert_array_equal(model(inputs), other(inputs))
    assert resnet.layout_of(model) == 'slim'


def test_frames_are_averaged_not_added(rng):
    model, inputs = make('tagging_visual', SEES, rng)
    twice = {'visual': np.concatenate([inputs['visual']] * 2, axis=1)}
    np.testing.assert_allclose(model(twice), model(inputs), rtol=1e-5, atol=1e-6)


def test_networks_take_their_own_of_a_batchs_inputs(rng):
    model, inputs = make('tagging_student', SMALL, rng)
    taken = models.inputs_of(model, inputs | {'visual': np.zeros((3, 2, 7))})
    assert list(taken) == ['audio']
    with pytest.raises(ValueError, match=r"tagging_student takes \['audio'\].*have \['visual'\]"):
        models.inputs_of(model, {'visual': inputs['audio']})
    waveform = inputs['audio']
    assert models.inputs_of(models.build('hearnet', seconds=1), waveform) is waveform


def test_impossible_options():
    for sound in ((), ('audio', 'audio'), ('audio', 'smell')):
        with pytest.raises(ValueError, match='expected one or more of audio, soundnet, vggish'):
            models.build('tagging_audio', sound=sound)
    with pytest.raises(ValueError, match=r'width 0.001: leaves no filter'):
        models.build('tagging_student', width=0.001)
