"""Grid search: points, their order, outputs, and that test splits are not read."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.plugins.hparams import metadata

from dualcam.data.records import reading, record_lists
from dualcam.training import loop, run_data
from dualcam.training.recipes import distillation
from experiments.shared import grids, outcomes, results
from experiments.wacv2020 import presets, runs
from tests.helpers import small_runs


def test_points_of_both_columns():
    grid = grids.points('D', [1e-3, 1e-4], [2.0, 5.0], [0.0, 0.5, 1.0])
    assert len(grid) == len(set(grid)) == 2 * (1 + 2 * 2)
    assert grid[:2] == [grids.Point(1e-3, 1.0, 0.0), grids.Point(1e-3, 2.0, 0.5)]
    assert [p for p in grid if p.imitation == 0.0] == [
        grids.Point(1e-3, 1.0, 0.0),
        grids.Point(1e-4, 1.0, 0.0),
    ]
    assert grids.points('G', [1e-3, 1e-4], [2.0], [0.5]) == [grids.Point(1e-3), grids.Point(1e-4)]
    assert str(grids.Point(1e-4, 2.0, 0.5)) == 'learning rate 0.0001, temperature 2, imitation 0.5'


@pytest.mark.parametrize(
    'texts, low_is_in, expected',
    [(['1e-3', ' 0.1', '1', '1e-3'], False, [1e-3, 0.1, 1.0]), (['0', '0.25'], True, [0.0, 0.25])],
)
def test_numbers_are_read(texts, low_is_in, expected):
    assert grids.read_numbers('imitations', texts, 0, 1, low_is_in) == expected


@pytest.mark.parametrize('texts', [[], [''], ['a'], ['0'], ['0.5', '-1'], ['2'], ['nan']])
def test_other_numbers_are_refused(texts):
    with pytest.raises(ValueError, match=r'--rates=.*: expected numbers above 0 to 1, separated'):
        grids.read_numbers('rates', texts, 0, 1)
    with pytest.raises(ValueError, match='above 0, separated'):
        grids.read_numbers('rates', ['inf'], 0, math.inf)


def result(rate, *scores):
    """A result with these (accuracy, loss) pairs, one per seed."""
    validations = tuple(
        outcomes.Validation(accuracy, loss, 30, seed)
        for seed, (accuracy, loss) in enumerate(scores)
    )
    return grids.Result(grids.Point(rate), validations, tuple(f'run{v.seed}' for v in validations))


def test_best_accuracy_first_then_smallest_loss_then_those_without_any():
    best = result(1, (0.9, 2.0), (0.7, 4.0))
    second = result(2, (0.6, 1.0), (0.8, 1.2))
    third = result(3, (0.8, 1.3), (0.6, 1.1))
    zero = result(4, (0.0, 0.5), (0.0, 0.5))
    failed = result(5)
    for order in ([failed, third, zero, second, best], [second, best, third, zero, failed]):
        assert grids.ranked(order) == [best, second, third, zero, failed]
    assert best.accuracy == pytest.approx(0.8) and best.loss == pytest.approx(3.0)
    assert best.deviation == pytest.approx(np.std([0.9, 0.7], ddof=1))
    assert result(1, (0.5, 1.0)).deviation is None
    # 1/3 + 2/3 and 0.2 + 0.8 differ in floating point; the loss decides.
    assert [
        r.point.learning_rate
        for r in grids.ranked(
            [result(1, (0.1, 2.0), (0.7, 2.0)), result(2, (0.4, 1.0), (0.4, 1.0))]
        )
    ] == [2, 1]
    # Losses that only differ by rounding do not; the first point comes first.
    for first, second in ((1.0, 1.0 - 1e-7), (1.0 - 1e-7, 1.0)):
        assert [
            r.point.learning_rate
            for r in grids.ranked(
                [result(1, (0.4, 3.0)), result(3, (0.5, first)), result(2, (0.5, second))]
            )
        ] == [3, 2, 1]
    assert grids.ranked([failed]) == [failed]


@pytest.mark.parametrize(
    'values', [('resnet50', 'G', 'all'), ('hearnet', 'X', 'all'), ('hearnet', 'D', 'scenario_4')]
)
def test_other_searches_are_refused(values):
    with pytest.raises(ValueError, match=r'--\w+=\w+: expected one of \w+, '):
        grids.Search(*values)


def test_a_list_for_people():
    found = grids.ranked([result(1e-3), result(1e-4, (0.5, 1.0))])
    search = grids.Search('hearnet', 'G', 'all')
    text = results.markdown(grids.table(search, found, 'note', {}))
    assert 'Chosen: learning rate 0.0001: validation accuracy 0.5000, loss 1.0000 (30 clips).' in (
        text
    )
    assert '| rank | learning rate | validation accuracy | validation loss | note |' in text
    assert '| 1 | 0.0001 | 0.5000 | 1.0000 |  |' in text
    assert '| 2 | 0.001 |  |  | not finite |' in text
    assert grids.chosen([result(1)]).startswith('nothing')


def test_a_loss_that_is_not_finite_leaves_a_point_out(tmp_path):
    class Exploding:
        """A workshop in which a learning rate of 1 is too high."""

        def scores(self, wanted, tests, seed):
            if dict(wanted.overrides)['learning_rate'] == 1.0:
                raise loop.NotFinite('epoch 1')
            return {test: outcomes.Validation(0.25, 1.5, 4, seed) for test in tests}

        def folder(self, wanted, seed):
            return tmp_path / f'run{seed}'

    search = grids.Search('hearnet', 'G', 'all')
    grid = grids.points('G', [1.0, 1e-3], [], [])
    found = grids.fill(search, grid, Exploding(), [0, 1], tmp_path)
    assert [r.accuracy for r in found] == [0.25, None]
    assert found[0].folders == ('run0', 'run1') and found[1].validations == ()


def test_a_point_with_the_presets_values_is_the_tables_run():
    preset = presets.preset_named('smoke')
    search = grids.Search('hearnet', 'D', 'scenario_2')
    run = search.run(grids.Point(1e-4, 2.0, 0.25))
    assert run.teacher == runs.Run('dualcamnet', 'hard', 'scenario_2')
    params = preset.run_params('hearnet', 'D', 'scenario_2', 3)
    changed = runs._overridden(params, dict(run.overrides))
    assert (changed.loop.learning_rate, changed.temperature, changed.imitation) == (1e-4, 2.0, 0.25)
    assert changed.loop == dataclasses.replace(params.loop, learning_rate=1e-4)
    same = grids.Point(params.loop.learning_rate, params.temperature, params.imitation)
    assert runs._overridden(params, dict(search.run(same).overrides)) == params


GRID = (
    '--network=hearnet',
    '--train_on=scenario_1',
    '--learning_rates=1e-3,1e-4',
    '--temperatures=2',
    '--imitations=0,0.5',
    '--preset=smoke',
    '--seeds=0,1',
)


@pytest.fixture(scope='module')
def made(smoke, program, engine):
    """A grid of four points, two seeds, trained on a cluster: its folder and what was printed."""
    out = smoke / 'grid_results'
    code, printed, errors = program(
        'experiments/grid_search.py',
        f'--records={smoke}/records',
        f'--out={out}',
        f'--cluster_file={engine.file}',
        *GRID,
    )
    assert code == 0, errors
    return out, printed


@pytest.mark.slow
def test_a_grid_is_made_from_records_to_choice(made):
    out, printed = made
    folder = out / 'grid/hearnet-D-scenario_1'
    saved = json.loads((folder / 'grid.json').read_text())
    assert 'simulated sounds' in saved['title'] and 'smoke preset' in saved['title']
    assert {(p['learning_rate'], p['temperature'], p['imitation']) for p in saved['points']} == {
        (1e-3, 1.0, 0.0),
        (1e-4, 1.0, 0.0),
        (1e-3, 2.0, 0.5),
        (1e-4, 2.0, 0.5),
    }
    order = [(-p['accuracy'], p['loss']) for p in saved['points']]
    assert order == sorted(order)
    assert saved['choice'] == {k: saved['points'][0][k] for k in saved['choice']}
    for point in saved['points']:
        assert [r['seed'] for r in point['runs']] == [0, 1]
        assert point['accuracy'] == pytest.approx(np.mean([r['accuracy'] for r in point['runs']]))
        for run in point['runs']:
            metrics = json.loads((out / 'runs' / run['folder'] / 'metrics.json').read_text())
            assert run['accuracy'] == pytest.approx(metrics['validation_accuracy'])
            assert run['num_clips'] == metrics['validation_clips']
            params = json.loads((out / 'runs' / run['folder'] / 'run.json').read_text())['params']
            assert params['loop']['learning_rate'] == point['learning_rate']
            assert [params[k] for k in ('temperature', 'imitation')] == [
                point[k] for k in ('temperature', 'imitation')
            ]
            # Without imitation, the best epoch's cross-entropy is the loss that was trained.
            if point['imitation'] == 0.0:
                best = metrics['history'][metrics['best_epoch']]
                assert run['loss'] == pytest.approx(best['validation/hard'], rel=1e-4)
    with open(folder / 'grid.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert [float(line['mean']) for line in lines if line['column'] == 'validation loss'] == [
        pytest.approx(p['loss'], abs=1e-4) for p in saved['points']
    ]
    assert [float(line['learning_rate']) for line in lines[::2]] == [
        p['learning_rate'] for p in saved['points']
    ]
    assert (folder / 'grid.png').read_bytes()[:4] == b'\x89PNG'
    assert f'written: {folder}/grid.md' in printed
    assert printed.strip().splitlines()[-1].startswith('chosen: learning rate ')


@pytest.mark.slow
def test_tensorboard_has_a_session_a_run(made, summaries):
    out, _ = made
    folder = out / 'grid/hearnet-D-scenario_1'
    saved = json.loads((folder / 'grid.json').read_text())
    (config,) = summaries(folder / 'tensorboard')
    experiment = metadata.parse_experiment_plugin_data(config.metadata.plugin_data.content)
    assert {
        i.name: [v.number_value for v in i.domain_discrete.values] for i in experiment.hparam_infos
    } == {'learning_rate': [1e-4, 1e-3], 'temperature': [1.0, 2.0], 'imitation': [0.0, 0.5]}
    assert [m.name.tag for m in experiment.metric_infos] == [
        'validation accuracy',
        'validation loss',
    ]
    groups = {}
    for point in saved['points']:
        for run in point['runs']:
            start, *scalars = summaries(folder / 'tensorboard' / run['folder'])
            session = metadata.parse_session_start_info_plugin_data(
                start.metadata.plugin_data.content
            )
            assert {k: v.number_value for k, v in session.hparams.items()} == {
                k: point[k] for k in ('learning_rate', 'temperature', 'imitation')
            }
            groups.setdefault(session.group_name, []).append(run['folder'])
            assert {s.tag: tf.make_ndarray(s.tensor) for s in scalars} == {
                'validation accuracy': pytest.approx(run['accuracy']),
                'validation loss': pytest.approx(run['loss']),
            }
    assert [len(folders) for folders in groups.values()] == [2] * 4  # seeds of a point


@pytest.mark.slow
def test_a_second_call_trains_nothing_and_a_wider_grid_only_what_is_new(
    made, smoke, program, monkeypatch
):
    out, _ = made
    small_runs.skip_exports(monkeypatch.setattr)

    def saved():
        found = json.loads((out / 'grid/hearnet-D-scenario_1/grid.json').read_text())
        return {key: value for key, value in found.items() if key != 'made'}  # date and time

    before = saved()
    for extra, trained in (((), 0), (('--learning_rates=1e-3,1e-4,1e-2', '--seeds=0'), 2)):
        code, printed, errors = program(
            'experiments/grid_search.py',
            f'--records={smoke}/records',
            f'--out={out}',
            *GRID,
            *extra,
        )
        assert code == 0, errors
        assert printed.count('training  ') == trained
        if not trained:
            assert saved() == before
            for folder in (out / 'grid/hearnet-D-scenario_1/tensorboard').glob('*/'):
                assert len(list(folder.glob('events.*'))) == 1


class Watched:
    """An array that records which of its rows are read."""

    def __init__(self, array, seen):
        self.array, self.seen = array, seen

    def __getitem__(self, rows):
        self.seen.update(np.ravel(rows).tolist())
        return self.array[rows]

    def take(self, rows, **options):
        """What `np.take` calls."""
        self.seen.update(np.ravel(rows).tolist())
        return np.take(self.array, rows, **options)

    def __getattr__(self, name):
        return getattr(self.array, name)


@pytest.mark.slow
@pytest.mark.parametrize('column', ['G', 'D'])
def test_test_splits_are_not_read(made, smoke, monkeypatch, column, tmp_path):
    out, _ = made
    small_runs.skip_exports(monkeypatch.setattr)
    search = grids.Search('hearnet', column, 'scenario_1')
    workshop = runs.open_workshop(
        smoke / 'records', out, presets.preset_named('smoke'), [search.run(grids.Point(1e-3))]
    )
    store, seen = workshop.store, set()
    folder = record_lists.lists_folder(smoke / 'records', 4, 1)
    allowed = {
        path
        for name in ('training.txt', 'validation.txt')
        for path in reading.read_list(folder / name, smoke / 'records')
    }
    allowed = set(store.rows(sorted(allowed)).tolist())
    assert 0 < len(allowed) < len(store.paths) / 2
    workshop.source.store = dataclasses.replace(
        store,
        arrays={name: Watched(array, seen) for name, array in store.arrays.items()},
        columns={name: Watched(array, seen) for name, array in store.columns.items()},
    )

    # The tables' teachers predict all records once; predictions for the rest are never used.
    record_clips = run_data.second_clips
    monkeypatch.setattr(
        run_data, 'second_clips', lambda params, _, folder: record_clips(params, store, folder)
    )

    def predictions(teacher, seconds, path):
        logits = record_predictions(teacher, seconds, path).copy()
        logits[[row for row in range(len(logits)) if row not in allowed]] = np.nan
        return logits

    record_predictions = distillation.record_predictions
    monkeypatch.setattr(distillation, 'record_predictions', predictions)
    grid = grids.points(column, [1e-3], [2.0], [0.5])
    found = grids.fill(search, grid, workshop, [7], tmp_path)  # a seed that no other test uses
    assert np.isfinite(found[0].loss)
    assert seen == allowed
    # The whole command did not test anything either.
    assert (out / 'runs' / found[0].folders[0] / 'validation.json').exists()
    assert not list(out.rglob('test_*.json')) and not list(tmp_path.rglob('test_*.json'))


def test_a_bad_flag_is_one_line(tmp_path, program):
    for flag, message in (
        ('--network=resnet50', '--network=resnet50: expected one of hearnet, oursoundnet'),
        ('--imitations=2', '--imitations=2: expected numbers from 0 to 1'),
        ('--seeds=-1', '--seeds=-1: expected whole numbers from 0'),
    ):
        code, _, errors = program(
            'experiments/grid_search.py',
            f'--records={tmp_path}',
            f'--out={tmp_path}',
            '--network=hearnet',
            '--train_on=all',
            flag,
        )
        assert code == 1 and message in errors
        assert len(errors.strip().splitlines()) == 1 and errors.startswith('error: ')
    code, _, errors = program(
        'experiments/grid_search.py',
        f'--records={tmp_path}',
        f'--out={tmp_path}',
        '--network=hearnet',
        '--train_on=all',
        '--column=G',
        '--temperatures=1',
    )
    assert code == 1 and 'column G has no teacher' in errors


@pytest.mark.slow
def test_a_program_trains_on_two_devices(smoke, command, tmp_path):
    """As with `make grid DEVICES=2`: a teacher, and a student that learns from it."""
    code, out, errors = command(
        '-m',
        'tests.helpers.two_cpus',
        'experiments/grid_search.py',
        f'--records={smoke}/records',
        f'--out={tmp_path}',
        '--devices=2',
        '--network=hearnet',
        '--train_on=all',
        '--learning_rates=3e-5',  # one step an epoch, on the same clips: a short one descends
        '--temperatures=2',
        '--imitations=0.5',
        '--preset=smoke',
    )
    assert code == 0, errors
    assert 'training  dualcamnet-hard-all' in out and 'training  hearnet-D-all' in out
    runs_of = [json.loads(path.read_text()) for path in (tmp_path / 'runs').glob('*/run.json')]
    assert [saved['params']['loop']['devices'] for saved in runs_of] == [2, 2]
    (student,) = (tmp_path / 'runs').glob('hearnet-*')
    assert (student / 'saved_model/1/saved_model.pb').exists()
    history = json.loads((student / 'metrics.json').read_text())['history']
    assert history[-1]['train/total'] < history[0]['train/total']
