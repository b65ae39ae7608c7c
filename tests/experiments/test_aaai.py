"""AAAI 2021's tables, from records to charts."""

import csv
import dataclasses
import json
import re
import types

import numpy as np
import pytest

from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores
from experiments import run_aaai2021
from experiments.aaai2021 import comparison, presets, runs, tables
from experiments.shared import comparison_pages, outcomes, results

CLASSES = ('a', 'b')
INFO = datasets.DatasetInfo('toy', CLASSES, 'made up', num_locations=1)


class Workshop:
    """Has predictions of two seeds: one ranks class a correctly, the other class b."""

    labels = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    answers = (
        [[0.9, 0.5], [0.1, 0.4], [0.8, 0.6], [0.2, 0.1]],
        [[0.2, 0.0], [0.3, 0.9], [0.1, 0.2], [0.4, 0.8]],
    )

    @property
    def source(self):
        return self

    def judge(self, probabilities):
        return tagging_scores.evaluate(self.labels, np.asarray(probabilities), CLASSES)

    def scores(self, run, tests, seed):
        return {test: outcomes.Tagged(np.array(self.answers[seed])) for test in tests}


def test_rows_are_the_published_ones_and_know_their_runs():
    methods = presets.methods('frames')
    rows = {row.key: row for row in tables.specs(3, runs.Weights())}
    assert list(rows) == [
        'standard_backpropagation',
        'knowledge_distillation',
        'enhanced_feature',
        'fitnets',
        'deep_mutual_learning',
        'proposed_student',
        'teacher',
        'mutual_teacher',
    ]
    assert rows['mutual_teacher'].run == rows['proposed_student'].run
    assert rows['mutual_teacher'].test == runs.TEACHER_TEST
    enhanced = rows['enhanced_feature'].run
    assert (enhanced.network, enhanced.method, enhanced.terms, enhanced.labels) == (
        'tagging_audio',
        'taught',
        ('soft',),
        False,
    )
    assert enhanced.teacher == rows['teacher'].run and 'unlabelled' in enhanced.name
    assert rows['proposed_student'].published['mAP', 'dcase17'] == 0.6421
    assert rows['fitnets'].published['mAUC', 'dcase18'] == 0.9583 and not rows['teacher'].published
    assert rows['fitnets'].run.teacher == rows['teacher'].run == methods['teacher']
    first = {row.key: row.run for row in tables.specs(1, runs.Weights())}
    assert first['vgg_4096'] is None and first['frames'].network == 'tagging_visual'
    assert first['logmel+frames'] == methods['teacher']
    weighed = {row.key: row.run for row in tables.specs(1, runs.Weights('vgg16.h5'))}
    assert weighed['vgg_1000'].visual == 'predictions' and 'frames' not in weighed
    second = {row.key: row.run for row in tables.specs(2, runs.Weights('vgg16.h5'))}
    fixed = second['without_mutual_learning']
    assert (fixed.method, fixed.network, fixed.terms) == (
        'taught',
        'tagging_student',
        presets.TERMS,
    )
    assert fixed.teacher == presets.methods('fc2')['teacher']
    assert second['without_soft_labels'].terms == ('single_modal', 'cross_modal')
    assert second['without_soft_labels'].method == 'mutual'
    assert second['mutual_learning'].terms == presets.TERMS
    assert second['mutual_teacher'] == second['mutual_learning']
    fifth = {
        row.key: row.run for row in tables.specs(5, runs.Weights('vgg16.h5', vggish='vggish.ckpt'))
    }
    assert fifth['logmel+vggish'].sound == ('audio', 'vggish')
    assert fifth['logmel+vggish'].method == 'mutual' and fifth['soundnet'] is None
    sixth = {row.key: row for row in tables.specs(6, runs.Weights('vgg16.h5'))}
    assert sixth['proposed_student'].published == pytest.approx(
        {('precision', 'dcase17'): 0.577, ('recall', 'dcase17'): 0.642, ('F1', 'dcase17'): 0.608}
    )
    assert sixth['xu_2018'].run is None
    assert sixth['proposed_student'].run.sound == ('audio',) and sixth['proposed_student'].note
    best = {
        row.key: row for row in tables.specs(6, runs.Weights('vgg16.h5', vggish='vggish.ckpt'))
    }['proposed_student']
    assert best.run == fifth['logmel+vggish'] and not best.note


def test_runs_that_share_a_teacher_are_one_piece():
    methods = presets.methods('frames')
    pieces = run_aaai2021._pieces(list(methods.values()))
    assert [run.method for run in pieces[0]] == ['alone', 'taught', 'taught', 'fitnets']
    assert pieces[0][0] == methods['teacher']
    assert [[run.method for run in piece] for piece in pieces[1:]] == [
        ['mutual'],
        ['mutual'],
        ['alone'],
    ]
    assert sorted(run.name for piece in pieces for run in piece) == sorted(
        run.name for run in methods.values()
    )
    assert len({run.name for run in methods.values()}) == len(methods)


def test_the_paper_s_settings_are_the_paper_s():
    preset = presets.preset_named('paper')
    run = presets.methods('fc2')['proposed_student']
    params = preset.params(run, 2, 10, 'VGG-16', 4096)
    assert (params.loop.batch_size, params.loop.learning_rate, params.loop.seed) == (32, 1e-3, 2)
    assert (params.width, params.crop_s, params.clip_s) == (1.0, None, 10)
    assert (params.transfer.soft, params.transfer.single_modal, params.transfer.cross_modal) == (
        1.0,
        1.0,
        1.0,
    )
    assert params.teacher_transfer is None and not preset.note
    with pytest.raises(ValueError, match='paper, demo, smoke'):
        presets.preset_named('large')


def written(number, seeds, folder, info=INFO):
    """The cells of a table of `Workshop`, and its Markdown."""
    rows, _ = tables.fill(tables.specs(number, runs.Weights()), number, Workshop(), seeds)
    table = tables.table(number, rows, info, 'D', 'E', {})
    return {row.key[0]: row.cells for row in rows}, table, results.write(table, folder)


def test_gains_are_over_plain_backpropagation(tmp_path):
    cells, _, text = written(3, [0, 1], tmp_path)
    own = cells['fitnets']['mAP'].beside
    assert own['gain'] == pytest.approx(0.0, abs=1e-12)  # `Workshop` has one set of predictions
    assert own['published_gain_dcase17'] == pytest.approx(0.6250 - 0.5918)
    assert own['published_gain_dcase18'] == pytest.approx(0.8639 - 0.8637)
    assert 'DCASE 2017: mAP, gain' in text and '*0.0503*' in text
    assert cells['standard_backpropagation']['mAP'].beside['published_gain_dcase17'] == 0.0
    assert 'gain' not in cells['fitnets']['mAUC'].beside
    cells = written(2, [0], tmp_path)[0]
    assert cells['without_mutual_learning']['mAP'].beside[
        'published_gain_dcase18'
    ] == pytest.approx(0.876 - 0.8637)
    # A student with other features is compared with those features by plain backpropagation.
    fifth = {row.key: row for row in tables.specs(5, runs.Weights(vggish='vggish.ckpt'))}
    assert [run.name for run, _ in fifth['vggish'].wanted] == [
        fifth['vggish'].run.name,
        presets.methods('frames', ('vggish',))['standard_backpropagation'].name,
    ]
    cells = written(5, [0], tmp_path)[0]
    assert cells['vggish']['mAP'].beside['published_gain_dcase17'] == pytest.approx(0.5965 - 0.5786)
    assert 'gain' not in cells['vggish']['mAP'].beside  # it is inaudible


def test_a_gain_is_the_difference_of_two_rows():
    class Better(Workshop):
        def scores(self, run, tests, seed):
            right = np.array(self.labels, float)
            plain = run.method == 'alone'
            return {
                test: outcomes.Tagged(np.array(self.answers[seed]) if plain else right)
                for test in tests
            }

    rows, _ = tables.fill(tables.specs(3, runs.Weights()), 3, Better(), [0, 1])
    cells = {row.key[0]: row.cells['mAP'] for row in rows}
    plain = cells['standard_backpropagation'].mean
    assert cells['proposed_student'].beside['gain'] == pytest.approx(1.0 - plain) and plain < 1.0


def test_seeds_are_judged_alone_and_together(tmp_path):
    cells, table, text = written(3, [0, 1], tmp_path)
    # Seed 0 is right about a and wrong about b, seed 1 the other way round.
    alone = [0.5 * (1 + (1 / 3 + 2 / 4) / 2), 0.5 * ((1 / 3 + 2 / 4) / 2 + 1)]
    own = cells['standard_backpropagation']['mAP']
    np.testing.assert_allclose(own.scores, alone)
    assert own.beside['ensemble'] == tagging_scores.mean_average_precision(
        Workshop.labels, np.mean(Workshop.answers, axis=0)
    )
    assert '| labels alone | 0.7083 ± 0.0000 [0.000, 1.000] (4 / 4) |' in text
    assert '*0.5918*' in text and 'DCASE 2018: mAUC' in text
    with open(tmp_path / 'aaai2021_table3.csv', newline='') as file:
        line = next(csv.DictReader(file))
    assert (line['row'], line['mean'], line['published_dcase18']) == (
        'standard_backpropagation',
        '0.7083',
        '0.8637',
    )
    # The proposed student with each other row, in both columns.
    assert {(one.a, one.b, one.column) for one in table.comparisons} == {
        ('proposed student', tables._NAMES[key], column)
        for key in cells
        if key != 'proposed_student'
        for column in ('mAP', 'mAUC')
    }
    assert (tmp_path / 'aaai2021_table3.png').stat().st_size > 5000
    text = written(3, [0, 1], tmp_path, dataclasses.replace(INFO, name='dcase2018'))[2]
    assert 'DCASE 2017' not in text and '*0.8637*' in text


def test_events_of_each_method_are_a_picture(tmp_path):
    _, precisions = tables.fill(tables.specs(3, runs.Weights()), 3, Workshop(), [0, 1])
    assert set(precisions) == {
        tables._NAMES[key] for key in (*presets.methods('frames'), 'mutual_teacher')
    }
    together = Workshop().judge(np.mean(Workshop.answers, axis=0)).average_precision
    assert all(found == together and set(found) == set(CLASSES) for found in precisions.values())
    tables.write_events(precisions, CLASSES, 'D', tmp_path / 'events.png')
    assert (tmp_path / 'events.png').stat().st_size > 5000


def test_the_best_line_of_a_table_is_what_others_are_compared_with():
    def compared(number):
        rows = [results.Row((spec.key,)) for spec in tables.specs(number, runs.Weights())]
        return [(a.key[0], b.key[0]) for a, b in tables.pairs(rows)]

    assert compared(1)[0] == ('vgg_1000', 'logmel')
    assert ('mutual_learning', 'standard_backpropagation') in compared(2)
    assert compared(5) == [(key, 'logmel') for key in list(tables._SOUNDS)[1:]]
    assert ('proposed_student', 'standard_backpropagation') in compared(6)


def test_what_cannot_be_heard_stays_blank(tmp_path):
    cells, _, text = written(4, [0], tmp_path)
    measured = [key for key, of in cells.items() if all(cell.scores for cell in of.values())]
    assert measured == ['logmel', 'proposed_student']
    assert not any(cell.scores for cell in cells['soundnet'].values())
    assert '| SoundNet |  |  |  |  | *0.4256*' in text


def test_of_events_reported_precision_recall_and_f1(tmp_path):
    cells, _, text = written(6, [0], tmp_path)
    # From 0.25 on: a of clips 0 and 2 is reported, b of all but the last.
    own = {column: cell.scores for column, cell in cells['proposed_student'].items()}
    assert own == {
        'precision': (pytest.approx(3 / 5),),
        'recall': (pytest.approx(3 / 4),),
        'F1': (pytest.approx(2 / 3),),
    }
    assert '*0.6080*' in text and '[0.000, 1.000] (4 / 4)' in text


class ShownWorkshop(Workshop):
    """`Workshop` with clips to see and hear, and a folder with the runs' curves."""

    info = INFO

    def __init__(self, folder):
        self._folder = folder
        history = [{'validation/mAP': 0.25}, {'validation/mAP': 0.5}]
        (folder / 'metrics.json').write_text(json.dumps({'history': history}))
        self.rows = {'testing': np.arange(4)}

    @property
    def store(self):
        return types.SimpleNamespace(
            paths=[f'/records/testing/clip_{number}.tfrecord' for number in range(4)],
            columns={'label': self.labels},
            num_frames=2,
            waveforms=lambda rows: np.sin(np.arange(64_000.0) / 9)[None].astype(np.float32),
            pixels=lambda rows, frames, size: np.full((1, *size, 3), 90, np.uint8),
        )

    def folder(self, run, seed):
        return self._folder

    def scores(self, run, tests, seed):
        right = self.labels.astype(float)
        own = right if run.method == 'mutual' else np.array(self.answers[0])
        return {test: outcomes.Tagged(own) for test in tests}


def test_the_runs_of_a_table_are_side_by_side(tmp_path):
    lines, shown = tables.specs(3, runs.Weights()), ShownWorkshop(tmp_path)
    rows, precisions = tables.fill(lines, 3, shown, [0, 1])
    compared = comparison.gather(3, lines, rows, precisions, shown, [0, 1])
    (curves,) = compared.curves
    assert curves.series['proposed student'] == [0.25, 0.5] and len(curves.series) == 7
    bars = {(one.a, one.b): one for one in compared.class_differences}
    assert len(bars) == 7
    best = bars['proposed student', 'labels alone']
    assert best.scores_a == {'a': 1.0, 'b': 1.0} and min(best.scores_b.values()) < 1.0
    # Its own teacher comes first, then labels only: from 0.25 on, both events of clips 0 and 2.
    assert [one.b for one in compared.disagreements[:2]] == [
        tables._NAMES['mutual_teacher'],
        'labels alone',
    ]
    alike, differ = compared.disagreements[:2]
    assert not alike.clips and sum(alike.counts.values()) == 0
    assert differ.counts == {
        'proposed student alone is right': 3,
        'labels alone alone is right': 0,
        'both are wrong': 0,
    }
    told = {clip.source: (clip.label, clip.said['labels alone']) for clip in differ.clips}
    assert told == {'clip_0': ('a', 'a, b'), 'clip_2': ('a', 'a, b'), 'clip_3': ('b', 'none')}
    page = comparison_pages.write(
        tables.table(3, rows, INFO, 'D', 'E', {}), compared, tmp_path
    ).read_text()
    assert page.count('<audio') == 6 and '0 - 16 kHz' in page and 'the middle frame' in page
    assert page.count('<svg class="bars"') == 7


@pytest.fixture(scope='module')
def tagged(tmp_path_factory, command):
    """Embedded clips at smoke size as records: their folder."""
    folder = tmp_path_factory.mktemp('tagged')
    code, _, errors = command(
        '-m', 'records.synthetic.tagging', f'--out={folder}/raw', '--preset=smoke', '--seed=1'
    )
    assert code == 0, errors
    for split in ('training', 'testing'):
        code, _, errors = command(
            '-m',
            'records.convert_tagging',
            f'--split={split}',
            f'--out={folder}/records',
            f'--list={folder}/raw/groundtruth_weak_label_{split}_set.csv',
            '--clip_seconds=2',
            f'--audio={folder}/raw/audio',
            f'--frames={folder}/raw/frames',
        )
        assert code == 0, errors
    return folder


@pytest.mark.slow
def test_tables_are_made_from_records_to_picture(tagged, program):
    def table(number):
        return program(
            'experiments/run_aaai2021.py',
            f'--table={number}',
            '--preset=smoke',
            f'--records={tagged}/records',
            f'--out={tagged}/results',
        )

    code, out, errors = table(3)
    assert code == 0, errors
    assert 'methods of learning from a teacher' in out and 'simulated' in out
    assert 'smoke preset' in out and 'no weights of VGG-16' in out
    saved = json.loads((tagged / 'results' / 'aaai2021_table3.json').read_text())
    for cell in saved['cells']:
        assert 0 < cell['scores'][0] <= 1 and 'ensemble' not in cell
        assert cell['low'] <= cell['mean'] <= cell['high'] and cell['clips'] == cell['takes']
    assert len(saved['average_precision']) == 8
    means = {cell['row']: cell['mean'] for cell in saved['cells'] if cell['column'] == 'mAP'}
    for cell in saved['cells']:
        if cell['column'] == 'mAP':
            assert cell['gain'] == pytest.approx(
                cell['mean'] - means['standard_backpropagation'],
                abs=1e-6,  # means of weighted precisions, summed in a different order
            )
    # The teacher of the mutual run is tested separately.
    (mutual,) = (tagged / 'results' / 'runs').glob('tagging_student-mutual-soft-single*')
    student, teacher = (
        np.load(mutual / f'{test}_probabilities.npy') for test in (runs.TEST, runs.TEACHER_TEST)
    )
    assert student.shape == teacher.shape and np.abs(student - teacher).max() > 1e-3
    for found in saved['average_precision'].values():
        assert set(found) == set(datasets.ACIVW_CLASSES)
    assert len(saved['comparisons']) == 2 * 7 and saved['made']['seeds'] == [0]
    assert (tagged / 'results' / 'aaai2021_table3_events.png').read_bytes()[:4] == b'\x89PNG'
    _check_page(tagged, mutual, student, teacher, saved['average_precision'])
    students = list((tagged / 'results' / 'runs').glob('*/saved_model/1/saved_model.pb'))
    assert len(students) == 6  # all but the teacher
    before = {path: path.stat().st_mtime_ns for path in (tagged / 'results').rglob('metrics.json')}
    code, out, errors = table(6)
    assert code == 0, errors
    assert 'F1, ensemble' in out and '*0.6080*' in out
    after = {path: path.stat().st_mtime_ns for path in (tagged / 'results').rglob('metrics.json')}
    assert before == after  # nothing was trained again


def _check_page(folder, mutual, student, teacher, precisions):
    """results.html shows the runs' results: differing events, and clips to see and hear."""
    page = (folder / 'results' / 'results.html').read_text()
    assert '<section id="aaai2021_table3">' in page and 'FitNets' in page
    names = [tables._NAMES[key] for key in ('proposed_student', 'standard_backpropagation')]
    drawn = page[page.index(f'data-difference="{" minus ".join(names)}"') :]
    points = dict(re.findall(r'<text data-at="([^"]+)"[^>]*>([^<]+)<', drawn.split('</svg>')[0]))
    assert points == {
        name: f'{round(points):+d}' if round(points) else '0'
        for name in datasets.ACIVW_CLASSES
        for points in [100 * (precisions[names[0]][name] - precisions[names[1]][name])]
        if None not in (precisions[names[0]][name], precisions[names[1]][name])
    }
    classes = json.loads((mutual / 'run.json').read_text())['classes']

    def told(row):
        return ', '.join(np.array(classes)[row >= tagging_scores.THRESHOLD]) or 'none'

    differing = [
        (told(one), told(other))
        for one, other in zip(student, teacher, strict=True)
        if told(one) != told(other)
    ]
    own_teacher = tables._NAMES['mutual_teacher']
    shown = page.split(f'<h3>Where {names[0]} and {own_teacher} disagree')[1].split('<h3>')[0]
    assert f'On {len(differing)} of {len(student)} clips' in shown
    captions = re.findall(
        rf'{names[0]}: ([^<]*)</span>, <span class="\w+">{own_teacher}: ([^<]*)<', shown
    )
    assert len(captions) == min(6, len(differing)) and set(captions) <= set(differing)
    assert page.count('data:audio/mpeg') == page.count('<figure data-clip=')


def test_a_bad_call_is_one_line(program, tmp_path):
    code, _, errors = program(
        'experiments/run_aaai2021.py', f'--records={tmp_path}/none', f'--out={tmp_path}/out'
    )
    assert code == 1 and 'make aaai' in errors and 'Traceback' not in errors
