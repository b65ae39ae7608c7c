"""Takes of any array become records: positions, sounds, pictures, lists, counts."""

import csv
import json
import threading

import numpy as np
import pytest
import soundfile

from dualcam.acoustics import geometry_files, views
from dualcam.data import schema
from dualcam.data.records import reading, take_lists
from dualcam.data.sources import datasets
from dualcam.files import locking
from records import array_takes, conversion, convert_array, repair, verification
from tests.helpers import array_videos
from tests.helpers.array_takes import uma16_take

RATE_HZ = 16_000
PLACES = {'drill': (-20.0, 8.0), 'bird': (20.0, -8.0)}


def _write_take(path, place, seconds, rng):
    sound = uma16_take([place], seconds, rng, RATE_HZ)
    soundfile.write(path, sound, RATE_HZ, 'PCM_24')


def _write_table(path, rows):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path, rng):
    """Three takes of two classes, 2.4 s each, with videos."""
    rows = []
    for number, name in enumerate(('drill', 'bird', 'drill')):
        _write_take(tmp_path / f'{number}.wav', PLACES[name], 2.4, rng)
        mark = views.View().places(views.direction(*PLACES[name]))
        array_videos.write_video(tmp_path / f'{number}.mp4', (320, 240), 24, 2.4, mark)
        rows.append({'recording': f'{number}.wav', 'video': f'{number}.mp4', 'class': name})
    _write_table(tmp_path / 'takes.csv', rows)
    return tmp_path


def _convert(folder, **options):
    counts = convert_array.convert(
        folder / 'takes.csv', 'uma16', folder / 'records', **{'view_deg': (60.0, 45.0)} | options
    )
    return convert_array.Counts(*counts)


def _paths(folder):
    root = folder / 'records'
    return sorted(path.relative_to(root).as_posix() for path in root.rglob('*.tfrecord'))


def _second(folder, path, names=('acoustic', 'audio', 'video')):
    (second,) = reading.read_seconds([str(folder / 'records' / path)], names, schema.LABELS)
    return second


def test_takes_become_records_with_images_sound_and_video(folder):
    counts = _convert(folder)
    assert (counts.written, counts.existing, counts.short) == (6, 0, 0)
    assert counts.rest_s == pytest.approx(1.2, abs=0.01)
    assert _paths(folder) == [
        f'Location_01/Subject_01/{name}/Data_{i:03d}.tfrecord'
        for name in ('Action_001', 'Action_001_take_02', 'Action_002')
        for i in (1, 2)
    ]
    for path, name in (('Action_001', 'drill'), ('Action_002', 'bird')):
        second = _second(folder, f'Location_01/Subject_01/{path}/Data_002.tfrecord')
        assert second['acoustic'].shape == (12, 36, 48, 12)
        peaks = [np.unravel_index(one.argmax(), one.shape) for one in second['acoustic'][..., 0]]
        x, y = views.View().places(views.direction(*PLACES[name])) * [48, 36] - 0.5
        assert np.abs(np.mean(peaks, axis=0) - (y, x)).max() < 1.5
        assert second['audio'].shape == (12, 1, 1024)
        assert second['video'].shape == (12, 480, 640, 3)
        spot = array_videos.white_at(second['video'][5])
        np.testing.assert_allclose(spot, np.add((x, y), 0.5) / [48, 36], atol=0.03)
        assert int(second['label']) == ('drill', 'bird').index(name)
    info = datasets.read_description(folder / 'records')
    assert info.classes == ('drill', 'bird') and info.num_locations == 1
    assert info.origin == 'own takes (takes.csv) with uma16' and 'AVIA' not in info.origin


def test_the_sound_is_the_first_microphones_at_the_arrays_rate(folder):
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    sound = np.tile(tone[:, None], (1, 16))
    sound[:, 1:] = 0.1
    soundfile.write(folder / '0.wav', sound, RATE_HZ, 'PCM_24')
    _convert(folder, modalities=[schema.AUDIO])
    path = 'Location_01/Subject_01/Action_001/Data_002.tfrecord'
    heard = _second(folder, path, ('audio',))['audio'].ravel() / convert_array.FULL_SCALE
    expected = 0.5 * np.sin(2 * np.pi * 440 * (1 + np.arange(12_288) / 12_288))
    np.testing.assert_allclose(heard, expected, atol=2e-4)


def test_parts_offsets_subjects_and_places(folder):
    _write_table(
        folder / 'takes.csv',
        [
            {
                'recording': '0.wav',
                'class': 'drill',
                'subject': 'Ann',
                'place': 'hall',
                'end': '1,1',
            },
            {
                'recording': '0.wav',
                'class': 'drill',
                'subject': 'Bo',
                'place': 'yard',
                'start': 1.2,
            },
            {'recording': '1.wav', 'class': 'bird', 'subject': 'Ann', 'place': 'yard', 'end': 0.9},
        ],
    )
    counts = _convert(folder)
    assert (counts.written, counts.short) == (2, 1)
    assert counts.rest_s == pytest.approx(0.1 + 0.2 + 0.9, abs=0.01)
    assert _paths(folder) == [
        'Location_01/Subject_01/Action_001/Data_001.tfrecord',
        'Location_02/Subject_02/Action_001/Data_001.tfrecord',
    ]
    one = _second(folder, _paths(folder)[1], ('acoustic', 'audio'))
    assert [int(one[name]) for name in schema.LABELS] == [0, 1, 1]
    whole, rate_hz = soundfile.read(folder / '0.wav', start=round(1.2 * RATE_HZ), frames=RATE_HZ)
    heard = one['audio'].ravel() / convert_array.FULL_SCALE
    assert np.std(heard) == pytest.approx(np.std(whole[:, 0]), rel=0.05) and rate_hz == RATE_HZ
    assert '1.2 s at the ends of takes' in convert_array.said(counts, 'x')


@pytest.mark.parametrize(
    ('length', 'seconds', 'records', 'word'),
    [
        ('keep', None, 2, None),
        ('cut', 1, 1, '3 s cut off'),
        ('repeat', 5, 5, '9 s are repetitions'),
    ],
)
def test_lengths_are_what_the_flag_says_and_counted(folder, length, seconds, records, word):
    counts = _convert(folder, length=length, seconds=seconds, modalities=[schema.AUDIO])
    assert counts.written == 3 * records
    said = convert_array.said(counts, 'x')
    assert word is None or word in said
    if length == 'repeat':
        first, third, fifth = (
            _second(folder, f'Location_01/Subject_01/Action_001/Data_00{i}.tfrecord', ('audio',))
            for i in (1, 3, 5)
        )
        np.testing.assert_array_equal(first['audio'], third['audio'])
        np.testing.assert_array_equal(first['audio'], fifth['audio'])


def test_a_second_call_writes_nothing_and_new_rows_are_added(folder, rng):
    assert _convert(folder, modalities=[schema.AUDIO]).written == 6
    again = _convert(folder, modalities=[schema.AUDIO])
    assert (again.written, again.existing) == (0, 6)
    _write_take(folder / '3.wav', (0.0, 0.0), 1.5, rng)
    with open(folder / 'takes.csv', 'a', encoding='utf-8') as file:
        file.write('3.wav,0.mp4,saw\n')
    more = _convert(folder, modalities=[schema.AUDIO])
    assert (more.written, more.existing) == (1, 6)
    assert datasets.read_description(folder / 'records').classes == ('drill', 'bird', 'saw')
    text = (folder / 'takes.csv').read_text().replace('0.wav', '1.wav', 1)
    (folder / 'takes.csv').write_text(text)
    with pytest.raises(ValueError, match='add rows at the end, choose another --out'):
        _convert(folder, modalities=[schema.AUDIO])
    (folder / 'takes.csv').write_text(text.replace('drill', 'axe'))
    with pytest.raises(ValueError, match='begins with axe, bird'):
        _convert(folder, modalities=[schema.AUDIO])


def test_records_of_other_takes_by_the_call_that_was_waited_for_are_refused(folder):
    out, messages = folder / 'records', []

    def second():
        try:
            _convert(folder, modalities=[schema.AUDIO])
        except ValueError as error:
            messages.append(str(error))

    out.mkdir()
    with locking.held(out / '.lock', 'writes records'):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(2.0)
        assert not messages
        datasets.write_description(out, datasets.DatasetInfo('array', ('axe', 'bird'), 'x', 1))
    thread.join(60)
    assert len(messages) == 1 and 'has records of the classes axe, bird' in messages[0]
    assert not _paths(folder)


def test_records_are_verified_and_made_again(folder):
    held = ('acoustic', 'audio')
    _convert(folder, modalities=[schema.MODALITIES[name] for name in held])
    root, paths = folder / 'records', _paths(folder)
    before, data = _second(folder, paths[3], held), (root / paths[3]).read_bytes()
    assert verification.compare(root, verification.inspect_all(root, paths)) == []
    (root / paths[3]).write_bytes(data[:-100])
    (found,) = verification.compare(root, verification.inspect_all(root, paths))
    assert found.path == paths[3]
    assert repair.repair(root, [paths[3]]) == {}
    after = _second(folder, paths[3], held)
    np.testing.assert_array_equal(after['audio'], before['audio'])
    # Threads add the bands' frequencies in varying order.
    np.testing.assert_allclose(after['acoustic'], before['acoustic'], atol=1e-3)
    assert verification.compare(root, verification.inspect_all(root, paths)) == []
    assert json.loads((root / conversion.CONVERSION_FILE).read_text())['modalities']


def test_a_damaged_second_take_has_its_label_checked(folder):
    _convert(folder, modalities=[schema.AUDIO])
    root = folder / 'records/Location_01/Subject_01'
    (root / 'Action_002/Data_001.tfrecord').replace(root / 'Action_001_take_02/Data_001.tfrecord')
    found = verification.inspect_all(folder / 'records', _paths(folder))
    (wrong,) = [one for one in found.values() if one.kind]
    assert wrong.kind == 'label' and 'action is 1' in wrong.message


def test_seconds_without_pictures_are_counted(folder):
    array_videos.write_video(folder / '2.mp4', (320, 240), 24, 0.3, (0.5, 0.5))
    assert _convert(folder).without_video == 1  # the last picture is repeated for a second


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ([{'recording': '0.wav', 'class': 'a'}], '1 classes in 1 rows'),
        ([{'recording': '9.wav', 'class': 'a'}], r'row 2: no file 9\.wav'),
        ([{'recording': '0.wav', 'class': ''}], 'row 2: no class'),
        ([{'recording': '0.wav', 'class': 'a', 'start': 'x'}], "start 'x'; expected seconds"),
        ([{'recording': '0.wav', 'class': 'a', 'start': 2, 'end': 1}], 'ends at 1 s, but starts'),
        ([{'recording': '0.wav'}], 'no column class'),
    ],
)
def test_tables_that_are_wrong_are_refused_by_row(folder, rows, message):
    _write_table(folder / 'takes.csv', rows)
    with pytest.raises(ValueError, match=message):
        array_takes.read_takes(folder / 'takes.csv')


def test_options_that_do_not_fit_are_refused(folder):
    with pytest.raises(ValueError, match='keep, or cut or repeat with --seconds'):
        _convert(folder, length='cut')
    with pytest.raises(ValueError, match='16 channels, but the array'):
        convert_array.convert(folder / 'takes.csv', 'dualcam', folder / 'records')
    _write_table(
        folder / 'takes.csv',
        [
            {'recording': '0.wav', 'video': '0.mp4', 'class': 'a'},
            {'recording': '1.wav', 'video': '', 'class': 'b'},
        ],
    )
    with pytest.raises(ValueError, match='row 3 has no video'):
        _convert(folder, modalities=[schema.AUDIO, schema.VIDEO])
    _write_table(
        folder / 'takes.csv', [{'recording': '0.wav', 'class': c, 'start': 5} for c in 'ab']
    )
    with pytest.raises(ValueError, match=r'row 2: starts at 5 s, but .* has 2\.4'):
        _convert(folder)


def test_a_dropped_channel_and_a_layout_file_work_too(folder):
    positions_m = geometry_files.uma16().positions_m
    np.savetxt(folder / 'mics.csv', 100 * positions_m, delimiter=',')
    counts = convert_array.convert(
        folder / 'takes.csv',
        folder / 'mics.csv',
        folder / 'records',
        unit='cm',
        channels='-3',
        modalities=[schema.ACOUSTIC],
        view_deg=(60.0, 45.0),
    )
    assert counts[0] == 6
    second = _second(folder, _paths(folder)[0], ('acoustic',))
    row, col = np.unravel_index(second['acoustic'][:, ..., 0].mean(axis=0).argmax(), (36, 48))
    x, y = views.View().places(views.direction(*PLACES['drill'])) * [48, 36] - 0.5
    assert abs(row - y) < 1.5 and abs(col - x) < 1.5


def test_lists_split_by_take_or_by_subject(tmp_path):
    for place in (1, 2):
        for subject in range(1, 6):
            for name in ('Action_001', 'Action_001_take_02', 'Action_002'):
                folder = tmp_path / f'Location_{place:02d}/Subject_{subject:02d}/{name}'
                folder.mkdir(parents=True)
                for i in range(1, 3 + subject % 2):
                    (folder / f'Data_{i:03d}.tfrecord').touch()
    by_take = take_lists.make_take_lists(tmp_path, 2, datasets.TakeRule())
    held = {name: {path.rpartition('/')[0] for path in paths} for name, paths in by_take.items()}
    assert len(held['dataset.txt']) == 30
    assert not held['training.txt'] & held['testing.txt']
    rule = datasets.TakeRule(by_subject=True)
    subjects = {}
    for place in (None, 1, 2):
        lists = take_lists.make_take_lists(tmp_path, 2, rule, place)
        now = {
            name: {path.split('/')[1] for path in paths}
            for name, paths in lists.items()
            if name != 'dataset.txt'
        }
        assert subjects in ({}, now)  # the same for every place
        subjects = now
    assert sorted(len(one) for one in subjects.values()) == [1, 1, 3]
    assert len(set.union(*subjects.values())) == 5
    description = datasets.DatasetInfo('own', ('a', 'b'), 'made up', 2, take_rule=rule)
    datasets.write_description(tmp_path, description)
    assert datasets.read_description(tmp_path) == description
    with pytest.raises(ValueError, match='2 subjects with takes'):
        take_lists.make_take_lists(
            tmp_path, 2, datasets.TakeRule(unseen_subjects=(1, 2, 3), by_subject=True)
        )
