"""Runs without labels, on seconds with completely different contents."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import audio
from dualcam.data.clips import record_clips
from dualcam.data.signal import acoustic_images, video
from dualcam.inference import students
from dualcam.losses import triplet
from dualcam.reports import run_reports
from dualcam.training import loop, recipes, run, run_data
from dualcam.training.recipes import correspondence

SMALL = (('num_frames', 1), ('width', 0.125))


def params(network, **changes):
    fields = {
        'video_network': 'resnet18_eccv',
        'video_options': SMALL,
        'all_epochs': 1,
        'options': (('frame_stride', 6),) if network == 'dualcamnet_eccv' else (),
        'standardise': True,
    } | changes
    return correspondence.CorrespondenceParams(
        network, clips=record_clips.ClipParams(2, 2, 1), loop=loop.LoopParams(2, 6, 1e-3), **fields
    )


def train(wanted, eccv_data, folder, sums=None):
    return run.train(
        recipes.CORRESPONDENCE, wanted, eccv_data, folder, sums, observers=[run_reports.observe]
    )


@pytest.fixture(scope='module')
def dualcamnet(eccv_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('dualcamnet')
    wanted = params('dualcamnet_eccv')
    return wanted, folder, train(wanted, eccv_data, folder)


@pytest.fixture(scope='module')
def hearnet(eccv_data, eccv_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp('hearnet')
    wanted = params('hearnet_eccv', alpha=0.5)
    sums = np.random.default_rng(1).random((len(eccv_store.paths), 128), np.float32)
    return wanted, folder, train(wanted, eccv_data, folder, sums)


def test_sound_images_and_frames_of_a_clip_are_of_the_same_seconds(
    eccv_store, eccv_data, dualcamnet
):
    """A positive pair is the same second of the same video."""
    wanted, folder, _ = dualcamnet
    _, (windows, _) = eccv_data.windows(wanted)
    made = correspondence.cut(wanted, eccv_store, windows, folder)
    (batch,) = made.batches(32, (0, 1))
    assert batch['clip'].numpy().tolist() != list(range(6))
    for place, number in enumerate(batch['clip'].numpy()):
        first, second = windows[number]
        assert second == first + 1
        seen = acoustic_images.flip(
            eccv_store.arrays['acoustic'][[first, second]].reshape(24, 36, 48, 12)
        )
        np.testing.assert_array_equal(batch['input']['acoustic'][place], seen)
        frame = eccv_store.arrays['frames'][first, 0][None]  # the clip's first
        np.testing.assert_allclose(
            batch['input']['frames'][place], video.subtract_means(frame), atol=1e-3
        )
        assert batch['label'][place] == eccv_store.columns['label'][first]
        assert batch['video'][place] == eccv_store.columns['group'][first]


@pytest.mark.parametrize('which', ['dualcamnet', 'hearnet'])
def test_a_run_leaves_all_it_promises(which, request, eccv_data, eccv_store):
    wanted, folder, model = request.getfixturevalue(which)
    saved = json.loads((folder / 'run.json').read_text())
    assert saved['kind'] == 'correspondence'
    assert run.described(folder) == run.Description('correspondence', wanted, ('low', 'high'))
    history = json.loads((folder / 'metrics.json').read_text())['history']
    assert len(history) == 2 and not any('accuracy' in key for key in history[0])
    assert ('train/transfer' in history[0]) == (which == 'hearnet')
    assert {'train/active', 'train/positive', 'train/negative', 'validation/total'} <= set(
        history[0]
    )
    assert 'where the networks look' in (folder / 'report.html').read_text()
    assert (folder / 'pictures' / 'where_the_networks_look.png').read_bytes()[:4] == b'\x89PNG'
    board = folder / 'tensorboard' / 'validation'
    assert len((board / 'embeddings.tsv').read_text().splitlines()) == 2
    assert (board / 'metadata.tsv').read_text().splitlines()[0] == 'class\tvideo'
    _, (_, windows) = eccv_data.windows(wanted)
    (batch,) = correspondence.cut(wanted, eccv_store, windows, folder).batches(8)
    again = run.load(folder)
    for name, values in model(batch['input']).items():
        np.testing.assert_allclose(again(batch['input'])[name], values, atol=1e-5)


def test_a_complete_run_is_not_trained_again_and_another_is_refused(
    dualcamnet, eccv_data, monkeypatch
):
    wanted, folder, _ = dualcamnet
    monkeypatch.setattr(loop, 'fit', None)
    run.train(recipes.CORRESPONDENCE, wanted, eccv_data, folder)
    with pytest.raises(ValueError, match='another folder or delete it'):
        run.train(recipes.CORRESPONDENCE, params('dualcamnet_eccv', margin=0.3), eccv_data, folder)
    with pytest.raises(ValueError, match='requires a teacher'):
        run.train(recipes.CORRESPONDENCE, params('hearnet_eccv', alpha=0.5), eccv_data, folder)


def test_the_teacher_s_features_are_those_of_the_clips(hearnet, eccv_store, eccv_data):
    wanted, folder, _ = hearnet
    _, (windows, _) = eccv_data.windows(wanted)
    sums = np.random.default_rng(1).random((len(eccv_store.paths), 128), np.float32)
    (batch,) = correspondence.cut(wanted, eccv_store, windows, folder, sums).batches(32)
    want = sums[windows].mean(axis=1)
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    np.testing.assert_allclose(batch['teacher_feature'], want, atol=1e-6)


def test_a_network_that_learned_from_video_listens(hearnet):
    wanted, folder, model = hearnet
    listener = students.open_listener(folder)
    assert listener.seconds == 2 and listener.classes == () and 'fc1' in listener.layers
    signal = np.random.default_rng(3).standard_normal((2, audio.num_samples(2))).astype(np.float32)
    ears = run_data.frontend(wanted.sound, folder)
    sound, _ = correspondence.split(wanted, model)
    np.testing.assert_allclose(listener.listen()(signal), sound(ears.hear(signal)), atol=1e-4)
    with pytest.raises(ValueError, match='logits'):
        listener.listen('logits')


def test_a_network_on_acoustic_images_does_not_listen(dualcamnet):
    with pytest.raises(ValueError, match='does not take one microphone'):
        students.open_listener(dualcamnet[1])


@pytest.mark.slow
def test_l3_net_tells_pairs_and_comes_apart(eccv_data, eccv_store, tmp_path):
    wanted = params(
        'l3_audio',
        video_network='l3_vision',
        options=SMALL[1:],
        standardise=False,
        normalisation='log',
    )
    model = train(wanted, eccv_data, tmp_path)
    history = json.loads((tmp_path / 'metrics.json').read_text())['history']
    assert 0 <= history[-1]['validation/accuracy'] <= 1
    assert not (tmp_path / 'pictures').exists()  # it has no maps
    sound, vision = correspondence.split(wanted, model)
    _, (_, windows) = eccv_data.windows(wanted)
    (batch,) = correspondence.cut(wanted, eccv_store, windows, tmp_path).batches(8)
    heard, seen = sound(batch['input']['spectrogram']), vision(batch['input']['frames'])
    assert heard.shape == seen.shape == (2, 64)
    head = model.get_layer('fc2')(model.get_layer('fc1')(tf.concat([seen, heard], axis=-1)))
    np.testing.assert_allclose(model(batch['input']), head, atol=1e-4)


def test_pairs_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match='hearnet_eccv with resnet18_eccv'):
        params('hearnet_eccv', video_network='l3_vision')
    with pytest.raises(ValueError, match='not the folder of a run'):
        run.described('nowhere')


@pytest.mark.parametrize('shape', [(4, 5), (4, 2, 3, 5)])
def test_similarity_is_the_cosine_at_each_place(shape, rng):
    heard = rng.standard_normal(shape).astype(np.float32)
    if len(shape) == 4:
        heard = np.maximum(heard, 0)
    seen = np.maximum(rng.standard_normal((4, 2, 3, 5)), 0).astype(np.float32)
    tiled = np.maximum(heard, 0) if len(shape) == 4 else np.maximum(heard, 0)[:, None, None]
    want = np.sum(tiled * seen, axis=-1) / (
        np.linalg.norm(tiled, axis=-1) * np.linalg.norm(seen, axis=-1)
    )
    np.testing.assert_allclose(triplet.similarity(heard, seen), want, atol=1e-6)
    own = triplet.own_audio_visual_features(heard, seen)
    pairs = triplet.audio_visual_features(heard, seen).numpy()
    np.testing.assert_allclose(own, pairs[range(4), range(4)], atol=1e-6)
