import csv
import json

import numpy as np
import pytest
import soundfile

from experiments import reports, tables, transfer
from tests.sound_folders import write_dcase, write_esc


def test_a_report_shows_what_was_measured_and_blanks(tmp_path):
    rows = [reports.Row('a', 'x', {'k-NN': [0.5, 0.75]}, 0.9, 'k 3'), reports.Row('b', '', {})]
    text = reports.write(rows, ('k-NN', 'probe'), 'T', 'E', tmp_path, 'r')
    assert '| a | x | 0.6250 ± 0.1768 |  | 0.9000 | k 3 |' in text
    assert '| b |  |  |  |  |  |' in text
    with open(tmp_path / 'r.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert [line['accuracy'] for line in lines] == ['0.6250', '', '', '']
    assert json.loads((tmp_path / 'r.json').read_text())['rows'][0]['scores']['k-NN'] == [0.5, 0.75]
    assert (tmp_path / 'r.png').stat().st_size > 5000


def test_counts_are_written_with_each_class_s_accuracy(tmp_path):
    reports.write_counts(np.array([[3, 1], [0, 0]]), ('a', 'b'), 'T', 'N', tmp_path, 'HearNet fc1')
    lines = (tmp_path / 'hearnet_fc1.csv').read_text().splitlines()
    assert lines == ['true class,a,b,accuracy', 'a,3,1,0.7500', 'b,0,0,']
    assert (tmp_path / 'hearnet_fc1.png').exists()


def test_targets_are_a_kind_and_a_folder():
    assert transfer.read_target('folder:/a:b') == ('folder', '/a:b')
    for wrong in ('esc:/a', 'folder:', '/a'):
        with pytest.raises(ValueError, match='dcase2018:DIR or folder:DIR'):
            transfer.read_target(wrong)
    published = reports.read_published('wacv2020_table4_dcase2018.csv', 'features', 'accuracy')
    assert published['hearnet_fc1'] == 0.896 and len(published) == 8
    assert tables.PUBLISHED.is_dir()


@pytest.mark.slow
def test_esc10_runs_the_whole_way_and_nothing_twice(tmp_path, command):
    folder = write_esc(tmp_path / 'esc', seconds=1.0)
    arguments = ['experiments/run_esc10.py', f'--input={folder}', f'--out={tmp_path}/out',
                 '--preset=smoke']
    code, out, errors = command(*arguments)
    assert code == 0, errors
    assert 'tested on fold 1, fold 2, fold 3' in out and 'smoke preset' in out
    assert '| random forest on MFCC (Piczak 2015, 5 folds) |  |  |  |  | 0.7270 |' in out
    saved = json.loads((tmp_path / 'out' / 'esc10.json').read_text())['rows']
    assert [row['name'] for row in saved[:3]] == ['MFCC statistics', 'HearNet', 'OurSoundNet']
    assert len(saved[1]['scores']['accuracy']) == 3 == len(saved[1]['scores']['k-NN'])
    tested = [json.loads(path.read_text())
              for path in (tmp_path / 'out' / 'runs').glob('hearnet-*/test.json')]
    assert sorted(f for one in tested for f in one['files']) == sorted(
        map(str, folder.glob('*/*.wav')))
    code, again, errors = command(*arguments)
    assert code == 0 and 'training' not in again, errors
    assert again.split('# Students')[1] == out.split('# Students')[1]


@pytest.mark.slow
def test_table4_carries_students_of_records_to_a_set_of_its_own(tmp_path, smoke, command):
    dcase = write_dcase(tmp_path / 'dcase')
    arguments = ['experiments/run_table4.py', f'--records={smoke}/records',
                 f'--out={tmp_path}/out', '--preset=smoke', '--ks=1,3']
    code, out, errors = command(*arguments, f'--target=dcase2018:{dcase}')
    assert code == 0, errors
    lines = {line.split('|')[1].strip(): line for line in out.splitlines() if line[:2] == '| '}
    for name, published in (('HearNet fc1', '0.8960'), ('OurSoundNet fc1', '0.8980'),
                            ('OurSoundNet conv4', '0.9060')):
        cells = [cell.strip() for cell in lines[name].split('|')]
        assert cells[2] == 'avia_simulated' and cells[5] == published and cells[3]
    assert lines['SoundNet-5 conv4'].split('|')[3].strip() == ''
    assert lines['MFCC statistics'].split('|')[5].strip() == ''
    assert (tmp_path / 'out' / 'table4' / 'hearnet_fc1.png').exists()
    plain = tmp_path / 'plain'
    for name in 'ab':
        (plain / name).mkdir(parents=True)
        for number in range(6):
            soundfile.write(plain / name / f'{number}.wav', np.random.default_rng(number)
                            .standard_normal(9000) * 0.1, 22_050)
    code, out, errors = command(*arguments, f'--target=folder:{plain}')
    assert code == 0, errors
    assert '0.8960' not in out and 'target: plain' in out
    code, _, errors = command(*arguments, f'--target=dcase2018:{plain}')
    assert code == 1 and 'not DCASE 2018' in errors.splitlines()[-1]


@pytest.mark.slow
def test_students_of_records_are_tested_on_folds_that_those_do_not_hold(tmp_path, command):
    # Ten classes, so that each split of a scenario's single takes has one.
    folder = write_esc(tmp_path / 'esc', classes=tuple('abcdefghij'), seconds=1.0)
    code, _, errors = command(
        '-m', 'records.synthetic', f'--out={tmp_path}/raw', '--preset=smoke',
        f'--matfiles={tmp_path}/raw/matfiles', '--nokeep_array', f'--sources={folder}',
        '--folds=1,3')
    assert code == 0, errors
    code, _, errors = command(
        '-m', 'records.convert_avia', f'--matfiles={tmp_path}/raw/matfiles',
        f'--sync={tmp_path}/raw/sync', f'--out={tmp_path}/records', '--sequence_seconds=5',
        '--modalities=0,1')
    assert code == 0, errors
    heard = json.loads((tmp_path / 'raw' / 'synthetic.json').read_text())['recordings']
    assert {path.rpartition('/')[2][0] for units in heard for unit in units for path in unit} \
        == {'1', '3'}
    code, _, errors = command(
        'experiments/run_esc10.py', f'--input={folder}', f'--out={tmp_path}/out',
        '--preset=smoke', f'--records={tmp_path}/records')
    assert code == 0, errors
    taught = [row for row in json.loads((tmp_path / 'out' / 'esc10.json').read_text())['rows']
              if row['trained_on'] == 'simulated array, folds 1,3']
    assert [row['name'] for row in taught] == [
        'HearNet G', 'HearNet G, trained on with the clips',
        'HearNet D', 'HearNet D, trained on with the clips']
    assert all(row['note'] == 'tested on fold 2' for row in taught)
    assert all(len(row['scores']['accuracy']) == 1 for row in taught)
    code, _, errors = command('-m', 'records.synthetic', f'--out={tmp_path}/x', '--preset=smoke',
                              f'--sources={folder}', '--folds=7')
    assert code == 1 and 'no fold 7; it has 1, 2, 3' in errors.splitlines()[-1]
