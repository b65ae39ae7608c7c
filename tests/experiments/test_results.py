"""One format for all tables: Markdown, CSV, JSON and chart agree, blanks stay blank."""

import csv
import functools
import json

import numpy as np
import pytest
from PIL import Image

from dualcam.evaluation import uncertainty
from experiments.shared import charts, provenance, results

TAKES = [f'take {i}' for i in range(10)]


def outcomes(*right):
    """For each seed, the number of correct takes, of ten."""
    return [[(np.arange(10) < count, TAKES)] for count in right]


@pytest.fixture
def table():
    """Two rows, of which the second has a blank."""
    rows = [
        results.Row(
            ('a', 0.5),
            {
                'k-NN': results.of_tests(outcomes(5, 7), {'published': 0.9, 'published_std': 0.01}),
                'probe': results.Cell((0.25,), beside={'ensemble': 0.75}),
            },
            note='k 3',
        ),
        results.Row(('b', None), {'k-NN': results.of_tests(outcomes(2, 3))}, ('B!', '')),
    ]
    return results.Table(
        'r',
        'T',
        'E.',
        ('name', 'alpha'),
        ('k-NN', 'probe'),
        rows,
        results.compare_rows([(rows[0], rows[1])], ('k-NN', 'probe'), 'x', 'y'),
        beside=[('probe, ensemble', 'probe', 'ensemble')],
        extra={'preset': 'smoke'},
    )


def test_a_cell_knows_its_mean_deviation_and_interval():
    cell = results.of_tests(outcomes(5, 7, 9))
    assert cell.scores == (0.5, 0.7, 0.9) and cell.clips == 10
    assert cell.mean == pytest.approx(0.7) and cell.deviation == pytest.approx(0.2)
    assert cell.interval.low < 0.7 < cell.interval.high
    assert (cell.interval.takes, cell.interval.seeds) == (10, 3)
    assert results.of_tests(outcomes(5)).deviation is None
    empty = results.Cell()
    assert empty.mean is None and empty.deviation is None and empty.interval is None


def test_splits_of_a_set_are_one_cell():
    folds = [
        [(np.ones(10), TAKES), (np.zeros(10), [f'other {i}' for i in range(10)])] for _ in range(2)
    ]
    cell = results.of_tests(folds)
    assert cell.scores == (1.0, 1.0, 0.0, 0.0) and cell.clips == 20 and cell.mean == 0.5
    assert cell.interval == uncertainty.Interval(0.5, 0.5, 20, 2)


def test_text_csv_json_and_chart_agree(table, tmp_path):
    text = results.write(table, tmp_path, {'commit': 'c'}, tmp_path / 'published')
    assert text == (tmp_path / 'r.md').read_text()
    cell = table.rows[0].cell('k-NN')
    sure = f'[{cell.interval.low:.3f}, {cell.interval.high:.3f}] (10 / 10)'
    assert f'| a | 0.5 | 0.6000 ± 0.1414 {sure} *0.9000 ± 0.0100* | 0.2500 | 0.7500 | k 3 |' in text
    assert '| name | alpha | k-NN | probe | probe, ensemble | note |' in text
    (line,) = (line for line in text.splitlines() if line.startswith('| B!'))
    assert line.endswith(' (10 / 10) |  |  |  |')
    (comparison,) = table.comparisons
    assert f'- x → y, k-NN: {comparison}.' in text and comparison.difference > 0
    with open(tmp_path / 'r.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert [line['accuracy'] for line in lines] == ['0.6000', '0.2500', '0.2500', '']
    assert lines[0]['low'] == f'{cell.interval.low:.4f}' and lines[0]['takes'] == '10'
    assert lines[0]['published'] == '0.9' and lines[1]['ensemble'] == '0.75'
    assert lines[3]['low'] == lines[3]['clips'] == lines[3]['alpha'] == ''
    saved = json.loads((tmp_path / 'r.json').read_text())
    assert saved['preset'] == 'smoke' and saved['made'] == {'commit': 'c'}
    first = saved['cells'][0]
    assert (first['name'], first['alpha'], first['column']) == ('a', 0.5, 'k-NN')
    assert first['scores'] == [0.5, 0.7] and first['seeds'] == 2 and first['takes'] == 10
    assert (first['low'], first['high']) == (cell.interval.low, cell.interval.high)
    assert saved['cells'][3]['mean'] is None and saved['cells'][3]['low'] is None
    (one,) = saved['comparisons']
    assert {k: one[k] for k in ('a', 'b', 'train', 'test', 'takes', 'seeds')} == {
        'a': 'a, 0.5',
        'b': 'B!',
        'train': 'x',
        'test': 'y',
        'takes': 10,
        'seeds': 2,
    }
    assert one['low'] <= one['difference'] <= one['high']
    with open(tmp_path / 'r_comparisons.csv', newline='') as file:
        (line,) = csv.DictReader(file)
    assert float(line['difference']) == one['difference'] and line['words'] == one['words']
    published = tmp_path / 'published' / 'r.json'
    assert published.read_bytes() == (tmp_path / 'r.json').read_bytes()
    with Image.open(tmp_path / 'r.png') as picture:
        assert np.asarray(picture.convert('L')).std() > 10


def test_error_bars_are_the_intervals(table):
    cells = [row.cell('k-NN') for row in table.rows] + [results.Cell((0.5, 0.7)), results.Cell()]
    lower, upper = charts._errors(cells)
    for number in range(2):
        assert cells[number].mean - lower[number] == pytest.approx(cells[number].interval.low)
        assert cells[number].mean + upper[number] == pytest.approx(cells[number].interval.high)
    assert lower[2] == upper[2] == cells[2].deviation and lower[3] == upper[3] == 0.0


@pytest.mark.parametrize(
    'chart', [charts.bars, charts.over_columns, functools.partial(charts.over_key, key='alpha')]
)
def test_charts_are_pictures(table, tmp_path, chart):
    chart(table, tmp_path / 'c.png')
    with Image.open(tmp_path / 'c.png') as picture:
        assert picture.width > 1000 and np.asarray(picture.convert('L')).std() > 10


def test_counts_are_written_with_each_class_s_accuracy(tmp_path):
    results.write_counts(np.array([[3, 1], [0, 0]]), ('a', 'b'), 'T', 'N', tmp_path, 'hearnet fc1')
    lines = (tmp_path / 'hearnet_fc1.csv').read_text().splitlines()
    assert lines == ['true class,a,b,accuracy', 'a,3,1,0.7500', 'b,0,0,']
    assert (tmp_path / 'hearnet_fc1.png').exists()


def test_published_tables_are_there():
    lines = results.read_published('wacv2020_table4_dcase2018.csv')
    published = {line['features']: float(line['accuracy']) for line in lines}
    assert published['hearnet_fc1'] == 0.896 and len(published) == 8


def test_a_result_says_how_it_was_made():
    made = provenance.describe([0, 1], 'abc')
    assert made['seeds'] == [0, 1] and made['data'] == 'abc' and made['wall_s'] > 0
    assert made['machine']['cpu'] and made['machine']['cores'] >= 1
    assert made['versions']['numpy'] == np.__version__ and 'scikit-learn' in made['versions']
    assert made['date'].endswith('+00:00')
    json.dumps(made)
