"""Numbers measured with the authors' programs: sound, statistics, networks, losses."""

import functools
import hashlib
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from dualcam import losses, models
from dualcam.data import audio
from dualcam.data.signal import channel_statistics, video
from dualcam.models import weights
from tests.helpers import goldens

pytestmark = pytest.mark.numeric


def signal_to_noise_db(got, want):
    return 10 * np.log10(np.sum(want**2) / np.sum((got - want) ** 2))


@pytest.fixture(scope='module')
def loader(golden):
    return np.load(golden / 'loader.npz')


@pytest.mark.parametrize('clip', [0, 1])
def test_waveform_and_spectrogram(loader, clip):
    frames = loader['raw_int32'][60 * clip : 60 * clip + 60]
    want = loader[f'waveform_clip{clip}']
    got = audio.waveform(frames).numpy()
    middle = slice(2000, -2000)
    assert got.shape == want.shape
    assert signal_to_noise_db(got[middle], want[middle]) > 100
    assert np.abs(got).max() == pytest.approx(256.0)
    magnitude = loader[f'magnitude_clip{clip}'][:, 0]
    assert goldens.relative_l2(audio.spectrogram(want).numpy(), magnitude) < 1e-5
    assert goldens.relative_l2(audio.spectrogram(got).numpy()[10:-10], magnitude[10:-10]) < 1e-5


@pytest.mark.parametrize(
    'seconds, first, name',
    [(1, 3, 'waveform_sample_length_1_clip3'), (2, 6, 'waveform_sample_length_2_clip3')],
)
def test_other_clip_lengths(loader, seconds, first, name):
    frames = loader['raw_int32'][12 * first : 12 * (first + seconds)]
    got = audio.waveform(frames).numpy()
    assert signal_to_noise_db(got, loader[name]) > 100
    shape = loader[f'magnitude_shape_sample_length_{seconds}']
    assert audio.spectrogram(got).shape == (shape[0], shape[2])


def test_statistics(loader):
    magnitudes = [
        audio.spectrogram(audio.waveform(loader['raw_int32'][60 * c : 60 * c + 60])).numpy()
        for c in range(4)
    ]
    got = channel_statistics.gather(magnitudes)
    for name in ('min', 'max', 'sum', 'sum_squared'):
        want = loader[f'stats_global_{name}']
        np.testing.assert_allclose(getattr(got, name), want, rtol=2e-4, atol=2e-4 * want.max())
    # The authors' mean and deviation are wrong; the golden file has the correct ones as well.
    np.testing.assert_allclose(got.mean, loader['true_channel_mean'], rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(
        got.std_dev, loader['true_channel_std'], rtol=1e-4, atol=2e-3
    )  # above 6.2 kHz there are only rounding errors
    want = loader['normalized_clip0'][:, 0]
    span = loader['stats_global_min'], loader['stats_global_max']
    theirs = audio.normalise(loader['magnitude_clip0'][:, 0], *span, floor=0)
    assert goldens.relative_l2(theirs, want) < 1e-5
    # Ours only differs above 6.2 kHz, where theirs contain rounding errors.
    ours = audio.normalise(magnitudes[0], *span)
    assert goldens.relative_l2(ours[:, :140], want[:, :140]) < 1e-4
    assert not ours[:, 150:].any()


GOLDEN_NETWORKS = [
    ('wacv_HearNet', 'hearnet', (2, 500, 257)),
    ('wacv_SoundNet5', 'oursoundnet', (2, 110250)),
    ('wacv_DualCamHybrid', 'dualcamnet', (2, 12, 36, 48, 12)),
]


@pytest.mark.parametrize('key, name, shape', GOLDEN_NETWORKS)
def test_network(golden, key, name, shape):
    entry = json.loads((golden / 'models.json').read_text())[key]
    stored = np.load(golden / 'models.npz')
    model = models.build(name)
    weights.assign_tf1(
        model, {v['name']: goldens.weights(v['name'], v['shape']) for v in entry['variables']}
    )
    inputs = goldens.network_input(key, entry['input']).reshape(shape)
    logits = model(inputs, training=False).numpy()
    if name == 'dualcamnet':
        frames = keras.Model(model.input, model.get_layer('frame_logits').output)(inputs).numpy()
        assert goldens.relative_l2(frames.reshape(24, 14), stored[f'{key}/logits']) < 1e-4
        assert goldens.relative_l2(logits, stored[f'{key}/logits_mean_over_12']) < 1e-4
    else:
        assert goldens.relative_l2(logits, stored[f'{key}/logits']) < 1e-4
    assert model.count_params() == entry['params_total']
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == entry['params_in_reference_train_vars']
    kernels = models.regularized_kernels(model)
    assert len(kernels) == len(entry['regularized_weights'])
    if kernels:
        assert float(losses.l2_penalty(kernels)) == pytest.approx(
            entry['regularization_loss_total'], rel=1e-5
        )


@pytest.fixture(scope='module')
def video_network(golden):
    """A network on video with the authors' weights, by its key and name."""
    entries = json.loads((golden / 'models.json').read_text())

    @functools.lru_cache(maxsize=1)  # tests of one network follow each other
    def build(key, name):
        model = models.build(name, **({'frame_stride': 12} if name == 'resnet50' else {}))
        variables = entries[key]['variables']
        weights.assign_tf1(
            model, {v['name']: goldens.weights(v['name'], v['shape']) for v in variables}
        )
        return model

    return build


@pytest.mark.slow
@pytest.mark.parametrize('scale, suffix', [(1, ''), (1 / 64, '__video_input_div64')])
@pytest.mark.parametrize(
    'key, name, frames',
    [
        ('wacv_ResNet50', 'resnet50', 1),
        ('wacv_ResNet50Temporal', 'temporal_resnet50', 5),
        ('wacv_AVModel', 'avnet', 12),
    ],
)
def test_video_network(golden, video_network, key, name, frames, scale, suffix):
    entry = json.loads((golden / 'models.json').read_text())[key]
    stored = np.load(golden / 'models.npz')
    model = video_network(key, name)
    assert model.count_params() == entry['params_total']
    assert (
        sum(int(np.prod(v.shape)) for v in models.trained_variables(model))
        == entry['params_in_reference_train_vars']
    )
    if name == 'avnet':
        inputs = {
            part: goldens.network_input(key, entry['input'][at])
            for part, at in (('video', 'video'), ('acoustic', 'audio'))
        }
        inputs = {part: value[None] for part, value in inputs.items()}
        inputs['video'] *= np.float32(scale)
    else:
        inputs = goldens.network_input(key, entry['input']) * np.float32(scale)
        inputs = inputs.reshape(-1, frames, *inputs.shape[1:])
    both = keras.Model(model.input, [model.output, model.get_layer('frame_logits').output])
    logits, of_frames = (value.numpy() for value in both(inputs, training=False))
    if name == 'avnet':
        assert goldens.relative_l2(of_frames[0], stored[f'{key}/logits{suffix}']) < 1e-4
        assert goldens.relative_l2(logits, stored[f'{key}/logits_mean_over_12{suffix}']) < 1e-4
    else:
        assert goldens.relative_l2(logits, stored[f'{key}/logits{suffix}']) < 1e-4


def test_a_network_is_not_given_half_its_weights(golden):
    entry = json.loads((golden / 'models.json').read_text())['wacv_HearNet']
    arrays = {v['name']: goldens.weights(v['name'], v['shape']) for v in entry['variables']}
    model = models.build('hearnet')
    before = [v.numpy() for v in model.variables]
    with pytest.raises(KeyError, match='hear_net/conv3/weights'):
        weights.assign_tf1(
            model, {k: v for k, v in arrays.items() if k != 'hear_net/conv3/weights'}
        )
    with pytest.raises(KeyError, match='stray'):
        weights.assign_tf1(model, arrays | {'stray': np.zeros(1)})
    with pytest.raises(ValueError, match='hear_net/fc2/biases'):
        weights.assign_tf1(model, arrays | {'hear_net/fc2/biases': np.zeros(10)})
    for was, now in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(was, now.numpy())


def distillation_cases(golden):
    return json.loads((golden / 'losses.json').read_text())['distillation']


def test_distillation_values_and_gradients(golden):
    stored = np.load(golden / 'losses.npz')
    student = tf.constant(stored['distill/student_logits'])
    teacher = stored['distill/teacher_logits_per_frame'].reshape(8, 60, 14).mean(axis=1)
    labels = stored['distill/labels']
    cases = distillation_cases(golden)
    assert len(cases) >= 9
    for case in cases:
        with tf.GradientTape() as tape:
            tape.watch(student)
            total = losses.distillation(
                labels, student, teacher, case['lambda'], case['temperature']
            )
        assert float(total) == pytest.approx(case['total_loss'], rel=1e-5)
        np.testing.assert_allclose(
            tape.gradient(total, student), stored[case['grad_key']], atol=1e-5
        )
        hard = (1 - case['lambda']) * losses.cross_entropy(labels, student)
        soft = case['lambda'] * losses.soft_cross_entropy(teacher, student, case['temperature'])
        assert float(hard) == pytest.approx(case['cross_loss_weighted'], rel=1e-5)
        assert float(soft) == pytest.approx(case['dist_loss_weighted'], rel=1e-5, abs=1e-7)


def test_video_frame(golden, loader):
    frame = np.asarray(PIL.Image.open(golden / 'loader_frame.png'))[..., ::-1]  # RGB file
    assert hashlib.sha256(frame.tobytes()).hexdigest() == str(loader['video_frame_sha256'])
    theirs = video.preprocess(frame, bgr=True).numpy()
    assert np.abs(theirs - loader['video_preprocessed_float32']).max() < 1e-3
    ours = video.preprocess(frame).numpy()
    means = np.array(video.MEANS)
    np.testing.assert_allclose((ours + means)[..., ::-1], theirs + means, atol=1e-3)
    picked = loader['video_random_pick_indices_of_60']
    np.testing.assert_array_equal(video.spread_frames(60, 5), picked)
