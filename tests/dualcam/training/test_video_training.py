"""Teachers on video: trained on cached features, or as in the authors' programs."""

import dataclasses
import types

import keras
import numpy as np
import pytest

from dualcam import models
from dualcam.data import stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.sources import datasets
from dualcam.features import frame_features
from dualcam.models import resnet
from dualcam.training import loop, predictions, recipes, run, run_data
from dualcam.training.recipes import supervised
from records import writer

INFO = datasets.DatasetInfo('tiny', ('left', 'right'), 'made up', 1)


@pytest.fixture(scope='module')
def backbone():
    keras.utils.set_random_seed(0)
    return resnet.build_backbone()


@pytest.fixture
def store(rng, tmp_path, backbone):
    """Eight seconds of two classes: a bright spot on the left or right."""
    paths = []
    for i in range(8):
        pixels = rng.integers(0, 40, (12, 64, 96, 3), dtype=np.uint8)
        pixels[:, 20:40, (10 if i % 2 else 60) :][:, :, :20] = 220
        frames = {
            'acoustic': list(rng.standard_normal((12, 36, 48, 12)).astype(np.float32)),
            'video': list(pixels),
        }
        path = tmp_path / f'Action_{i:03d}' / 'Data_001.tfrecord'
        writer.write_record(
            path, writer.second_to_example({'action': i % 2, 'location': 0, 'subject': 0}, frames)
        )
        paths.append(str(path))
    store = stores.open_store(paths, record_packer.RecordPacker(['acoustic']), tmp_path / 'cache')
    return dataclasses.replace(
        store, frame_features=frame_features.FrameFeatures(store, backbone, tmp_path / 'features')
    )


def params(network, epochs=2, **changes):
    options = () if network == 'temporal_resnet50' else (('frame_stride', 12),)
    return supervised.RunParams(
        network,
        record_clips.ClipParams(1, 1, 1),
        loop.LoopParams(epochs, batch_size=4, learning_rate=1e-2),
        options=options,
        backbone='digest',
        **changes,
    )


@pytest.mark.slow
@pytest.mark.parametrize('network', ['resnet50', 'temporal_resnet50', 'avnet'])
def test_a_head_on_kept_features_is_the_whole_network(network, store, backbone, tmp_path):
    data = run_data.RunData(store, store.paths[:6], store.paths[6:], INFO)
    settings = params(network)
    head = run.train(recipes.SUPERVISED, settings, data, tmp_path / 'run')
    whole = models.build(network, 2, **dict(settings.options))
    resnet.copy_weights(backbone, whole)
    for layer in head.layers:
        if layer.weights:
            whole.get_layer(layer.name).set_weights(layer.get_weights())
    frames = models.network(network).frames(**dict(settings.options))
    images = store.frame_features.images(np.zeros(len(frames), int), frames)[None]
    seen = (
        images
        if network != 'avnet'
        else {'video': images, 'acoustic': store.arrays['acoustic'][:1]}
    )
    made = run_data.test_clips(settings, store, store.paths[:1], tmp_path / 'run')
    got = predictions.predict(head, made)
    np.testing.assert_allclose(got, whole(seen, training=False), rtol=1e-3, atol=1e-3)
    again = predictions.predict(run.load(tmp_path / 'run'), made)
    np.testing.assert_array_equal(got, again)


def test_a_head_learns_what_frames_show(store, tmp_path):
    data = run_data.RunData(store, store.paths[:6], store.paths[6:], INFO)
    head = run.train(
        recipes.SUPERVISED, params('resnet50', 12, standardise=True), data, tmp_path / 'run'
    )
    made = run_data.test_clips(
        params('resnet50', standardise=True), store, store.paths, tmp_path / 'run'
    )
    answers = predictions.predict(head, made).argmax(axis=1)
    np.testing.assert_array_equal(answers, np.arange(8) % 2)
    assert (tmp_path / 'run' / 'stats_features' / 'global_std_dev.npy').exists()


@pytest.mark.slow
def test_the_authors_way_moves_averages_and_no_kernel(store, backbone, tmp_path):
    data = run_data.RunData(store, store.paths[:4], store.paths[4:], INFO)
    model = run.train(
        recipes.SUPERVISED, params('resnet50', 1, batch_norm='authors'), data, tmp_path / 'run'
    )
    assert model.input_shape == (None, 1, 224, 224, 3)
    for layer in filter(lambda layer: layer.weights, backbone.layers):
        for before, after in zip(layer.weights, model.get_layer(layer.name).weights, strict=True):
            moved = np.abs(before.numpy() - after.numpy()).max()
            assert (moved > 0) == before.name.startswith('moving'), (layer.name, before.name)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match='frozen or authors'):
        params('resnet50', batch_norm='theirs')


@pytest.mark.slow
def test_frames_asked_for_in_one_pass_are_all_that_runs_need(store, tmp_path, monkeypatch):
    settings = params('temporal_resnet50')
    asked = run_data.asked_frames(
        settings, store, store.paths[:4], [store.paths[4:6], store.paths[6:]]
    )
    store.frame_features.require(*asked)
    # Only in there: samples for display may read any frame.
    monkeypatch.setattr(
        frame_features,
        'reading',
        types.SimpleNamespace(read_frames=lambda *_: pytest.fail('a frame was not asked for')),
    )
    data = run_data.RunData(store, store.paths[:4], store.paths[4:6], INFO)
    head = run.train(recipes.SUPERVISED, settings, data, tmp_path / 'run')
    logits = predictions.predict(
        head, run_data.test_clips(settings, store, store.paths[6:], tmp_path / 'run')
    )
    assert logits.shape == (2, 2)
