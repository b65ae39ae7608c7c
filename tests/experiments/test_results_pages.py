"""The README and docs/results.md print what the tables' files contain, and nothing else."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from dualcam.evaluation import uncertainty
from experiments import results_pages
from experiments.shared import provenance, results

ROOT = results_pages.ROOT
TAKES = [f'take {i:02d}' for i in range(40)]
PAGE = f'# Title\n\nbefore\n\n{results_pages.START}\nold\n{results_pages.END}\n\nafter\n'
MADE = provenance.describe([0, 1], 'd1ge57')


def cell(*right, **beside):
    """For each seed, the number of correct takes, of forty."""
    return results.of_tests([[(np.arange(40) < count, TAKES)] for count in right], beside)


def student_table(shift=0):
    """Like WACV's Table 2, with a column and a test that were not measured."""
    rows = [
        results.Row(
            ('all', test),
            {
                'DualCamNet': cell(34 + shift, 36, published=0.7702),
                'ResNet-50': results.Cell(beside={'published': 0.6335}),
                'G': cell(20, 22 + shift, published=0.4102),
                'D': cell(30 + shift, 28, published=0.5299),
            },
        )
        for test in ('all', 'unseen_subjects')
    ]
    rows.append(results.Row(('scenario_1', 'scenario_1'), {'G': results.Cell(beside={})}))
    pairs = [('D', 'G'), ('DualCamNet', 'D'), ('DualCamNet', 'G')]
    compared = [
        uncertainty.compare(a, b, row.cell(a).parts, row.cell(b).parts, *row.key)
        for a, b in pairs
        for row in rows[:2]
    ] + [
        uncertainty.compare(a, b, rows[0].cell(a).parts, rows[0].cell(b).parts, 'mean', 'mean')
        for a, b in pairs
    ]
    return results.Table(
        'table2',
        'WACV 2020, Table 2: OurSoundNet. Data: made up',
        'E.',
        ('train', 'test'),
        ('DualCamNet', 'ResNet-50', 'G', 'D'),
        rows,
        compared,
        extra={'preset': 'demo'},
        chart=None,
    )


def row_table(name, title, column='mAP'):
    """Like AAAI's and ECCV's: rows have names."""
    keys, rest, other = ('row',), (), ()
    first, second, taught = 'standard_backpropagation', 'proposed_student', 'proposed student'
    if name.startswith('eccv'):
        keys, first, second = ('features', 'training', 'alpha'), 'hearnet', 'hearnet'
        rest, other = ('self-supervised', 0.0), ('self-supervised', 0.5)
        taught = 'HearNet, self-supervised, alpha 0.5'
    against = 'labels alone' if rest == () else 'HearNet, self-supervised, alpha 0'
    rows = [
        results.Row(
            (first, *rest),
            {column: cell(20, 21, published_dcase17=0.5918, gain=-1e-9), 'mAUC': cell(9, 11)},
            ('labels | alone',),
            note='a note',
        ),
        results.Row((second, *other), {column: cell(31, 33), 'mAUC': cell(13, 15)}, (taught,)),
        results.Row(('blank', *rest), {column: results.Cell(beside={'published_dcase17': 0.1})}),
    ]
    return results.Table(
        name,
        f'{title}. Data: made up',
        'E.',
        keys,
        (column, 'mAUC'),
        rows,
        results.compare_rows(
            [(rows[1], rows[0])],
            (column, 'mAUC'),
            'x',
            'x',
            lambda row: taught if row is rows[1] else against,
        ),
        chart=None,
    )


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'README.md').write_text(PAGE)
    (tmp_path / 'docs' / 'results.md').write_text(PAGE)
    return tmp_path


def publish(checkout, table, suffix=''):
    results.write(table, checkout / 'out', MADE, checkout / 'docs' / 'results', suffix)


def printed(checkout):
    """(README, docs/results.md) as they should be."""
    return tuple(results_pages.pages(checkout).values())


def lines_of(text):
    """Cells of a page's table lines."""
    return [
        [part.strip() for part in re.split(r'(?<!\\)\|', line)[1:-1]]
        for line in text.splitlines()
        if line.startswith('| ')
    ]


def test_the_readme_and_the_results_print_what_the_files_hold():
    for path, text in results_pages.pages(ROOT).items():
        assert path.read_text(encoding='utf-8') == text, f'{path}: call make results'


def test_every_number_of_the_readme_is_in_a_file():
    """Independently of the code that wrote the page, looks up every decimal in the files."""
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    block = text[text.index(results_pages.START) : text.index(results_pages.END)]
    held = set()
    for path in (ROOT / results_pages.RESULTS).glob('*.json'):
        saved = json.loads(path.read_text())
        for value in numbers_in([saved['cells'], saved['comparisons']]):
            shown = (f'{value:.3f}', f'{value:.4f}', f'{100 * value:.1f}', f'{value:g}')
            held |= {one.lstrip('-') for one in shown}
    assert set(re.findall(r'\d+\.\d+', block)) <= held | {'0.0'}
    assert (block.count(results_pages.NOTHING) == 1) == (not held)


def numbers_in(value):
    if isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(part)
    elif isinstance(value, float):
        yield value


def test_without_files_nothing_has_been_measured(checkout):
    for text in printed(checkout):
        assert results_pages.NOTHING in text and 'old' not in text and '|' not in text
        assert text.startswith('# Title\n\nbefore\n') and text.endswith('\nafter\n')


def test_a_student_s_table_has_numbers_intervals_and_sentences(checkout):
    table = student_table()
    publish(checkout, table)
    front, whole = printed(checkout)
    head, line = lines_of(front)
    assert head == ['table', 'network', 'here', 'published', 'takes / seeds']
    found = table.rows[0].cell('D')
    inside = f'[{found.interval.low:.3f}, {found.interval.high:.3f}]'
    assert line[0] == 'WACV 2020, Table 2: OurSoundNet<br>`make table2`'
    of, here, published = (cell.split('<br>') for cell in line[1:4])
    assert of == [
        'teacher (DualCamNet)',
        'student from labels alone (G)',
        'student from labels and the teacher (D)',
    ]
    assert here[0].startswith('0.875 [') and here[2] == f'0.725 {inside}' and len(here) == 3
    assert published == ['0.7702', '0.4102', '0.5299'] and line[4] == '40 / 2'
    told = [str(one) for one in table.comparisons]
    assert 'D is better than G by' in told[0]
    bullets = [line for line in front.splitlines() if line.startswith('- ')]
    assert bullets == [
        f'- **WACV 2020, Table 2: OurSoundNet.** {told[6]} (mean over the rows of seen subjects). '
        f'{told[0]} (all → all).'
    ]
    assert '0.6335' not in front and '*0.6335*' in whole
    assert f'0.725 ± 0.035 {inside} (40 / 40) *0.5299*' in whole
    assert '| scenario_1 | scenario_1 |  |  |  |  |' in whole
    assert f'all → unseen subjects, accuracy: {told[1]}.' in whole
    assert 'Data: made up' in whole and 'd1ge57' in whole and 'seeds 0, 1' in whole
    assert MADE['commit'] is None or MADE['commit'] in whole
    assert MADE['machine']['cpu'] in whole and '(results/table2.json)' in whole


@pytest.mark.parametrize('name', ['table2-data1', 'table2_data1', 'table2-seed1', 'table2.data-1'])
def test_tables_of_other_data_stand_beside(checkout, name):
    publish(checkout, student_table())
    publish(checkout, student_table(1), name.removeprefix('table2'))
    publish(checkout, student_table(2), '-data10')
    for text in printed(checkout):
        places = [text.index(f'data of seed {seed}') for seed in (0, 1, 10)]
        assert places == sorted(places)
        assert '`make table2 DATA_SEED=1`' in text and '`make table2`' in text
    (checkout / 'docs/results/table2.json').unlink()
    front, whole = printed(checkout)
    assert 'data of seed 0' not in front + whole and 'DATA_SEED=10`' in front
    assert results_pages.NOTHING not in front


def test_other_tables_have_rows_names_notes_and_numbers_beside(checkout):
    aaai = row_table('aaai2021_table3', 'AAAI 2021, Table 3: ways')
    publish(checkout, aaai)
    publish(checkout, row_table('aaai2021_table4', 'AAAI 2021, Table 4: features'))
    eccv = row_table('eccv2020_table2', 'ECCV 2020, Table 2: k-NN', 'accuracy')
    publish(checkout, eccv, '-real')
    publish(checkout, row_table('confusion', 'Of our own'))
    front, whole = printed(checkout)
    lines = lines_of(front)
    assert [line[0] for line in lines] == [
        'table',
        'ECCV 2020, Table 2: k-NN, real<br>`make eccv`',
        'AAAI 2021, Table 3: ways<br>`make aaai`',
    ]
    assert [line[1] for line in lines[1:]] == [
        'without labels (alpha 0)<br>with a teacher, without labels (alpha 0.5)',
        'labels alone<br>proposed student',
    ]
    assert lines[2][3] == '0.5918 DCASE 2017<br>' and lines[2][4] == '40 / 2'
    assert lines[1][2] == lines[2][2] and lines[1][2].startswith('0.512 [')
    bullets = [line for line in front.splitlines() if line.startswith('- ')]
    assert bullets == [
        f'- **ECCV 2020, Table 2: k-NN, real.** {eccv.comparisons[0]}.',
        f'- **AAAI 2021, Table 3: ways.** P{str(aaai.comparisons[0])[1:]} (mAP).',
    ]
    assert f'- mAUC: {aaai.comparisons[1]}.' in whole
    assert '| labels \\| alone | ' in whole and '| *0.5918* | 0.000 | a note |' in whole
    assert '| blank |  |  | *0.1000* |  |  |' in whole
    headings = [line for line in whole.splitlines() if line.startswith('## ')]
    assert [line.split(',')[0] for line in headings] == [
        '## ECCV 2020',
        '## AAAI 2021',
        '## AAAI 2021',
        '## Of our own',
    ]


def test_names_are_those_of_the_keys_where_a_file_has_no_others(checkout):
    """Files from before cells had a label."""
    publish(checkout, row_table('aaai2021_table3', 'AAAI 2021, Table 3: ways'))
    path = checkout / 'docs/results/aaai2021_table3.json'
    saved = json.loads(path.read_text())
    for one in saved['cells']:
        del one['label']
    path.write_text(json.dumps(saved))
    front, whole = printed(checkout)
    assert '| labels alone<br>proposed student | 0.512 [' in front
    assert '| standard_backpropagation | 0.512 ± 0.018 [' in whole


def test_writing_again_changes_nothing(checkout):
    publish(checkout, student_table())
    for path, text in results_pages.pages(checkout).items():
        assert text != path.read_text()
        path.write_text(text)
    for path, text in results_pages.pages(checkout).items():
        assert text == path.read_text()
    (checkout / 'docs/results/table2.json').unlink()
    assert all(text.count(results_pages.NOTHING) == 1 for text in printed(checkout))


@pytest.mark.parametrize('text', ['[', '{}', '{"title": "T", "cells": []}', '3'])
def test_other_files_are_errors_that_name_them(checkout, text):
    (checkout / 'docs/results').mkdir()
    (checkout / 'docs/results/table2.json').write_text(text)
    with pytest.raises(ValueError, match=r'docs/results/table2\.json: no'):
        printed(checkout)


@pytest.mark.parametrize(
    'page', ['text', results_pages.START, results_pages.END + results_pages.START, PAGE + PAGE]
)
def test_pages_without_a_place_for_results_are_errors(checkout, page):
    (checkout / 'README.md').write_text(page)
    with pytest.raises(ValueError, match=r'README\.md: expected one <!--'):
        printed(checkout)


def test_the_command_says_what_it_wrote():
    done = subprocess.run(
        [sys.executable, '-m', 'experiments.results_pages'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ['README.md: unchanged', 'docs/results.md: unchanged']


def test_makefile_names_data(tmp_path):
    def suffix(target, *variables):
        call = ['make', '-n', target, 'PUBLISH=docs/results', f'WORK={tmp_path}', *variables]
        text = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return re.search(r'--publish=docs/results --publish_suffix=(\S*)', text)[1]

    assert suffix('table2') == '' and suffix('eccv', 'DATA_SEED=1') == '-data1'
    assert suffix('aaai', 'PRESET=smoke', 'DATA_SEED=2') == '-smoke-data2'
    assert suffix('table3', f'AVIA={tmp_path}') == '-real'
    assert suffix('esc10', 'SOUNDS=/s', 'SOURCES=/s/ESC', 'FOLDS=1,2') == '-ESC-folds12'
