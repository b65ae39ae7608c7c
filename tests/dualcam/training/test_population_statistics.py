"""Batch normalisation averages measured over the training clips."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses, models
from dualcam.models import layers
from dualcam.training import checkpoints, loop, population_statistics, recipes, steps
from dualcam.training.recipes import supervised
from tests.helpers import small_runs

pytestmark = pytest.mark.numeric

MEASURED = {'batch_norm_averages': 'measured'}


class NumberClips:
    """Twenty-three clips of five steps with four channels, of distinct scales; two classes."""

    def __init__(self):
        rng = np.random.default_rng(4)
        scale, offset = rng.uniform(0.5, 3.0, (23, 1, 1)), rng.standard_normal(4) * 3.0
        self.values = np.float32(rng.standard_normal((23, 5, 4)) * scale + offset)
        self.columns = {'label': np.arange(23) % 2}

    def __len__(self):
        return len(self.values)

    def records(self, number):
        return [f'/r/{number}.tfrecord']

    def order(self, shuffle_seed):
        return np.random.default_rng(shuffle_seed).permutation(len(self))

    def batches(self, batch_size, shuffle_seed=None):
        order = np.arange(len(self)) if shuffle_seed is None else self.order(shuffle_seed)
        return tf.data.Dataset.from_tensor_slices(
            {
                'input': self.values[order],
                'label': self.columns['label'][order],
                'clip': order,
            }
        ).batch(batch_size)


class NumberStep(steps.Step):
    """Cross-entropy of a network on such clips; optionally, only some variables are trained."""

    def __init__(self, model, variables=None):
        super().__init__(model, variables or model.trainable_variables, [], 0.0)

    def losses(self, batch, training):
        logits = steps.outputs(self.model, batch['input'], training)
        return self.add_penalty({'hard': losses.cross_entropy(batch['label'], logits)}), logits


def network(norm=layers.BatchNormalization, dropout=0.5):
    """Two batch normalisation layers, the first one on the input itself."""
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            norm(name='below'),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(6, activation='relu', name='dense'),
            norm(name='above'),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2, name='logits'),
        ]
    )


def averages(model, name):
    norm = model.get_layer(name)
    return norm.moving_mean.numpy(), norm.moving_variance.numpy()


@pytest.mark.parametrize('norm', [layers.BatchNormalization, layers.FusedBatchNormalization])
@pytest.mark.parametrize('batch_size', [1, 4, 7, 23, 100])
def test_the_first_layer_has_the_mean_and_variance_of_all_clips(norm, batch_size):
    clips, model = NumberClips(), network(norm)
    before = [variable.numpy() for variable in model.variables]
    population_statistics.PopulationStatistics(NumberStep(model)).measure(clips, batch_size, (0, 1))
    mean, variance = averages(model, 'below')
    np.testing.assert_allclose(mean, clips.values.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(variance, clips.values.var(axis=(0, 1)), rtol=1e-5)
    # Nothing else has changed, not even the state of dropout's random numbers.
    for variable, old in zip(model.variables, before, strict=True):
        assert ('moving_' in variable.path) == (not np.array_equal(variable.numpy(), old))


def test_the_second_layer_sees_what_batch_statistics_leave_of_the_first():
    clips, model, seed = NumberClips(), network(), (3, 4)
    model.get_layer('below').gamma.assign([1.0, 2.0, 0.5, -1.0])
    model.get_layer('below').beta.assign([0.1, 0.0, -0.3, 1.0])
    population_statistics.PopulationStatistics(NumberStep(model)).measure(clips, 6, seed)
    gamma, beta = (weight.numpy() for weight in model.get_layer('below').weights[:2])
    kernel, bias = model.get_layer('dense').get_weights()
    seen = []
    for part in np.split(clips.values[clips.order(seed)].astype(np.float64), [6, 12, 18]):
        normalised = (part - part.mean(axis=(0, 1))) / np.sqrt(part.var(axis=(0, 1)) + 1e-3)
        seen.append(np.maximum((normalised * gamma + beta) @ kernel + bias, 0.0))
    seen = np.concatenate(seen)
    mean, variance = averages(model, 'above')
    np.testing.assert_allclose(mean, seen.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, seen.var(axis=(0, 1)), rtol=1e-4, atol=1e-6)


def test_fewer_clips_may_be_looked_at():
    clips, model = NumberClips(), network()
    population_statistics.PopulationStatistics(NumberStep(model)).measure(clips, 4, (5, 6), 10)
    seen = clips.values[clips.order((5, 6))[:10]]
    np.testing.assert_allclose(averages(model, 'below')[0], seen.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(averages(model, 'below')[1], seen.var(axis=(0, 1)), rtol=1e-5)


def test_a_normalisation_that_is_not_trained_keeps_its_averages():
    clips, model = NumberClips(), network()
    trained = [v for v in model.trainable_variables if 'below' not in v.path]
    population = population_statistics.PopulationStatistics(NumberStep(model, trained))
    assert [norm.name for norm in population.norms] == ['above']
    population.measure(clips, 8, (0, 0))
    for values, wanted in zip(averages(model, 'below'), (0.0, 1.0), strict=True):
        np.testing.assert_array_equal(values, wanted)
    # These averages are also used while the layer above is measured.
    x = tf.constant(clips.values) / np.sqrt(1.0 + 1e-3)
    seen = model.get_layer('dense')(x).numpy()
    np.testing.assert_allclose(averages(model, 'above')[0], seen.mean(axis=(0, 1)), rtol=1e-4)


@pytest.mark.parametrize(
    'name, options, count',
    [
        ('oursoundnet', {}, 5),
        ('soundnet8', {}, 7),
        ('resnet18_eccv', {'width': 0.125}, 16),
        ('l3_audio', {'width': 0.125}, 8),
        ('l3_vision', {'width': 0.125}, 8),
        ('tagging_audio', {'width': 1 / 16}, 8),
        ('hearnet', {}, 0),
    ],
)
def test_all_networks_that_train_normalisations_are_found(name, options, count):
    step = supervised.SupervisedStep(models.build(name, 3, **options))
    population = population_statistics.PopulationStatistics(step)
    norms = [one for one in step.model.layers if one.name.endswith('_norm')]
    assert population.norms == norms and len(norms) == count


def test_a_frozen_backbone_is_not_measured():
    whole = models.build('resnet50', 3, frame_stride=12)
    assert not population_statistics.PopulationStatistics(supervised.SupervisedStep(whole)).norms


def fit(folder, **changes):
    """History and averages of a short training."""
    model = network()
    params = loop.LoopParams(3, 6, 0.01, seed=5, **changes)
    history = loop.fit(
        NumberStep(model),
        NumberClips(),
        NumberClips(),
        params,
        folder,
        loop.make_optimizer(params, 23),
    )
    return history, model


def test_validation_and_the_chosen_weights_have_measured_averages(tmp_path):
    history, model = fit(tmp_path / 'measured', **MEASURED)
    best = history[loop.chosen_epoch(history)]
    wanted = NumberClips().values
    np.testing.assert_allclose(averages(model, 'below')[0], wanted.mean(axis=(0, 1)), rtol=1e-5)
    logits = model(wanted, training=False)
    assert float(losses.cross_entropy(np.arange(23) % 2, logits)) == pytest.approx(
        best['validation/total'], rel=1e-5
    )
    moving, _ = fit(tmp_path / 'moving')
    for ours, theirs in zip(history, moving, strict=True):
        assert ours['train/total'] == theirs['train/total']  # training uses batch statistics
        assert ours['validation/total'] != theirs['validation/total']


def test_a_smaller_last_batch_is_not_traced_again(tmp_path, monkeypatch):
    traced = []

    def outputs(model, inputs, training):
        traced.append((training, inputs.shape[0]))
        return model(inputs, training=training)

    monkeypatch.setattr(steps, 'outputs', outputs)
    fit(tmp_path / 'smaller', **MEASURED)  # 23 clips in batches of 6
    assert traced == [(True, None), (False, None)]


@pytest.mark.parametrize('stop_after', [1, 2])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(stop_after, tmp_path, monkeypatch):
    small_runs.write_records(tmp_path)
    whole = small_runs.REGIMES['visual'](tmp_path, tmp_path / 'whole', **MEASURED)
    save = checkpoints.Progress.save

    def stop(progress, history, keep):
        save(progress, history, keep)
        if len(history) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', stop)
    with pytest.raises(loop.Stopped):
        small_runs.REGIMES['visual'](tmp_path, tmp_path / 'stopped', **MEASURED)
    monkeypatch.undo()
    again = small_runs.REGIMES['visual'](tmp_path, tmp_path / 'stopped', **MEASURED)
    for ours, theirs in zip(again.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    saved = json.loads((tmp_path / 'stopped' / 'run.json').read_text())
    assert saved['params']['loop']['batch_norm_averages'] == 'measured'


def test_without_validation_the_last_epoch_is_measured(tmp_path):
    model = network()
    params = loop.LoopParams(2, 6, 0.01, **MEASURED)
    loop.fit(
        NumberStep(model), NumberClips(), None, params, tmp_path, loop.make_optimizer(params, 23)
    )
    np.testing.assert_allclose(
        averages(model, 'below')[0], NumberClips().values.mean(axis=(0, 1)), rtol=1e-5
    )


def test_older_runs_have_moving_averages():
    fields = dataclasses.asdict(
        supervised.RunParams('hearnet', small_runs.CLIPS, loop.LoopParams())
    )
    del fields['loop']['batch_norm_averages'], fields['loop']['batch_norm_clips']
    assert recipes.SUPERVISED.params_from_json(fields).loop.batch_norm_averages == 'moving'


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'batch_norm_averages': 'precise'}, "'precise': expected moving or measured"),
        ({'batch_norm_clips': 1}, 'batch_norm_clips 1: expected 2 or more'),
    ],
)
def test_wrong_parameters_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        loop.LoopParams(**changes)
