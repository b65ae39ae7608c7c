import pathlib

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from dualcam.data.sources import sound_files, sound_folders, splits
from records import convert_sounds
from tests.helpers.sound_folders import tone, write_dcase, write_esc


def test_records_read_as_the_files_they_were_made_of(tmp_path):
    found = sound_folders.find_sounds(write_esc(tmp_path / 'esc'))
    soundfile.write(tmp_path / 'esc' / 'rain' / '1-777-A.flac', tone(500, 25, 48_000, 2), 48_000)
    found = sound_folders.find_sounds(tmp_path / 'esc')
    assert convert_sounds.convert(tmp_path / 'esc', tmp_path / 'out') == (25, 0, [])
    records = sound_folders.find_sounds(tmp_path / 'out')
    assert records.classes == found.classes and records.folds == found.folds
    assert len(records.sounds) == 25
    by_source = {(s.label, s.fold, s.source): s.path for s in found.sounds if s.source == '777'}
    for sound in records.sounds:
        if sound.source == '777':
            want = sound_files.read_sound(by_source[sound.label, sound.fold, '777'])
            np.testing.assert_array_equal(sound_files.read_sound(sound.path), want)
            assert len(list(sound_files.read_blocks(sound.path))) >= 3
    assert [len(x.testing) for x in splits.splits(records)] == [
        len(x.testing) for x in splits.splits(found)
    ]


def test_a_second_call_leaves_records_alone_and_dcase_keeps_its_lists(tmp_path):
    write_dcase(tmp_path / 'dcase')
    assert convert_sounds.convert(tmp_path / 'dcase', tmp_path / 'out') == (10, 0, [])
    path = tmp_path / 'out' / 'metro' / 'metro-1-0-a_wav.tfrecord'
    before = path.stat().st_mtime_ns
    next(p for p in path.parent.glob('*.tfrecord') if p != path).unlink()
    assert convert_sounds.convert(tmp_path / 'dcase', tmp_path / 'out') == (1, 9, [])
    assert path.stat().st_mtime_ns == before
    assert {s.split for s in sound_folders.find_sounds(tmp_path / 'out').sounds} == {
        'train',
        'evaluate',
    }
    assert convert_sounds.convert(tmp_path / 'dcase', tmp_path / 'out', overwrite=True)[0] == 10


def test_bad_files_leave_no_record_and_are_counted(tmp_path):
    folder = write_esc(tmp_path / 'esc', folds=(1,))
    (folder / 'rain' / '1-999-A.wav').write_text('text')
    wave = tone(300, 30)
    wave[-5] = np.nan  # noticed after blocks were written
    soundfile.write(folder / 'rain' / '1-998-A.wav', wave, 22_050, subtype='FLOAT')
    with pytest.raises(ValueError, match=r'2 bad files: .*--max_bad=2'):
        convert_sounds.convert(folder, tmp_path / 'out')
    assert len(list((tmp_path / 'out').rglob('*.tfrecord'))) == 8
    assert not list((tmp_path / 'out').rglob('*.partial'))
    written, there, bad = convert_sounds.convert(folder, tmp_path / 'out', max_bad=2)
    assert (written, there, len(bad)) == (0, 8, 2)
    assert len(sound_folders.find_sounds(tmp_path / 'out').sounds) == 8


def test_names_that_would_meet_are_refused(tmp_path):
    folder = write_esc(tmp_path / 'esc', folds=(1,))
    with pytest.raises(ValueError, match='is the input folder'):
        convert_sounds.convert(folder, folder)
    for name in ('x.y.wav', 'x_y.wav'):
        soundfile.write(folder / 'rain' / name, tone(100, 0.1), 22_050)
    with pytest.raises(ValueError, match='would both become'):
        convert_sounds.convert(folder, tmp_path / 'out')


def test_a_damaged_record_is_named(tmp_path):
    convert_sounds.convert(write_esc(tmp_path / 'esc', folds=(1,)), tmp_path / 'out')
    path = sound_folders.find_sounds(tmp_path / 'out').sounds[0].path
    whole = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(sound_files.BadSound, match=r'tfrecord: not a whole record of a sound'):
        sound_files.read_sound(path)
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions('GZIP')) as writer:
        writer.write(tf.train.Example().SerializeToString())
    with pytest.raises(sound_files.BadSound, match='convert it again'):
        sound_files.read_sound(path)


@pytest.mark.slow
def test_the_command_works_in_several_processes(tmp_path, command):
    folder = write_esc(tmp_path / 'esc')
    code, out, errors = command(
        '-m',
        'records.convert_sounds',
        f'--input={folder}',
        f'--out={tmp_path}/out',
        '--processes=2',
    )
    assert code == 0, errors
    assert '24 records written, 0 already existed, 0 files left out' in out
    (folder / 'rain' / 'bad.wav').touch()
    code, _, errors = command(
        '-m', 'records.convert_sounds', f'--input={folder}', f'--out={tmp_path}/out'
    )
    assert code == 1 and 'bad.wav' in errors.splitlines()[-1]


def test_a_layout_is_converted_again_as_it_was_asked_for(tmp_path, program):
    folder = write_esc(tmp_path / 'esc', folds=(1,))
    (folder / 'meta.csv').write_text('filename,scene_label,identifier\nx.wav,dog,x\n')
    arguments = '-m', 'records.convert_sounds', f'--input={folder}', f'--out={tmp_path}/out'
    code, _, errors = program(*arguments)
    assert code == 1 and 'fold1_train.txt: no such list' in errors
    assert errors.count('\n') == 1 and '--layout=folders' in errors
    code, out, errors = program(*arguments, '--layout=folders')
    assert code == 0, errors
    assert out.endswith(f'8 records written, 0 already existed, 1 files left out: {tmp_path}/out\n')
    damaged = next((tmp_path / 'out').rglob('*.tfrecord'))
    damaged.write_bytes(b'')
    code, out, errors = program('-m', 'records.verify', f'--root={tmp_path}/out', '--repair')
    assert code == 0, errors
    assert damaged.stat().st_size
