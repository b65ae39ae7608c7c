"""report.html: a run's numbers, readable on a phone and in dark mode."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dualcam.evaluation import uncertainty
from dualcam.reports import page_parts, run_page
from tests.helpers import browser
from tests.helpers.made_up_runs import CLASSES, write_run


@pytest.fixture
def run_folder(tmp_path):
    return write_run(tmp_path)


def test_the_report_has_all_of_a_run_in_one_page(run_folder):
    page = run_page.write(run_folder).read_text()
    for words in (
        'made &lt;up&gt;',
        'clock &lt;tick&gt;',
        '0.5000 (2 clips)',
        '2 of 3',
        'loop.epochs',
        'tensorflow/serving',
        'teacher: dog bark, prediction: rain',
    ):
        assert words in page, words
    assert page.count('<audio') == 5 and page.count('data:image/png') == 2 * 5
    assert page.count('<polyline') == 4 and 'http' not in page.replace('http://www.w3', '')
    assert 'made <up>' not in page


def test_a_run_without_validation_or_sound_has_a_report_too(run_folder):
    metrics = json.loads((run_folder / 'metrics.json').read_text())
    metrics |= {
        'validation_accuracy': None,
        'validation_clips': 0,
        'history': [
            {k: v for k, v in record.items() if 'validation' not in k}
            for record in metrics['history']
        ],
    }
    (run_folder / 'metrics.json').write_text(json.dumps(metrics))
    (run_folder / 'answers.json').unlink()
    (run_folder / 'examples' / 'examples.json').unlink()
    page = run_page.write(run_folder).read_text()
    assert page.count('<polyline') == 2 and '<audio' not in page and '0.5000 (2 clips)' in page


def test_a_run_without_accuracy_has_a_chart_of_its_loss_alone(run_folder):
    metrics = json.loads((run_folder / 'metrics.json').read_text())
    metrics['history'] = [
        {k: v for k, v in record.items() if 'accuracy' not in k} for record in metrics['history']
    ]
    (run_folder / 'metrics.json').write_text(json.dumps(metrics))
    page = run_page.write(run_folder).read_text()
    assert 'aria-label="loss"' in page and 'aria-label="accuracy"' not in page


def numbers_of(page):
    """{(row, column): number} of each matrix on a page."""
    found = []
    for drawn in re.findall(r'<svg class="matrix".*?</svg>', page):
        texts = ElementTree.fromstring(drawn).iter('text')
        cells = {one.get('data-at'): one.text for one in texts if one.get('data-at')}
        found.append({tuple(map(int, at.split(','))): int(text) for at, text in cells.items()})
    return found


def test_classes_without_clips_are_hatched_and_not_zeros(run_folder):
    page = run_page.write(run_folder).read_text()
    validation, test = numbers_of(page)
    # Labels 0 and 1, both predicted as 0: no clips of class 2, no predictions of 1 and 2.
    assert validation == {(0, 0): 1, (1, 0): 1}
    assert test == {(2, 2): 1, (2, 0): 0, (1, 0): 1, (1, 2): 0}
    assert page.count('>no clips</text>') == 2
    # Seven of nine cells, and five.
    assert page.count('fill="url(#none)"') == 7 + 5 and 'Hatched: classes without' in page


def test_numbers_are_those_of_the_stored_answers(run_folder):
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, (2, 40)).tolist()
    takes = [f'take {n // 2}' for n in range(40)]
    saved = {'accuracy': 0.0, 'labels': labels, 'answers': answers, 'takes': takes}
    (run_folder / 'test_all.json').write_text(json.dumps(saved))
    page = run_page.write(run_folder).read_text()
    counts = dict.fromkeys(np.ndindex(3, 3), 0)
    for place in zip(labels, answers, strict=True):
        counts[place] += 1
    assert numbers_of(page)[1] == counts
    right = np.equal(labels, answers)
    sure = uncertainty.interval([uncertainty.Accuracy([(right, takes)])])
    shown = f'{right.sum() / 40:.4f} [{sure.low:.3f}, {sure.high:.3f}] (40 clips of 20 takes)'
    assert page.count(shown) == 2 and sure.low < right.mean() < sure.high
    # Five takes are inconclusive, and the page does not claim more.
    saved['takes'] = [f'take {n % 5}' for n in range(40)]
    (run_folder / 'test_all.json').write_text(json.dumps(saved))
    assert f'{right.sum() / 40:.4f} (40 clips of 5 takes)' in run_page.write(run_folder).read_text()


def test_a_difference_is_of_shares():
    a, b = np.array([[1, 1, 0], [0, 4, 0], [0, 0, 0]]), np.array([[3, 1, 0], [1, 1, 0], [0, 1, 0]])
    (points,) = numbers_of(page_parts.difference(a, b, CLASSES))
    assert points == {(0, 0): -25, (0, 1): 25, (1, 0): -50, (1, 1): 50}


def test_axes_have_round_numbers_and_units(run_folder):
    page = run_page.write(run_folder).read_text()
    assert 'nats per clip' in page and 'fraction of the clips' in page and '11.025 kHz' in page
    drawn = page_parts.chart('loss', 'nats', {'train': [2.0431, 3.1581, float('nan')]})
    texts = [one.text for one in ElementTree.fromstring(drawn).iter('text')]
    assert {'2.25', '2.5', '2.75', '3'} <= set(texts) and 'nan' not in drawn
    assert 'epoch' in texts and {'1', '2', '3'} <= set(texts)


def test_epochs_without_validation_are_gaps_in_its_curve():
    history = [{'train/total': 3.0}, {'train/total': 2.0, 'validation/total': 2.5}] * 2
    series = {
        split: page_parts.curve(history, f'{split}/total') for split in ('train', 'validation')
    }
    drawn = ElementTree.fromstring(page_parts.chart('loss', 'nats', series))
    train, validation = (
        [point.split(',')[0] for point in line.get('points').split()]
        for line in drawn.iter('polyline')
    )
    assert len(train) == 4 and validation == train[1::2]
    assert page_parts.curve(history, 'validation/mAP') == []


def test_a_phone_shows_it_and_so_does_a_dark_room(run_folder):
    fifty = [f'class with a long name {number}' for number in range(50)]
    described = json.loads((run_folder / 'run.json').read_text())
    described['classes'] = fifty
    described['params']['backbone'] = 64 * 'f'
    (run_folder / 'run.json').write_text(json.dumps(described))
    page = run_page.write(run_folder)
    with browser.opened() as driver:
        for width in (390, 1500):
            inks = []
            for scheme in ('light', 'dark'):
                browser.emulate(driver, width, scheme)
                driver.get(page.as_uri())
                assert browser.overflow(driver) <= 0, (width, scheme)
                paper, ink = browser.brightness(driver)
                assert abs(paper - ink) > 150, scheme
                inks.append(ink)
            assert inks[0] < 100 < 200 < inks[1]
        assert browser.errors(driver) == []
