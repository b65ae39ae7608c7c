"""The authors' converter and list script, reproduced byte for byte and path for path."""

import gzip
import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.records import reading, record_lists
from records import convert_avia

pytestmark = pytest.mark.numeric


def read_example(path):
    data = next(iter(tf.data.TFRecordDataset(str(path), compression_type='GZIP'))).numpy()
    return tf.train.SequenceExample.FromString(data)


def contents(example):
    """Context values and all bytes items of an example."""
    context = {k: f.int64_list.value[0] for k, f in example.context.feature.items()}
    items = {
        k: [x.bytes_list.value[0] for x in f.feature]
        for k, f in example.feature_lists.feature_list.items()
    }
    return context, items


@pytest.fixture(scope='module')
def converted(golden, tmp_path_factory):
    out = tmp_path_factory.mktemp('records')
    written, existing = convert_avia.convert(
        golden / 'avia_raw/matfiles',
        golden / 'avia_raw/sync',
        out,
        schema.modalities_by_number([0, 1, 2]),
    )
    assert (written, existing) == (60, 0)
    return out


@pytest.mark.slow
def test_every_record_equals_the_authors(golden, converted):
    expected = json.loads((golden / 'avia_records.json').read_text())['records']
    assert {str(p.relative_to(converted)) for p in converted.rglob('*.tfrecord')} == set(expected)
    for name, record in expected.items():
        context, items = contents(read_example(converted / name))
        assert context == record['context']
        assert set(items) == set(record['feature_lists'])
        for key, want in record['feature_lists'].items():
            assert len(items[key]) == want['length']
            assert {len(i) for i in items[key]} == {want['bytes_per_item']}
            assert hashlib.sha256(b''.join(items[key])).hexdigest() == want['sha256']
            assert hashlib.sha256(items[key][0]).hexdigest() == want['sha256_first_item']


def test_a_second_conversion_writes_nothing(golden, converted):
    before = {p: p.stat().st_mtime_ns for p in converted.rglob('*.tfrecord')}
    again = convert_avia.convert(
        golden / 'avia_raw/matfiles',
        golden / 'avia_raw/sync',
        converted,
        schema.modalities_by_number([0, 1, 2]),
    )
    assert again == (0, 60)
    assert before == {p: p.stat().st_mtime_ns for p in converted.rglob('*.tfrecord')}
    with pytest.raises(ValueError, match='another --out'):
        convert_avia.convert(
            golden / 'avia_raw/matfiles',
            golden / 'avia_raw/sync',
            converted,
            schema.modalities_by_number([0, 1]),
        )


@pytest.mark.parametrize('numbers', [[0, 1], [1]])
def test_modalities_left_out_leave_no_key(golden, tmp_path, numbers):
    convert_avia.convert(
        golden / 'avia_raw/matfiles',
        golden / 'avia_raw/sync',
        tmp_path,
        schema.modalities_by_number(numbers),
        sequence_seconds=1,
    )
    want = json.loads((golden / 'avia_records.json').read_text())['subsets'][
        'modalities_' + '_'.join(map(str, numbers))
    ]
    found = sorted(tmp_path.rglob('*.tfrecord'))
    assert len(found) == 2
    for path in found:
        context, items = contents(read_example(path))
        assert sorted(context) == sorted(want['context_keys'])
        assert sorted(items) == sorted(want['feature_list_keys'])


def test_the_authors_files_read_back_equal(golden, converted):
    files = sorted((golden / 'avia_records').rglob('*.tfrecord'))
    assert len(files) >= 4
    for path in files:
        kind, *name = path.relative_to(golden / 'avia_records').parts
        context, items = contents(read_example(path))
        own_context, own_items = contents(read_example(converted.joinpath(*name)))
        assert items == {key: own_items[key] for key in items}
        assert context == {key: own_context[key] for key in context}
        modalities = [
            m.name
            for m in schema.modalities_by_number(
                int(n) for n in kind.removeprefix('modalities_').split('_')
            )
        ]
        second = next(reading.read_seconds([str(path)], modalities))
        for name in modalities:
            modality = schema.MODALITIES[name]
            raw = b''.join(items[modality.feature_list])
            assert second[name].tobytes() == raw
            assert second[name].shape[1:] == tuple(context[k] for k in modality.size_keys)
        assert second['label'] == context['action']


@pytest.mark.parametrize('tree', ['full', 'irregular'])
def test_lists_equal_the_authors(golden, tmp_path, tree):
    with gzip.open(golden / 'lists.json.gz') as file:
        expected = json.load(file)[tree]
    folders = (
        expected['tree']
        if isinstance(expected['tree'], dict)
        else {
            f'Location_{place:02d}/Subject_{subject:02d}/Action_{action:03d}': 30
            for place in range(1, 4)
            for subject in range(1, 10)
            for action in range(1, 15)
        }
    )
    for folder, count in folders.items():
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            (tmp_path / folder / f'Data_{i + 1:03d}.tfrecord').touch()
    for arguments, output in expected['outputs'].items():
        values = dict(part.split('=') for part in arguments.split())
        location = None if values['location'] == 'None' else int(values['location'])
        seconds = int(values['num_samples'])
        got = record_lists.make_lists(
            tmp_path, seconds, record_lists.SPLITS[int(values['split_mode'])], location
        )
        assert set(got) == set(output['lists'])
        for name, want in output['lists'].items():
            assert len(got[name]) == want['n_files']
            assert got[name][::seconds] == want['block_first_paths']
            assert hashlib.sha256('\n'.join(got[name]).encode()).hexdigest() == want['sha256']
        folder = record_lists.lists_folder(tmp_path, seconds, location).relative_to(tmp_path)
        assert str(folder) in output['out_dir']


def test_written_lists_read_back(tmp_path):
    for i in range(20):
        path = tmp_path / 'Location_02/Subject_01/Action_001' / f'Data_{i + 1:03d}.tfrecord'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for absolute in (False, True):
        written = record_lists.write_lists(tmp_path, 2, 'train_valid_test', 2, absolute=absolute)
        assert list(written.values()) == [16, 2, 2]
        paths = reading.read_list(next(iter(written)))
        assert len(paths) == 16 and np.all([tf.io.gfile.exists(p) for p in paths])
