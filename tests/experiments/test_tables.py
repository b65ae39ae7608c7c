"""Tables: the papers' rows, nothing trained twice, correct numbers."""

import csv
import json
import os
import re
import shutil
import types

import keras
import numpy as np
import pytest
import soundfile

from dualcam import models
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets
from dualcam.files import fingerprints
from dualcam.inference import network_students, students
from dualcam.models import soundnet, weights
from experiments import run_confusion, run_table1, run_table2, run_table3, run_table4
from experiments.shared import command, confusion, outcomes, results, transfer
from experiments.wacv2020 import presets, runs, tables
from tests.helpers import programs, small_runs
from tests.helpers.sound_folders import write_dcase

PUBLISHED = results.PUBLISHED
FEWER = ('all',)


def test_the_papers_ten_rows():
    assert tables.row_keys() == [
        (f'scenario_{a}', f'scenario_{b}') for a in (1, 2, 3) for b in (1, 2, 3)
    ] + [('all', 'all')]


@pytest.mark.parametrize(
    'table, network', [(run_table2.table(), 'oursoundnet'), (run_table3.table(), 'hearnet')]
)
def test_columns_and_published_values(table, network):
    for setting in runs.SETTINGS:
        columns = table.columns(setting)
        assert {c: r.network for c, r in columns.items()} == {
            'DualCamNet': 'dualcamnet',
            'ResNet-50': 'resnet50',
            'G': network,
            'D': network,
            'R': network,
        }
        assert columns['G'].teacher is None
        assert (
            columns['D'].teacher == columns['DualCamNet'] == runs.Run('dualcamnet', 'hard', setting)
        )
        assert columns['R'].teacher == columns['ResNet-50'] == runs.Run('resnet50', 'hard', setting)
        # Table 1 has the same teachers, so that they are trained once for all tables.
        assert set(run_table1.columns(setting).values()) > {
            columns['D'].teacher,
            columns['R'].teacher,
        }
    for file_name, column in table.published.values():
        with open(PUBLISHED / file_name, newline='') as file:
            lines = list(csv.DictReader(file))
        assert [(line['train'], line['test']) for line in lines] == tables.row_keys()
        assert all(0 < float(line[column]) < 1 for line in lines)


class Workshop:
    """Tests ten takes; the number of correct ones is given for each column and seed."""

    is_like_avia = True
    settings = runs.SETTINGS

    def __init__(self, teacher=(9, 9), g=(4, 6), d=(7, 9), has_unseen_subjects=False):
        self.source = self
        self.has_unseen_subjects = has_unseen_subjects
        self.right = {'DualCamNet': teacher, 'G': g, 'D': d}

    def can_train(self, run):
        return 'video' not in run.modalities()

    def scores(self, run, tests, seed):
        assert 'video' not in run.modalities()
        column = 'DualCamNet' if run.column == 'hard' else run.column
        predictions = np.arange(10) >= self.right[column][seed]
        return {
            test: outcomes.Tested(
                np.zeros(10, np.int64),
                predictions.astype(np.int64),
                tuple(f'{test}/take {i}' for i in range(10)),
            )
            for test in tests
        }


def test_what_records_do_not_allow_is_left_blank():
    rows = tables.fill(run_table3.table(), Workshop(), [0])
    assert [row.key for row in rows] == tables.row_keys()
    for row in rows:
        assert set(row.cells) == {'DualCamNet', 'ResNet-50', 'G', 'D', 'R'}
        assert {column for column, cell in row.cells.items() if not cell.scores} == {
            'ResNet-50',
            'R',
        }
    table = tables.table(run_table3.table(), rows, 'note', {})
    interval = rows[-1].cell('G').interval
    text = results.markdown(table)
    assert (
        f'*0.7702* | *0.6335* | 0.4000 [{interval.low:.3f}, {interval.high:.3f}] (10 / 10) *'
        in text
    )
    assert {(one.a, one.b) for one in table.comparisons} == {
        ('D', 'G'),
        ('DualCamNet', 'D'),
        ('DualCamNet', 'G'),
    }


def test_rows_of_places_without_records_are_left_blank():
    workshop = Workshop()
    workshop.can_train = lambda run: (
        run.train_on in ('scenario_2', 'all') and 'video' not in run.modalities()
    )
    rows = tables.fill(run_table2.table(), workshop, [0, 1])
    assert [row.key for row in rows] == tables.row_keys()
    measured = [row.key for row in rows if any(cell.scores for cell in row.cells.values())]
    assert measured == [('scenario_2', 'scenario_2'), ('all', 'all')]
    table = tables.table(run_table2.table(), rows, 'note', {})
    assert {(one.train, one.test) for one in table.comparisons} == {*measured, ('mean', 'mean')}
    assert '| scenario_1 | scenario_1 | *' in results.markdown(table)  # the paper's numbers stay


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Opens records that exist only as names: {location: takes of 4 s}."""

    class Store:
        def whole_sequences(self, paths, total_length):
            assert len(paths) % total_length == 0
            return paths

    monkeypatch.setattr(runs.reading, 'first_modalities', lambda *_: ('acoustic', 'audio'))
    monkeypatch.setattr(runs.stores, 'open_store', lambda *_: Store())

    def open_source(takes, wanted):
        for location, count in takes.items():
            for take in range(1, count + 1):
                folder = tmp_path / f'r/Location_{location:02d}/Subject_01/Action_{take:03d}'
                folder.mkdir(parents=True)
                for second in range(1, 5):
                    (folder / f'Data_{second:03d}.tfrecord').touch()
        return runs.Source(tmp_path / 'r', tmp_path / 'o', presets.preset_named('smoke'), wanted)

    return open_source


_WANTED = [run for setting in runs.SETTINGS for run in run_table2.table().columns(setting).values()]


def test_records_of_one_place_have_their_rows(opened):
    source = opened({2: 10}, _WANTED)
    assert source.scenarios == ('scenario_2',) and source.settings == runs.SETTINGS
    assert source.blank_settings == ('scenario_1', 'scenario_3')
    trained = {run.train_on for run in _WANTED if source.can_train(run)}
    assert trained == {'scenario_2', 'all'}
    assert source.info.name == 'unnamed' and 'AVIA' not in source.info.origin
    assert not source.is_like_avia


def test_places_beyond_those_that_are_described_have_rows(opened):
    source = opened({1: 10, 3: 10, 4: 10}, _WANTED)
    assert source.scenarios == ('scenario_1', 'scenario_3', 'scenario_4')
    assert source.settings == (*runs.SCENARIOS, 'scenario_4', 'all')
    assert source.blank_settings == ('scenario_2',)


@pytest.mark.parametrize(
    'takes, wanted, message',
    [
        ({}, _WANTED, r'no records in it; expected Location_LL/Subject_SS'),
        ({1: 9}, _WANTED, 'the 9 sequences of 4 s of location 1 leave none for validation'),
        (
            {1: 10},
            [run for run in _WANTED if run.train_on == 'scenario_2'],
            'no records of scenario_2; available settings: scenario_1, all',
        ),
    ],
)
def test_records_that_no_row_can_be_made_of_are_refused(takes, wanted, message, opened, tmp_path):
    (tmp_path / 'r').mkdir()
    with pytest.raises(ValueError, match=message):
        opened(takes, wanted)


def test_own_data_have_the_rows_of_their_places_and_nothing_of_avia_beside():
    places = {
        number: runs.settings_of(datasets.DatasetInfo('own_a', ('x', 'y'), 'z', number))
        for number in (1, 2, 3)
    }
    assert places[3] == runs.SETTINGS and places[1] == ('scenario_1',)
    assert [len(tables.row_keys(one)) for one in places.values()] == [1, 5, 10]
    workshop = Workshop(has_unseen_subjects=True)
    workshop.settings, workshop.is_like_avia = places[1], False
    rows = tables.fill(run_table2.table(), workshop, [0])
    assert [row.key for row in rows] == [
        ('scenario_1', 'scenario_1'),
        ('scenario_1', 'unseen_subjects'),
    ]
    text = results.markdown(tables.table(run_table2.table(), rows, 'own takes', {}))
    assert 'AVIA' not in text and '0.4000' in text and 'DualCamNet is better than G by' in text


def test_columns_are_compared_in_each_row_and_on_their_mean():
    rows = tables.fill(run_table2.table(), Workshop(), [0, 1])
    table = tables.table(run_table2.table(), rows, 'note', {})
    own = [one for one in table.comparisons if (one.a, one.b) == ('D', 'G')]
    assert [(one.train, one.test) for one in own] == [*tables.row_keys(), ('mean', 'mean')]
    for one in own:
        assert one.difference == pytest.approx(0.3) and one.low <= 0.3 <= one.high
        assert one.seeds == 2
    # Each test has the same ten takes, whatever the training setting: 3 scenarios, and all.
    assert own[-1].takes == 40 and all(one.takes == 10 for one in own[:-1])
    assert own[-1].high - own[-1].low < own[0].high - own[0].low
    text = results.markdown(table)
    assert (
        f'- mean over the rows of seen subjects: {own[-1]}.' in text
        and f'- all → all, accuracy: {own[-2]}.' in text
    )
    assert 'scenario_1 → scenario_2, accuracy' not in text  # these are in JSON and CSV
    assert str(own[-1]).startswith('D is better than G by 30.0 points [')
    # Unseen subjects have a row of their own, next to the mean of the ten.
    rows = tables.fill(run_table2.table(), Workshop(has_unseen_subjects=True), [0, 1])
    assert [row.key for row in rows] == [*tables.row_keys(), ('all', 'unseen_subjects')]
    more = tables.compare(rows, [('D', 'G')])
    assert len(more) == 12 and more[-1] == own[-1]
    assert more[-2].test == 'unseen_subjects' and more[-2].takes == 10
    # Columns that differ only by seed give an inconclusive comparison.
    alike = Workshop(g=(4, 9), d=(9, 4))
    rows = tables.fill(run_table2.table(), alike, [0, 1])
    found = tables.compare(rows, [('D', 'G')])[-1]
    assert found.difference == pytest.approx(0.0)
    assert 'is inconclusive with 40 takes and 2 seeds' in str(found)


def test_paper_preset_has_the_published_rates():
    with open(PUBLISHED / 'wacv2020_learning_rates.csv', newline='') as file:
        lines = {
            (line['network'], line['supervision']): line['learning_rates']
            for line in csv.DictReader(file)
        }
    preset = presets.preset_named('paper')
    for (network, column), rate in preset.learning_rates.items():
        general, _, special = lines[network, column].partition(' ')
        assert rate == float(general)
        assert preset.run_params(network, column, 'scenario_2', 0).loop.learning_rate == rate
        on_1 = float(special.split()[0].strip('(')) if special else rate
        assert preset.run_params(network, column, 'scenario_1', 0).loop.learning_rate == on_1
    params = preset.run_params('hearnet', 'D', 'all', 3)
    assert (params.imitation, params.temperature) == (0.5, 1.0)
    assert (params.loop.epochs, params.loop.batch_size, params.loop.seed) == (100, 32, 3)
    assert not params.standardise and not params.options
    # Sequences of 30 s match the published accuracies; the published commands have 10 s.
    for name, seconds, frames in (('paper', 30, 30), ('paper_10s', 10, 20)):
        preset = presets.preset_named(name)
        assert preset.total_length == seconds
        for network, column, length, crops in (
            ('dualcamnet', 'hard', 1, frames),
            ('resnet50', 'hard', 1, frames),
            ('avnet', 'hard', 1, frames),
            ('temporal_resnet50', 'hard', 5, 6),
            ('hearnet', 'G', 5, 6),
            ('oursoundnet', 'D', 5, 6),
        ):
            clips = preset.run_params(network, column, 'all', 0).clips
            assert (clips.total_length, clips.sample_length, clips.number_of_crops) == (
                seconds,
                length,
                crops,
            )


def call(runner, number, smoke, *options):
    """Runs a table's program with the smoke data; returns what it printed."""
    jobs = [] if runner is not programs.run else ['--jobs=1']
    code, out, errors = runner(
        f'experiments/run_table{number}.py',
        f'--records={smoke}/records',
        f'--out={smoke}/results',
        '--preset=smoke',
        *jobs,
        *options,
    )
    assert code == 0, errors
    return out


@pytest.fixture(scope='module')
def made(smoke, command, program, engine):
    """Table 3, then 2, then 1, of the smoke data; 2 and 1 with the settings of `FEWER` only.

    Table 3 is called as users do, and trains several runs at a time. The workers of a cluster train
    Table 1's.
    """
    out = {3: call(command, 3, smoke)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, 'settings_of', lambda *_: FEWER)
        small_runs.skip_exports(patch.setattr)  # Table 3's are looked at
        out[2] = call(program, 2, smoke)
        out[1] = call(program, 1, smoke, f'--cluster_file={engine.file}')
    return smoke, out


@pytest.mark.slow
def test_a_table_is_made_from_records_to_picture(made):
    smoke, out = made
    assert '# WACV 2020, Table 3: HearNet' in out[3]
    saved = json.loads((smoke / 'results/table3.json').read_text())
    title = saved['title']
    assert 'simulated sounds, array and rooms' in title and 'smoke preset' in title
    assert title.endswith('ResNet-50 untrained below its logits')
    with open(smoke / 'results/table3.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 5 * 11
    for line in lines:
        assert 0 <= float(line['accuracy']) <= 1 and line['seeds'] == '1'
        # Of three actions by four subjects, one of them unseen: a take of 4 s each, of which one of
        # a seen subject tests; all of another scenario; and those of the unseen subject.
        num_takes = 12
        if line['test'] == line['train']:
            num_takes = 9 if line['test'] == 'all' else 3
        if line['test'] == runs.UNSEEN_SUBJECTS:
            num_takes = 9
        # Teachers take each second separately.
        assert line['clips'] == str(num_takes * (1 if line['column'] in 'GDR' else 4))
        assert line['takes'] == str(num_takes) and float(line['low']) <= float(line['accuracy'])
        assert float(line['accuracy']) <= float(line['high'])
    assert (smoke / 'results/table3.png').read_bytes()[:4] == b'\x89PNG'
    compared = {(one['a'], one['b'], one['train'], one['test']) for one in saved['comparisons']}
    assert len(compared) == len(saved['comparisons']) == 7 * 12
    assert ('D', 'G', 'mean', 'mean') in compared and ('D', 'G', 'all', 'all') in compared
    assert all(one['low'] <= one['difference'] <= one['high'] for one in saved['comparisons'])
    assert all(
        f'{one["words"]}.' in out[3]
        for one in saved['comparisons']
        if one['a'] == 'D' and one['train'] == 'mean'
    )
    assert saved['made']['seeds'] == [0] and saved['made']['data'] == saved['records']
    saved = list((smoke / 'results/runs').glob('hearnet-D-all-*/saved_model/1/saved_model.pb'))
    assert len(saved) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    'number, student, settings', [(3, 'hearnet', runs.SETTINGS), (2, 'oursoundnet', FEWER)]
)
def test_accuracies_are_those_of_the_stored_answers(made, number, student, settings):
    smoke, _ = made
    cells = json.loads((smoke / f'results/table{number}.json').read_text())['cells']
    expected = [*tables.row_keys(settings), ('all', runs.UNSEEN_SUBJECTS)]
    assert [(cell['train'], cell['test']) for cell in cells[::5]] == expected
    for cell in cells:
        network = {'DualCamNet': 'dualcamnet-hard', 'ResNet-50': 'resnet50-hard'}.get(
            cell['column'], f'{student}-{cell["column"]}'
        )
        (folder,) = (smoke / 'results/runs').glob(f'{network}-{cell["train"]}-seed0-*')
        test = json.loads((folder / f'test_{cell["test"]}.json').read_text())
        right = sum(a == b for a, b in zip(test['labels'], test['answers'], strict=True))
        assert cell['mean'] == pytest.approx(right / len(test['labels']))
        assert cell['clips'] == len(test['takes']) and cell['takes'] == len(set(test['takes']))
        for take, label in zip(test['takes'], test['labels'], strict=True):
            place, _, number = take.rpartition('/')
            assert place.endswith(f'/Action_{label + 1:03d}') and number == 'take 1'
            assert (smoke / 'records' / place).is_dir()


@pytest.mark.slow
def test_tables_share_their_teachers_and_a_second_call_trains_nothing(made, program):
    smoke, out = made
    for teacher in ('dualcamnet', 'resnet50'):
        made = list((smoke / 'results/runs').glob(f'{teacher}-*'))
        assert len(made) == 4  # one per setting for all tables
        for table in (1, 2):
            assert f'training  {teacher}' not in out[table]
    assert 'training  oursoundnet' in out[2]
    assert 'training' not in out[1]  # here: its runs are the workers'
    for network in ('temporal_resnet50', 'avnet'):
        assert len(list((smoke / 'results/runs').glob(f'{network}-*/metrics.json'))) == len(FEWER)
    assert 'untrained' in out[1]
    names = 'table3.csv', 'results.html'
    before = [(smoke / 'results' / name).read_bytes() for name in names]
    assert re.findall(r'<section id="(\w+)">', before[1].decode()) == [
        'table1',
        'table2',
        'table3',
    ]
    assert 'training' not in call(program, 3, smoke)
    assert [(smoke / 'results' / name).read_bytes() for name in names] == before


@pytest.mark.slow
def test_matrices_are_made_of_the_tables_runs(made, program, summaries):
    smoke, _ = made
    results = smoke / 'results'
    arguments = (
        'experiments/run_confusion.py',
        f'--records={smoke}/records',
        f'--out={results}',
        '--preset=smoke',
    )
    code, out, errors = program(*arguments)
    assert code == 0, errors
    folder = results / 'confusion'
    assert f'{folder}/confusion.md' in out
    text = (folder / 'confusion.md').read_text()
    assert 'simulated sounds, array and rooms' in text and 'smoke preset' in text
    for _, run, test in run_confusion.matrices():
        name = confusion.name(run, test)
        assert f']({name}.png)' in text
        assert (folder / f'{name}.png').read_bytes()[:4] == b'\x89PNG'
        with open(folder / f'{name}.csv', newline='') as file:
            header, *rows = csv.reader(file)
        assert [row[0] for row in rows] == header[1:-1] and header[1] == 'clapping'
        expected = np.zeros((3, 3), int)
        (run_folder,) = (results / 'runs').glob(f'{run.network}-{run.column}-{run.train_on}-*')
        answered = json.loads((run_folder / f'test_{test}.json').read_text())
        for label, answer in zip(answered['labels'], answered['answers'], strict=True):
            expected[label, answer] += 1
        (image,) = summaries(run_folder / f'tensorboard/test_{test}')
        assert image.tag == 'confusion' and image.metadata.plugin_data.plugin_name == 'images'
        np.testing.assert_array_equal([[int(n) for n in row[1:-1]] for row in rows], expected)
    assert len(run_confusion.matrices()) == (
        len(json.loads((folder / 'confusion.json').read_text())['cells'])
    )
    csvs = {p: p.read_text() for p in folder.glob('*.csv')}
    code, out, errors = program(*arguments)
    assert code == 0, errors
    assert 'training' not in out
    assert {p: p.read_text() for p in folder.glob('*.csv')} == csvs
    for events in (results / 'runs').glob('*/tensorboard/test_*'):
        assert len(list(events.glob('events.*'))) == 1


@pytest.mark.slow
def test_table4_carries_the_tables_students_to_a_set_of_its_own(made, tmp_path, program):
    smoke, _ = made
    dcase = write_dcase(tmp_path / 'dcase')
    arguments = [
        'experiments/run_table4.py',
        f'--records={smoke}/records',
        f'--out={smoke}/results',
        '--preset=smoke',
        '--ks=1,3',
    ]
    code, out, errors = program(*arguments, f'--target=dcase2018:{dcase}')
    assert code == 0, errors
    assert 'training  ' not in out
    lines = {line.split('|')[1].strip(): line for line in out.splitlines() if line[:2] == '| '}
    for name, published in (
        ('HearNet fc1', '0.8960'),
        ('OurSoundNet fc1', '0.8980'),
        ('OurSoundNet conv4', '0.9060'),
    ):
        cells = [cell.strip() for cell in lines[name].split('|')]
        assert cells[2] == 'avia_simulated' and cells[5] == f'*{published}*' and cells[3]
    assert lines['SoundNet-5 conv4'].split('|')[3].strip() == ''
    assert lines['MFCC statistics'].split('|')[5].strip() == ''
    assert (smoke / 'results' / 'table4' / 'hearnet_fc1.png').exists()
    plain = tmp_path / 'plain'
    for name in 'ab':
        (plain / name).mkdir(parents=True)
        for number in range(6):
            soundfile.write(
                plain / name / f'{number}.wav',
                np.random.default_rng(number).standard_normal(9000) * 0.1,
                22_050,
            )
    code, out, errors = program(*arguments, f'--target=folder:{plain}')
    assert code == 0, errors
    assert '0.8960' not in out and 'target: plain' in out
    code, _, errors = program(*arguments, f'--target=dcase2018:{plain}')
    assert code == 1 and 'not DCASE 2018' in errors.splitlines()[-1]


def test_bad_records_are_left_out_with_their_sequences_on_request(smoke, tmp_path, capsys):
    records = tmp_path / 'records'
    shutil.copytree(smoke / 'records', records, copy_function=os.link)
    bad = min(records.rglob('Data_002.tfrecord'))
    bad.unlink()
    bad.write_bytes(b'damaged')
    arguments = (
        records,
        tmp_path / 'out',
        presets.preset_named('smoke'),
        [runs.Run('hearnet', 'G', 'all')],
    )
    with pytest.raises(ValueError, match=r'Data_002\.tfrecord: not a whole record with audio'):
        runs.open_workshop(*arguments)
    workshop = runs.open_workshop(*arguments, max_bad=1)
    command.list_skipped(workshop.store)
    assert f'left out: {bad}: not a whole record' in capsys.readouterr().out
    assert workshop.note.endswith('; 1 damaged file left out')
    found = {
        path
        for parts in workshop.source._lists.values()
        for part in parts.values()
        for path in part
    }
    gone = set(map(str, records.rglob('*.tfrecord'))) - found
    assert gone == {str(path) for path in bad.parent.glob('*.tfrecord')}


@pytest.mark.slow
def test_a_backbone_comes_from_its_file(tmp_path, capsys):
    for layout in ('slim', 'keras'):
        network = models.build('resnet50', frame_stride=12, layout=layout)
        weights.save(network, tmp_path / f'{layout}.weights.h5')
        backbone = runs._backbone(tmp_path / f'{layout}.weights.h5')
        images = np.random.default_rng(0).uniform(-100, 100, (1, 224, 224, 3)).astype(np.float32)
        of_network = keras.Model(network.input, network.get_layer('pool').output)
        np.testing.assert_allclose(
            backbone(images, training=False),
            of_network(images[None], training=False),
            rtol=1e-4,
            atol=1e-4,
        )
    assert 'randomly initialised' not in capsys.readouterr().out
    first, again = (fingerprints.of_weights(runs._backbone(None)) for _ in range(2))
    assert first == again and 'randomly initialised' in capsys.readouterr().out
    with pytest.raises(ValueError, match=r'none\.weights\.h5'):
        runs._backbone(tmp_path / 'none.weights.h5')


@pytest.mark.slow
@pytest.mark.parametrize('holds_conv5', [True, False])
def test_table4_has_the_layers_of_soundnet_5_that_its_file_holds(
    holds_conv5, tmp_path, capsys, monkeypatch
):
    network = soundnet.build_5() if holds_conv5 else models.build('oursoundnet')
    weights.save(network, tmp_path / 'soundnet5.weights.h5')
    asked = []

    def by_listener(self, listener, layer):
        """A file's class represents its content."""
        if 'soundnet5' in listener.source:
            heard = listener.listen(layer)(np.ones((1, 110_250)))
            asked.append((listener.network, layer, heard.shape))
        sounds = self.sound_set.sounds
        return np.float32([[sound.label, 1] for sound in sounds]), np.array(
            [sound.path for sound in sounds]
        )

    monkeypatch.setattr(transfer.Target, 'by_listener', by_listener)
    monkeypatch.setattr(
        transfer.Target,
        'by_mfcc',
        lambda self: by_listener(self, students.open_listener(''), 'fc1'),
    )
    listeners = {
        name: network_students.from_model(models.build(name), frontends.Frontend(kind), 5, '14', '')
        for name, kind in (('hearnet', 'spectrogram'), ('oursoundnet', 'waveform'))
    }
    monkeypatch.setattr(students, 'open_listener', lambda name: listeners[name or 'hearnet'])
    workshop = types.SimpleNamespace(
        info=datasets.DatasetInfo('toy', tuple('ab'), 'made up', 1),
        note='toy',
        store=types.SimpleNamespace(digest='0'),
        source=types.SimpleNamespace(preset=presets.preset_named('smoke')),
        train=lambda run, seed: run.network,
    )
    monkeypatch.setattr(command, 'open_workshop', lambda *_: workshop)
    options = types.SimpleNamespace(
        target=f'dcase2018:{write_dcase(tmp_path / "dcase")}',
        out=tmp_path / 'out',
        soundnet=str(tmp_path / 'soundnet5.weights.h5'),
        ks=['1'],
        max_bad=0,
        standardise=False,
        publish=None,
        publish_suffix='',
    )
    run_table4._body(options, workshop.source.preset, [0, 1], None)
    out = capsys.readouterr().out
    assert ('conv5: left blank' in out) is not holds_conv5
    assert asked == [
        (network.name, 'conv4', (1, 256)),
        *([('soundnet5', 'conv5', (1, 1401))] if holds_conv5 else []),
    ]
    cells = json.loads((tmp_path / 'out' / 'table4.json').read_text())['cells']
    cells = {cell['name']: cell for cell in cells if cell['column'] == 'k-NN'}
    assert cells['SoundNet-5 conv4']['mean'] == 1 and cells['SoundNet-5 conv4']['seeds'] == 1
    assert cells['SoundNet-5 conv5']['mean'] == (1 if holds_conv5 else None)
    assert cells['SoundNet-5 conv5']['published'] == 0.821
    assert list(cells)[-3:] == ['Mesaros et al. 2018', 'Liping et al. 2018', 'Golubkov et al. 2018']


@pytest.mark.parametrize('of', ['oursoundnet', 'soundnet5'])
def test_oursoundnet_starts_from_soundnets_convolutions(of, tmp_path):
    network = soundnet.build_5() if of == 'soundnet5' else models.build(of)
    weights.save(network, tmp_path / 'soundnet5.weights.h5')
    start = runs._soundnet_start(tmp_path / 'soundnet5.weights.h5')
    assert set(start) == {f'conv{i}{part}' for i in (1, 2, 3, 4) for part in ('', '_norm')}
    for layer, values in start.items():
        for got, want in zip(values, network.get_layer(layer).get_weights(), strict=True):
            np.testing.assert_array_equal(got, want)
    changed = start | {'conv1': [array + 1 for array in start['conv1']]}
    assert runs._digest(start) != runs._digest(changed)
