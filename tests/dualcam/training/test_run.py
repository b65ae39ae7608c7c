"""What all runs have in common, whatever their recipe, shown by a recipe on eight numbers."""

import dataclasses
import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses
from dualcam.data.clips import record_clips
from dualcam.data.sources import datasets
from dualcam.training import checkpoints, loop, recipes, run, steps
from dualcam.training.recipes import correspondence, recipe, supervised, tagging, tagging_steps

INFO = datasets.DatasetInfo('numbers', ('below', 'above'), 'made up', 1)
DATA = types.SimpleNamespace(info=INFO, described=dict)
LOOP = loop.LoopParams(3, 4, 0.1, seed=2)


@dataclasses.dataclass(frozen=True)
class NumberParams:
    loop: loop.LoopParams


class NumberClips:
    """Eight numbers and their signs."""

    columns = types.MappingProxyType({'label': np.arange(8) // 4})

    def __len__(self):
        return 8

    def records(self, number):
        return [f'/r/{number}.tfrecord']

    def batches(self, batch_size, shuffle_seed=None):
        order = np.arange(8)
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
        return tf.data.Dataset.from_tensor_slices(
            {'input': np.float32(order - 3.5)[:, None], 'label': order // 4, 'clip': order}
        ).batch(batch_size)


class NumberStep(steps.Step):
    """Learns the signs."""

    def __init__(self, model):
        super().__init__(model, model.trainable_variables, [], 0.0)

    def losses(self, batch, training):
        logits = steps.outputs(self.model, batch['input'], training)
        return self.add_penalty({'hard': losses.cross_entropy(batch['label'], logits)}), logits


class NumberRecipe(recipe.Recipe):
    """A dense layer on numbers."""

    kind = 'numbers'
    frontend_version = 1

    def params_from_json(self, fields):
        return NumberParams(loop.LoopParams(**fields['loop']))

    def clips(self, params, data, folder, teacher):
        return NumberClips(), NumberClips()

    def networks(self, params, num_classes, folder):
        layers = [keras.Input((1,)), keras.layers.Dense(num_classes, name='logits')]
        return {recipe.NETWORK: keras.Sequential(layers, name='numbers')}

    def step(self, params, networks, teacher):
        return NumberStep(networks[recipe.NETWORK])

    def export(self, params, network, info, folder):
        (folder / 'exported').touch()


NUMBERS = NumberRecipe()
PARAMS = NumberParams(LOOP)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Registers the recipe, so that its runs can be loaded."""
    monkeypatch.setitem(recipes.ALL, 'numbers', NUMBERS)


class Recorder:
    """Records its calls, in order."""

    def __init__(self):
        self.calls = []

    def __call__(self, watched):
        self.watched = watched
        return self

    def begin(self):
        self.calls.append('begin')

    def after_epoch(self, epoch, labels, logits):
        assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] and logits.shape == (8, 2)
        self.calls.append(epoch)

    def end(self, network, metrics):
        assert not (self.watched.folder / 'metrics.json').exists()
        assert (self.watched.folder / 'exported').exists()
        assert network(np.ones((1, 1))).shape == (1, 2)
        self.calls.append(('end', metrics['best_epoch'], len(metrics['history'])))


def test_observers_are_told_in_order_and_before_the_run_counts_as_trained(tmp_path):
    recorder = Recorder()
    model = run.train(NUMBERS, PARAMS, DATA, tmp_path / 'run', observers=[recorder])
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    assert recorder.calls == ['begin', 1, 2, 3, ('end', metrics['best_epoch'], 3)]
    watched = recorder.watched
    assert (watched.kind, watched.params, watched.classes) == ('numbers', PARAMS, INFO.classes)
    assert len(watched.validation) == 8
    # A trained run is loaded without calling observers.
    again = run.train(NUMBERS, PARAMS, DATA, tmp_path / 'run', observers=[recorder])
    assert recorder.calls[-1][0] == 'end' and len(recorder.calls) == 5
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    # Observers are optional: without them, there are no reports.
    run.train(NUMBERS, PARAMS, DATA, tmp_path / 'alone')
    names = {path.name for path in (tmp_path / 'alone').iterdir()}
    assert names == {'run.json', 'checkpoints', 'tensorboard', 'exported', 'metrics.json', '.lock'}


def test_epochs_between_validations_only_train(tmp_path):
    histories = {}
    for period in (1, 2):
        params = NumberParams(dataclasses.replace(LOOP, epochs=5, validation_period=period))
        recorder = Recorder()
        run.train(NUMBERS, params, DATA, tmp_path / str(period), observers=[recorder])
        metrics = json.loads((tmp_path / str(period) / 'metrics.json').read_text())
        histories[period] = metrics['history']
        validated = [1, 2, 3, 4, 5] if period == 1 else [2, 4, 5]
        assert recorder.calls[1:-1] == validated and metrics['best_epoch'] + 1 in validated
        for one in metrics['history']:
            assert ('validation/total' in one) == (one['epoch'] + 1 in validated)
    for every, some in zip(histories[1], histories[2], strict=True):
        assert {key: every[key] for key in some if key != 'clips_per_second'} == {
            key: value for key, value in some.items() if key != 'clips_per_second'
        }
    with pytest.raises(ValueError, match='validation_period 0: expected 1 or more'):
        loop.LoopParams(validation_period=0)


@pytest.mark.parametrize('stop_after', [1, 3])
def test_a_resumed_run_does_not_begin_again(tmp_path, monkeypatch, stop_after):
    save = checkpoints.Progress.save

    def stop(progress, history, keep):
        save(progress, history, keep)
        if len(history) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', stop)
    first, second = Recorder(), Recorder()
    with pytest.raises(loop.Stopped):
        run.train(NUMBERS, PARAMS, DATA, tmp_path, observers=[first])
    monkeypatch.setattr(checkpoints.Progress, 'save', save)
    run.train(NUMBERS, PARAMS, DATA, tmp_path, observers=[second])
    epochs = [1, 2, 3]
    assert first.calls == ['begin', *epochs[:stop_after]]
    assert second.calls[:-1] == epochs[stop_after:] and second.calls[-1][0] == 'end'


def test_an_observer_that_fails_leaves_a_run_that_ends_when_called_again(tmp_path):
    class Failing(Recorder):
        def end(self, network, metrics):
            raise OSError('no space left')

    with pytest.raises(OSError, match='no space left'):
        run.train(NUMBERS, PARAMS, DATA, tmp_path, observers=[Failing()])
    assert not (tmp_path / 'metrics.json').exists()
    recorder = Recorder()
    run.train(NUMBERS, PARAMS, DATA, tmp_path, observers=[recorder])
    assert recorder.calls[0][0] == 'end' and (tmp_path / 'metrics.json').exists()


def test_a_teacher_that_is_not_wanted_or_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match='a numbers run has no teacher'):
        run.train(NUMBERS, PARAMS, DATA, tmp_path, teacher=np.zeros(3))
    plain = supervised.RunParams('hearnet', record_clips.ClipParams(), LOOP)
    with pytest.raises(ValueError, match='without a teacher'):
        run.train(
            recipes.DISTILLATION,
            dataclasses.replace(plain, imitation=0.5, temperature=2.0),
            DATA,
            tmp_path,
        )
    with pytest.raises(ValueError, match='imitation None'):
        run.train(recipes.DISTILLATION, plain, DATA, tmp_path, teacher=np.zeros((3, 2)))
    with pytest.raises(ValueError, match='a supervised run has no teacher'):
        run.train(recipes.SUPERVISED, plain, DATA, tmp_path, teacher=np.zeros((3, 2)))
    assert not list(tmp_path.iterdir())


SAVED = {
    'supervised': supervised.RunParams(
        'hearnet', record_clips.ClipParams(), LOOP, options=(('dropout', 0.5),)
    ),
    'distillation': supervised.RunParams(
        'hearnet', record_clips.ClipParams(), LOOP, imitation=0.5, temperature=2.0
    ),
    'correspondence': correspondence.CorrespondenceParams(
        'hearnet_eccv', 'resnet18_eccv', record_clips.ClipParams(), LOOP, alpha=0.5
    ),
    'tagging': tagging.TaggingParams(
        'tagging_student',
        'mutual',
        LOOP,
        10,
        transfer=tagging_steps.Transfer(soft=0.5),
        visual_size=3,
    ),
}


@pytest.mark.parametrize('states_kind', [True, False])
@pytest.mark.parametrize('kind', SAVED)
def test_runs_are_described_by_their_kind_those_from_before_it_was_stated_too(
    kind, states_kind, tmp_path
):
    saved = {'params': dataclasses.asdict(SAVED[kind]), 'classes': ['a', 'b']}
    if states_kind:
        saved['kind'] = kind
    else:
        del saved['params']['loop']['batch_norm_averages']
        del saved['params']['loop']['batch_norm_clips']
    (tmp_path / 'run.json').write_text(json.dumps(saved))
    assert run.described(tmp_path) == run.Description(kind, SAVED[kind], ('a', 'b'))


@pytest.mark.parametrize('text', ['{', '[]', '{"kind": "dreams", "params": {}, "classes": []}'])
def test_what_is_not_a_run_is_said(text, tmp_path):
    (tmp_path / 'run.json').write_text(text)
    with pytest.raises(ValueError, match='not the folder of a run'):
        run.described(tmp_path)
