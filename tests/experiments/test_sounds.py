import csv
import json

import numpy as np
import pytest

from experiments.shared import results, tables, transfer
from tests.helpers.sound_folders import write_esc


def test_a_report_shows_what_was_measured_and_blanks(tmp_path):
    rows = [results.Row('a', 'x', {'k-NN': [0.5, 0.75]}, 0.9, 'k 3'), results.Row('b', '', {})]
    text = results.write(rows, ('k-NN', 'probe'), 'T', 'E', tmp_path, 'r')
    assert '| a | x | 0.6250 ± 0.1768 |  | 0.9000 | k 3 |' in text
    assert '| b |  |  |  |  |  |' in text
    with open(tmp_path / 'r.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert [line['accuracy'] for line in lines] == ['0.6250', '', '', '']
    assert json.loads((tmp_path / 'r.json').read_text())['rows'][0]['scores']['k-NN'] == [0.5, 0.75]
    assert (tmp_path / 'r.png').stat().st_size > 5000


def test_counts_are_written_with_each_class_s_accuracy(tmp_path):
    results.write_counts(np.array([[3, 1], [0, 0]]), ('a', 'b'), 'T', 'N', tmp_path, 'HearNet fc1')
    lines = (tmp_path / 'hearnet_fc1.csv').read_text().splitlines()
    assert lines == ['true class,a,b,accuracy', 'a,3,1,0.7500', 'b,0,0,']
    assert (tmp_path / 'hearnet_fc1.png').exists()


def test_targets_are_a_kind_and_a_folder():
    assert transfer.read_target('folder:/a:b') == ('folder', '/a:b')
    for wrong in ('esc:/a', 'folder:', '/a'):
        with pytest.raises(ValueError, match='dcase2018:DIR or folder:DIR'):
            transfer.read_target(wrong)
    published = results.read_published('wacv2020_table4_dcase2018.csv', 'features', 'accuracy')
    assert published['hearnet_fc1'] == 0.896 and len(published) == 8
    assert tables.PUBLISHED.is_dir()


@pytest.fixture(scope='module')
def made(tmp_path_factory, command):
    """Students of a folder of sound, and of records simulated from two of its folds.

    Gives (folder, the call, what it printed).
    """
    root = tmp_path_factory.mktemp('esc10')
    # Ten classes, so that each split of a scenario's single takes has one.
    folder = write_esc(root / 'esc', classes=tuple('abcdefghij'), seconds=1.0)
    code, _, errors = command(
        '-m',
        'records.synthetic',
        f'--out={root}/raw',
        '--preset=smoke',
        f'--matfiles={root}/raw/matfiles',
        '--nokeep_array',
        f'--sources={folder}',
        '--folds=1,3',
    )
    assert code == 0, errors
    code, _, errors = command(
        '-m',
        'records.convert_avia',
        f'--matfiles={root}/raw/matfiles',
        f'--sync={root}/raw/sync',
        f'--out={root}/records',
        '--sequence_seconds=5',
        '--modalities=0,1',
    )
    assert code == 0, errors
    arguments = [
        'experiments/run_esc10.py',
        f'--input={folder}',
        f'--out={root}/out',
        '--preset=smoke',
        f'--records={root}/records',
    ]
    code, out, errors = command(*arguments)
    assert code == 0, errors
    return root, arguments, out


@pytest.mark.slow
def test_esc10_runs_the_whole_way_and_nothing_twice(made, command):
    root, arguments, out = made
    assert 'tested on fold 1, fold 2, fold 3' in out and 'smoke preset' in out
    assert '| random forest on MFCC (Piczak 2015, 5 folds) |  |  |  |  | 0.7270 |' in out
    saved = json.loads((root / 'out' / 'esc10.json').read_text())['rows']
    assert [row['name'] for row in saved[:3]] == ['MFCC statistics', 'HearNet', 'OurSoundNet']
    assert len(saved[1]['scores']['accuracy']) == 3 == len(saved[1]['scores']['k-NN'])
    tested = [
        tuple(json.loads(path.read_text())['files'])
        for path in (root / 'out' / 'runs').glob('hearnet-*/test.json')
    ]
    assert len(tested) == 3 + 2  # G and D are trained on for one of the folds
    assert sorted(f for files in set(tested) for f in files) == sorted(
        map(str, (root / 'esc').glob('*/*.wav'))
    )
    # Without records, then again with them: what it made is as it was.
    code, alone, errors = command(*(a for a in arguments if not a.startswith('--records=')))
    assert code == 0 and 'training' not in alone and 'simulated array' not in alone, errors
    assert [
        line for line in out.splitlines() if 'simulated array' not in line and line.startswith('| ')
    ] == [line for line in alone.splitlines() if line.startswith('| ')]
    code, again, errors = command(*arguments)
    assert code == 0 and 'training' not in again, errors
    assert again.split('# Students')[1] == out.split('# Students')[1]


@pytest.mark.slow
def test_students_of_records_are_tested_on_folds_that_those_do_not_hold(made, tmp_path, command):
    root, *_ = made
    heard = json.loads((root / 'raw' / 'synthetic.json').read_text())['recordings']
    assert {path.rpartition('/')[2][0] for units in heard for unit in units for path in unit} == {
        '1',
        '3',
    }
    taught = [
        row
        for row in json.loads((root / 'out' / 'esc10.json').read_text())['rows']
        if row['trained_on'] == 'simulated array, folds 1,3'
    ]
    assert [row['name'] for row in taught] == [
        'HearNet G',
        'HearNet G, trained on with the clips',
        'HearNet D',
        'HearNet D, trained on with the clips',
    ]
    assert all(row['note'] == 'tested on fold 2' for row in taught)
    assert all(len(row['scores']['accuracy']) == 1 for row in taught)
    code, _, errors = command(
        '-m',
        'records.synthetic',
        f'--out={tmp_path}/x',
        '--preset=smoke',
        f'--sources={root}/esc',
        '--folds=7',
    )
    assert code == 1 and 'no fold 7; it has 1, 2, 3' in errors.splitlines()[-1]
