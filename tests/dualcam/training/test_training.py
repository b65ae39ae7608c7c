"""Regimes, the loop and runs, on noise records with obvious classes."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses, models
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.sources import datasets
from dualcam.reports import run_reports
from dualcam.training import checkpoints, loop, predictions, recipes, run, run_data
from dualcam.training.recipes import distillation, supervised

INFO = datasets.DatasetInfo('toy', ('low', 'high', 'noise'), 'made up', 1)


@pytest.fixture(scope='module')
def store():
    """12 sequences of 5 s, with three classes that differ in pitch and position."""
    rng = np.random.default_rng(0)
    time = np.arange(5 * 12_288) / 12_288
    sound, images, labels = [], [], []
    for i in range(12):
        kind = i % 3
        tone = np.sin(2 * np.pi * (500, 3000, 0)[kind] * time) * 3e5
        signal = tone + rng.standard_normal(len(time)) * 1e5
        sound.append(signal.reshape(5, 12, 1024).astype(np.int32))
        image = rng.standard_normal((5, 12, 36, 48, 12)).astype(np.float32)
        image[:, :, 10:20, 10 + 10 * kind : 20 + 10 * kind] += 2
        images.append(image)
        labels += [kind] * 5
    paths = tuple(
        f'/r/Action_{i:03d}/Data_{j + 1:03d}.tfrecord' for i in range(12) for j in range(5)
    )
    return record_packer.RecordStore(
        paths,
        {'label': np.array(labels)},
        {'audio': np.concatenate(sound), 'acoustic': np.concatenate(images)},
        'toy',
    )


@pytest.fixture(scope='module')
def data(store):
    return run_data.RunData(store, list(store.paths[:45]), list(store.paths[45:]), INFO)


def params(network='hearnet', epochs=3, seconds=5, **changes):
    acoustic = network == 'dualcamnet'
    return supervised.RunParams(
        network,
        record_clips.ClipParams(5, 1 if acoustic else seconds, 2),
        loop.LoopParams(epochs, 4, 1e-3, seed=1),
        standardise=acoustic,
        options=(('frame_stride', 6),) if acoustic else (),
        **changes,
    )


def weights_of(model):
    return [v.numpy() for v in model.variables]


@pytest.mark.parametrize('network', ['dualcamnet', 'hearnet'])
def test_a_run_learns_and_leaves_all_it_promises(network, data, tmp_path, store):
    wanted = params(network, epochs=6)
    model = run.train(recipes.SUPERVISED, wanted, data, tmp_path, observers=[run_reports.observe])
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['history'][-1]['train/total'] < metrics['history'][0]['train/total']
    assert metrics['validation_accuracy'] >= 2 / 3
    saved = json.loads((tmp_path / 'run.json').read_text())
    assert saved['classes'] == list(INFO.classes)
    assert saved['kind'] == 'supervised'
    assert run.described(tmp_path) == run.Description('supervised', wanted, INFO.classes)
    assert saved['versions']['tensorflow'] == tf.__version__
    test = run_data.test_clips(wanted, store, data.validation, tmp_path)
    logits = predictions.predict(model, test)
    np.testing.assert_allclose(predictions.predict(run.load(tmp_path), test), logits, atol=1e-4)
    events = list((tmp_path / 'tensorboard').rglob('events*'))
    tags = {
        value.tag
        for path in events
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {'loss/total', 'loss/hard', 'accuracy', 'learning_rate', 'clips_per_second'} <= tags
    # A complete run is not trained again, and its folder rejects other runs.
    before = (tmp_path / 'metrics.json').stat().st_mtime_ns
    run.train(recipes.SUPERVISED, wanted, data, tmp_path)
    assert (tmp_path / 'metrics.json').stat().st_mtime_ns == before
    with pytest.raises(ValueError, match='other params'):
        run.train(recipes.SUPERVISED, params(network, epochs=7), data, tmp_path)


@pytest.mark.usefixtures('without_exports')
def test_a_stopped_run_ends_where_an_unstopped_one_does(data, tmp_path, monkeypatch):
    whole = run.train(recipes.SUPERVISED, params(), data, tmp_path / 'whole')
    original, calls = checkpoints.Progress.save, []

    def stop(self, history, keep):
        original(self, history, keep)
        calls.append(len(history))
        if len(history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', stop)
    with pytest.raises(KeyboardInterrupt):
        run.train(recipes.SUPERVISED, params(), data, tmp_path / 'stopped')
    monkeypatch.setattr(checkpoints.Progress, 'save', original)
    resumed = run.train(recipes.SUPERVISED, params(), data, tmp_path / 'stopped')
    assert calls == [0, 1, 2]
    for a, b in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    histories = [
        json.loads((tmp_path / name / 'metrics.json').read_text())['history']
        for name in ('whole', 'stopped')
    ]
    assert [h['epoch'] for h in histories[1]] == [0, 1, 2]
    for a, b in zip(*histories, strict=True):
        assert a['validation/total'] == b['validation/total']


def test_the_best_epoch_is_the_most_accurate_then_the_surest_then_the_first():
    rows = [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.6, 0.1)]
    history = [{'validation/accuracy': a, 'validation/total': t} for a, t in rows]
    assert loop.best_epoch(history) == 2


def test_epochs_that_differ_by_rounding_are_equal_and_the_kept_one_stays():
    def best(*rows):
        return loop.best_epoch([{'validation/accuracy': a, 'validation/total': t} for a, t in rows])

    assert best((0.7, 0.8), (0.1 + 0.6, 0.8 * (1 - 1e-7)), (0.7, 0.8 * (1 - 2e-7))) == 0
    assert best((0.7, 0.8), (0.7, 0.8 * (1 - 1e-4))) == 1
    assert best((0.7, 0.8), (0.7 + 1e-6, 0.9)) == 1  # one clip in a million
    # Losses that fall by less than rounding each time: the chosen epoch is the previous choice or
    # the newest epoch, whose weights are available.
    history, chosen = [], [0]
    for epoch in range(200):
        history.append({'validation/total': 1.0 - 1e-6 * epoch})
        chosen.append(loop.best_epoch(history))
        assert chosen[-1] in (chosen[-2], epoch)
    assert 1 < len(set(chosen)) < 100


@pytest.mark.usefixtures('without_exports')
def test_layers_start_from_given_weights(data, tmp_path):
    other = models.build('hearnet', 3)
    start = {'conv2': other.get_layer('conv2').get_weights()}
    still = dataclasses.replace(
        params(epochs=1), start='digest', loop=loop.LoopParams(1, 4, 1e-12, seed=1)
    )
    given = run.train(
        recipes.SUPERVISED, still, dataclasses.replace(data, start=start), tmp_path / 'given'
    )
    drawn = run.train(
        recipes.SUPERVISED, dataclasses.replace(still, start=None), data, tmp_path / 'drawn'
    )
    for layer in ('conv1', 'conv2'):
        want = other if layer == 'conv2' else drawn
        np.testing.assert_allclose(
            given.get_layer(layer).kernel, want.get_layer(layer).kernel, atol=1e-6
        )
    assert np.abs(given.get_layer('conv2').kernel - drawn.get_layer('conv2').kernel).max() > 1e-3


def test_a_teacher_is_asked_once_per_record_exactly(store, tmp_path):
    keras.utils.set_random_seed(2)
    teacher = models.build('dualcamnet', 3, seconds=1)
    seconds = record_clips.cut(store, np.arange(60)[:, None], ['acoustic'])
    answers = distillation.record_predictions(teacher, seconds, tmp_path / 'answers.npy')
    whole = models.build('dualcamnet', 3, seconds=5)
    whole.set_weights(teacher.get_weights())
    images = store.arrays['acoustic'][:10].reshape(2, 60, 36, 48, 12)
    direct = whole(images, training=False).numpy()
    np.testing.assert_allclose(answers[:10].reshape(2, 5, 3).mean(axis=1), direct, atol=1e-4)
    (tmp_path / 'answers.npy').touch()
    np.testing.assert_array_equal(
        distillation.record_predictions(None, None, tmp_path / 'answers.npy'), answers
    )


def test_distillation_loss_of_five_steps_is_the_same_with_the_teacher_in_the_loop(store):
    keras.utils.set_random_seed(3)
    teacher = models.build('dualcamnet', 3, seconds=5)
    windows = np.arange(60).reshape(12, 5)
    asked = teacher(store.arrays['acoustic'].reshape(12, 60, 36, 48, 12), training=False).numpy()
    totals = []
    for live in (False, True):
        keras.utils.set_random_seed(4)
        student = models.build('hearnet', 3)
        step = distillation.DistillationStep(student, 0.5, 2.0)
        optimizer = keras.optimizers.Adam(1e-4)
        made = record_clips.cut(store, windows, ['spectrogram'], columns={'teacher_logits': asked})
        seen = []
        for batch in made.batches(4):
            for _ in range(2):
                if live:
                    images = store.arrays['acoustic'][windows[batch['clip'].numpy()]]
                    batch['teacher_logits'] = teacher(images.reshape(-1, 60, 36, 48, 12))
                with tf.GradientTape() as tape:
                    parts, _ = step.losses(batch, training=True)
                optimizer.apply_gradients(
                    zip(tape.gradient(parts['total'], step.variables), step.variables, strict=True)
                )
                seen.append(float(parts['total']))
        totals.append(seen[:5])
    np.testing.assert_allclose(*totals, rtol=1e-5)


def test_steps_name_their_losses_and_train_the_student_only(store):
    student = models.build('hearnet', 3)
    batch = {
        'input': tf.random.normal((2, 500, 257)),
        'label': tf.constant([0, 2]),
        'teacher_logits': tf.constant([[1.0, 2, 3], [3, 2, 1]]),
    }
    parts, logits = distillation.DistillationStep(student, 0.3, 2.0).losses(batch, training=True)
    assert set(parts) == {'hard', 'soft', 'l2', 'total'}
    want = losses.distillation(batch['label'], logits, batch['teacher_logits'], 0.3, 2.0)
    assert float(parts['hard'] + parts['soft']) == pytest.approx(float(want), rel=1e-6)
    assert float(parts['total']) == pytest.approx(float(want + parts['l2']), rel=1e-6)
    plain, _ = supervised.SupervisedStep(student).losses(batch, training=True)
    assert set(plain) == {'hard', 'l2', 'total'}
    for wrong in ((1.5, 1.0), (0.5, 0.0)):
        with pytest.raises(ValueError, match='imitation'):
            distillation.DistillationStep(student, *wrong)


@pytest.mark.parametrize(
    'network, options',
    [
        ('hearnet', {'dropout': 0.5}),
        ('oursoundnet', {}),
        ('dualcamnet', {'frame_stride': 6, 'batch_norm': True}),
    ],
)
def test_no_sum_of_a_step_depends_on_the_order_of_its_operations(network, options):
    """TensorFlow adds three terms or more beginning with one whose memory happens to be free, and
    joins sums of sums of the same shape."""
    model = models.build(network, 3, **options)
    batch = {
        'input': tf.zeros((2, *model.input_shape[1:])),
        'label': tf.constant([0, 1], tf.int64),
        'teacher_logits': tf.zeros((2, 3)),
    }
    step = distillation.DistillationStep(model, 0.5, 4.0)
    optimizer = loop.make_optimizer(loop.LoopParams(1, 2), 2)
    optimizer.build(step.variables)
    train_step = loop.make_train_step(step, optimizer)
    operations = train_step.get_concrete_function(batch).graph.get_operations()
    added = [one for one in operations if one.type in ('AddN', 'Add', 'AddV2')]
    assert len(added) > len(step.variables) / 2
    for one in added:
        terms = [term.op.type for term in one.inputs]
        assert len(terms) == 2, f'{one.name}: {terms}'
        if one.type == 'AddN':
            assert 'AddN' not in terms, f'{one.name}: {terms}'


def test_a_loss_that_is_not_finite_ends_the_run(data, tmp_path):
    wild = dataclasses.replace(params(), loop=loop.LoopParams(3, 4, 1e30))
    with pytest.raises(loop.NotFinite, match='epoch 1, step'):
        run.train(recipes.SUPERVISED, wild, data, tmp_path)
    assert not (tmp_path / 'metrics.json').exists()


@pytest.mark.usefixtures('without_exports')
def test_a_run_with_another_front_end_is_refused(data, tmp_path):
    run.train(recipes.SUPERVISED, params(epochs=1), data, tmp_path)
    saved = json.loads((tmp_path / 'run.json').read_text())
    del saved['params']['frontend_version']
    (tmp_path / 'run.json').write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=r'version 1 of the front end, .*train it again'):
        run.load(tmp_path)


@pytest.mark.usefixtures('without_exports')
def test_a_trace_is_written_on_request(data, tmp_path):
    run.train(recipes.SUPERVISED, params(epochs=1), data, tmp_path, profile=True)
    (trace,) = tmp_path.rglob('*.xplane.pb')
    assert 'tensorboard/train/plugins/profile' in trace.as_posix() and trace.stat().st_size > 1000


def test_no_run_no_model(tmp_path):
    with pytest.raises(ValueError, match='not the folder of a run'):
        run.load(pathlib.Path(tmp_path))
    with pytest.raises(ValueError, match='expected one of'):
        params('vgg')
