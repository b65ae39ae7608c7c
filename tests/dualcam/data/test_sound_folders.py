import numpy as np
import pytest
import soundfile

from dualcam.data.packers import sound_packer
from dualcam.data.signal import windowing
from dualcam.data.sources import sound_files, sound_folders, splits
from tests.helpers.sound_folders import tone, write_dcase, write_esc


@pytest.mark.parametrize(
    'ending, subtype, rate_hz, channels',
    [
        ('.wav', 'PCM_24', 48_000, 2),
        ('.flac', 'PCM_16', 44_100, 1),
        ('.ogg', 'VORBIS', 44_100, 1),
        ('.wav', 'PCM_U8', 8_000, 1),
        ('.wav', 'FLOAT', 96_000, 4),
        ('.wav', 'PCM_16', 22_050, 1),
    ],
)
def test_any_rate_depth_and_channels_read_as_the_same_tone(
    tmp_path, ending, subtype, rate_hz, channels
):
    path = tmp_path / f'a{ending}'
    soundfile.write(path, tone(1000, 2, rate_hz, channels), rate_hz, subtype=subtype)
    signal = sound_files.read_sound(path)
    assert signal.dtype == np.float32 and abs(len(signal) - 44_100) <= 2
    middle = signal[4410:39_690]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(spectrum.argmax() * 22_050 / len(middle) - 1000) < 1
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.03)
    expected = tone(1000, 2)[4410:39_690, 0]
    assert np.sqrt(np.mean((middle - expected) ** 2)) < 0.03


def test_what_lies_above_half_the_rate_is_gone(tmp_path):
    soundfile.write(tmp_path / 'a.wav', tone(15_000, 1, 44_100), 44_100)
    signal = sound_files.read_sound(tmp_path / 'a.wav')
    assert np.abs(signal[2000:-2000]).max() < 1e-3


@pytest.mark.parametrize('length', [3, 10, 17, 25, 40, 41])
@pytest.mark.parametrize('hop', [4, 10])
def test_windows_cover_a_file_and_read_as_they_are_planned(tmp_path, monkeypatch, length, hop):
    signal = np.arange(1, length + 1, dtype=np.float32)
    monkeypatch.setattr(
        sound_files,
        '_blocks',
        lambda path, rate_hz: ((rate_hz, part, part) for part in np.array_split(signal, 5)),
    )
    planned = windowing.starts(length, 10, hop)
    got = list(sound_files.read_windows('x', 10, hop))
    assert [start for start, _ in got] == planned.tolist()
    for start, window in got:
        np.testing.assert_array_equal(window, np.pad(signal, (0, 10))[start : start + 10])
    covered = {i for start in planned for i in range(start, start + 10)}
    assert set(range(length)) <= covered
    with pytest.raises(ValueError, match='hop'):
        next(sound_files.read_windows('x', 10, 11))


def test_the_milliseconds_that_encoders_append_make_no_window():
    assert windowing.starts(110_272, 110_250, 110_250).tolist() == [0]
    assert windowing.starts(112_455, 110_250, 110_250).tolist() == [0]
    assert windowing.starts(112_456, 110_250, 110_250).tolist() == [0, 2206]


@pytest.mark.parametrize(
    'kind, message',
    [
        ('text', 'not a readable'),
        ('empty', 'not a readable'),
        ('no samples', 'no samples'),
        ('silence', 'silent'),
        ('constant', 'silent'),
        ('nan', 'not finite'),
    ],
)
def test_what_is_not_sound_is_named(tmp_path, kind, message):
    path = tmp_path / 'bad.wav'
    if kind == 'text':
        path.write_text('this is text')
    elif kind == 'empty':
        path.touch()
    else:
        wave = {
            'no samples': tone(9, 0),
            'silence': np.zeros((9000, 1)),
            'constant': np.full((9000, 1), 0.25),
            'nan': tone(100, 1),
        }[kind]
        if kind == 'nan':
            wave[777] = np.nan
        soundfile.write(path, wave, 22_050, subtype='FLOAT')
    with pytest.raises(sound_files.BadSound, match=rf'bad\.wav.*{message}'):
        sound_files.read_sound(path)
    with pytest.raises(sound_files.BadSound, match=rf'bad\.wav.*{message}'):
        list(sound_files.read_windows(path, 1000, 1000))


def test_class_folders_with_and_without_folds(tmp_path):
    found = sound_folders.find_sounds(write_esc(tmp_path / 'esc'))
    assert found.classes == ('dog bark', 'rain') and found.folds == [1, 2, 3]
    assert len(found.sounds) == 24 and {s.source for s in found.sounds} == {
        '100',
        '101',
        '200',
        '201',
        '300',
        '301',
    }
    plain = tmp_path / 'plain'
    for name in ('001 - Dog bark', '002 - Rain'):
        (plain / name).mkdir(parents=True)
        soundfile.write(plain / name / 'x.wav', tone(500, 0.2), 22_050)
    found = sound_folders.find_sounds(plain)
    assert found.classes == ('Dog bark', 'Rain') and found.folds == []


def test_esc50_as_it_is_published(tmp_path):
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'audio').mkdir()
    names = ['1-100-A-0.wav', '2-101-B-0.wav', '1-102-A-7.wav']
    for name in names:
        soundfile.write(tmp_path / 'audio' / name, tone(500, 0.2), 22_050)
    (tmp_path / 'meta' / 'esc50.csv').write_text(
        'filename,fold,target,category,esc10,src_file,take\n'
        '1-100-A-0.wav,1,0,dog,True,100,A\n2-101-B-0.wav,2,0,dog,True,101,B\n'
        '1-102-A-7.wav,1,7,crackling_fire,True,102,A\n'
    )
    found = sound_folders.find_sounds(tmp_path)
    assert found.classes == ('crackling fire', 'dog') and found.folds == [1, 2]
    assert [(s.label, s.fold, s.source) for s in found.sounds] == [
        (1, 1, '100'),
        (0, 1, '102'),
        (1, 2, '101'),
    ]
    (tmp_path / 'audio' / names[0]).unlink()
    with pytest.raises(ValueError, match=r'esc50\.csv: lists .*1-100-A-0\.wav, which does not'):
        sound_folders.find_sounds(tmp_path)


def test_dcase_2018_has_its_own_split(tmp_path):
    found = sound_folders.find_sounds(write_dcase(tmp_path))
    assert found.classes == ('metro', 'street traffic') and len(found.sounds) == 10
    [split] = splits.splits(found)
    assert split.name == 'evaluation set' and len(split.testing) == 2
    assert {found.sounds[row].split for row in split.testing} == {'evaluate'}
    assert len(split.training) + len(split.validation) == 8
    (tmp_path / 'evaluation_setup' / 'fold1_evaluate.txt').unlink()
    with pytest.raises(ValueError, match=r'fold1_evaluate\.txt: no such list'):
        sound_folders.find_sounds(tmp_path)
    (tmp_path / 'meta.csv').write_text('name\tlabel\n')
    with pytest.raises(ValueError, match=r'meta\.csv: no column filename'):
        sound_folders.find_sounds(tmp_path)


def test_every_fold_is_tested_on_once_and_no_recording_is_parted(tmp_path):
    found = sound_folders.find_sounds(write_esc(tmp_path / 'esc', takes=3))
    made = splits.splits(found)
    tested = np.concatenate([split.testing for split in made])
    assert sorted(tested) == list(range(len(found.sounds)))
    for split in made:
        parts = [split.training, split.validation, split.testing]
        assert sorted(np.concatenate(parts)) == list(range(len(found.sounds)))
        sources = [
            {(found.sounds[r].label, found.sounds[r].source) for r in part} for part in parts
        ]
        assert not sources[0] & sources[1] and not (sources[0] | sources[1]) & sources[2]
        assert set(found.labels[split.validation]) == {0, 1}


def test_a_class_of_one_recording_cannot_be_split(tmp_path):
    folder = write_esc(tmp_path / 'esc', folds=(1, 2), takes=1)
    with pytest.raises(ValueError, match='class "dog bark" has 1 recordings'):
        splits.splits(sound_folders.find_sounds(folder))


def test_packed_sounds_are_the_files(tmp_path):
    found = sound_folders.find_sounds(write_esc(tmp_path / 'esc', folds=(1,)))
    store, _ = sound_packer.open_sounds(found, tmp_path / 'cache')
    for row, sound in zip(
        store.rows(sound.path for sound in found.sounds), found.sounds, strict=True
    ):
        own = sound_files.read_sound(sound.path)
        assert store.lengths[row] == len(own)
        np.testing.assert_array_equal(store.clip(row, 0, len(own)), own)
        assert np.all(store.clip(row, len(own) - 5, 9)[5:] == 0)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / 'cache').rglob('*')}
    again, _ = sound_packer.open_sounds(found, tmp_path / 'cache')
    assert again.digest == store.digest
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / 'cache').rglob('*')}


def test_bad_files_are_counted_and_left_out_only_on_request(tmp_path):
    folder = write_esc(tmp_path / 'esc', folds=(1,))
    (folder / 'rain' / '1-999-A.wav').write_text('text')
    found = sound_folders.find_sounds(folder)
    with pytest.raises(ValueError, match=r'1 of 9 files are bad, .*1-999-A\.wav.*--max_bad=1'):
        sound_packer.open_sounds(found, tmp_path / 'cache')
    for _ in range(2):  # packed, then from the cache
        store, kept = sound_packer.open_sounds(found, tmp_path / 'cache', max_bad=1)
        (skipped,) = store.skipped
        assert '1-999-A.wav' in skipped and '1-999-A.wav' in store.skipped[skipped]
        assert len(kept.sounds) == len(found.sounds) - 1 == len(store.good_rows)
        for row, sound in zip(
            store.rows(sound.path for sound in kept.sounds), kept.sounds, strict=True
        ):
            own = sound_files.read_sound(sound.path)
            assert store.lengths[row] == len(own) and store.columns['label'][row] == sound.label
            np.testing.assert_array_equal(store.clip(row, 0, len(own)), own)


def test_no_sounds_no_set(tmp_path):
    for folder, message in ((tmp_path / 'none', 'no such folder'), (tmp_path, '0 class folders')):
        with pytest.raises(ValueError, match=message):
            sound_folders.find_sounds(folder)
    with pytest.raises(ValueError, match=r'no sound file in it or below it; expected \.wav'):
        sound_folders.find_files(tmp_path)
    soundfile.write(tmp_path / 'x.wav', tone(100, 0.1), 22_050)
    assert [s.label for s in sound_folders.find_files(tmp_path).sounds] == [-1]
    assert len(sound_folders.find_files(tmp_path / 'x.wav').sounds) == 1


def test_a_data_set_with_wrong_lists_is_not_taken_for_a_heap_of_files(tmp_path):
    (tmp_path / 'audio').mkdir()
    soundfile.write(tmp_path / 'audio' / 'a.wav', tone(100, 0.1), 22_050)
    (tmp_path / 'meta.csv').write_text('filename\tscene_label\tidentifier\naudio/a.wav\tbus\tx\n')
    with pytest.raises(ValueError, match=r'fold1_train\.txt: no such list'):
        sound_folders.find_files(tmp_path)


@pytest.mark.parametrize('line', ['../b.wav', '/dev/null', 'x/../../b.wav'])
def test_lists_of_sounds_stay_within_their_folder(line, tmp_path):
    soundfile.write(tmp_path / 'b.wav', tone(100, 0.1), 22_050)
    (tmp_path / 'set' / 'x').mkdir(parents=True)
    soundfile.write(tmp_path / 'set' / 'a.wav', tone(100, 0.1), 22_050)
    (tmp_path / 'set' / 'c.wav').symlink_to(tmp_path / 'b.wav')  # a link may point elsewhere
    index = tmp_path / 'set' / sound_folders.INDEX_FILE
    head = 'record,class,fold,split,source\na.wav,one,,,\n'
    index.write_text(f'{head}c.wav,two,,,\n')
    assert len(sound_folders.find_sounds(tmp_path / 'set').sounds) == 2
    index.write_text(f'{head}{line},two,,,\n')
    with pytest.raises(ValueError, match=rf'sounds\.csv: lists .*{line}, which is outside'):
        sound_folders.find_sounds(tmp_path / 'set')


def test_a_rate_that_no_sound_has_is_refused(tmp_path):
    """At 1 Hz a file of a kilobyte would decode to 90 megabytes."""
    soundfile.write(tmp_path / 'a.wav', tone(1, 1, 1000), 1)
    with pytest.raises(sound_files.BadSound, match=r'a\.wav: 1 samples per second; expected 1000'):
        sound_files.read_sound(tmp_path / 'a.wav')


_FOREIGN = {
    'another table': 'file,label\ndog/0.wav,dog\n',
    'not a table': '"open quote\n',
    'latin-1': 'Datei;Gerät\n',
    'empty': '',
    'numbers': '1\n2\n',
}


@pytest.mark.parametrize('name', ['meta.csv', 'sounds.csv', 'meta/esc50.csv'])
@pytest.mark.parametrize('text', _FOREIGN.values(), ids=_FOREIGN)
def test_a_list_of_something_else_beside_class_folders_is_said_and_passed_over(
    name, text, tmp_path, rng
):
    _two_classes(tmp_path, rng)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text.encode('latin-1'))
    for find in (sound_folders.find_sounds, sound_folders.find_files):
        found = find(tmp_path)
        assert found.classes == ('cat', 'dog') and len(found.sounds) == 4
        said = [str(one) for one in found.left_out if 'not a known list' in one.reason]
        assert len(said) == 1 and said[0].startswith(f'{tmp_path / name}: ')
        assert not [one for one in find(tmp_path, 'folders').left_out if 'known list' in one.reason]


def test_a_layout_decides_where_a_list_looks_like_ours(tmp_path, rng):
    _two_classes(tmp_path, rng)
    (tmp_path / 'meta.csv').write_text('filename,scene_label,identifier\ndog/9.wav,dog,x\n')
    for find in (sound_folders.find_sounds, sound_folders.find_files):
        with pytest.raises(ValueError, match=r'no such list; .* or pass --layout=folders'):
            find(tmp_path)
        found = find(tmp_path, 'folders')
        assert found.classes == ('cat', 'dog') and len(found.sounds) == 4
        assert 'meta.csv is not named like audio' in str(found.left_out[0])
        with pytest.raises(ValueError, match="layout 'esc': expected one of auto, folders"):
            find(tmp_path, 'esc')


def _two_classes(root, rng):
    for name in ('dog', 'cat'):
        (root / name).mkdir()
        for i in range(2):
            soundfile.write(root / name / f'{i}.wav', 0.1 * rng.standard_normal(2205), 22_050)
