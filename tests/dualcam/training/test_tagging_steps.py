"""Tagging networks trained alone, with a frozen teacher, and mutually."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import models
from dualcam.evaluation import tagging_scores
from dualcam.models import cnn8
from dualcam.training import checkpoints, loop, predictions
from dualcam.training.recipes import tagging_steps
from tests.helpers import made_up_clips, numpy_layers

CLASSES, FRAMES = 4, 6
PARAMS = loop.LoopParams(epochs=4, batch_size=8, learning_rate=3e-3, seed=1)
ALONE = tagging_steps.Transfer(0.0, 0.0, 0.0)


class ToyClips(made_up_clips.MadeUpClips):
    """24 clips of 16 windows: each event raises its own band and a channel of the frames."""

    def __init__(self, clips=24, seed=0):
        rng = np.random.default_rng(seed)
        labels = (rng.random((clips, CLASSES)) < 0.4).astype(np.float32)
        audio = rng.standard_normal((clips, 16, 64))
        audio += 1.5 * np.repeat(labels, 16, axis=1)[:, None]
        visual = rng.standard_normal((clips, 2, FRAMES))
        visual[..., :CLASSES] += 3 * labels[:, None]
        inputs = {'audio': audio.astype(np.float32), 'visual': visual.astype(np.float32)}
        super().__init__(inputs, {'label': labels})


def make(name, seed=0, width=1 / 32):
    """A tiny network; each name gives different weights, also in shared parts."""
    keras.utils.set_random_seed(10 * seed + list(models.TAGGING_NAMES).index(name))
    return models.build(
        name,
        CLASSES,
        **{
            'tagging_audio': {'width': width},
            'tagging_student': {'width': width},
            'tagging_teacher': {'width': width, 'visual_size': FRAMES},
        }[name],
    )


def features_of(model, batch, training=True):
    network = cnn8.with_features(model)
    outputs = network(models.inputs_of(model, batch['input']), training=training)
    return {name: values.numpy().astype(np.float64) for name, values in outputs.items()}


def weights_of(model):
    return [variable.numpy() for variable in model.variables]


def entropy(targets, logits):
    p = numpy_layers.sigmoid(logits)
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1).mean()


def distance(a, b):
    return np.square(a - b).sum(axis=1).mean()


def descend(step, batch, steps=5):
    """Adam steps as in the loop, without its graph."""
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(step.variables)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            parts, _ = step.losses(batch, training=True)
        optimizer.apply_gradients(
            zip(tape.gradient(parts['total'], step.variables), step.variables, strict=True)
        )


def test_all_terms_equal_numpy():
    teacher, student, batch = make('tagging_teacher'), make('tagging_student'), ToyClips().batch()
    t, s = features_of(teacher, batch), features_of(student, batch)
    labels = batch['label'].numpy()
    single = distance(t[cnn8.AUDIO], s[cnn8.AUDIO])
    cross = distance(t[cnn8.VISUAL], s[cnn8.CROSS])
    want = {
        'student_hard': entropy(labels, s['logits']),
        'student_soft': 0.5 * entropy(numpy_layers.sigmoid(t['logits']), s['logits']),
        'student_single_modal': 0.3 * single,
        'student_cross_modal': 0.2 * cross,
        'teacher_hard': entropy(labels, t['logits']),
        'teacher_soft': 2.0 * entropy(numpy_layers.sigmoid(s['logits']), t['logits']),
        'teacher_single_modal': 3.0 * single,
        'teacher_cross_modal': 4.0 * cross,
    }
    step = tagging_steps.MutualStep(
        teacher,
        student,
        tagging_steps.Transfer(0.5, 0.3, 0.2),
        tagging_steps.Transfer(2.0, 3.0, 4.0),
    )
    parts, logits = step.losses(batch, training=True)
    np.testing.assert_allclose(logits, s['logits'], rtol=1e-5, atol=1e-6)
    assert float(parts.pop('total')) == pytest.approx(sum(want.values()), rel=1e-5)
    assert {name: float(part) for name, part in parts.items()} == pytest.approx(want, rel=1e-5)
    same = tagging_steps.MutualStep(teacher, student).losses(batch, training=True)[0]
    assert float(same['student_single_modal']) == pytest.approx(single, rel=1e-5)
    assert single > 0.1 and cross > 0.1
    assert float(same['teacher_soft']) == pytest.approx(want['teacher_soft'] / 2, rel=1e-5)


def test_no_term_of_one_network_has_a_gradient_in_the_other():
    teacher, student, batch = make('tagging_teacher'), make('tagging_student'), ToyClips().batch()
    step = tagging_steps.MutualStep(teacher, student)
    own = {'student': student.trainable_variables, 'teacher': teacher.trainable_variables}
    with tf.GradientTape(persistent=True) as tape:
        parts, _ = step.losses(batch, training=True)
    assert len(parts) == 9
    for name, part in parts.items():
        role = name.partition('_')[0]
        for other in {'student', 'teacher'} - {role} if role != 'total' else ():
            gradients = tape.gradient(part, own[other])
            assert all(g is None or not np.any(g) for g in gradients), name
            assert any(g is not None and np.any(g) for g in tape.gradient(part, own[role])), name
    # W_c, which estimates h^v, is only trained by the student's loss.
    (kernel,) = (v for v in own['student'] if 'cross_modal' in v.path and 'kernel' in v.path)
    assert np.any(tape.gradient(parts['student_cross_modal'], kernel))


def test_with_all_weights_zero_both_learn_as_if_alone():
    batch = ToyClips().batch()
    alone = {name: make(name) for name in ('tagging_teacher', 'tagging_student')}
    for model in alone.values():
        descend(tagging_steps.TaggingStep(model), batch)
    together = [make(name) for name in alone]
    start = weights_of(together[1])
    descend(tagging_steps.MutualStep(*together, ALONE), batch)
    for one, other in zip(alone.values(), together, strict=True):
        for a, b in zip(one.variables, other.variables, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-7, err_msg=a.path)
    assert (
        max(np.abs(a - b).max() for a, b in zip(start, weights_of(together[1]), strict=True)) > 1e-2
    )


@pytest.mark.parametrize(
    'transfer',
    [
        tagging_steps.Transfer(1, 0, 0),
        tagging_steps.Transfer(0, 1, 0),
        tagging_steps.Transfer(0, 0, 1),
    ],
)
def test_any_weight_above_zero_shows_in_both_networks(transfer):
    batch, kernels = ToyClips().batch(), []
    for weights in (transfer, ALONE):
        networks = make('tagging_teacher'), make('tagging_student')
        descend(tagging_steps.MutualStep(*networks, weights), batch, 1)
        # In the teacher, the cross-modal term only changes the visual branch.
        layers = ('visual_dense' if transfer.cross_modal else 'conv8'), 'conv8'
        kernels.append(
            [
                network.get_layer(layer).kernel.numpy()
                for network, layer in zip(networks, layers, strict=True)
            ]
        )
    for a, b in zip(*kernels, strict=True):
        assert np.abs(a - b).max() > 1e-3


@pytest.mark.parametrize(
    'transfer, student',
    [
        (tagging_steps.Transfer(1, 0, 0), 'tagging_audio'),
        (tagging_steps.Transfer(0, 0, 1), 'tagging_student'),
        (tagging_steps.Transfer(0.4, 0.7, 0.1), 'tagging_student'),
        (tagging_steps.Transfer(1, 0, 0, hard=0), 'tagging_audio'),
    ],
)
def test_a_frozen_teachers_terms_equal_numpy_and_it_stays_frozen(transfer, student):
    teacher, own, clips = make('tagging_teacher'), make(student), ToyClips()
    before = weights_of(teacher)
    taught = tagging_steps.TaughtClips(clips, teacher, batch_size=7)
    assert len(taught) == 24 and taught.columns['label'] is clips.columns['label']
    batch = next(iter(taught.batches(8, 3)))
    t, s = features_of(teacher, clips.batch(), training=False), features_of(own, clips.batch())
    for name, values in t.items():  # shuffled along with the clips
        np.testing.assert_allclose(batch[f'teacher_{name}'], values, rtol=1e-4, atol=1e-5)
    step = tagging_steps.TaughtStep(own, teacher, transfer)
    parts, logits = step.losses(batch, training=True)
    want = {
        'hard': entropy(batch['label'].numpy(), s['logits']),
        'soft': transfer.soft * entropy(numpy_layers.sigmoid(t['logits']), s['logits']),
        'single_modal': transfer.single_modal * distance(t[cnn8.AUDIO], s[cnn8.AUDIO]),
    }
    if not transfer.hard:
        del want['hard']
    if transfer.cross_modal:
        want['cross_modal'] = transfer.cross_modal * distance(t[cnn8.VISUAL], s[cnn8.CROSS])
    want = {name: value for name, value in want.items() if value}
    assert float(parts.pop('total')) == pytest.approx(sum(want.values()), rel=1e-4)
    assert {name: float(part) for name, part in parts.items()} == pytest.approx(want, rel=1e-4)
    assert logits.shape == (8, CLASSES)
    # Without stored predictions the teacher runs in every step, and is not trained either.
    asked = step.losses(clips.batch(), training=True)[0]
    assert {name: float(part) for name, part in asked.items() if name != 'total'} == pytest.approx(
        want, rel=1e-4
    )
    descend(step, clips.batch(), 1)
    descend(step, batch, 2)
    for was, now in zip(before, weights_of(teacher), strict=True):
        np.testing.assert_array_equal(was, now)


def test_what_learns_from_soft_targets_only_does_not_see_labels():
    teacher, clips = make('tagging_teacher'), ToyClips()
    batch = clips.batch()
    found = []
    for labels in (batch['label'], 1 - batch['label']):
        student = make('tagging_audio')
        step = tagging_steps.TaughtStep(student, teacher, tagging_steps.Transfer(1, 0, 0, hard=0))
        parts, _ = step.losses(batch | {'label': labels}, training=True)
        assert set(parts) == {'soft', 'total'}
        descend(step, batch | {'label': labels}, 2)
        found.append(weights_of(student))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(
        np.any(a != b) for a, b in zip(found[0], weights_of(make('tagging_audio')), strict=True)
    )


def test_a_hint_s_terms_equal_numpy_and_who_learns_from_them():
    teacher, student, batch = make('tagging_teacher'), make('tagging_audio'), ToyClips().batch()
    regressor = cnn8.build_regressor(student)
    frozen = weights_of(teacher)
    t, s = features_of(teacher, batch, training=False), features_of(student, batch)
    kernel, bias = (values.astype(np.float64) for values in regressor.get_weights())
    hint = np.concatenate([t[cnn8.AUDIO], t[cnn8.VISUAL]], axis=1)
    assert kernel.shape == (s[cnn8.AUDIO].shape[1], hint.shape[1])
    step = tagging_steps.FitNetsStep(student, teacher, regressor, hint_epochs=1)
    own = [*student.trainable_variables, *regressor.trainable_variables]
    assert {v.path for v in step.variables} == {v.path for v in own}
    labels = batch['label'].numpy()
    for epoch, want in enumerate(
        (
            {'hint': distance(hint, s[cnn8.AUDIO] @ kernel + bias), 'hard': 0.0, 'soft': 0.0},
            {
                'hint': 0.0,
                'hard': entropy(labels, s['logits']),
                'soft': entropy(numpy_layers.sigmoid(t['logits']), s['logits']),
            },
        )
    ):
        step.start_epoch(epoch)
        with tf.GradientTape(persistent=True) as tape:
            parts, _ = step.losses(batch, training=True)
        assert float(parts['total']) == pytest.approx(sum(want.values()), rel=1e-4)
        assert {k: float(v) for k, v in parts.items() if k != 'total'} == pytest.approx(
            want, rel=1e-4
        )
        moved = {
            v.path: g is not None and np.any(g)
            for v, g in zip(own, tape.gradient(parts['total'], own), strict=True)
        }
        assert moved[student.get_layer('conv1').kernel.path]
        assert moved[student.get_layer('logits').kernel.path] == (epoch == 1)
        assert moved[regressor.get_layer('hint').kernel.path] == (epoch == 0)
        taught = tape.gradient(parts['total'], teacher.trainable_variables)
        assert all(g is None or not np.any(g) for g in taught)
    descend(step, batch, 2)
    for was, now in zip(frozen, weights_of(teacher), strict=True):
        np.testing.assert_array_equal(was, now)
    # The regressor is saved with the student, so that runs resume, but is not part of it.
    saved = {v.path for v in step.model.variables}
    assert {v.path for v in regressor.variables} < saved
    assert not {v.path for v in regressor.variables} & {v.path for v in student.variables}


def test_fitnets_learn_the_hint_first_and_then_from_answers():
    teacher, student = make('tagging_teacher'), make('tagging_audio')
    batch = tagging_steps.TaughtClips(ToyClips(), teacher).batches(24)
    (batch,) = batch
    regressor = cnn8.build_regressor(student)
    step = tagging_steps.FitNetsStep(student, teacher, regressor, hint_epochs=2)
    head, start = student.get_layer('logits'), student.get_layer('logits').kernel.numpy()
    for epoch in (0, 1):
        step.start_epoch(epoch)
        first = step.losses(batch, True)[0]
        assert float(first['total']) == float(first['hint']) > 0
        descend(step, batch, 10)
        assert float(step.losses(batch, True)[0]['total']) < float(first['total'])
    np.testing.assert_array_equal(head.kernel, start)
    step.start_epoch(2)
    parts, _ = step.losses(batch, True)
    assert float(parts['hint']) == 0.0 < float(parts['hard'])
    assert float(parts['total']) == pytest.approx(float(parts['hard'] + parts['soft']))
    descend(step, batch, 2)
    assert np.abs(head.kernel - start).max() > 1e-3
    with pytest.raises(ValueError, match='hint_epochs 0'):
        tagging_steps.FitNetsStep(student, teacher, regressor, 0)
    wide = make('tagging_audio', width=1 / 16)
    with pytest.raises(ValueError, match='has 144 values, the regressor of tagging_audio 160'):
        tagging_steps.FitNetsStep(wide, teacher, cnn8.build_regressor(wide), 1)
    with pytest.raises(ValueError, match='the hint of tagging_audio has 16 values'):
        tagging_steps.FitNetsStep(student, make('tagging_audio', 1), regressor, 1)


def test_networks_that_do_not_go_together_are_refused():
    teacher, student, audio = (make(f'tagging_{kind}') for kind in ('teacher', 'student', 'audio'))
    tagging_steps.MutualStep(teacher, audio, tagging_steps.Transfer(cross_modal=0.0))
    tagging_steps.MutualStep(
        make('tagging_audio', 1), audio, tagging_steps.Transfer(1, 0, 0)
    )  # two of a kind
    wide = make('tagging_student', width=1 / 16)
    for wrong, message in (
        (audio, 'cross_modal_feature of tagging_audio has 0:'),
        (wide, '16 values, audio_feature of tagging_student has 32:'),
    ):
        for step in (tagging_steps.MutualStep, lambda t, s: tagging_steps.TaughtStep(s, t)):
            with pytest.raises(ValueError, match=message):
                step(teacher, wrong)
        with pytest.raises(ValueError, match=message):
            tagging_steps.MutualStep(teacher, wrong, ALONE, tagging_steps.Transfer())
    with pytest.raises(ValueError, match='expected the same classes'):
        tagging_steps.MutualStep(teacher, models.build('tagging_student', 3, width=1 / 32), ALONE)
    with pytest.raises(ValueError, match='expected weights of 0 or more'):
        tagging_steps.Transfer(single_modal=-1.0)
    with pytest.raises(ValueError, match='one of them above 0'):
        tagging_steps.Transfer(0.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"'visual'\] missing"):
        blind = ToyClips().batch() | {'input': {'audio': tf.zeros((8, 16, 64))}}
        tagging_steps.MutualStep(teacher, student).losses(blind, True)


def fit(step, folder, params=PARAMS, training=None):
    return loop.fit(
        step,
        training or ToyClips(),
        ToyClips(seed=1),
        params,
        folder,
        keras.optimizers.Adam(params.learning_rate),
    )


@pytest.mark.slow
def test_a_run_learns_and_its_best_epoch_has_the_best_map(tmp_path, summaries):
    teacher, student = make('tagging_teacher'), make('tagging_student')
    step = tagging_steps.MutualStep(teacher, student)
    history = fit(step, tmp_path, dataclasses.replace(PARAMS, epochs=12))
    measured = [epoch['validation/mAP'] for epoch in history]
    best = loop.chosen_epoch(history, measure=step.measure)
    assert measured[best] == max(measured) > 0.7
    assert history[-1]['train/total'] < 0.7 * history[0]['train/total']
    assert not any('accuracy' in key for key in history[0])
    clips = ToyClips(seed=1)  # the student has the chosen weights
    logits = predictions.predict(student, clips)
    assert logits.shape == (24, CLASSES)
    assert tagging_scores.mean_average_precision(clips.columns['label'], logits) == pytest.approx(
        measured[best]
    )
    assert (
        tagging_scores.mean_average_precision(
            clips.columns['label'], predictions.predict(teacher, clips)
        )
        > 0.7
    )
    tags = {value.tag for value in summaries(tmp_path / 'tensorboard' / 'validation')}
    assert {'mAP', 'loss/total', 'loss/teacher_cross_modal'} <= tags
    assert json.loads((tmp_path / 'checkpoints' / 'history.json').read_text()) == history


@pytest.mark.slow
def test_a_stopped_run_ends_where_an_unstopped_one_does(tmp_path, monkeypatch):
    def new():
        return tagging_steps.MutualStep(make('tagging_teacher'), make('tagging_student'))

    whole = new()
    wanted = fit(whole, tmp_path / 'whole')
    save = checkpoints.Progress.save

    def stop(self, history, keep):
        save(self, history, keep)
        if len(history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
        fit(new(), tmp_path / 'stopped')
    monkeypatch.undo()
    resumed = new()
    got = fit(resumed, tmp_path / 'stopped')
    assert [h['epoch'] for h in got] == [0, 1, 2, 3]
    assert got[3]['train/total'] == wanted[3]['train/total']
    for a, b in zip(weights_of(whole.model), weights_of(resumed.model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_taught_run_goes_through_the_loop(tmp_path):
    teacher = make('tagging_teacher')
    fit(tagging_steps.TaggingStep(teacher), tmp_path / 'teacher')
    student = make('tagging_audio')
    regressor = cnn8.build_regressor(student)
    step = tagging_steps.FitNetsStep(student, teacher, regressor, hint_epochs=1)
    taught = [tagging_steps.TaughtClips(ToyClips(seed=seed), teacher) for seed in (0, 1)]
    history = loop.fit(
        step, *taught, PARAMS, tmp_path / 'student', keras.optimizers.Adam(PARAMS.learning_rate)
    )
    assert history[0]['train/hard'] == 0.0 < history[1]['train/hard']
    assert history[0]['train/hint'] > 0.0 == history[1]['train/hint']
    assert all(0 < epoch['validation/mAP'] <= 1 for epoch in history)
