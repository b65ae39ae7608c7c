"""Bad input gets an error that names the file; packed records equal the records."""

import errno
import gzip
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.records import reading
from dualcam.data.sources import datasets, labelled_sounds
from dualcam.data.stores import record_store
from records import writer

LABELS = {'action': 3, 'location': 1, 'subject': 2}


def second(rng, mics=2):
    return {
        'acoustic': list(rng.standard_normal((12, 36, 48, 12)).astype(np.float32)),
        'audio': list(rng.integers(-9, 9, (12, mics, 1024), dtype=np.int32)),
    }


@pytest.fixture
def paths(rng, tmp_path):
    made = []
    for i in range(5):
        path = tmp_path / 'Location_02' / f'Data_{i + 1:03d}.tfrecord'
        writer.write_record(path, writer.second_to_example(LABELS | {'action': i}, second(rng)))
        made.append(str(path))
    return made


def test_packed_records_equal_the_records(paths, tmp_path):
    seconds = list(reading.read_seconds(paths, ['acoustic', 'audio']))
    store = record_store.open_store(paths[::-1] + paths, ['acoustic', 'audio'], tmp_path / 'cache')
    rows = store.rows(paths)
    np.testing.assert_array_equal(store.labels['action'][rows], np.arange(5))
    for row, one in zip(rows, seconds, strict=True):
        np.testing.assert_array_equal(store.arrays['acoustic'][row], one['acoustic'])
        np.testing.assert_array_equal(store.arrays['audio'][row], one['audio'][:, 0])
    again = record_store.open_store(paths, ['audio'], tmp_path / 'cache')
    assert again.digest == store.digest
    assert not [p for p in (tmp_path / 'cache').iterdir() if 'partial' in p.name]


def test_a_full_disk_is_no_damaged_record(paths, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    for call in 'pwrite', 'fsync':
        with (
            monkeypatch.context() as patch,
            pytest.raises(OSError, match=r'cache.*No space left on device.*make room') as info,
        ):
            patch.setattr(os, call, full)
            record_store.open_store(paths, ['audio'], tmp_path / 'cache', max_bad=9)
        assert 'convert' not in str(info.value)
        assert list((tmp_path / 'cache').iterdir()) == []
    assert len(record_store.open_store(paths, ['audio'], tmp_path / 'cache').paths) == 5


def test_changed_records_are_packed_anew(paths, tmp_path, rng):
    before = record_store.open_store(paths, ['audio'], tmp_path / 'cache')
    writer.write_record(paths[0], writer.second_to_example(LABELS, second(rng)))
    os.utime(paths[0], ns=(1, 1))
    after = record_store.open_store(paths, ['audio'], tmp_path / 'cache')
    assert after.digest != before.digest
    assert np.any(after.arrays['audio'][0] != before.arrays['audio'][0])


def damage_truncated(path, rng):
    data = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(data[: len(data) // 2])


def damage_empty(path, rng):
    pathlib.Path(path).write_bytes(b'')


def damage_not_gzip(path, rng):
    with tf.io.TFRecordWriter(path) as file:
        file.write(writer.second_to_example(LABELS, second(rng)).SerializeToString())


def damage_foreign(path, rng):
    with tf.io.TFRecordWriter(path, 'GZIP') as file:
        file.write(b'something else')


def damage_missing_modality(path, rng):
    frames = second(rng)
    del frames['audio']
    writer.write_record(path, writer.second_to_example(LABELS, frames))


def damage_flipped_bit(path, rng):
    data = bytearray(gzip.decompress(pathlib.Path(path).read_bytes()))
    data[5000] ^= 1
    pathlib.Path(path).write_bytes(gzip.compress(data, 1))


def damage_size(path, rng):
    example = writer.second_to_example(LABELS, second(rng))
    example.context.feature['audio_image/height'].int64_list.value[0] = 10**9
    writer.write_record(path, example)


def damage_short_item(path, rng):
    example = writer.second_to_example(LABELS, second(rng))
    feature = example.feature_lists.feature_list['audio/data'].feature[4]
    feature.bytes_list.value[0] = feature.bytes_list.value[0][:-4]
    writer.write_record(path, example)


def damage_not_finite(path, rng):
    frames = second(rng)
    frames['acoustic'][3][1, 2, 3] = np.nan
    writer.write_record(path, writer.second_to_example(LABELS, frames))


@pytest.mark.parametrize(
    'damage',
    [
        damage_not_finite,
        damage_truncated,
        damage_empty,
        damage_not_gzip,
        damage_foreign,
        damage_missing_modality,
        damage_flipped_bit,
        damage_size,
        damage_short_item,
    ],
    ids=lambda f: f.__name__[7:],
)
def test_a_damaged_record_is_named_and_nothing_half_packed_is_left(damage, paths, tmp_path, rng):
    damage(paths[3], rng)
    with pytest.raises(ValueError, match=r'Data_004\.tfrecord'):
        record_store.open_store(paths, ['acoustic', 'audio'], tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())


def test_bad_lists_are_named(paths, tmp_path):
    path = tmp_path / '10_seconds' / 'lists' / 'training.txt'
    with pytest.raises(ValueError, match='make_lists'):
        reading.read_list(path)
    path.parent.mkdir(parents=True)
    path.write_text('\n\n')
    with pytest.raises(ValueError, match='empty'):
        reading.read_list(path)
    path.write_text('Location_02/Data_001.tfrecord\nLocation_02/Data_009.tfrecord\n')
    with pytest.raises(ValueError, match=r'Data_009\.tfrecord, which does not exist'):
        reading.read_list(path)
    path.write_text('Location_02/Data_001.tfrecord\n' + paths[4] + '\n')
    assert reading.read_list(path) == [paths[0], paths[4]]


def test_some_bad_records_may_be_skipped(paths, tmp_path, rng):
    damage_truncated(paths[1], rng)
    damage_missing_modality(paths[2], rng)
    damage_not_finite(paths[3], rng)
    cache = tmp_path / 'cache'
    with pytest.raises(ValueError, match=r'3 of 5 records are bad, of which 2 may be: .*Data_002'):
        record_store.open_store(paths, ['acoustic', 'audio'], cache, max_bad=2)
    assert not list(cache.iterdir())
    # Sound is packed by itself first: what is bad for it is not what is bad for images.
    heard = record_store.open_store(paths, ['audio'], cache, max_bad=3)
    assert heard.skipped.keys() == {paths[1], paths[2]}
    seen = record_store.open_store(paths, ['acoustic'], cache, max_bad=3)
    assert seen.skipped.keys() == {paths[1], paths[3]}
    assert 'not finite' in seen.skipped[paths[3]]
    for store in (heard, seen, record_store.open_store(paths, ['audio'], cache, max_bad=2)):
        good = [path for path in paths if path not in store.skipped]
        said = dict(zip(paths, (0, None, LABELS['action'], LABELS['action'], 4), strict=True))
        assert store.labels['action'][store.rows(good)].tolist() == [said[path] for path in good]
    both = record_store.open_store(paths, ['acoustic', 'audio'], cache, max_bad=3)
    assert both.skipped.keys() == set(paths[1:4])
    good = next(reading.read_seconds(paths[4:], ['acoustic', 'audio']))
    (row,) = both.rows(paths[4:])
    np.testing.assert_array_equal(both.arrays['acoustic'][row], good['acoustic'])
    np.testing.assert_array_equal(both.arrays['audio'][row], good['audio'][:, 0])
    with pytest.raises(ValueError, match=r'Data_002.* it was skipped'):
        both.rows(paths)
    assert both.whole_sequences([*paths, paths[0]], 2) == [paths[4], paths[0]]
    assert heard.whole_sequences([*paths[3:], *paths[:2]], 2) == paths[3:]
    with pytest.raises(ValueError, match='2 of 5 records are bad, of which 0 may be'):
        record_store.open_store(paths, ['audio'], cache)


def test_lists_stay_within_their_root(paths, tmp_path, rng):
    """No line reads what lies elsewhere, though it is there; links in the root are its own."""
    other = tmp_path / 'other'
    shutil.copytree(tmp_path / 'Location_02', other / 'Location_02')
    shutil.copytree(tmp_path / 'Location_02', other / 'Location_01/Subject_01/Action_001')
    root = tmp_path / 'root'
    path = root / '1_second' / 'lists' / 'training.txt'
    path.parent.mkdir(parents=True)
    (root / 'linked').symlink_to(other)
    path.write_text('linked/Location_02/Data_001.tfrecord\n')
    assert reading.read_list(path) == [f'{root}/linked/Location_02/Data_001.tfrecord']
    absolute = f'{other}/Location_01/Subject_01/Action_001/Data_001.tfrecord'
    for line in (
        '../other/Location_02/Data_002.tfrecord',
        absolute,
        paths[0],
        'linked/../../other/../Location_02/Data_003.tfrecord',
        '../other/Location_01/Subject_01/Action_001/Data_001.tfrecord',
        str(root / '../other/Location_02/Data_001.tfrecord'),
        '../nowhere.tfrecord',
    ):
        path.write_text(f'\nlinked/Location_02/Data_001.tfrecord\n{line}\n')
        with pytest.raises(ValueError) as caught:
            reading.read_list(path)
        assert f'{path}, line 3: {line} lies outside of {root}; ' in str(caught.value)
    path.write_text(absolute)
    assert reading.read_list(path, other) == [absolute]
    assert reading.read_list(path, tmp_path / 'other/../other') == [
        f'{tmp_path}/other/../other/Location_01/Subject_01/Action_001/Data_001.tfrecord'
    ]
    # The same place in the root goes before what is elsewhere.
    shutil.copytree(other / 'Location_01', root / 'Location_01')
    assert reading.read_list(path) == [absolute.replace(str(other), str(root))]


def test_a_root_may_be_written_by_a_link_to_it(paths, tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    path = tmp_path / '1_second' / 'lists' / 'training.txt'
    path.parent.mkdir(parents=True)
    path.write_text(f'{tmp_path}/link/Location_02/Data_001.tfrecord\n{paths[1]}\n')
    assert reading.read_list(path) == [f'{tmp_path}/link/Location_02/Data_001.tfrecord', paths[1]]
    linked = tmp_path / 'link/1_second/lists/training.txt'
    assert len(reading.read_list(linked, tmp_path / 'link')) == 2


@pytest.fixture
def moved(tmp_path):
    """Records of both layouts, and a list of them as other machines wrote it."""
    root = tmp_path / 'here'
    names = [
        'class_0/data_001/Data_003.tfrecord',
        'class_1/data_002/Data_001.tfrecord',
        'class_0/data_001/Data_004.tfrecord',
        'class_2/data_000/Data_001.tfrecord',
        'Location_01/Subject_02/Action_003/Data_005.tfrecord',
    ]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    path = root / '2_seconds' / 'lists' / 'training.txt'
    path.parent.mkdir(parents=True)
    path.write_text(
        '\n'.join(
            [
                '/data1/someone/class_7/ACIVW/2_seconds/' + names[0],
                'D:/x/' + names[1],
                names[2],
                'E:\\y\\' + names[3].replace('/', '\\'),
                '/data1/AVIA//' + names[4],
            ]
        )
    )
    return root, path, [str(root / name) for name in names]


def test_lists_of_other_machines_find_the_records_here(moved, tmp_path):
    root, path, wanted = moved
    assert reading.read_list(path) == wanted
    assert reading.read_list(path, root) == wanted
    elsewhere = tmp_path / 'mine.txt'
    shutil.copy(path, elsewhere)
    assert reading.read_list(elsewhere, str(root)) == wanted
    with pytest.raises(ValueError) as caught:
        reading.read_list(elsewhere, tmp_path)
    assert f'{tmp_path}/class_0/data_001/Data_003.tfrecord' in str(caught.value)
    assert '--root' in str(caught.value)


def test_a_root_that_is_given_stands_before_paths_as_written(moved, tmp_path):
    root, path, wanted = moved
    copy = tmp_path / 'copy'
    shutil.copytree(root, copy)
    path.write_text('\n'.join(wanted))
    assert reading.read_list(path) == wanted
    assert reading.read_list(path, copy) == [p.replace(str(root), str(copy)) for p in wanted]
    shutil.rmtree(copy / 'class_1')
    with pytest.raises(ValueError, match=r'class_1/data_002/Data_001\.tfrecord, which does not'):
        reading.read_list(path, copy)


def test_labelled_sounds_of_a_list_that_came_without_its_records(tmp_path, rng):
    root = tmp_path / 'here'
    frames = {'audio': list(rng.integers(-9, 9, (12, 1, 1024), dtype=np.int32))}
    names = [f'class_{label}/data_000/Data_001.tfrecord' for label in (3, 1)]
    for name, label in zip(names, (3, 1), strict=True):
        writer.write_record(
            root / name, writer.second_to_example({'classes': label, 'location': 0}, frames)
        )
    datasets.write_description(root, datasets.ACIVW)
    (tmp_path / 'testing.txt').write_text('\n'.join(f'/elsewhere/{name}' for name in names))
    found = list(labelled_sounds.read_examples(tmp_path / 'testing.txt', 1, root))
    assert [name for name, _ in found] == ['fountain', 'boat']
    assert [windows.shape for _, windows in found] == [(1, 22_050)] * 2


def test_writer_leaves_no_half_record(tmp_path, rng):
    frames = second(rng)
    frames['audio'] = frames['audio'][:11]
    with pytest.raises(ValueError, match='11 frames'):
        writer.second_to_example(LABELS, frames)
    path = tmp_path / 'Data_001.tfrecord'
    example = writer.second_to_example(LABELS, second(rng))

    class Broken:
        def SerializeToString(self, deterministic):
            raise OSError('disk full')

    with pytest.raises(OSError, match='full'):
        writer.write_record(path, Broken())
    assert not list(tmp_path.iterdir())
    writer.write_record(path, example)
    assert [p.name for p in tmp_path.iterdir()] == ['Data_001.tfrecord']


def test_modalities_by_number():
    assert [m.name for m in schema.modalities_by_number([2, 0])] == ['acoustic', 'video']
    for wrong in ([], [3], [1, 1]):
        with pytest.raises(ValueError, match='acoustic images'):
            schema.modalities_by_number(wrong)


def test_descriptions_travel_and_bad_ones_are_named(tmp_path):
    assert datasets.read_description(tmp_path).num_classes == 14
    info = datasets.DatasetInfo('mine', ('a', 'b'), 'somewhere', 2)
    datasets.write_description(tmp_path, info)
    assert datasets.read_description(tmp_path) == info
    shutil.copy(tmp_path / 'dataset.json', tmp_path / 'copy')
    for text in ('{', '{}', '{"name": "x", "classes": ["a"], "origin": "", "num_locations": 1}'):
        (tmp_path / 'dataset.json').write_text(text)
        with pytest.raises(ValueError, match=r'dataset\.json'):
            datasets.read_description(tmp_path)
