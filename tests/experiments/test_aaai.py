"""The tables of AAAI 2021, from records to picture."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores
from experiments import run_aaai2021
from experiments.aaai2021 import presets, runs, tables

CLASSES = ('a', 'b')
INFO = datasets.DatasetInfo('toy', CLASSES, 'made up', num_locations=1)


class Workshop:
    """Knows answers of two seeds: one ranks class a right, the other class b."""

    labels = np.array([[1, 0], [0, 1], [1, 0], [0, 1]])
    answers = (
        [[0.9, 0.5], [0.1, 0.4], [0.8, 0.6], [0.2, 0.1]],
        [[0.2, 0.0], [0.3, 0.9], [0.1, 0.2], [0.4, 0.8]],
    )

    def judge(self, probabilities):
        return tagging_scores.evaluate(self.labels, np.asarray(probabilities), CLASSES)

    def scores(self, run, seed):
        return self.judge(self.answers[seed]), np.array(self.answers[seed])


def test_rows_are_the_published_ones_and_know_their_runs():
    methods = presets.methods('frames')
    rows = {row.key: row for row in tables.rows(3, runs.Weights())}
    assert list(rows) == [
        'standard_backpropagation',
        'knowledge_distillation',
        'enhanced_feature',
        'fitnets',
        'deep_mutual_learning',
        'proposed_student',
        'teacher',
    ]
    assert rows['proposed_student'].published['mAP', 'dcase17'] == 0.6421
    assert rows['fitnets'].published['mAUC', 'dcase18'] == 0.9583 and not rows['teacher'].published
    assert rows['fitnets'].run.teacher == rows['teacher'].run == methods['teacher']
    first = {row.key: row.run for row in tables.rows(1, runs.Weights())}
    assert first['vgg_4096'] is None and first['frames'].network == 'tagging_visual'
    assert first['logmel+frames'] == methods['teacher']
    weighed = {row.key: row.run for row in tables.rows(1, runs.Weights('vgg16.h5'))}
    assert weighed['vgg_1000'].visual == 'predictions' and 'frames' not in weighed
    second = {row.key: row.run for row in tables.rows(2, runs.Weights('vgg16.h5'))}
    assert second['without_mutual_learning'].terms == ('single_modal', 'cross_modal')
    assert second['mutual_learning'].terms == presets.TERMS
    fifth = {
        row.key: row.run for row in tables.rows(5, runs.Weights('vgg16.h5', vggish='vggish.ckpt'))
    }
    assert fifth['logmel+vggish'].sound == ('audio', 'vggish')
    assert fifth['logmel+vggish'].method == 'mutual' and fifth['soundnet'] is None
    sixth = {row.key: row for row in tables.rows(6, runs.Weights('vgg16.h5'))}
    assert sixth['proposed_student'].published == pytest.approx(
        {('precision', 'dcase17'): 0.577, ('recall', 'dcase17'): 0.642, ('F1', 'dcase17'): 0.608}
    )
    assert sixth['xu_2018'].run is None


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


def test_seeds_are_judged_alone_and_together(tmp_path):
    rows = tables.rows(3, runs.Weights())
    for row in rows:
        tables.fill(row, 3, Workshop(), [0, 1])
    # Seed 0 is right of a and wrong of b, seed 1 the other way round.
    alone = [0.5 * (1 + (1 / 3 + 2 / 4) / 2), 0.5 * ((1 / 3 + 2 / 4) / 2 + 1)]
    np.testing.assert_allclose(rows[0].scores['mAP'], alone)
    assert rows[0].ensemble['mAP'] == tagging_scores.mean_average_precision(
        Workshop.labels, np.mean(Workshop.answers, axis=0)
    )
    text, files = tables.write(rows, 3, INFO, 'T. D', 'E', tmp_path)
    assert '| labels alone | 0.7083 ± 0.0000 |' in text and '*0.5918*' in text
    assert 'DCASE 2018: mAUC' in text
    with open(tmp_path / 'aaai2021_table3.csv', newline='') as file:
        line = next(csv.DictReader(file))
    assert (line['row'], line['mean'], line['published_dcase18']) == (
        'standard_backpropagation',
        '0.7083',
        '0.8637',
    )
    assert files[-1] == 'aaai2021_table3_events.png'
    for name in ('aaai2021_table3.png', 'aaai2021_table3_events.png'):
        assert (tmp_path / name).stat().st_size > 5000
    of_its_own = tables.write(
        rows, 3, dataclasses.replace(INFO, name='dcase2018'), 'T. D', 'E', tmp_path
    )[0]
    assert 'DCASE 2017' not in of_its_own and '*0.8637*' in of_its_own


def test_what_cannot_be_heard_stays_blank(tmp_path):
    rows = tables.rows(4, runs.Weights())
    for row in rows:
        tables.fill(row, 4, Workshop(), [0])
    assert [row.key for row in rows if row.scores] == ['logmel', 'proposed_student']
    text, _ = tables.write(rows, 4, INFO, 'T. D', 'E', tmp_path)
    assert '| SoundNet |  |  |  |  | *0.4256*' in text


def test_of_events_told_precision_recall_and_f1(tmp_path):
    rows = tables.rows(6, runs.Weights())
    for row in rows:
        tables.fill(row, 6, Workshop(), [0])
    own = next(row for row in rows if row.key == 'proposed_student')
    # From 0.25 on: a of clips 0 and 2 is told, b of all but the last.
    assert own.scores == {'precision': [3 / 5], 'recall': [3 / 4], 'F1': [pytest.approx(2 / 3)]}
    text, files = tables.write(rows, 6, INFO, 'T. D', 'E', tmp_path)
    assert '*0.6080*' in text and len(files) == 4


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
def test_tables_are_made_from_records_to_picture(tagged, command):
    def table(number):
        return command(
            'experiments/run_aaai2021.py',
            f'--table={number}',
            '--preset=smoke',
            f'--records={tagged}/records',
            f'--out={tagged}/results',
        )

    code, out, errors = table(3)
    assert code == 0, errors
    assert 'ways to learn from a teacher' in out and 'simulated' in out
    assert 'smoke preset' in out and 'no weights of VGG-16' in out
    saved = json.loads((tagged / 'results' / 'aaai2021_table3.json').read_text())
    for row in saved['rows']:
        assert 0 < row['scores']['mAP'][0] <= 1 and not row['ensemble']
        assert set(row['average_precision']) == set(datasets.ACIVW_CLASSES)
    assert (tagged / 'results' / 'aaai2021_table3_events.png').read_bytes()[:4] == b'\x89PNG'
    students = list((tagged / 'results' / 'runs').glob('*/saved_model/1/saved_model.pb'))
    assert len(students) == 6  # all but the teacher
    before = {path: path.stat().st_mtime_ns for path in (tagged / 'results').rglob('metrics.json')}
    code, out, errors = table(6)
    assert code == 0, errors
    assert 'F1, ensemble' in out and '*0.6080*' in out
    after = {path: path.stat().st_mtime_ns for path in (tagged / 'results').rglob('metrics.json')}
    assert before == after  # nothing was trained again


def test_a_bad_call_is_one_line(command, tmp_path):
    code, _, errors = command(
        'experiments/run_aaai2021.py', f'--records={tmp_path}/none', f'--out={tmp_path}/out'
    )
    assert code == 1 and 'make aaai' in errors and 'Traceback' not in errors
