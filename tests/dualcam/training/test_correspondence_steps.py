"""Learning from sound and frames of one video: steps, and the loop that runs them."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses, models
from dualcam.losses import triplet
from dualcam.training import checkpoints, loop, steps
from dualcam.training.recipes import correspondence_steps, distillation
from tests.helpers import made_up_clips, numpy_triplets

PARAMS = loop.LoopParams(epochs=6, batch_size=8, learning_rate=3e-3, seed=1)
CHANNELS = 16


class ToyClips(made_up_clips.MadeUpClips):
    """28 clips of 14 videos, two classes; both sound and frames contain the video's code.

    Both classes number their videos from 0, and a video's clips are adjacent.
    """

    def __init__(self, clips=28, seed=0):
        rng = np.random.default_rng(0)
        videos = np.arange(28) // 2
        code = rng.standard_normal((14, CHANNELS))[videos]
        sound = code @ rng.standard_normal((CHANNELS, 9))
        frames = (code @ rng.standard_normal((CHANNELS, 10)))[:, None, None] * np.ones((1, 2, 3, 1))
        noise = np.random.default_rng(seed).standard_normal
        values = {
            'spectrogram': sound + 0.1 * noise(sound.shape),
            'frames': frames + 0.1 * noise(frames.shape),
            'teacher_feature': np.abs(code),
        }
        values = {name: value[:clips].astype(np.float32) for name, value in values.items()}
        teacher = values.pop('teacher_feature')
        columns = {
            'label': videos[:clips] // 7,
            'video': videos[:clips] % 7,
            'teacher_feature': teacher / np.linalg.norm(teacher, axis=1)[:, None],
        }
        super().__init__(values, columns)


def sound_network(channels=CHANNELS):
    """Named like the real one, whose 'conv1' has an L2 penalty."""
    inputs = keras.Input((9,), name='spectrogram')
    x = keras.layers.Dense(16, activation='relu', name='conv1')(inputs)
    return keras.Model(inputs, keras.layers.Dense(channels, name='embedding')(x), name='hearnet')


def frame_network(channels=CHANNELS):
    inputs = keras.Input((2, 3, 10), name='pictures')
    x = keras.layers.Dense(channels, activation='relu', name='map')(inputs)
    return keras.Model(inputs, x, name='frames_toy')


def joint(seed=5):
    keras.utils.set_random_seed(seed)
    return correspondence_steps.pair(sound_network(), frame_network())


def pair_teller(seed=5):
    """Whether sound and frames correspond."""
    keras.utils.set_random_seed(seed)
    sound = keras.Input((9,), name='spectrogram')
    frames = keras.Input((2, 3, 10), name='frames')
    heard = keras.layers.Dense(16)(sound)
    seen = keras.layers.Dense(16)(keras.layers.GlobalAveragePooling2D()(frames))
    x = keras.layers.Dense(32, activation='relu')(keras.layers.Multiply()([heard, seen]))
    return keras.Model(
        {'spectrogram': sound, 'frames': frames}, keras.layers.Dense(2)(x), name='teller'
    )


def fit(step, folder, params=PARAMS, validation=None, optimizer=None, **options):
    return loop.fit(
        step,
        ToyClips(),
        validation or ToyClips(seed=1),
        params,
        folder,
        optimizer or keras.optimizers.Adam(params.learning_rate),
        **options,
    )


def weights_of(model):
    return [variable.numpy() for variable in model.variables]


def test_a_pair_is_its_two_networks():
    sound, frames = sound_network(), frame_network()
    model = correspondence_steps.pair(sound, frames)
    inputs = ToyClips().inputs
    assert set(model.input) == {'spectrogram', 'frames'}
    outputs = model(inputs)
    np.testing.assert_array_equal(outputs['audio'], sound(inputs['spectrogram']))
    np.testing.assert_array_equal(outputs['video'], frames(inputs['frames']))
    sound.get_layer('embedding').bias.assign(tf.ones(CHANNELS))
    np.testing.assert_array_equal(model(inputs)['audio'], sound(inputs['spectrogram']))
    maps = keras.Input((2, 3, 4), name='acoustic')
    same = keras.Model(maps, keras.layers.Dense(CHANNELS)(maps), name='maps')
    assert correspondence_steps.pair(same, frames).output['audio'].shape == (None, 2, 3, CHANNELS)
    for wrong in (sound_network(5), keras.Model(maps, keras.layers.Dense(5)(maps), name='maps')):
        with pytest.raises(ValueError, match='expected two maps'):
            correspondence_steps.pair(wrong, frames)
    with pytest.raises(ValueError, match='expected two maps'):
        correspondence_steps.pair(sound, sound_network())


def test_losses_are_those_of_the_epoch_and_validation_sees_the_hardest():
    model, batch = joint(), ToyClips().batch()
    step = correspondence_steps.CorrespondenceStep(model)
    outputs = model(batch['input'])
    tiled = np.maximum(outputs['audio'], 0)[:, None, None] * np.ones((1, 2, 3, 1))
    features = numpy_triplets.naive_features(tiled, outputs['video'].numpy())
    sounds = tiled[:, 0, 0] / np.linalg.norm(tiled[:, 0, 0], axis=1, keepdims=True)
    distances = np.square(features - sounds[:, None]).sum(axis=-1)
    of = np.stack([batch['label'], batch['video']])
    positive = (of[:, :, None] == of[:, None]).all(axis=0)
    assert positive.sum() > 8  # not only each clip with itself
    everything, active, hardest, _ = numpy_triplets.naive_losses(distances, positive, 0.2)
    penalty = losses.l2_penalty([model.get_layer('hearnet').get_layer('conv1').kernel])
    for epoch, training, want in (
        (0, True, everything),
        (3, True, everything),
        (4, True, hardest),
        (0, False, hardest),
    ):
        step.start_epoch(epoch)
        parts, logits = step.losses(batch, training)
        assert logits is None
        assert set(parts) == {'total', 'triplet', 'l2', 'active', 'positive', 'negative'}
        assert float(parts['triplet']) == pytest.approx(want, rel=1e-4)
        assert float(parts['active']) == pytest.approx(active)
        assert float(parts['l2']) == pytest.approx(float(penalty))
        assert float(parts['total']) == pytest.approx(want + float(penalty), rel=1e-4)
        assert float(parts['positive']) == pytest.approx(distances[positive].mean(), rel=1e-4)
        assert float(parts['negative']) == pytest.approx(distances[~positive].mean(), rel=1e-4)
    plain = correspondence_steps.CorrespondenceStep(model, weight_decay=0.0, all_epochs=0)
    assert set(plain.losses(batch, True)[0]) == set(parts) - {'l2'}
    assert float(plain.losses(batch, True)[0]['total']) == pytest.approx(hardest, rel=1e-4)


def test_a_run_learns_both_networks_and_shows_its_curves(tmp_path, summaries):
    step = correspondence_steps.CorrespondenceStep(joint())
    before = weights_of(step.model)
    params = dataclasses.replace(PARAMS, epochs=12, learning_rate=0.01)
    history = fit(step, tmp_path, params, keep='last')
    first, last = history[0], history[-1]
    assert last['train/active'] < 0.5 * first['train/active']
    assert last['train/positive'] < last['train/negative']
    for was, now in zip(before, weights_of(step.model), strict=True):
        assert np.abs(was - now).max() > 0
    assert not any('accuracy' in key for key in first)
    assert {
        f'{kind}/{key}'
        for kind in ('train', 'validation')
        for key in ('total', 'triplet', 'l2', 'active', 'positive', 'negative')
    } <= set(first)
    tags = {value.tag for value in summaries(tmp_path / 'tensorboard' / 'validation')}
    assert {'loss/total', 'loss/active'} <= tags and 'accuracy' not in tags
    assert loop.chosen_epoch(history, 'last') == 11


@pytest.mark.parametrize(
    'make',
    [
        lambda: correspondence_steps.CorrespondenceStep(joint()),
        lambda: correspondence_steps.L3Step(pair_teller()),
    ],
)
def test_a_stopped_run_ends_where_an_unstopped_one_does(tmp_path, monkeypatch, make):
    whole = make()
    wanted = fit(whole, tmp_path / 'whole', keep='last')
    save = checkpoints.Progress.save

    def stop(self, history, keep):
        save(self, history, keep)
        if len(history) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
        fit(make(), tmp_path / 'stopped', keep='last')
    monkeypatch.undo()
    resumed = make()
    got = fit(resumed, tmp_path / 'stopped', keep='last')
    for a, b in zip(weights_of(whole.model), weights_of(resumed.model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(got) == len(wanted) == 6
    assert got[5]['train/total'] == wanted[5]['train/total']


def test_the_best_epoch_has_the_smallest_validation_loss_or_is_the_last(tmp_path):
    history = [{'validation/total': total} for total in (0.9, 0.4, 0.4, 0.7)]
    assert loop.best_epoch(history) == loop.chosen_epoch(history) == 1
    assert loop.chosen_epoch(history, 'last') == 3
    params = loop.LoopParams(epochs=3, batch_size=8)  # of four batches
    for keep, count in (('best', 4), ('last', 12)):
        step = Falling()
        history = fit(
            step, tmp_path / keep, params, keep=keep, optimizer=keras.optimizers.SGD(1.05)
        )
        assert loop.chosen_epoch(history, keep) == count / 4 - 1
        assert float(step.model.kernel[0, 0]) == pytest.approx(1.1**count, rel=1e-5)
    with pytest.raises(ValueError, match="keep 'first'"):
        fit(step, tmp_path / 'wrong', keep='first')


class Falling(steps.Step):
    """One weight w, initially 1; each step of rate 1.05 increases its loss w ** 2: w -> -1.1 w."""

    def __init__(self):
        model = keras.layers.Dense(1, use_bias=False, kernel_initializer='ones')
        model.build((None, 1))
        super().__init__(model, model.trainable_variables, [], 0.0)

    def losses(self, batch, training):
        return {'total': tf.reduce_sum(self.model.kernel**2)}, None


class Recorder(correspondence_steps.CorrespondenceStep):
    """Records the clips it was given."""

    def __init__(self, model):
        super().__init__(model)
        self.seen = []

    def usable(self, batch):
        self.seen.append(batch['clip'].numpy().tolist())
        return super().usable(batch)


def test_validation_batches_are_the_same_each_epoch_mixed_and_of_one_size(tmp_path):
    step = Recorder(joint())
    params = dataclasses.replace(PARAMS, epochs=2, batch_size=20)
    fit(step, tmp_path, params)
    training, validation = (step.seen[i : i + 2] + step.seen[i + 4 : i + 6] for i in (0, 2))
    assert [len(clips) for clips in training] == [20, 8, 20, 8]
    assert [len(clips) for clips in validation] == [14, 14, 14, 14]
    assert training[:2] != training[2:] and validation[:2] == validation[2:]
    assert sorted(validation[0] + validation[1]) == list(range(28))
    assert validation[0] != list(range(14))


def test_a_batch_of_one_video_is_left_out(tmp_path):
    step = correspondence_steps.CorrespondenceStep(joint())
    batch = {'label': tf.constant([1, 1, 1]), 'video': tf.constant([4, 4, 4])}
    assert not step.usable(batch)
    assert step.usable(batch | {'video': tf.constant([4, 4, 5])})
    assert step.usable(batch | {'label': tf.constant([0, 1, 1])})
    # 27 clips in batches of 26: the last clip has none to be compared with.
    clips = ToyClips(27)
    history = loop.fit(
        step,
        clips,
        None,
        dataclasses.replace(PARAMS, epochs=1, batch_size=26),
        tmp_path / 'run',
        keras.optimizers.Adam(),
    )
    assert np.isfinite(history[0]['train/total']) and history[0]['train/active'] > 0
    with pytest.raises(ValueError, match='no batch has clips of two videos'):
        loop.fit(step, ToyClips(2), None, PARAMS, tmp_path / 'one', keras.optimizers.Adam())


def test_transfer_adds_the_triplets_of_the_trained_networks_features():
    model, batch = joint(), ToyClips().batch()
    audio = model(batch['input'])['audio'].numpy()
    anchors = audio / np.linalg.norm(audio, axis=1, keepdims=True)
    distances = np.square(anchors[:, None] - batch['teacher_feature'].numpy()).sum(axis=-1)
    positive = triplet.same_video(batch['label'], batch['video']).numpy()
    everything, _, hardest, _ = numpy_triplets.naive_losses(distances, positive, 0.2)
    own = correspondence_steps.CorrespondenceStep(model)
    for epoch, want in ((0, everything), (4, hardest)):
        own.start_epoch(epoch)
        plain, _ = own.losses(batch, True)
        for alpha in (0.0, 0.3, 0.9):
            step = correspondence_steps.TransferStep(model, alpha)
            step.start_epoch(epoch)
            parts, logits = step.losses(batch, True)
            assert logits is None and set(parts) == set(plain) | {'transfer'}
            assert float(parts['transfer']) == pytest.approx(alpha * want, rel=1e-4)
            assert float(parts['triplet']) == pytest.approx(
                (1 - alpha) * float(plain['triplet']), rel=1e-5
            )
            assert float(parts['total']) == pytest.approx(
                float(parts['triplet'] + parts['transfer'] + plain['l2']), rel=1e-5
            )
    with pytest.raises(ValueError, match=r'alpha 1.5: expected 0 - 1'):
        correspondence_steps.TransferStep(model, 1.5)
    maps = keras.Input((2, 3, 4), name='acoustic')
    hears_maps = correspondence_steps.pair(
        keras.Model(maps, keras.layers.Dense(CHANNELS)(maps), name='maps'), frame_network()
    )
    with pytest.raises(ValueError, match='outputs vectors'):
        correspondence_steps.TransferStep(hears_maps, 0.5)


def test_a_transfer_run_brings_sounds_close_to_the_trained_features(tmp_path):
    history = fit(
        correspondence_steps.TransferStep(joint(), 0.5, all_epochs=12),
        tmp_path,
        dataclasses.replace(PARAMS, epochs=12),
        keep='last',
    )
    assert history[-1]['train/transfer'] < 0.8 * history[0]['train/transfer']


def test_features_of_clips_come_from_single_records_exactly(rng, tmp_path):
    """Evaluating the trained network once per record equals evaluating it on whole clips."""
    inputs = keras.Input((None, 2, 3, 4), name='acoustic')
    maps = keras.layers.Dense(6, activation='relu')(inputs)
    network = keras.Model(inputs, keras.ops.mean(maps, axis=1), name='maps')
    records = rng.standard_normal((9, 12, 2, 3, 4)).astype(np.float32)

    class Seconds:
        def __len__(self):
            return 9

        def batches(self, size):
            return [{'input': records[i : i + size]} for i in range(0, 9, size)]

    sums = distillation.record_predictions(
        correspondence_steps.summed(network), Seconds(), tmp_path / 'sums.npy', batch_size=4
    )
    assert sums.shape == (9, 6)
    windows = np.array([[0, 1], [1, 2], [7, 8]])
    got = correspondence_steps.clip_features(sums, windows)
    whole = network(records[windows].reshape(3, 24, 2, 3, 4))
    np.testing.assert_allclose(got, triplet.audio_features(whole), atol=1e-6)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(correspondence_steps.clip_features(0 * sums, windows), 0.0)


def test_false_pairs_take_the_next_other_video(rng):
    for labels, videos, want in (
        ([0, 0, 0, 0], [1, 1, 2, 2], [2, 2, 0, 0]),
        ([0, 1, 1], [3, 3, 3], [1, 0, 0]),
    ):
        got = correspondence_steps.other_videos(np.array(labels), np.array(videos))
        assert got.numpy().tolist() == want
    labels, videos = rng.integers(0, 2, 30), rng.integers(0, 3, 30)
    got = correspondence_steps.other_videos(labels, videos).numpy()
    for clip, other in enumerate(got):
        candidates = [(clip + k) % 30 for k in range(1, 30)]
        assert other == next(
            i for i in candidates if (labels[i], videos[i]) != (labels[clip], videos[clip])
        )


def test_l3_tells_pairs_and_says_how_often(tmp_path):
    model, batch = pair_teller(), ToyClips().batch()
    step = correspondence_steps.L3Step(model)
    parts, logits = step.losses(batch, training=True)
    assert logits is None and set(parts) == {'correspondence', 'total', 'accuracy'}
    other = correspondence_steps.other_videos(batch['label'], batch['video']).numpy()
    true = model(batch['input']).numpy()
    false = model(
        batch['input'] | {'spectrogram': tf.gather(batch['input']['spectrogram'], other)}
    ).numpy()
    want = [
        losses.cross_entropy(np.full(8, answer), said) for answer, said in ((1, true), (0, false))
    ]
    assert float(parts['correspondence']) == pytest.approx(np.mean(want), rel=1e-5)
    right = np.concatenate([true[:, 1] > true[:, 0], false[:, 1] <= false[:, 0]])
    assert float(parts['accuracy']) == pytest.approx(right.mean())
    history = fit(
        step,
        tmp_path,
        dataclasses.replace(PARAMS, epochs=40, learning_rate=0.01),
        validation=ToyClips(),
    )
    assert history[-1]['train/accuracy'] > 0.9 > history[0]['train/accuracy']
    best = loop.chosen_epoch(history)
    assert history[best]['validation/accuracy'] == max(h['validation/accuracy'] for h in history)
    saved = json.loads((tmp_path / 'checkpoints' / 'history.json').read_text())
    assert saved == history


def test_a_network_that_is_not_registered_has_no_penalty():
    model = correspondence_steps.pair(keras.Model(*_unknown(), name='unknown'), frame_network())
    assert 'unknown' not in models.NETWORKS
    parts, _ = correspondence_steps.CorrespondenceStep(model).losses(ToyClips().batch(), True)
    assert 'l2' not in parts


def _unknown():
    inputs = keras.Input((9,), name='spectrogram')
    return inputs, keras.layers.Dense(CHANNELS, name='conv1')(inputs)
