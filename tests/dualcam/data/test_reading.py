"""Lists of records and their descriptions: bad ones are named; records are written atomically."""

import re
import shutil
import threading

import numpy as np
import pytest

from dualcam.data import schema
from dualcam.data.records import loading, reading
from dualcam.data.sources import datasets, labelled_sounds
from records import writer
from tests.helpers import small_records
from tests.helpers.small_records import LABELS


@pytest.fixture
def paths(rng, tmp_path):
    return small_records.write_seconds(tmp_path / 'Location_02', rng)


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


def test_lists_stay_within_their_root(paths, tmp_path, rng):
    """No line can read existing files elsewhere; links within the root are allowed."""
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
        assert f'{path}, line 3: {line} is outside {root}; ' in str(caught.value)
    path.write_text(absolute)
    assert reading.read_list(path, other) == [absolute]
    assert reading.read_list(path, tmp_path / 'other/../other') == [
        f'{tmp_path}/other/../other/Location_01/Subject_01/Action_001/Data_001.tfrecord'
    ]
    # The same path below the root takes precedence over other places.
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
    """Records in both layouts, and a list of them written on another machine."""
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
    frames = small_records.noise(rng)
    frames['audio'] = frames['audio'][:11]
    with pytest.raises(ValueError, match='11 frames'):
        writer.second_to_example(LABELS, frames)
    path = tmp_path / 'Data_001.tfrecord'
    example = writer.second_to_example(LABELS, small_records.noise(rng))

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


def test_records_come_in_order_whichever_thread_is_first(paths):
    turn = threading.Event()

    def load(row, context, lists):
        if row == 0:
            assert turn.wait(60)  # until a later one is done
        else:
            turn.set()
        return row, context['action'].int64_list.value[0]

    assert list(loading.load_each(paths, load, 'a record')) == [(i, i) for i in range(5)]


def test_each_bad_record_is_named_with_what_is_wrong(paths):
    def load(row, context, lists):
        if row % 2:
            raise ValueError(f'row {row} is odd')
        return row

    wanted = f'{paths[1]}: not an even record (row 1 is odd); convert it again'
    with pytest.raises(ValueError, match=re.escape(wanted)):
        list(loading.load_each(paths, load, 'an even record'))
    skipped = {}
    found = loading.load_each(paths, load, 'an even record', skipped.__setitem__)
    assert list(found) == [0, None, 2, None, 4]
    assert skipped.keys() == {1, 3} and skipped[1] == wanted


def test_errors_of_who_takes_records_are_not_theirs(paths):
    def take(row, item):
        raise OSError('the disk is full')

    with pytest.raises(OSError, match=r'^the disk is full$'):
        list(loading.load_each(paths, lambda *_: 0, 'a record', skip=print, take=take))
