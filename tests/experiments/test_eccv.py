"""ECCV 2020's tables, from records to charts."""

import csv
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import shutil
import types

import keras
import numpy as np
import pytest
import soundfile

from dualcam import models
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends
from dualcam.inference import network_students, students
from dualcam.models import l3net
from dualcam.training.recipes import correspondence
from experiments.eccv2020 import features, presets, runs, tables, targets
from experiments.run_eccv2020 import _CORRESPONDENCE
from experiments.shared import charts, parallel, results, transfer, workshops
from tests.helpers import toy_eccv
from tests.helpers.sound_folders import write_esc

_COLUMNS = {'accuracy': ('accuracy', 'std')}


def test_rows_are_the_published_ones():
    rows = tables.read_specs('eccv2020_table2_acivw.csv', _COLUMNS)
    assert len(rows) == 22 and {row.key for row in rows} == set(tables.ROWS) - {'l3_correspondence'}
    (pairs,) = tables.read_specs(_CORRESPONDENCE, _COLUMNS)
    assert pairs.key == 'l3_correspondence' and 'chance is 0.5' in pairs.note
    assert pairs.published['accuracy'] == {'published': 0.8386, 'published_std': 0.0035}
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


def test_runs_of_one_teacher_are_a_piece():
    teacher, transferred, alone = (
        runs.Run(network, runs.PRETEXT, alpha)
        for network, alpha in (('dualcamnet_eccv', 0.0), ('hearnet_eccv', 0.5), ('hearnet_eccv', 0))
    )
    wanted = [(run, ()) for run in (transferred, alone, teacher, alone)]
    assert parallel.by_teacher(wanted, [0, 1]) == [
        [(one, (), seed) for one in piece]
        for piece in ([transferred, teacher], [alone])
        for seed in (0, 1)
    ]


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
    # WACV 2020's settings: teachers on sound and taught students have a higher learning rate.
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
    """Has the number of correct videos, of ten, for each share of the transfer and each seed."""

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
    # All pairs of the complete table, once they are measured.
    rows = [spec.row({}) for spec in tables.read_specs('eccv2020_table2_acivw.csv', {})]
    keys = [(a.key, b.key) for a, b in tables.pairs(rows)]
    for key in ('hearnet', 'audio_visual_hearnet'):
        for alpha in (0.1, 0.3, 0.5, 0.7, 0.9):
            assert ((key, tables.SELF, alpha), (key, tables.SELF, 0.0)) in keys
    taught = ('hearnet_transfer', tables.SUPERVISED, None)
    assert (taught, ('hearnet', tables.SUPERVISED, None)) in keys


def test_avia_is_split_by_take(tmp_path, monkeypatch):
    """Table 3: no take has clips in two splits, and each split has every class."""
    for place, subject, action in itertools.product((1, 2), (1, 2, 3, 4), (1, 2, 3)):
        folder = tmp_path / f'Location_{place:02d}/Subject_{subject:02d}/Action_{action:03d}'
        folder.mkdir(parents=True)
        for second in range(1, 8):
            (folder / f'Data_{second:03d}.tfrecord').touch()
    monkeypatch.setattr(runs.reading, 'modalities_of', lambda _: ('audio',))
    monkeypatch.setattr(
        runs.stores,
        'open_store',
        lambda paths, *_: record_packer.RecordStore(tuple(paths), {}, {}, 'names'),
    )
    target = runs.Target(tmp_path, tmp_path / 'cache')
    folders = [
        {str(pathlib.Path(target.store.paths[row]).parent) for row in windows.reshape(-1)}
        for windows in target.windows
    ]
    for one, other in itertools.combinations(folders, 2):
        assert not one & other
    assert sum(map(len, folders)) == 2 * 4 * 3 and len(np.concatenate(target.windows)) == 24 * 3
    for part in folders:
        assert {folder[-3:] for folder in part} == {'001', '002', '003'}
    # A clip's two seconds are consecutive seconds of one take.
    for first, second in np.concatenate(target.windows):
        paths = [pathlib.Path(target.store.paths[row]) for row in (first, second)]
        assert paths[0].parent == paths[1].parent
        assert int(paths[1].stem[-3:]) == int(paths[0].stem[-3:]) + 1


class ToySource(runs.Source):
    """Eight clips from eight videos, all in the test list."""

    def __init__(self, preset):
        self.preset, self.info, self.store = preset, toy_eccv.INFO, toy_eccv.make_store()
        self._data = toy_eccv.make_data(self.store)
        rows = np.arange(16).reshape(8, 2)
        self.windows = (rows[:6], rows[6:], rows)


class UntrainedWorkshop(workshops.Workshop):
    """Its pairs of networks are randomly initialised, since training is tested elsewhere."""

    def _trained(self, resolved):
        resolved.folder.mkdir(parents=True)
        resolved.recipe.clips(resolved.params, resolved.data, resolved.folder, None)  # statistics
        keras.utils.set_random_seed(resolved.seed)
        return correspondence.build(resolved.params, resolved.folder)


@pytest.mark.slow
def test_l3_s_correspondence_is_a_row_of_table_2(tmp_path, monkeypatch):
    preset = dataclasses.replace(presets.preset_named('smoke'), networks=('l3',))
    toy = UntrainedWorkshop(ToySource(preset), tmp_path)
    monkeypatch.setattr(workshops.run_page, 'write', lambda _: None)
    monkeypatch.setattr(targets.Records, 'baselines', lambda *_: [])
    asked = []
    told = l3net.correspondence_logits
    monkeypatch.setattr(
        l3net,
        'correspondence_logits',
        lambda network, heard, seen: asked.append((heard, seen)) or told(network, heard, seen),
    )
    target = targets.TARGETS[2](toy, None)
    specs = tables.read_specs(_CORRESPONDENCE, _COLUMNS)
    rows = tables.fill(specs, target, toy.source.preset, [0, 1])
    cell = rows[0].cell('accuracy')
    assert cell.clips == 16 and cell.interval.takes == 8 and cell.interval.seeds == 2
    keys, chart = ('features', 'training', 'alpha'), functools.partial(charts.over_key, key='alpha')
    text = results.write(
        results.Table('t', 'T', 'E', keys, ('accuracy',), rows, chart=chart), tmp_path
    )
    assert '| L3-Net, correspondence of sound and frames | self-supervised |  | ' in text
    assert '*0.8386 ± 0.0035* | share of test pairs' in text
    with open(tmp_path / 't.csv', newline='') as file:
        (line,) = csv.DictReader(file)
    assert line['features'] == 'l3_correspondence' and line['published'] == '0.8386'
    assert float(line['accuracy']) == pytest.approx(cell.mean, abs=1e-4)
    (saved,) = json.loads((tmp_path / 't.json').read_text())['cells']
    assert saved['scores'] == list(cell.scores) and saved['published'] == 0.8386
    # Each clip's frames occur once with their own sound, and once with another video's.
    resolved = toy.resolve(specs[0].run, 1)
    network = toy.network(resolved)
    pair = features.PairFeatures(
        resolved.params, resolved.folder, correspondence.split(resolved.params, network)
    )
    heard, seen = pair.maps(toy.store, toy.source.windows[2])
    (own, frames), (other, again) = asked[-2:]
    np.testing.assert_array_equal(frames, again)
    clips, of_own, of_other = (
        [int(np.flatnonzero((values == row).all(axis=1))[0]) for row in rows]
        for values, rows in ((seen, frames), (heard, own), (heard, other))
    )
    assert sorted(clips) == list(range(8)) and of_own == clips
    assert all(one != another for one, another in zip(clips, of_other, strict=True))
    # Predictions for pairs, computed from features, equal those of the whole network.
    (batch,) = correspondence.cut(
        resolved.params, toy.store, toy.source.windows[2][clips], resolved.folder
    ).batches(8)
    direct = network(batch['input'], training=False).numpy()
    np.testing.assert_allclose(told(network, own, frames), direct, rtol=1e-3, atol=1e-4)
    tested = toy.scores(specs[0].run, [runs.CORRESPONDENCE], 1)[runs.CORRESPONDENCE]
    assert tested.labels.tolist() == [1] * 8 + [0] * 8
    assert tested.predictions[:8].tolist() == direct.argmax(-1).tolist()
    assert cell.scores[1] == pytest.approx(tested.accuracy)


@pytest.mark.parametrize('kind', ['without labels', 'with labels'])
def test_windows_of_a_file_have_length_1_before_they_are_averaged(kind, tmp_path, monkeypatch):
    """Table 4: a loud pair of features counts as much as a faint one, and the ReLU comes first."""
    keras.utils.set_random_seed(0)
    frontend = frontends.Frontend(
        'spectrogram', 'log', None, False, models.network('hearnet_eccv').spectrogram
    )
    params = types.SimpleNamespace(clips=record_clips.ClipParams(2, 2, 1), sound=None)
    monkeypatch.setattr(network_students.run_data, 'frontend', lambda *_: frontend)
    if kind == 'with labels':
        network = models.build('hearnet_eccv', 2)
        opened = network_students.from_model(network, frontend, 2, ('a', 'b'), tmp_path)
        monkeypatch.setattr(students, 'open_listener', lambda _: opened)
        made = features.NetworkFeatures(params, tmp_path, network)
    else:
        network = models.build_map('hearnet_eccv')
        made = features.PairFeatures(params, tmp_path, (network, None))
    folder = write_esc(tmp_path / 'esc', takes=1)
    rng = np.random.default_rng(0)
    for path in sorted(folder.rglob('*.wav')):
        wave = rng.standard_normal(88_200)
        wave[:44_100] = np.sin(np.arange(44_100) * rng.uniform(0.1, 1.5))
        soundfile.write(path, 0.1 * wave, 22_050)
    judged = []

    class Target(transfer.Target):
        def judge(self, found, files, seed):
            judged.append((found, files))
            return super().judge(found, files, seed)

    monkeypatch.setattr(transfer, 'Target', Target)
    options = types.SimpleNamespace(target=f'folder:{folder}', out=tmp_path / 'out', max_bad=0)
    monkeypatch.setattr(runs, 'features_of', lambda *_: made)
    sounds = targets.Sounds(None, options)
    monkeypatch.setattr(targets.neighbours, 'ECCV_KS', (1,))
    sounds._target._ks = (1,)
    sounds.score(types.SimpleNamespace(run=None, line=None), 0)
    ((found, files),) = judged
    ask = made.listener().listen('embedding')
    for feature, path in zip(found, files, strict=True):
        windows = ask(soundfile.read(path, dtype='float32')[0].reshape(2, 44_100))
        assert kind == 'with labels' or windows.min() < 0
        windows = np.maximum(windows, 0)
        lengths = np.linalg.norm(windows, axis=1, keepdims=True)
        np.testing.assert_allclose(feature, (windows / lengths).mean(axis=0), rtol=2e-3, atol=1e-4)
        late = windows.mean(axis=0) / np.linalg.norm(windows.mean(axis=0))
        assert np.abs(feature - late).max() > 5e-3


def table(program, number, folder, *arguments):
    return program(
        'experiments/run_eccv2020.py',
        f'--table={number}',
        f'--records={folder}/records',
        f'--out={folder}/results',
        '--preset=smoke',
        *arguments,
    )


@pytest.fixture(scope='module')
def made(acivw_smoke, program):
    """Table 2 of the smoke data."""
    code, out, errors = table(program, 2, acivw_smoke)
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
    assert len(rows) == 24
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
    assert ('HearNet with DualCamNet as teacher, supervised', 'HearNet, supervised') in compared
    # Five test videos, each of which is a take.
    assert {one['takes'] for one in whole['comparisons']} == {5}
    assert (folder / 'results' / 'eccv2020_table2.png').read_bytes()[:4] == b'\x89PNG'
    _check_page(folder)
    # No video is in two lists.
    lists = [
        set(line.rpartition('/')[0] for line in path.read_text().splitlines())
        for path in sorted((folder / 'records' / '2_seconds' / 'lists').glob('*.txt'))
    ]
    assert len(lists) == 3 and not set.intersection(lists[0], lists[1] | lists[2])


def _check_page(folder):
    """results.html compares the runs' results."""
    page = (folder / 'results' / 'results.html').read_text()
    taught, plain = 'HearNet with DualCamNet as teacher, supervised', 'HearNet, supervised'
    tests = []
    for name in ('hearnet_eccv-taught', 'hearnet_eccv-supervised'):
        (path,) = (folder / 'results' / 'runs').glob(f'{name}-*/test.json')
        tests.append(json.loads(path.read_text()))
    labels, *answers = (
        np.array(one) for one in (tests[0]['labels'], *(t['answers'] for t in tests))
    )
    section = page.split(f'<h3>Where {taught} and {plain} disagree')[1].split('<h3>')[0]
    counts = [
        (answers[0] != answers[1]) & right
        for right in (
            answers[0] == labels,
            answers[1] == labels,
            (answers[0] != labels) & (answers[1] != labels),
        )
    ]
    assert (
        f'On {sum(map(sum, counts))} of {len(labels)} clips (seed 0): {taught} alone is right '
        f'{counts[0].sum()}, {plain} alone is right {counts[1].sum()}, both are wrong '
        f'{counts[2].sum()}.' in section
    )
    shown = section.count('<figure data-clip="class_')
    assert shown == min(6, sum(map(sum, counts))) == section.count('<audio')
    assert f'data-difference="{taught} minus {plain}"' in page
    # Rows trained without labels are compared by their nearest neighbours.
    alphas = [f'HearNet, self-supervised, alpha {alpha}' for alpha in ('0.5', '0')]
    assert f'<h3>Where {alphas[0]} and {alphas[1]} disagree' in page
    assert page.count('<svg class="chart"') == 2 and 'loss, without labels' in page


@pytest.mark.slow
def test_the_other_tables_take_the_same_runs(made, smoke, program, tmp_path):
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
    code, out, errors = table(program, 1, folder, f'--lists={lists}')
    assert code == 0, errors
    ranks = saved(folder, 1)
    # Five test clips of five classes: a sound's own is one of them.
    np.testing.assert_allclose(
        [ranks['chance', 'our baseline', None][f'rank {k}'][0] for k in (1, 2, 5, 10, 30)],
        [0.2, 0.4, 1.0, 1.0, 1.0],
    )
    for key in ('dualcamnet', 'hearnet'):
        shares = [ranks[key, 'self-supervised', None][f'rank {k}'][0] for k in (1, 2, 5, 10, 30)]
        assert shares == sorted(shares) and shares[-1] == 1.0
    avia = tmp_path / 'avia'  # two places of three
    shutil.copytree(
        smoke / 'records',
        avia,
        copy_function=os.link,
        ignore=shutil.ignore_patterns('Location_03', '*_seconds*'),
    )
    code, out, errors = table(program, 3, folder, f'--target={avia}')
    assert code == 0, errors
    assert 'target: avia_simulated' in out
    assert 0 <= saved(folder, 3)['audio_visual_hearnet', 'self-supervised', 0.5]['accuracy'][0] <= 1
    sounds = write_esc(tmp_path / 'esc', seconds=2.5)
    code, out, errors = table(program, 4, folder, f'--target=folder:{sounds}')
    assert code == 0, errors
    assert saved(folder, 4)['hearnet', 'self-supervised', 0.5]['accuracy']
    assert not saved(folder, 4)['mesaros2018', 'supervised', None]
    page = (folder / 'results' / 'results.html').read_text()
    sections = page.split('<section id="eccv2020_table')[1:]
    assert [section[0] for section in sections] == ['1', '2', '3', '4']
    # Retrieval predicts no classes, and audio files are evaluated split by split.
    assert ['<h3>Differences between confusion' in section for section in sections] == [
        False,
        True,
        True,
        True,
    ]
    assert ['<h3>Where ' in section for section in sections] == [False, True, True, False]
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
def test_a_bad_call_is_one_line(arguments, words, program, tmp_path):
    code, _, errors = program(
        'experiments/run_eccv2020.py',
        f'--records={tmp_path}/none',
        f'--out={tmp_path}/out',
        *arguments,
    )
    assert code == 1 and words in errors and 'Traceback' not in errors
