"""The performance page: targets, ratios, and that it says what was measured."""

import dataclasses

import numpy as np
import pytest

from benchmarks import measure, page
from experiments import results_pages
from tests.helpers.checkout import ROOT


@pytest.mark.parametrize(
    'reach, value, peer, reached',
    [
        ('', 5, None, None),
        ('5', 5, None, True),
        ('5,000', 4999, None, False),
        ('12', 11.9994, None, True),
        ('12', 11.94, None, False),
        ('below 5', 5, None, False),
        ('below 0.001', 0.0009, None, True),
        ('below 1,024', 1000, None, True),
        ('at most 0', 0, None, True),
        ('at most 0', 1, None, False),
        ('5 times its peer', 10, 2, True),
        ('5 times its peer', 9, 2, False),
        ('5 times its peer', 9, None, None),
        ('5', None, None, None),
    ],
)
def test_targets(reach, value, peer, reached):
    row = measure.Row('x', value, 's', reach, peer_value=peer)
    assert row.is_reached is reached


def test_ratios_are_those_of_neighbouring_runs():
    row = measure.row('x', '/s', [2.0, 8.0, 4.0], 'peer', [1.0, 2.0, 4.0])
    assert row.ratio == 2 and row.ratio_spread == (1, 4) and row.spread == (2, 8)
    assert measure.row('x', '/s', [2.0], 'peer', None).ratio_spread is None


def test_a_block_has_a_table_a_part_and_names_what_is_missed():
    rows = [
        ('records', measure.Row('reading', 50.0, 'records/s', '40', spread=(49.0, 51.0))),
        ('networks', measure.row('step', '/s', [30.0, 32.0], 'torch', [10.0, 16.0], reach='40')),
        ('networks', measure.Row('other step', 1.0, '/s')),
    ]
    content = {
        'machine': '2 processors (Z80)',
        'commit': 'abc',
        'minutes': 3,
        'rows': [{'part': part} | dataclasses.asdict(row) for part, row in rows],
    }
    text = page.block(content)
    assert text.startswith('Measured on 2 processors (Z80), in 3 minutes, commit abc.')
    reading, training = text.split('### Training')
    # Columns that are empty in all rows of a part are left out.
    assert '| row | measured | target |\n|---|---|---|' in reading.replace(' --- ', '---')
    assert '| reading | 50 records/s (49 - 51) | 40 |' in reading
    assert '| step | 31 /s (30 - 32) | 40 | torch: 13 | 2.38 (2 - 3) |' in training
    assert '| other step | 1 /s |  |  |  |' in training
    assert '1 of 2 targets are reached. Missed:' in text
    assert text.endswith('- step: 31 /s (30 - 32), target 40\n') and 'Serving' not in text


def test_growth_has_a_curve_for_each_work_and_its_exponent():
    rows = [
        measure.Row('retrieval', value, 's', over='clips', size=size)
        for size, value in ((2000, 9.0), (100, 0.5), (1000, 2.25))
    ] + [measure.Row('packing', 1.0, 's', over='records', size=10)]
    found = page.curves([measure.Row('step', 1.0, '/s'), *rows])
    assert page.exponent(found['retrieval', 'clips']) == pytest.approx(2)
    text = page.growth_table(found)
    assert '| retrieval | clips | 100: 0.5, 1,000: 2.25, 2,000: 9 | 2 |' in text
    assert '| packing | records | 10: 1 |  |' in text
    (axes,) = page.growth_figure(found).axes
    retrieval, packing, proportional = axes.lines
    np.testing.assert_allclose(retrieval.get_xydata(), [(1, 1), (10, 4.5), (20, 18)])
    np.testing.assert_allclose(packing.get_xydata(), [(1, 1)])
    np.testing.assert_allclose(proportional.get_xydata(), [(1, 1), (20, 20)])


def test_the_page_says_what_its_file_says(tmp_path):
    assert page.renewed(ROOT) == (ROOT / page.PAGE).read_text(encoding='utf-8')
    (tmp_path / 'docs').mkdir()
    (tmp_path / page.DATA).write_bytes((ROOT / page.DATA).read_bytes())
    (tmp_path / page.PAGE).write_text(f'before {results_pages.START} {results_pages.END}')
    assert page.renewed(tmp_path).startswith('before')
    (tmp_path / page.PAGE).write_text('before')
    with pytest.raises(ValueError, match=r'performance\.md: expected one <!-- results'):
        page.renewed(tmp_path)
