"""The tables of ECCV 2020, from records to picture."""

import json

import numpy as np
import pytest

from experiments.eccv2020 import presets, tables
from experiments.shared import results
from tests.helpers.sound_folders import write_esc


def test_rows_are_the_published_ones():
    rows = tables.read_specs('eccv2020_table2_acivw.csv', {'accuracy': ('accuracy', 'std')})
    assert len(rows) == 22 and {row.key for row in rows} == set(tables.ROWS)
    best = max(
        (row for row in rows if row.key == 'hearnet' and row.training == 'self-supervised'),
        key=lambda row: row.published['accuracy']['published'],
    )
    assert best.alpha == 0.5
    assert best.published['accuracy'] == {'published': 0.7946, 'published_std': 0.0137}
    demo, whole = (presets.preset_named('demo', complete) for complete in (False, True))
    wanted = [row for row in rows if tables.is_wanted(row, demo)]
    assert {row.alpha for row in wanted if row.key == 'hearnet'} == {None, 0.0, 0.5}
    assert not any('l3' in row.key or row.key == 'resnet18' for row in wanted)
    assert all(tables.is_wanted(row, whole) for row in rows)
    with pytest.raises(ValueError, match='paper, demo, smoke'):
        presets.preset_named('large')


def test_percentages_become_shares():
    columns = {'rank 1': ('rank_1', 'std_1')}
    rows = tables.read_specs('eccv2020_table1_retrieval.csv', columns, 100.0)
    assert rows[0].key == 'dualcamnet' and rows[0].training == 'self-supervised'
    assert rows[0].published['rank 1'] == pytest.approx(
        {'published': 0.3341, 'published_std': 0.0365}
    )


def test_the_paper_s_settings_are_the_paper_s():
    paper = presets.preset_named('paper')
    params = paper.pretext_params('hearnet_eccv', 0.5, 3)
    assert (
        params.loop.epochs,
        params.loop.batch_size,
        params.loop.learning_rate,
        params.loop.seed,
    ) == (20, 64, 1e-5, 3)
    assert (params.margin, params.all_epochs, params.weight_decay, params.alpha) == (
        0.2,
        4,
        5e-4,
        0.5,
    )
    assert not params.options and not params.video_options and not params.standardise
    # WACV 2020's: teachers on sound and taught students learn faster.
    rates = {
        (network, taught): paper.supervised_params(network, taught, 0).loop.learning_rate
        for network, taught in (
            ('dualcamnet_eccv', False),
            ('hearnet_eccv', True),
            ('hearnet_eccv', False),
            ('resnet18_eccv', False),
        )
    }
    assert list(rates.values()) == [1e-3, 1e-3, 1e-4, 1e-4]
    demo = presets.preset_named('demo')
    assert demo.supervised_params('hearnet_eccv', False, 0).loop.learning_rate == 1e-3
    assert paper.alphas == (0.0, 0.1, 0.3, 0.5, 0.7, 0.9) and not paper.note


class Judge:
    """Knows how many of ten videos each share of the transfer has right, seed by seed."""

    def score(self, spec, seed):
        right = {0.0: (2, 3), 0.5: (8, 9)}[spec.alpha][seed]
        return {'accuracy': [(np.arange(10) < right, [f'video {i}' for i in range(10)])]}

    def baselines(self, seeds):
        spec = tables.Spec('chance', tables.OWN)
        return [spec.row({'accuracy': results.Cell((0.1,), clips=10)})]


def test_a_table_shows_what_was_measured_and_blanks():
    published = {'accuracy': {'published': 0.75, 'published_std': 0.01}}
    specs = [tables.Spec('hearnet', tables.SELF, alpha, published) for alpha in (0.0, 0.3, 0.5)]
    rows = tables.fill(specs, Judge(), presets.preset_named('demo'), [0, 1])
    text = results.markdown(
        results.Table('t', 'T', 'E', ('features', 'training', 'alpha'), ('accuracy',), rows)
    )
    assert '| chance | our baseline |  | 0.1000 |' in text
    assert '| HearNet | self-supervised | 0.3 | *0.7500 ± 0.0100* |' in text
    interval = rows[3].cell('accuracy').interval
    assert (
        f'| HearNet | self-supervised | 0.5 | 0.8500 ± 0.0707 [{interval.low:.3f}, '
        f'{interval.high:.3f}] (10 / 10) *0.7500 ± 0.0100* |' in text
    )


def test_shares_of_the_transfer_are_compared_with_none():
    published = {'accuracy': {'published': 0.75}}
    specs = [tables.Spec('hearnet', tables.SELF, alpha, published) for alpha in (0.0, 0.3, 0.5)]
    rows = tables.fill(specs, Judge(), presets.preset_named('demo'), [0, 1])
    (found,) = results.compare_rows(tables.pairs(rows), ['accuracy'], 'x', 'y', tables.label)
    assert found.a == 'HearNet, self-supervised, alpha 0.5'
    assert found.b == 'HearNet, self-supervised, alpha 0'
    assert found.difference == pytest.approx(0.6) and found.low > 0.2
    assert (found.takes, found.seeds) == (10, 2)
    # All pairs of the whole table, once they are measured.
    rows = [spec.row({}) for spec in tables.read_specs('eccv2020_table2_acivw.csv', {})]
    keys = [(a.key, b.key) for a, b in tables.pairs(rows)]
    for key in ('hearnet', 'audio_visual_hearnet'):
        for alpha in (0.1, 0.3, 0.5, 0.7, 0.9):
            assert ((key, tables.SELF, alpha), (key, tables.SELF, 0.0)) in keys
    taught = ('hearnet_transfer', tables.SUPERVISED, None)
    assert (taught, ('hearnet', tables.SUPERVISED, None)) in keys


def table(command, number, folder, *arguments):
    return command(
        'experiments/run_eccv2020.py',
        f'--table={number}',
        f'--records={folder}/records',
        f'--out={folder}/results',
        '--preset=smoke',
        *arguments,
    )


@pytest.fixture(scope='module')
def made(acivw_smoke, command):
    """Table 2 of the smoke data."""
    code, out, errors = table(command, 2, acivw_smoke)
    assert code == 0, errors
    return acivw_smoke, out


def saved(folder, number):
    """{(features, training, alpha): {column: scores}} of a table."""
    path = folder / 'results' / f'eccv2020_table{number}.json'
    found = {}
    for cell in json.loads(path.read_text())['cells']:
        row = found.setdefault((cell['features'], cell['training'], cell['alpha']), {})
        if cell['scores']:
            row[cell['column']] = cell['scores']
    return found


@pytest.mark.slow
def test_table_2_is_made_from_records_to_picture(made):
    folder, out = made
    assert 'Table 2' in out and 'simulated' in out and 'smoke preset' in out
    rows = saved(folder, 2)
    assert len(rows) == 23
    measured = {key for key, scores in rows.items() if scores}
    assert measured == {
        ('HearNet, untrained', 'our baseline', None),
        *((key, 'supervised', None) for key in ('hearnet', 'hearnet_transfer', 'dualcamnet')),
        *(
            (key, 'self-supervised', alpha)
            for key in ('hearnet', 'audio_visual_hearnet')
            for alpha in (0.0, 0.5)
        ),
        *((key, 'self-supervised', None) for key in ('dualcamnet', 'audio_visual_dualcamnet')),
    }
    for key in measured:
        assert 0 <= rows[key]['accuracy'][0] <= 1
    whole = json.loads((folder / 'results' / 'eccv2020_table2.json').read_text())
    compared = {(one['a'], one['b']) for one in whole['comparisons']}
    for name in ('HearNet', 'HearNet and ResNet-18'):
        alpha, none = (f'{name}, self-supervised, alpha {alpha}' for alpha in ('0.5', '0'))
        assert (alpha, none) in compared
    assert ('HearNet taught by DualCamNet, supervised', 'HearNet, supervised') in compared
    # Ten videos are tested on, each of which is a take.
    assert {one['takes'] for one in whole['comparisons']} == {10}
    assert (folder / 'results' / 'eccv2020_table2.png').read_bytes()[:4] == b'\x89PNG'
    # No video is in two lists.
    lists = [
        set(line.rpartition('/')[0] for line in path.read_text().splitlines())
        for path in sorted((folder / 'records' / '2_seconds' / 'lists').glob('*.txt'))
    ]
    assert len(lists) == 3 and not set.intersection(lists[0], lists[1] | lists[2])


@pytest.mark.slow
def test_the_other_tables_take_the_same_runs(made, smoke, command, tmp_path):
    folder, _ = made
    before = {path: path.stat().st_mtime_ns for path in (folder / 'results').rglob('metrics.json')}
    # The same lists as written on other machines.
    lists = tmp_path / 'lists'
    lists.mkdir()
    for path in (folder / 'records' / '2_seconds' / 'lists').glob('*.txt'):
        lines = path.read_text().splitlines()
        (lists / path.name).write_text(
            '\n'.join(
                f'{("/data1/ACIVW/2_seconds", "D:/x")[number % 2]}/{line}'
                for number, line in enumerate(lines)
            )
        )
    code, out, errors = table(command, 1, folder, f'--lists={lists}')
    assert code == 0, errors
    ranks = saved(folder, 1)
    # Ten test clips of ten classes: a sound's own is one of them.
    np.testing.assert_allclose(
        [ranks['chance', 'our baseline', None][f'rank {k}'][0] for k in (1, 2, 5, 10, 30)],
        [0.1, 0.2, 0.5, 1.0, 1.0],
    )
    for key in ('dualcamnet', 'hearnet'):
        shares = [ranks[key, 'self-supervised', None][f'rank {k}'][0] for k in (1, 2, 5, 10, 30)]
        assert shares == sorted(shares) and shares[-1] == 1.0
    code, out, errors = table(command, 3, folder, f'--target={smoke}/records')
    assert code == 0, errors
    assert 'target: avia_simulated' in out
    assert 0 <= saved(folder, 3)['audio_visual_hearnet', 'self-supervised', 0.5]['accuracy'][0] <= 1
    sounds = write_esc(tmp_path / 'esc', seconds=2.5)
    code, out, errors = table(command, 4, folder, f'--target=folder:{sounds}')
    assert code == 0, errors
    assert saved(folder, 4)['hearnet', 'self-supervised', 0.5]['accuracy']
    assert not saved(folder, 4)['mesaros2018', 'supervised', None]
    after = {path: path.stat().st_mtime_ns for path in (folder / 'results').rglob('metrics.json')}
    assert before == after  # nothing was trained again


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--table=3'], 'records of AVIA'),
        (['--table=4'], 'dcase2018:DIR or folder:DIR'),
        (['--preset=huge'], 'paper, demo, smoke'),
    ],
)
def test_a_bad_call_is_one_line(arguments, words, command, tmp_path):
    code, _, errors = command(
        'experiments/run_eccv2020.py',
        f'--records={tmp_path}/none',
        f'--out={tmp_path}/out',
        *arguments,
    )
    assert code == 1 and words in errors and 'Traceback' not in errors
