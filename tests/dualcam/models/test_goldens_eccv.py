"""Numbers measured with the authors' programs of ECCV 2020: loader and networks."""

import hashlib
import json
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses, models
from dualcam.data import audio
from dualcam.data.signal import acoustic_images, frontends, video
from dualcam.models import weight_import, weights
from tests.helpers import goldens

pytestmark = pytest.mark.numeric


@pytest.fixture(scope='module')
def loader(golden):
    with np.load(golden / 'loader_eccv.npz') as file:
        return dict(file)


@pytest.fixture(scope='module')
def sound(golden):
    """The loader's 2 s of input."""
    with np.load(golden / 'loader.npz') as file:
        return file['raw_int32'][:24]


def drawn(name, draw):
    return draw(np.random.RandomState(zlib.crc32(f'A:eccv_loader:{name}'.encode()) & 0xFFFFFFFF))


def test_waveform(loader, sound):
    got, want = audio.waveform(sound).numpy(), loader['waveform']
    assert got.shape == want.shape
    error = (got - want)[2000:-2000]
    assert 10 * np.log10(np.sum(want[2000:-2000] ** 2) / np.sum(error**2)) > 100


def test_spectrogram_and_normalisation(loader, sound):
    statistics = loader['global_mean'], loader['global_std_dev']
    ears = frontends.Frontend(
        'spectrogram', 'mean_std', statistics, transform=models.network('hearnet_eccv').spectrogram
    )
    magnitude, normalised = loader['magnitude'][:, 0], loader['normalized'][:, 0]
    assert ears.unnormalised(loader['waveform']).shape == (200, 257)
    assert goldens.relative_l2(ears.unnormalised(loader['waveform']), magnitude) < 1e-5
    assert goldens.relative_l2(ears.normalise(magnitude), normalised) < 1e-6
    assert goldens.relative_l2(ears.see(audio.waveform(sound))[10:-10], normalised[10:-10]) < 1e-5


def test_acoustic_images_are_flipped_on_both_axes(loader):
    images = drawn('acoustic', lambda r: r.standard_normal((24, 36, 48, 12)).astype(np.float32))
    flipped = np.ascontiguousarray(acoustic_images.flip(images))
    assert hashlib.sha256(flipped.tobytes()).hexdigest() == str(loader['acoustic_out_sha256'])


def test_frames(loader):
    frames = drawn('video', lambda r: r.randint(0, 256, (24, 224, 298, 3)).astype(np.uint8))
    for count in (2, 8):
        np.testing.assert_array_equal(
            video.spread_frames(24, count), loader[f'pick_indices_{count}_of_24']
        )
    np.testing.assert_array_equal(
        models.network('resnet18_eccv').frames(**{'seconds': 2}), loader['pick_indices_2_of_24']
    )
    theirs = video.subtract_means(video.fit(frames[:1]), bgr=True).numpy()[0]
    np.testing.assert_allclose(theirs[:4, :4], loader['video_frame0_out_corner'], atol=1e-4)
    np.testing.assert_allclose(theirs.mean(axis=(0, 1)), loader['video_frame0_out_mean'], atol=1e-3)
    # Ours is RGB, with the mean of each colour subtracted from that colour.
    ours = video.subtract_means(frames[0]).numpy()
    np.testing.assert_allclose((ours + video.MEANS)[..., ::-1], frames[0], atol=1e-4)


@pytest.fixture(scope='module')
def stored(golden):
    """{network/output: numbers}"""
    with np.load(golden / 'models.npz') as file:
        return {key: file[key] for key in file if key.startswith('eccv_')}


def prepare(golden, key, model):
    """Assigns the golden weights, checks size and L2 terms; returns the golden input."""
    entry = json.loads((golden / 'models.json').read_text())[key]
    weights.assign_tf1(
        model, {v['name']: goldens.weights(v['name'], v['shape']) for v in entry['variables']}
    )
    assert model.count_params() == entry['params_total']
    assert (
        sum(int(np.prod(v.shape)) for v in models.trained_variables(model))
        == entry['params_in_reference_train_vars']
    )
    kernels = models.regularized_kernels(model)
    assert len(kernels) == len(entry['regularized_weights'])
    penalty = float(losses.l2_penalty(kernels)) if kernels else 0.0
    assert penalty == pytest.approx(entry['regularization_loss_total'], rel=1e-5)
    return goldens.network_input(key, entry['input'])


def output_of(model, layer, inputs):
    part = keras.Model(model.input, model.get_layer(layer).output)
    return part(inputs, training=False).numpy()


def test_dualcamnet(golden, stored):
    key = 'eccv_DualCamHybrid_map'
    model = models.build_map('dualcamnet_eccv', seconds=1)
    images = prepare(golden, key, model).reshape(2, 12, 36, 48, 12)
    maps = output_of(model, models.network('dualcamnet_eccv').features, images)  # of frames
    assert goldens.relative_l2(maps[:, ::2, ::2, ::4], stored[f'{key}/map']) < 1e-4
    clips = model(images, training=False).numpy()
    np.testing.assert_allclose(clips, maps.reshape(2, 12, 12, 16, 128).mean(axis=1), atol=1e-4)
    assert (
        goldens.relative_l2(
            clips.sum(axis=(1, 2)), stored[f'{key}/map_mean_over_12_frames_sum_over_space']
        )
        < 1e-4
    )

    key = 'eccv_DualCamHybrid_supervised'
    model = models.build('dualcamnet_eccv', 10, seconds=1)
    images = prepare(golden, key, model).reshape(2, 12, 36, 48, 12)
    frames = output_of(model, 'frame_logits', images)
    assert goldens.relative_l2(frames.reshape(24, 10), stored[f'{key}/logits']) < 1e-4
    # The output for a clip is that of its mean map.
    head = model.get_layer('full1')
    answer = clips.sum(axis=(1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    assert goldens.relative_l2(model(images, training=False).numpy(), answer) < 1e-4


def test_hearnet(golden, stored):
    key = 'eccv_HearNet_embedding'
    model = models.build_map('hearnet_eccv')
    spectrograms = prepare(golden, key, model)[:, :, 0]
    embedding = model(spectrograms, training=False).numpy()
    assert goldens.relative_l2(embedding, stored[f'{key}/embedding']) < 1e-4

    key = 'eccv_HearNet_supervised'
    model = models.build('hearnet_eccv', 10)
    spectrograms = prepare(golden, key, model)[:, :, 0]
    logits = model(spectrograms, training=False).numpy()
    assert goldens.relative_l2(logits, stored[f'{key}/logits']) < 1e-4
    features = output_of(model, models.network('hearnet_eccv').features, spectrograms)[:, 0]
    assert goldens.relative_l2(features, stored[f'{key}/fc2_128']) < 1e-4


def test_resnet18(golden, stored):
    for key, model in (
        ('eccv_ResNet18_map', models.build_map('resnet18_eccv', seconds=1)),
        ('eccv_ResNet18_classifier', models.build('resnet18_eccv', 10, seconds=1)),
    ):
        frames = prepare(golden, key, model)[:, None]
        for scale, suffix in ((1, ''), (1 / 64, '__video_input_div64')):
            output = model(frames * np.float32(scale), training=False).numpy()
            if key.endswith('classifier'):
                assert goldens.relative_l2(output, stored[f'{key}/logits{suffix}']) < 1e-4
                continue
            assert (
                goldens.relative_l2(output[:, ::2, ::2, ::4], stored[f'{key}/map{suffix}']) < 1e-4
            )
            assert (
                goldens.relative_l2(
                    output.sum(axis=(1, 2)), stored[f'{key}/map_sum_over_space{suffix}']
                )
                < 1e-4
            )


def test_checkpoint_of_the_authors_program(golden, tmp_path, stored):
    """A checkpoint trained on video fills all of a map network, and most of one with labels."""
    key = 'eccv_HearNet_embedding'
    entry = json.loads((golden / 'models.json').read_text())[key]
    names = sorted(v['name'] for v in entry['variables'])
    shapes = {v['name']: v['shape'] for v in entry['variables']}
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / 'model.ckpt'),
        tensor_names=names,
        shape_and_slices=[''] * len(names),
        tensors=[tf.constant(goldens.weights(name, shapes[name])) for name in names],
    )
    model = models.build_map('hearnet_eccv')
    assert set(weight_import.import_weights(tmp_path / 'model.ckpt', model).taken) == set(names)
    spectrograms = goldens.network_input(key, entry['input'])[:, :, 0]
    assert (
        goldens.relative_l2(model(spectrograms, training=False).numpy(), stored[f'{key}/embedding'])
        < 1e-4
    )
    weights.save(model, tmp_path / 'map.weights.h5')
    again = models.build_map('hearnet_eccv')
    weights.load(again, tmp_path / 'map.weights.h5')
    np.testing.assert_array_equal(again(spectrograms), model(spectrograms))
    answering = models.build('hearnet_eccv', 10)
    with pytest.raises(ValueError, match='hear_net/fc3'):
        weight_import.import_weights(tmp_path / 'model.ckpt', answering)
    with pytest.raises(ValueError, match='not the weights of hearnet_eccv'):
        weights.load(answering, tmp_path / 'map.weights.h5')
    report = weight_import.import_weights(tmp_path / 'model.ckpt', answering, allow_missing=True)
    assert report.missing == ('hear_net/fc3/weights', 'hear_net/fc3/biases')
    features = output_of(answering, 'fc2', spectrograms)[:, 0]
    assert goldens.relative_l2(features, np.maximum(stored[f'{key}/embedding'], 0)) < 1e-4
