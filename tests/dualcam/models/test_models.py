"""One list of checks for all networks; add new networks to it."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import models
from dualcam.models import convolutions, l3net, layers

pytestmark = pytest.mark.numeric

NETWORKS = [
    ('dualcamnet', {}, (12, 36, 48, 12)),
    (
        'dualcamnet',
        {'frame_stride': 3, 'seconds': 2, 'mean': np.arange(12.0), 'std_dev': np.ones(12)},
        (24, 36, 48, 12),
    ),
    ('dualcamnet', {'batch_norm': True, 'dropout': 0.5}, (12, 36, 48, 12)),
    ('hearnet', {}, (500, 257)),
    ('hearnet', {'seconds': 1}, (99, 257)),
    ('hearnet', {'seconds': 2, 'dropout': 0.5}, (199, 257)),
    ('hearnet', {'seconds': 8}, (800, 257)),
    ('oursoundnet', {}, (110_250,)),
    ('oursoundnet', {'seconds': 6}, (132_300,)),
    ('soundnet8', {}, (110_250,)),
    ('soundnet8', {'seconds': 1}, (22_050,)),
    (
        'dualcamnet_eccv',
        {'frame_stride': 4, 'mean': np.arange(12.0), 'std_dev': np.ones(12)},
        (24, 36, 48, 12),
    ),
    ('hearnet_eccv', {}, (200, 257)),
    ('hearnet_eccv', {'seconds': 5, 'dropout': 0.5}, (502, 257)),
    ('resnet18_eccv', {'seconds': 1}, (1, 224, 298, 3)),
    ('l3_audio', {'width': 0.25}, (200, 257)),
    ('l3_vision', {'num_frames': 1, 'width': 0.25}, (1, 224, 298, 3)),
]


@pytest.mark.parametrize('name, options, shape', NETWORKS)
def test_network(name, options, shape, rng, tmp_path):
    model = models.build(name, num_classes=5, **options)
    inputs = rng.standard_normal((3, *shape)).astype(np.float32)
    assert model.input_shape == (None, *shape)
    assert model(inputs).shape == (3, 5)
    unknown_batch = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec((None, *shape), tf.float32)],
    )
    np.testing.assert_allclose(unknown_batch(inputs[:2]), model(inputs)[:2], rtol=1e-3, atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        # What a framed normalisation takes away again.
        is_lost = 'soundnet' in name and variable.path == 'conv1/bias'
        assert gradient is not None and np.any(gradient.numpy() != 0) != is_lost, variable.path
    assert model.get_layer(models.network(name).features) is not None
    model.save_weights(tmp_path / 'a.weights.h5')
    other = models.build(name, num_classes=5, **options)
    other.load_weights(tmp_path / 'a.weights.h5')
    np.testing.assert_array_equal(model(inputs), other(inputs))


def test_unknown_network_and_impossible_clip():
    with pytest.raises(ValueError, match=r'dualcamnet, hearnet, oursoundnet'):
        models.build('vgg')
    with pytest.raises(ValueError, match=r'dualcamnet_eccv, hearnet_eccv, resnet18_eccv'):
        models.build_map('hearnet')
    with pytest.raises(ValueError, match='4 s'):
        models.build('oursoundnet', seconds=3)


@pytest.mark.parametrize(
    'samples, channels, taps, stride, zeros, block',
    [(1000, 1, 64, 2, 32, 8), (999, 3, 7, 3, 2, 4), (400, 2, 5, 5, 0, 1), (801, 1, 4, 8, 1, 2)],
)
def test_framed_convolution_equals_plain(rng, samples, channels, taps, stride, zeros, block):
    signal = rng.standard_normal((2, samples, channels)).astype(np.float32)
    framed = convolutions.FramedConv1D(6, taps, stride, zeros, block)
    got = framed(signal).numpy()
    plain = keras.Sequential(
        [keras.layers.ZeroPadding1D(zeros), keras.layers.Conv1D(6, taps, stride)]
    )
    plain(signal)
    plain.set_weights([framed.kernel.numpy(), rng.standard_normal(6)])
    framed.bias.assign(plain.layers[1].bias)
    want = plain(signal).numpy()
    got = framed(signal).numpy()
    assert got.shape[1] == want.shape[1] // block * block
    assert framed.compute_output_shape(signal.shape) == got.shape
    np.testing.assert_allclose(got, want[:, : got.shape[1]], atol=1e-4)


@pytest.mark.parametrize(
    'samples, channels, taps, stride, zeros, block',
    [(1000, 1, 64, 2, 32, 8), (299, 3, 7, 3, 2, 4), (400, 2, 5, 5, 0, 1), (801, 1, 4, 8, 1, 2)],
)
def test_framed_normalisation_equals_plain(rng, samples, channels, taps, stride, zeros, block):
    """Values, gradients and moving averages, in training and inference."""
    inputs = tf.constant(50 * rng.standard_normal((3, samples, channels)) + 20, tf.float32)
    values = {
        'gamma': rng.uniform(-2, 2, 6),
        'beta': rng.standard_normal(6),
        'moving_mean': rng.standard_normal(6),
        'moving_variance': rng.uniform(1, 2, 6),
    }
    conv = convolutions.FramedConv1D(6, taps, stride, zeros, block)
    length = conv(inputs).shape[1]
    conv.bias.assign(rng.standard_normal(6))
    made = {}
    for training in (True, False):
        for kind in (layers.FusedBatchNormalization, layers.FramedNormalization):
            framed = kind is layers.FramedNormalization
            norm = kind(*([conv] if framed else []), epsilon=1e-3, momentum=0.9)
            norm.build((None, length, 6))
            for name, value in values.items():
                getattr(norm, name).assign(value)
            options = {'source': inputs} if framed else {}
            with tf.GradientTape() as tape:
                outputs = norm(conv(inputs), training=training, **options)
                loss = tf.reduce_sum(tf.square(outputs)[:, ::3])
            sought = [conv.kernel, norm.gamma, norm.beta]
            made[framed] = [outputs, *tape.gradient(loss, sought), *norm.non_trainable_variables]
            assert len(norm.variables) == 4  # the kernel stays the convolution's own
        for got, plain in zip(made[True], made[False], strict=True):
            np.testing.assert_allclose(got, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())


def test_framed_normalisation_collects_the_moments_of_plain_ones(rng):
    inputs = tf.constant(50 * rng.standard_normal((3, 2205, 1)) + 20, tf.float32)
    conv = convolutions.FramedConv1D(6, 64, 2, 32, 8)
    norm = layers.FramedNormalization(conv)
    norm.build(conv(inputs).shape)
    made = []
    for context in (convolutions.exporting, contextlib.nullcontext):
        with context(), layers.collecting_moments([norm]) as collected:
            outputs = norm(conv(inputs), training=False, source=inputs)
        ((mean, variance, count),) = collected[id(norm)]
        made.append((outputs, mean, variance, int(count)))
    (*plain, count), (*framed, other_count) = made
    assert count == other_count == 3 * conv(inputs).shape[1]
    for got, want in zip(framed, plain, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())
    # Nothing was tracked.
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(6))


def test_moments_of_a_framed_convolution_are_exact(rng):
    """Also of a filter that leaves a millionth of the input's energy."""
    time_s = np.arange(22_050) / 22_050
    hum = 200 * np.sin(2 * np.pi * rng.uniform(40, 60, (4, 1)) * time_s)
    inputs = (hum + 0.1 * rng.standard_normal(hum.shape))[..., None].astype(np.float32)
    conv = convolutions.FramedConv1D(2, 64, 2, 32, 8)
    conv(inputs)
    difference = np.zeros((64, 1, 2), np.float32)
    difference[30:33, 0, 0] = 1, -2, 1
    difference[:, 0, 1] = rng.standard_normal(64)
    conv.kernel.assign(difference)
    mean, variance, count = conv.moments(tf.constant(inputs), conv.flat_kernel())
    padded = np.pad(inputs[..., 0].astype(np.float64), [(0, 0), (32, 32)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 64, axis=1)[:, ::2]
    outputs = windows[:, : conv(inputs).shape[1]] @ difference[:, 0].astype(np.float64)
    assert int(count) == outputs[..., 0].size
    np.testing.assert_allclose(mean, outputs.mean(axis=(0, 1)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(variance, outputs.var(axis=(0, 1)), rtol=1e-6)
    assert variance[0] < 1e-5 * np.mean(inputs**2)


@pytest.mark.parametrize(
    'steps, channels, taps, heard',
    [(500, 9, 11, 5), (44, 3, 11, None), (21, 2, 12, None), (100, 4, 5, 4)],
)
def test_spectral_convolution_equals_plain(rng, steps, channels, taps, heard):
    """Values and gradients, also of a graph for export."""
    inputs = tf.constant(rng.standard_normal((3, steps, channels)), tf.float32)
    spectral, plain = (
        kind(6, taps, padding='same', activation='relu', heard=heard)
        for kind in (convolutions.SpectralConv1D, convolutions.PartialConv1D)
    )
    for layer in (spectral, plain):
        layer.build(inputs.shape)
    plain.set_weights(spectral.get_weights())
    _assert_equal_work(spectral, plain, inputs, lambda outputs: outputs[:, ::3])


@pytest.mark.parametrize(
    'steps, channels, taps, stride', [(500, 3, 32, 2), (499, 2, 12, 3), (300, 4, 16, 1)]
)
def test_strided_spectral_convolution_equals_plain(rng, steps, channels, taps, stride):
    """Values and gradients, also of a graph for export."""
    inputs = tf.constant(rng.standard_normal((3, steps, channels)), tf.float32)
    spectral, plain = (
        kind(6, taps, stride, activation='relu')
        for kind in (convolutions.StridedSpectralConv1D, keras.layers.Conv1D)
    )
    for layer in (spectral, plain):
        layer.build(inputs.shape)
    plain.set_weights(spectral.get_weights())
    _assert_equal_work(spectral, plain, inputs, lambda outputs: outputs[:, ::3])


@pytest.mark.parametrize(
    'shape, taps, options, heard',
    [
        ((4, 9), 4, {}, 7),
        ((7, 9), 3, {}, None),
        ((6, 9), 1, {}, None),
        ((22, 5), 16, {'strides': 12}, None),
        ((31, 5), 7, {'strides': 12}, None),
    ],
)
def test_product_of_few_outputs_equals_a_convolution(rng, shape, taps, options, heard):
    """Values and gradients, also of a graph for export."""
    inputs = tf.constant(rng.standard_normal((3, *shape)), tf.float32)
    plain = keras.layers.Conv1D(6, taps, activation='relu', **options)
    if options:
        product = convolutions.StridedProductConv1D(6, taps, activation='relu', **options)
    else:
        product = convolutions.ProductConv1D(6, taps, activation='relu', heard=heard)
    for layer in (plain, product):
        layer.build(inputs.shape)
    product.set_weights([rng.standard_normal(one.shape) for one in plain.get_weights()])
    kernel, bias = product.get_weights()
    if heard is not None:
        kernel[:, heard:] = 0.0  # of channels that are always zero, in the plain one
    plain.set_weights([kernel, bias])
    _assert_equal_work(product, plain, inputs, heard=heard)


def test_a_kernel_that_covers_its_input_equals_a_convolution(rng):
    inputs = tf.constant(rng.standard_normal((3, 4, 5, 6)), tf.float32)
    whole, plain = (
        kind(7, (4, 5), activation='relu')
        for kind in (convolutions.WholeConv2D, keras.layers.Conv2D)
    )
    for layer in (whole, plain):
        layer.build(inputs.shape)
    plain.set_weights(whole.get_weights())

    _assert_equal_work(whole, plain, inputs)
    with pytest.raises(ValueError, match='full1: input'):
        convolutions.WholeConv2D(7, (3, 5), name='full1')(inputs)


@pytest.mark.parametrize('shape', [(4, 50, 6), (4, 10, 5, 6)])
def test_fused_normalisation_equals_plain(shape, rng):
    x = rng.standard_normal(shape).astype(np.float32) * 3 + 1
    fused, plain = (
        kind(epsilon=1e-3, momentum=0.9)
        for kind in (layers.FusedBatchNormalization, keras.layers.BatchNormalization)
    )
    np.testing.assert_allclose(fused(x, training=True), plain(x, training=True), atol=1e-4)
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, atol=1e-5)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=1e-2)
    np.testing.assert_allclose(fused(x, training=False), plain(x, training=False), rtol=2e-2)


@pytest.mark.parametrize('shape', [(3, 12), (2, 5, 12), (2, 4, 6, 48, 12)])
def test_standardising_by_rows_equals_keras_layer_to_the_bit(shape, rng):
    mean, deviation = rng.standard_normal(12), rng.random(12) + 0.1
    inputs = keras.Input(shape[1:])
    by_rows = keras.Model(inputs, layers.standardise(mean, deviation)(inputs))
    plain = keras.layers.Normalization(
        mean=mean.astype(np.float32), variance=np.square(deviation.astype(np.float32))
    )
    whole = keras.Model(inputs, plain(inputs))
    x = rng.standard_normal(shape).astype(np.float32) * 9
    expected = whole(x)
    assert expected.shape == shape and not np.array_equal(expected, x)
    for function in (by_rows, tf.function(by_rows, autograph=False)):
        np.testing.assert_array_equal(function(x), expected)


@pytest.mark.parametrize('stride', [2, 3, 6, 12])
def test_dualcamnet_frame_stride_answers_a_share_of_the_same_frames(stride, rng):
    every, some = models.build('dualcamnet'), models.build('dualcamnet', frame_stride=stride)
    some.set_weights(every.get_weights())
    images = rng.standard_normal((2, 12, 36, 48, 12)).astype(np.float32)
    frames = [
        keras.Model(m.input, m.get_layer('frame_logits').output)(images).numpy()
        for m in (every, some)
    ]
    np.testing.assert_allclose(frames[1], frames[0][:, stride // 2 :: stride], atol=1e-4)


def test_dualcamnet_joins_frames_of_one_record_only(rng):
    model = models.build('dualcamnet', seconds=2)
    images = rng.standard_normal((1, 24, 36, 48, 12)).astype(np.float32)
    frames = keras.Model(model.input, model.get_layer('frame_logits').output)
    changed = images.copy()
    changed[:, 12:] += 1
    np.testing.assert_allclose(frames(images)[:, :12], frames(changed)[:, :12], atol=1e-5)
    assert np.abs(frames(images)[:, 12:] - frames(changed)[:, 12:]).max() > 1e-3


def test_channels_that_are_always_zero_may_be_left_out(rng):
    spectrogram = rng.random((2, 500, 257)).astype(np.float32)
    spectrogram[..., 150:] = 0
    whole, part = (models.build('hearnet', 3, bins_heard=heard) for heard in (None, 150))
    part.set_weights(whole.get_weights())
    np.testing.assert_allclose(part(spectrogram), whole(spectrogram), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    'name, shape, sizes',
    [
        ('dualcamnet_eccv', (24, 36, 48, 12), (12, 16, 128)),
        ('hearnet_eccv', (200, 257), (128,)),
        ('resnet18_eccv', (2, 224, 298, 3), (12, 16, 128)),
    ],
)
def test_a_map_network_is_the_same_network_below_its_answer(name, shape, sizes, rng):
    whole, part = models.build(name, 3), models.build_map(name)
    named = {layer.name: layer for layer in whole.layers if layer.weights}
    own = [layer for layer in part.layers if layer.weights]
    assert len(named) == len(own) + 1  # the prediction itself
    for layer in own:
        layer.set_weights(named[layer.name].get_weights())
    inputs = rng.standard_normal((1, *shape)).astype(np.float32)
    made = part(inputs, training=False).numpy()
    features = keras.Model(whole.input, whole.get_layer(models.network(name).features).output)
    expected = features(inputs, training=False).numpy()
    if name == 'hearnet_eccv':
        np.testing.assert_allclose(np.maximum(made, 0), expected[:, 0], atol=1e-5)
        assert made.min() < 0
    else:
        np.testing.assert_allclose(made, expected.mean(axis=0, keepdims=True), atol=1e-5)
    assert made.shape == (1, *sizes)


def test_l3_net_has_the_papers_numbers_of_filters():
    for name, prefix in (('l3_audio', 'audio'), ('l3_vision', 'vision')):
        network = models.build(name, 5)
        assert network.get_layer(models.network(name).features).output.shape[-1] == 512
        assert [
            network.get_layer(f'{prefix}_conv{block}_{number}').filters
            for block in (1, 2, 3, 4)
            for number in (1, 2)
        ] == [64, 64, 128, 128, 256, 256, 512, 512]
        narrow = models.build(name, 5, width=0.25)
        assert [layer.name for layer in narrow.layers if layer.weights] == [
            layer.name for layer in network.layers if layer.weights
        ]


def test_l3_net_is_its_two_parts_and_a_head(rng):
    """A quarter as wide as the paper's, which takes a sixteenth of the time."""
    whole = l3net.build_correspondence(num_frames=2, width=0.25)
    inputs = {
        'spectrogram': rng.standard_normal((2, 200, 257)).astype(np.float32),
        'frames': rng.standard_normal((2, 2, 224, 298, 3)).astype(np.float32),
    }
    with tf.GradientTape() as tape:
        logits = whole(inputs, training=True)
        loss = tf.reduce_sum(tf.square(logits))
    assert logits.shape == (2, 2)
    for variable, gradient in zip(
        whole.trainable_variables, tape.gradient(loss, whole.trainable_variables), strict=True
    ):
        assert np.any(gradient.numpy() != 0), variable.path
    assert len(models.regularized_kernels(whole)) == 18
    found = {}
    for name, part in (('spectrogram', 'l3_audio'), ('frames', 'l3_vision')):
        alone = models.build(part, 3, width=0.25)
        for layer in alone.layers:
            if layer.weights and layer.name != 'logits':
                layer.set_weights(whole.get_layer(layer.name).get_weights())
        features = keras.Model(alone.input, alone.get_layer(models.network(part).features).output)
        found[name] = features(inputs[name], training=False).numpy()
        assert found[name].shape[-1] == 128
    seen = found['frames'].reshape(2, 2, 128).mean(axis=1)
    x = np.concatenate([seen, found['spectrogram']], axis=1)
    first, last = (whole.get_layer(name).get_weights() for name in ('fc1', 'fc2'))
    want = np.maximum(x @ first[0] + first[1], 0) @ last[0] + last[1]
    np.testing.assert_allclose(whole(inputs, training=False), want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('name', ['hearnet', 'hearnet_eccv', 'oursoundnet', 'soundnet8'])
def test_inference_by_matrix_products_equals_convolutions(rng, name):
    """Graphs have fewer convolutions than exported ones, and results differ by rounding."""
    keras.utils.set_random_seed(1)
    model = models.build(name, 5, seconds=4)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):  # as if trained
            size = layer.moving_mean.shape
            layer.moving_mean.assign(rng.standard_normal(size))
            layer.moving_variance.assign(rng.uniform(0.5, 2.0, size))
    inputs = tf.constant(rng.uniform(0.0, 1.0, (3, *model.input_shape[1:])), tf.float32)

    def traced():
        infer = tf.function(lambda x: model(x, training=False), autograph=False)
        concrete = infer.get_concrete_function(inputs)
        kinds = [operation.type for operation in concrete.graph.get_operations()]
        return infer(inputs).numpy(), kinds.count('Conv2D')

    reshaped, num_reshaped = traced()
    with convolutions.exporting():
        plain, num_plain = traced()
    again, num_again = traced()
    assert num_plain > num_reshaped == num_again
    np.testing.assert_allclose(reshaped, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())
    np.testing.assert_array_equal(again, reshaped)


def _assert_equal_work(layer, plain, inputs, share=lambda outputs: outputs, heard=None):
    """Outputs and gradients of a layer, plain and not, equal those of Keras' own up to rounding.

    `share` selects the outputs that a loss depends on; `heard` is the number of channels compared
    in the kernel's gradient.
    """

    def work(one):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = one(inputs)
            loss = tf.reduce_sum(tf.square(share(outputs)))
        of_inputs, of_kernel, of_bias = tape.gradient(loss, [inputs, one.kernel, one.bias])
        return outputs, of_inputs, of_kernel[..., :heard, :], of_bias

    want = work(plain)
    for context in (contextlib.nullcontext, convolutions.exporting):
        with context():
            made = work(layer)
        for got, expected in zip(made, want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
