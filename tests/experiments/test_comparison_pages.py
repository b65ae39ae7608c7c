"""results.html: comparison of a table's runs."""

import base64
import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image

from experiments.shared import comparison_pages, results, run_comparisons
from tests.helpers import browser

CLASSES = ('rain', 'dog <bark>', 'vacuum cleaner')


def made_up(name):
    """A table with one row, and its comparisons."""
    right = np.arange(20) % 3 > 0
    takes = [f'take {n}' for n in range(20)]
    cells = {
        'G': results.of_tests([[(right, takes)]], {results.PUBLISHED_KEY: 0.4102}),
        'R': results.Cell(beside={results.PUBLISHED_KEY: 0.4145}),
    }
    table = results.Table(
        name,
        f'Paper, {name} & more',
        'What it is.',
        ('train', 'test'),
        ('G', 'R'),
        [results.Row(('all', 'all'), cells)],
    )
    time = np.arange(2 * 22_050) / 22_050
    clip = comparison_pages.Clip(
        'Location_01/Data_001',
        'rain',
        {'teacher': 'rain', 'D': 'dog <bark>'},
        np.full((36, 48, 3), 90, np.uint8),
        np.sin(2 * np.pi * 1000 * time).astype(np.float32),
    )
    silent = comparison_pages.Clip(
        'b', 'vacuum cleaner', {'teacher': 'rain', 'D': 'vacuum cleaner'}, None, None
    )
    return table, comparison_pages.Compared(
        CLASSES,
        'trained and tested on all',
        [0],
        [
            comparison_pages.Curves(
                'trained on all', {'G': [0.25, 0.5, 0.75], 'teacher': [0.5, 0.625]}
            )
        ],
        [
            comparison_pages.Difference(
                'D',
                'G',
                np.array([[2, 2, 0], [0, 4, 0], [0, 0, 0]]),
                np.array([[3, 1, 0], [0, 1, 0], [0, 0, 0]]),
            )
        ],
        disagreements=[
            comparison_pages.Disagreement(
                'teacher',
                'D',
                20,
                {'teacher alone is right': 1, 'both are wrong': 4},
                [clip, silent],
            )
        ],
    )


def test_each_table_has_its_section_and_is_written_again_to_the_byte(tmp_path):
    path = comparison_pages.write(*made_up('table2'), tmp_path)
    assert path == tmp_path / 'results.html'
    first = path.read_bytes()
    assert comparison_pages.write(*made_up('table2'), tmp_path).read_bytes() == first
    comparison_pages.write(*made_up('table1'), tmp_path)
    both = comparison_pages.write(*made_up('table2'), tmp_path).read_text()
    assert re.findall(r'<section id="(\w+)">', both) == ['table1', 'table2']
    assert both.count('<audio') == 2 and both.count('<!DOCTYPE') == 1
    table, compared = made_up('table1')
    comparison_pages.write(
        table, comparison_pages.Compared(CLASSES, compared.test, compared.seeds), tmp_path
    )
    assert path.read_text().count('<audio') == 1  # the other one's


def test_a_section_says_what_was_measured(tmp_path):
    table, compared = made_up('table2')
    page = comparison_pages.write(table, compared, tmp_path).read_text()
    sure = table.rows[0].cell('G').interval
    assert (
        f'<td>0.6500<br><small>[{sure.low:.3f}, {sure.high:.3f}] (20 / 20)</small>'
        '<br><i>0.4102</i></td><td><i>0.4145</i></td>' in page
    )
    assert 'Paper, table2 &amp; more' in page and 'dog &lt;bark&gt;' in page
    assert 'On 5 of 20 clips (seed 0): teacher alone is right 1, both are wrong 4.' in page
    assert 'Shown: 2 of them' in page
    assert 'http' not in page.replace('http://www.w3.org', '')
    (drawn,) = re.findall(r'<svg class="matrix".*?</svg>', page)
    texts = ElementTree.fromstring(drawn).iter('text')
    cells = {one.get('data-at'): one.text for one in texts if one.get('data-at')}
    # Percentage points of each row; the last class has no clips and is never predicted.
    assert cells == {'0,0': '-25', '0,1': '+25', '1,0': '0', '1,1': '0'}
    assert drawn.count('fill="url(#none)"') == 5


def test_a_clip_can_be_seen_and_heard(tmp_path):
    page = comparison_pages.write(*made_up('table2'), tmp_path).read_text()
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    sizes = [Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures]
    assert sizes == [(320, 240), (320, 100)]
    (sound,) = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)
    signal, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(sound)))
    assert rate_hz == 22_050 and 1.9 < len(signal) / rate_hz < 2.2
    spectrum = np.abs(np.fft.rfft(signal))
    assert abs(spectrum.argmax() * rate_hz / len(signal) - 1000) < 5 and 0.8 < signal.max() < 1
    assert '<span class="right">teacher: rain</span>, <span class="wrong">D: dog' in page


def test_a_class_s_scores_are_bars_of_their_difference(tmp_path):
    table, _ = made_up('table3')
    scores_a = {'rain': 0.75, 'dog <bark>': 0.125, 'vacuum cleaner': None}
    scores_b = {'rain': 0.5, 'dog <bark>': 0.625, 'vacuum cleaner': 1.0}
    one = comparison_pages.ClassDifference('a & b', 'c', scores_a, scores_b)
    half = dict.fromkeys(CLASSES, 0.5)
    other = comparison_pages.ClassDifference('d', 'e', dict.fromkeys(CLASSES, 0.25), half)
    compared = comparison_pages.Compared(CLASSES, 'test clips', [0], class_differences=[one, other])
    page = comparison_pages.write(table, compared, tmp_path).read_text()
    assert '<figure data-difference="a &amp; b minus c">' in page
    assert 'Hatched: classes without a score.' in page
    drawn, second = re.findall(r'<svg class="bars".*?</svg>', page)
    marks = {
        text.get('data-at'): (text.text, text.get('text-anchor'))
        for text in ElementTree.fromstring(drawn).iter('text')
        if text.get('data-at')
    }
    assert marks == {'rain': ('+25', 'start'), 'dog <bark>': ('-50', 'end')}
    lengths = [
        float(bar.get('width'))
        for bar in ElementTree.fromstring(drawn).iter('rect')
        if bar.get('fill') in ('var(--more)', 'var(--less)')
    ]
    assert lengths[1] == pytest.approx(2 * lengths[0])
    # Drawings next to each other share a scale.
    alike = [float(bar.get('width')) for bar in ElementTree.fromstring(second).iter('rect')]
    assert alike == [pytest.approx(lengths[0])] * 3


def test_texts_are_compared_as_classes_are():
    """If clips have several events, all of them together are the label."""
    shown = run_comparisons.disagreement(
        ('teacher', 'student'),
        np.array(['rain, dog', 'dog', 'none', 'rain']),
        (
            np.array(['rain, dog', 'dog', 'rain', 'dog']),
            np.array(['rain', 'dog', 'dog', 'rain']),
        ),
        lambda number, said: comparison_pages.Clip(str(number), '', said, None, None),
        note='A note.',
    )
    assert shown.counts == {
        'teacher alone is right': 1,
        'student alone is right': 1,
        'both are wrong': 1,
    }
    assert (shown.num_clips, shown.note) == (4, 'A note.')
    assert {clip.source: clip.said for clip in shown.clips} == {
        '0': {'teacher': 'rain, dog', 'student': 'rain'},
        '2': {'teacher': 'rain', 'student': 'dog'},
        '3': {'teacher': 'dog', 'student': 'rain'},
    }


def test_curves_are_means_of_folders_that_have_them(tmp_path):
    folders = [tmp_path / name for name in 'abc']
    for folder, values in zip(folders, ([0.25, 0.5], [0.75, 1.0], None), strict=True):
        folder.mkdir()
        history = [{'train/total': 1.0}] * 2
        if values:
            history = [{'validation/mAP': value} for value in values]
        (folder / 'metrics.json').write_text(json.dumps({'history': history}))
    found = run_comparisons.curves({'both': folders[:2], 'none': folders[2:]}, 'validation/mAP')
    assert found == {'both': [0.5, 0.75]}


def test_clips_are_of_each_kind_and_of_many_classes():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3])
    kinds = [np.array([0, 1, 2, 4]), np.array([3, 5, 6]), np.array([], int)]
    chosen = run_comparisons.chosen(kinds, labels)
    assert chosen == [0, 5, 1, 6, 4, 3] and len(chosen) == run_comparisons.NUM_CLIPS
    assert run_comparisons.chosen([np.array([7]), np.array([], int)], labels) == [7]
    assert run_comparisons.chosen([np.array([], int)], labels) == []


@pytest.mark.parametrize('scheme, is_dark', [('light', False), ('dark', True)])
def test_a_phone_shows_it_and_so_does_a_dark_room(scheme, is_dark, tmp_path):
    page = comparison_pages.write(*made_up('table2'), tmp_path)
    with browser.opened() as driver:
        browser.emulate(driver, 390, scheme)
        driver.get(page.as_uri())
        assert browser.overflow(driver) <= 0
        paper, ink = browser.brightness(driver)
        assert abs(paper - ink) > 150 and (paper < ink) == is_dark
        lasting = driver.execute_async_script(
            'const done = arguments[0], a = document.querySelector("audio");'
            'if (a.readyState) done(a.duration); else a.onloadedmetadata = () => done(a.duration);'
        )
        assert abs(lasting - 2.0) < 0.2
        cut = driver.execute_script(
            'return [...document.querySelectorAll("svg text")].filter(text => {'
            'const own = text.getBoundingClientRect();'
            'const all = text.ownerSVGElement.getBoundingClientRect();'
            'return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1'
            '}).map(text => text.textContent)'
        )
        assert cut == []  # names of classes are not cut off
        assert browser.errors(driver) == []
