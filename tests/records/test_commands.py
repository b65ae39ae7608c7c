"""Commands as called by users: the whole pipeline, reproducible bytes, errors for bad input."""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
import soundfile

from dualcam.acoustics import microphones
from dualcam.data import audio
from dualcam.data.records import reading
from dualcam.files import locking
from records import avia_layout
from records.synthetic import avia
from tests.helpers.checkout import ROOT

GOLDEN_RAW = pathlib.Path(__file__).parents[1] / 'golden' / 'avia_raw'


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


@pytest.fixture(scope='module')
def two_classes(tmp_path_factory):
    """A folder of recordings with two classes, the smallest possible data set."""
    folder = tmp_path_factory.mktemp('recordings')
    for number, name in enumerate(('dog_bark', 'rain')):
        (folder / name).mkdir()
        for i in range(3):
            noise = np.random.default_rng([number, i]).standard_normal(22_050) * 0.1
            soundfile.write(folder / name / f'{i}.wav', noise, 22_050)
    return folder


@pytest.fixture(scope='module')
def simulated(two_classes, tmp_path_factory, command):
    """The simulator's output with its 128 channels, from real recordings."""
    folder = tmp_path_factory.mktemp('simulated')
    code, out, errors = command(
        '-m',
        'records.synthetic',
        f'--out={folder}/raw',
        '--preset=smoke',
        f'--sources={two_classes}',
        '--processes=2',
    )
    assert code == 0, errors
    assert '6 takes of 4 s written' in out
    return folder / 'raw'


def test_the_raw_layout(simulated):
    sequences = avia_layout.find_sequences(
        {'audio': simulated / 'sync', 'video': simulated / 'sync', 'array': simulated / 'array'}
    )
    assert [s.name for s in sequences] == [
        f'Location_{place:02d}/Subject_01/Action_{action:03d}'
        for place in (1, 2, 3)
        for action in (0, 1)
    ]
    for sequence in sequences:
        assert sequence.num_frames == 48
        channels = avia_layout.read_frame('array', sequence.files['array'][7])
        assert channels.shape == (128, 1024)
        mono = avia_layout.read_frame('audio', sequence.files['audio'][7])
        np.testing.assert_array_equal(mono, channels[:1])
        assert avia_layout.read_frame('video', sequence.files['video'][7]).shape == (480, 640, 3)


def test_the_same_seed_gives_the_same_bytes(simulated, two_classes, tmp_path, command, program):
    code, _, errors = command(
        '-m',
        'records.synthetic',
        f'--out={tmp_path}/raw',
        '--preset=smoke',
        f'--sources={two_classes}',
        '--processes=1',
        f'--matfiles={tmp_path}/raw/matfiles',
    )
    assert code == 0, errors
    again = digests(tmp_path / 'raw')
    assert {k: v for k, v in again.items() if not k.startswith('matfiles')} == digests(simulated)
    # Images from the simulator equal those that the command makes from the stored channels.
    code, out, errors = command(
        '-m', 'records.beamform', f'--raw={simulated}', f'--out={tmp_path}/later'
    )
    assert code == 0, errors
    assert '288 acoustic images written' in out
    now, later = tmp_path / 'raw/matfiles', tmp_path / 'later'
    files = sorted(p.relative_to(now) for p in now.rglob('*.mat'))
    assert len(files) == 288
    for path in files:
        a, b = (scipy.io.loadmat(root / path)['MFCC'] for root in (now, later))
        assert a.shape == (36, 48, 12) and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-2)
    # A second call does nothing; another seed is refused.
    code, out, _ = program(
        '-m',
        'records.synthetic',
        f'--out={simulated}',
        '--preset=smoke',
        f'--sources={two_classes}',
    )
    assert code == 0 and '0 takes of 4 s written, 6 already existed' in out
    code, _, errors = program(
        '-m',
        'records.synthetic',
        f'--out={simulated}',
        '--preset=smoke',
        f'--sources={two_classes}',
        '--seed=1',
    )
    assert code == 1 and 'preset, seed or set of sources' in errors


@pytest.mark.parametrize('writer', ['synthetic', 'matfiles', 'beamform'])
def test_commands_that_write_one_folder_wait_for_each_other(
    writer, simulated, two_classes, tmp_path
):
    """Also two that share only the folder of acoustic images."""
    folder = {'synthetic': simulated, 'matfiles': tmp_path / 'mats', 'beamform': tmp_path / 'mats'}
    command = {
        'synthetic': ('records.synthetic', f'--out={simulated}'),
        'matfiles': ('records.synthetic', f'--out={simulated}', f'--matfiles={tmp_path}/mats'),
        'beamform': ('records.beamform', f'--raw={simulated}', f'--out={tmp_path}/mats'),
    }[writer]
    if writer != 'beamform':
        command += ('--preset=smoke', f'--sources={two_classes}')
    folder[writer].mkdir(exist_ok=True)
    with locking.held(folder[writer] / '.lock', 'writes takes'):
        call = subprocess.Popen(
            [sys.executable, '-m', *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = call.stderr.readline()
        assert said.startswith(f'waiting: process {os.getpid()} on ')
        assert said.endswith(f': {folder[writer]}\n') and call.poll() is None
    out, errors = call.communicate()
    assert call.returncode == 0 and 'already existed' in out, errors


def test_another_seed_gives_another_take():
    job = avia.Job(None, None, False, 0, 2, 2, 1, None)
    mics = microphones.built_in_array()

    def frames(job, number):
        return avia.record_take(avia.stage_take(job, 1, 1, 3, number), mics).frames

    take = frames(job, 0)
    np.testing.assert_array_equal(take, frames(job, 0))
    assert np.any(take != frames(dataclasses.replace(job, seed=1), 0))
    assert np.any(take != frames(job, 1))


def test_video_is_drawn_later_for_the_same_takes(tmp_path):
    mics = microphones.built_in_array()
    piece = 1, 2, 3
    whole, parts = (
        avia.Job(tmp_path / name, None, True, 0, 1, 2, 2, None) for name in ('whole', 'parts')
    )
    whole.write(piece, mics, None)
    without = dataclasses.replace(parts, video=False)
    without.write(piece, mics, None)
    assert not list(parts.out.rglob('*.jpeg'))
    assert without.is_complete(piece) and not parts.is_complete(piece)
    sound = {path: path.stat().st_mtime_ns for path in parts.out.rglob('A_*')}
    assert len(sound) == 2 * 24  # of two takes: one microphone, and all
    parts.write(piece, mics, None)
    assert parts.is_complete(piece)
    assert {path: path.stat().st_mtime_ns for path in sound} == sound
    assert digests(parts.out) == digests(whole.out)


# Bad input: an error that names it, a nonzero exit code, no partial record.


def copy_raw(tmp_path):
    shutil.copytree(GOLDEN_RAW, tmp_path / 'raw')
    return tmp_path / 'raw'


def remove_modality(root):
    shutil.rmtree(root / 'sync/Location_03/Subject_09/Action_013/audio')
    return 'Location_03/Subject_09/Action_013'


def remove_tree(root):
    shutil.rmtree(root / 'matfiles')
    return 'matfiles: no such folder'


def remove_last_frame(root):
    (root / 'sync/Location_03/Subject_09/Action_013/audio/A_000014.npy').unlink()
    return "unequal numbers of frames {'acoustic': 14, 'audio': 13, 'video': 14}"


def remove_middle_frame(root):
    (root / 'matfiles/Location_01/Subject_01/Action_000/MFCC_Image/Data_7.mat').unlink()
    return 'frame 7 is missing'


def break_mat(root):
    path = root / 'matfiles/Location_01/Subject_01/Action_000/MFCC_Image/Data_13.mat'
    path.write_bytes(path.read_bytes()[:5000])
    return 'Data_13.mat'


def wrong_mat(root):
    path = root / 'matfiles/Location_01/Subject_01/Action_000/MFCC_Image/Data_13.mat'
    scipy.io.savemat(path, {'MFCC': np.zeros((37, 48, 12))})
    return 'Data_13.mat: MFCC is float64 of shape (37, 48, 12)'


def nameless_mat(root):
    path = root / 'matfiles/Location_01/Subject_01/Action_000/MFCC_Image/Data_13.mat'
    scipy.io.savemat(path, {'other': np.zeros((36, 48, 12))})
    return 'Data_13.mat: has no variable MFCC'


def break_npy(root):
    (root / 'sync/Location_01/Subject_01/Action_000/audio/A_000013.npy').write_bytes(b'no')
    return 'A_000013.npy'


def wrong_npy(root):
    np.save(
        root / 'sync/Location_01/Subject_01/Action_000/audio/A_000013.npy',
        np.zeros((1, 1000), np.int32),
    )
    return 'A_000013.npy: int32 of shape (1, 1000)'


def pickled_npy(root):
    np.save(
        root / 'sync/Location_01/Subject_01/Action_000/audio/A_000013.npy',
        np.array([{}], dtype=object),
        allow_pickle=True,
    )
    return 'A_000013.npy'


def break_jpeg(root):
    path = root / 'sync/Location_01/Subject_01/Action_000/video/I_000013.jpeg'
    path.write_bytes(path.read_bytes()[:3000])
    return 'I_000013.jpeg'


def wrong_jpeg(root):
    (root / 'sync/Location_01/Subject_01/Action_000/video/I_000013.jpeg').write_text('text')
    return 'I_000013.jpeg'


@pytest.mark.parametrize(
    'damage',
    [
        remove_modality,
        remove_tree,
        remove_last_frame,
        remove_middle_frame,
        break_mat,
        wrong_mat,
        nameless_mat,
        break_npy,
        wrong_npy,
        pickled_npy,
        break_jpeg,
        wrong_jpeg,
    ],
    ids=lambda f: f.__name__,
)
def test_bad_raw_data_is_named(damage, tmp_path):
    from dualcam.data import schema
    from dualcam.data.records import reading
    from records import convert_avia

    root = copy_raw(tmp_path)
    expected = damage(root)
    with pytest.raises(ValueError) as caught:
        convert_avia.convert(
            root / 'matfiles',
            root / 'sync',
            tmp_path / 'out',
            schema.modalities_by_number([0, 1, 2]),
            sequence_seconds=2,
        )
    assert expected in str(caught.value)
    left = [
        p
        for p in (tmp_path / 'out').rglob('*')
        if p.is_file() and p.suffix not in ('.json', '.jsonl') and p.name != locking.LOCK_FILE
    ]
    assert all(p.suffix == '.tfrecord' for p in left)
    for path in left:
        next(reading.read_seconds([str(path)], ['acoustic', 'audio', 'video']))


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['-m', 'records.convert_avia', '--out=OUT', '--modalities=0,1'], '--matfiles'),
        (['-m', 'records.convert_avia', '--out=OUT', '--modalities=7', '--sync=x'], '0 (acoustic'),
        (
            ['-m', 'records.convert_avia', '--out=OUT', '--modalities=1', '--sync=nowhere'],
            'nowhere',
        ),
        (['-m', 'records.make_lists', '--root=nowhere'], 'nowhere'),
        (['-m', 'records.synthetic', '--out=OUT', '--preset=huge'], 'smoke, demo, paper'),
        (['-m', 'records.synthetic', '--out=OUT', '--sources=nowhere'], 'nowhere'),
        (
            ['-m', 'records.synthetic', '--out=OUT', '--layout=acivw', '--preset=paper'],
            'smoke, demo',
        ),
        (
            ['-m', 'records.synthetic', '--out=OUT', '--layout=acivw', '--subjects=2'],
            '--layout=avia',
        ),
        (['-m', 'records.synthetic', '--out=OUT', '--videos=4'], '--layout=acivw'),
        (['-m', 'records.synthetic', '--out=OUT', '--classes=15'], 'avia has 14'),
        (['-m', 'records.synthetic', '--out=OUT', '--classes=2', '--sources=x'], 'own classes'),
        (['-m', 'records.beamform', '--raw=nowhere', '--out=OUT'], 'nowhere'),
        (['experiments/run_table2.py', '--records=nowhere', '--out=OUT'], 'nowhere'),
        (
            ['experiments/run_table3.py', '--records=OUT', '--out=OUT', '--preset=huge'],
            'paper, demo, smoke',
        ),
        (['experiments/run_table3.py', '--records=OUT', '--out=OUT', '--seeds=a'], 'whole numbers'),
    ],
)
def test_a_wrong_call_ends_with_one_line_and_code_1(arguments, message, tmp_path, program):
    arguments = [a.replace('OUT', str(tmp_path)) for a in arguments]
    code, _, errors = program(*arguments)
    assert code == 1
    assert message in errors and 'Traceback' not in errors
    assert not list(tmp_path.rglob('*.tfrecord'))


@pytest.mark.slow
def test_statistics_of_a_training_list(smoke, program):
    code, out, errors = program(
        '-m',
        'records.make_lists',
        f'--root={smoke}/records',
        '--num_seconds=4',
        '--by_take',
        '--location=2',
    )
    assert code == 0, errors
    code, out, errors = program(
        '-m',
        'records.make_stats',
        f'--root={smoke}/records',
        '--num_seconds=4',
        '--location=2',
        '--sample_length=4',
    )
    assert code == 0, errors
    assert '3 clips' in out
    folder = smoke / 'records/4_seconds_location_2'
    paths = (folder / 'lists/training.txt').read_text().split()
    clips = []
    for start in range(0, len(paths), 4):
        seconds = reading.read_seconds(
            [str(smoke / 'records' / p) for p in paths[start : start + 4]], ['audio']
        )
        wave = audio.waveform(np.concatenate([s['audio'] for s in seconds])).numpy()
        frames = np.lib.stride_tricks.sliding_window_view(wave, 440)[::220]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(440) / 440)
        clips.append(np.abs(np.fft.rfft(frames * window, 512)))
    clips = np.concatenate(clips)
    assert clips.shape == (3 * 399, 257)
    for name, want in {
        'min': clips.min(0),
        'max': clips.max(0),
        'sum': clips.sum(0),
        'sum_squared': (clips**2).sum(0),
        'mean': clips.mean(0),
        'std_dev': clips.std(0),
    }.items():
        got = np.load(folder / f'stats/global_{name}.npy')
        assert got.dtype == np.float32 and got.shape == (257,)
        np.testing.assert_allclose(
            got,
            want,
            rtol=1e-3,
            atol=1e-5 * clips.max() ** (2 if name == 'sum_squared' else 1),
            err_msg=name,
        )
    code, _, errors = program(
        '-m',
        'records.make_stats',
        f'--root={smoke}/records',
        '--num_seconds=4',
        '--location=2',
        '--sample_length=3',
    )
    assert code == 1 and '--sample_length=3' in errors
