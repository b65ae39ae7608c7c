"""Packed data equal the files; bad files are named; caches are found again."""

import errno
import gzip
import json
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import stores
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from records import writer
from tests.helpers import small_records
from tests.helpers.small_records import LABELS

SOUND = record_packer.RecordPacker(['audio'])
BOTH = record_packer.RecordPacker(['acoustic', 'audio'])


@pytest.fixture
def paths(rng, tmp_path):
    return small_records.write_seconds(tmp_path / 'Location_02', rng)


def test_packed_records_equal_the_records(paths, tmp_path):
    seconds = list(reading.read_seconds(paths, ['acoustic', 'audio']))
    store = stores.open_store(paths[::-1] + paths, BOTH, tmp_path / 'cache')
    rows = store.rows(paths)
    np.testing.assert_array_equal(store.columns['label'][rows], np.arange(5))
    for row, one in zip(rows, seconds, strict=True):
        np.testing.assert_array_equal(store.arrays['acoustic'][row], one['acoustic'])
        np.testing.assert_array_equal(store.arrays['audio'][row], one['audio'][:, 0])
    again = stores.open_store(paths, SOUND, tmp_path / 'cache')
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
            stores.open_store(paths, SOUND, tmp_path / 'cache', max_bad=9)
        assert 'convert' not in str(info.value)
        assert list((tmp_path / 'cache').iterdir()) == []
    assert len(stores.open_store(paths, SOUND, tmp_path / 'cache').paths) == 5


def test_changed_records_are_packed_anew(paths, tmp_path, rng):
    before = stores.open_store(paths, SOUND, tmp_path / 'cache')
    writer.write_record(paths[0], writer.second_to_example(LABELS, small_records.noise(rng)))
    os.utime(paths[0], ns=(1, 1))
    after = stores.open_store(paths, SOUND, tmp_path / 'cache')
    assert after.digest != before.digest
    assert np.any(after.arrays['audio'][0] != before.arrays['audio'][0])


def damage_truncated(path, rng):
    data = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(data[: len(data) // 2])


def damage_empty(path, rng):
    pathlib.Path(path).write_bytes(b'')


def damage_not_gzip(path, rng):
    with tf.io.TFRecordWriter(path) as file:
        file.write(writer.second_to_example(LABELS, small_records.noise(rng)).SerializeToString())


def damage_foreign(path, rng):
    with tf.io.TFRecordWriter(path, 'GZIP') as file:
        file.write(b'something else')


def damage_missing_modality(path, rng):
    frames = small_records.noise(rng)
    del frames['audio']
    writer.write_record(path, writer.second_to_example(LABELS, frames))


def damage_flipped_bit(path, rng):
    data = bytearray(gzip.decompress(pathlib.Path(path).read_bytes()))
    data[5000] ^= 1
    pathlib.Path(path).write_bytes(gzip.compress(data, 1))


def damage_size(path, rng):
    example = writer.second_to_example(LABELS, small_records.noise(rng))
    example.context.feature['audio_image/height'].int64_list.value[0] = 10**9
    writer.write_record(path, example)


def damage_short_item(path, rng):
    example = writer.second_to_example(LABELS, small_records.noise(rng))
    feature = example.feature_lists.feature_list['audio/data'].feature[4]
    feature.bytes_list.value[0] = feature.bytes_list.value[0][:-4]
    writer.write_record(path, example)


def damage_not_finite(path, rng):
    frames = small_records.noise(rng)
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
        stores.open_store(paths, BOTH, tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())


def test_some_bad_records_may_be_skipped(paths, tmp_path, rng):
    damage_truncated(paths[1], rng)
    damage_missing_modality(paths[2], rng)
    damage_not_finite(paths[3], rng)
    cache = tmp_path / 'cache'
    with pytest.raises(
        ValueError, match=r'3 of 5 records are bad, where at most 2 may be: .*Data_002'
    ):
        stores.open_store(paths, BOTH, cache, max_bad=2)
    assert not list(cache.iterdir())
    # Sound is packed separately first: records bad for sound are not those bad for images.
    heard = stores.open_store(paths, SOUND, cache, max_bad=3)
    assert heard.skipped.keys() == {paths[1], paths[2]}
    seen = stores.open_store(paths, record_packer.RecordPacker(['acoustic']), cache, max_bad=3)
    assert seen.skipped.keys() == {paths[1], paths[3]}
    assert 'not finite' in seen.skipped[paths[3]]
    for store in (
        heard,
        seen,
        stores.open_store(paths, SOUND, cache, max_bad=2),
    ):
        good = [path for path in paths if path not in store.skipped]
        said = dict(zip(paths, (0, None, LABELS['action'], LABELS['action'], 4), strict=True))
        assert store.columns['label'][store.rows(good)].tolist() == [said[path] for path in good]
    both = stores.open_store(paths, BOTH, cache, max_bad=3)
    assert both.skipped.keys() == set(paths[1:4])
    good = next(reading.read_seconds(paths[4:], ['acoustic', 'audio']))
    (row,) = both.rows(paths[4:])
    np.testing.assert_array_equal(both.arrays['acoustic'][row], good['acoustic'])
    np.testing.assert_array_equal(both.arrays['audio'][row], good['audio'][:, 0])
    with pytest.raises(ValueError, match=r'Data_002.* it was skipped'):
        both.rows(paths)
    assert both.whole_sequences([*paths, paths[0]], 2) == [paths[4], paths[0]]
    assert heard.whole_sequences([*paths[3:], *paths[:2]], 2) == paths[3:]
    with pytest.raises(ValueError, match='2 of 5 records are bad, where at most 0 may be'):
        stores.open_store(paths, SOUND, cache)


def test_what_an_earlier_version_packed_is_not_packed_again(paths, tmp_path):
    """An older version named the labels differently, in a separate file; arrays are the same."""
    store = stores.open_store(paths, SOUND, tmp_path / 'cache')
    root = tmp_path / 'cache' / store.digest
    before = (root / 'audio.npy').stat().st_mtime_ns, (root / 'audio.npy').stat().st_ino
    np.savez(root / 'labels.npz', action=np.arange(5), location=np.ones(5), subject=np.ones(5))
    (root / 'columns.npz').unlink()
    (root / 'bad.json').write_text(json.dumps({'audio': {}, 'labels': {}}))
    again = stores.open_store(paths, SOUND, tmp_path / 'cache')
    for name, values in store.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
    assert ((root / 'audio.npy').stat().st_mtime_ns, (root / 'audio.npy').stat().st_ino) == before
    np.testing.assert_array_equal(again.arrays['audio'], store.arrays['audio'])
