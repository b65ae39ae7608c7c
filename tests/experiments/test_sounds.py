import json
import re
import types

import numpy as np
import pytest

from dualcam.data.sources import datasets
from experiments.shared import outcomes, transfer
from experiments.sounds import comparison
from tests.helpers import small_runs
from tests.helpers.sound_folders import write_esc


def test_targets_are_a_kind_and_a_folder():
    assert transfer.read_target('folder:/a:b') == ('folder', '/a:b')
    for wrong in ('esc:/a', 'folder:', '/a'):
        with pytest.raises(ValueError, match='dcase2018:DIR or folder:DIR'):
            transfer.read_target(wrong)


def test_students_are_compared_on_the_same_files(tmp_path):
    (tmp_path / 'metrics.json').write_text(
        json.dumps({'history': [{'train/accuracy': 0.5}, {'train/accuracy': 0.75}]})
    )
    files = [tuple(f'/set/{name}.wav' for name in names) for names in ('ab', 'cd')]
    store = types.SimpleNamespace(
        rows=lambda paths: np.array([ord(path[5]) - ord('a') for path in paths]),
        lengths=np.full(4, 22_050),
        clip=lambda row, start, samples: np.full(samples, row, np.float32),
    )
    source = types.SimpleNamespace(
        splits=['fold 1', 'fold 2'], sound_set=types.SimpleNamespace(root='/set')
    )
    workshop = types.SimpleNamespace(
        info=datasets.DatasetInfo('set', ('dog', 'rain'), 'made up'),
        store=store,
        source=source,
        folder=lambda run, seed: tmp_path,
    )

    def tested(*predictions):
        return [
            outcomes.Tested(np.array([0, 1]), np.array(predictions[k]), files[k], files[k])
            for k in (0, 1)
        ]

    tests = {'HearNet': [tested((0, 1), (0, 0))], 'OurSoundNet': [tested((1, 1), (0, 1))]}
    students = {'HearNet': 'hearnet', 'OurSoundNet': 'oursoundnet'}
    names = [('HearNet', 'OurSoundNet')]
    compared = comparison.gather(students, names, tests, workshop, [0])
    assert compared.curves[0].series == {name: [0.5, 0.75] for name in students}
    (difference,) = compared.differences
    np.testing.assert_array_equal(difference.counts_a, [[2, 0], [1, 1]])
    np.testing.assert_array_equal(difference.counts_b, [[1, 1], [0, 2]])
    (shown,) = compared.disagreements
    assert shown.counts == {
        'HearNet alone is right': 1,
        'OurSoundNet alone is right': 1,
        'both are wrong': 0,
    }
    clips = {clip.source: clip for clip in shown.clips}
    assert set(clips) == {'a', 'd'} and clips['d'].label == 'rain'
    assert clips['d'].said == {'HearNet': 'dog', 'OurSoundNet': 'rain'}
    assert len(clips['d'].waveform) == 22_050 and clips['d'].waveform[0] == 3


@pytest.fixture(scope='module')
def made(tmp_path_factory, command, program):
    """Students trained on a folder of audio files, and on records simulated from two of its folds.

    Returns (folder, the call, its output).
    """
    root = tmp_path_factory.mktemp('esc10')
    # Ten classes, so that each split has a take, with one take per scenario and class.
    folder = write_esc(root / 'esc', classes=tuple('abcdefghij'), takes=1, seconds=1.0)
    code, _, errors = command(
        '-m',
        'records.synthetic',
        f'--out={root}/raw',
        '--preset=smoke',
        f'--matfiles={root}/raw/matfiles',
        '--nokeep_array',
        '--novideo',
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
        '--sequence_seconds=4',
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
    with pytest.MonkeyPatch.context() as patch:
        small_runs.skip_exports(patch.setattr)  # nothing here looks at exported students
        code, out, errors = program(*arguments)
    assert code == 0, errors
    return root, arguments, out


@pytest.mark.slow
def test_esc10_runs_the_whole_way_and_nothing_twice(made, program):
    root, arguments, out = made
    assert 'tested on fold 1, fold 2, fold 3' in out and 'smoke preset' in out
    assert '| random forest on MFCC (Piczak 2015, 5 folds) |  |  |  |  | *0.7270* |' in out
    saved = json.loads((root / 'out' / 'esc10.json').read_text())
    cells = {(cell['name'], cell['column']): cell for cell in saved['cells']}
    assert list(dict.fromkeys(name for name, _ in cells))[:3] == [
        'MFCC statistics',
        'HearNet',
        'OurSoundNet',
    ]
    num_files = len(list((root / 'esc').glob('*/*.wav')))
    for column in ('accuracy', 'k-NN', 'linear probe'):
        own = cells['HearNet', column]
        # Parts A and B belong to one recording, and therefore to one take.
        assert len(own['scores']) == 3 and own['clips'] == num_files == 2 * own['takes']
        assert own['low'] <= own['mean'] <= own['high']
    compared = {(one['a'], one['b'], one['column']) for one in saved['comparisons']}
    assert ('HearNet, esc, other folds', 'MFCC statistics', 'k-NN') in compared
    d, g = (f'HearNet {c}, simulated array, folds 1,3' for c in 'DG')
    assert (d, g, 'accuracy') in compared
    tested = [
        tuple(json.loads(path.read_text())['files'])
        for path in (root / 'out' / 'runs').glob('hearnet-*/test.json')
    ]
    assert len(tested) == 3 + 2  # G and D are trained on for one of the folds
    assert sorted(f for files in set(tested) for f in files) == sorted(
        map(str, (root / 'esc').glob('*/*.wav'))
    )
    _check_page(root, num_files)
    # Without records, then again with them: earlier files are unchanged.
    code, alone, errors = program(*(a for a in arguments if not a.startswith('--records=')))
    assert code == 0 and 'training' not in alone and 'simulated array' not in alone, errors
    assert [
        line for line in out.splitlines() if 'simulated array' not in line and line.startswith('| ')
    ] == [line for line in alone.splitlines() if line.startswith('| ')]
    code, again, errors = program(*arguments)
    assert code == 0 and 'training' not in again, errors
    assert again.split('# Students')[1] == out.split('# Students')[1]


def _check_page(root, num_files):
    """results.html has files on which two students disagree, to listen to."""
    page = (root / 'out' / 'results.html').read_text()
    answers = {'hearnet': {}, 'oursoundnet': {}}
    for network, of_files in answers.items():
        for path in (root / 'out' / 'runs').glob(f'{network}-esc-*/test.json'):
            test = json.loads(path.read_text())
            for file, answer in zip(test['files'], test['answers'], strict=True):
                name = file.removeprefix(f'{root}/esc/').removesuffix('.wav')
                of_files.setdefault(name, set()).add('abcdefghij'[answer])  # some are trained on
    section = page.split('<h3>Where HearNet and OurSoundNet disagree')[1].split('<h3>')[0]
    (differing,) = re.findall(rf'On (\d+) of {num_files} clips \(seed 0\)', section)
    shown = re.findall(r'data-clip="([^"]+)".*?HearNet: (\w)<.*?OurSoundNet: (\w)<', section)
    assert len(shown) == min(6, int(differing)) == section.count('<audio') > 0
    for name, first, second in shown:
        assert first != second
        assert first in answers['hearnet'][name] and second in answers['oursoundnet'][name]
    assert '<h3>Where HearNet D and HearNet G disagree' in page
    assert 'data-difference="HearNet minus OurSoundNet"' in page


@pytest.mark.slow
def test_students_of_records_are_tested_on_folds_that_those_do_not_hold(made, tmp_path, command):
    root, *_ = made
    heard = json.loads((root / 'raw' / 'synthetic.json').read_text())['recordings']
    assert {path.rpartition('/')[2][0] for units in heard for unit in units for path in unit} == {
        '1',
        '3',
    }
    taught = [
        cell
        for cell in json.loads((root / 'out' / 'esc10.json').read_text())['cells']
        if cell['trained_on'] == 'simulated array, folds 1,3' and cell['column'] == 'accuracy'
    ]
    assert [row['name'] for row in taught] == [
        'HearNet G',
        'HearNet G, fine-tuned on the clips',
        'HearNet D',
        'HearNet D, fine-tuned on the clips',
    ]
    assert all(cell['note'] == 'tested on fold 2' for cell in taught)
    assert all(len(cell['scores']) == 1 for cell in taught)
    code, _, errors = command(
        '-m',
        'records.synthetic',
        f'--out={tmp_path}/x',
        '--preset=smoke',
        f'--sources={root}/esc',
        '--folds=7',
    )
    assert code == 1 and 'no fold 7; it has 1, 2, 3' in errors.splitlines()[-1]
