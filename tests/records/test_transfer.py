"""Copies of records to and from stores: complete, checked, resumed; nothing lost."""

import json
import os
import threading

import fsspec
import numpy as np
import pytest
from fsspec.implementations import local, memory

from records import manifest, transfer


@pytest.fixture
def records(tmp_path):
    """A folder with six records, their manifest, and other files."""
    root = tmp_path / 'records'
    rng, entries = np.random.default_rng(0), []
    for number in range(1, 7):
        path = f'Location_01/Subject_01/Action_{number:03d}/Data_001.tfrecord'
        (root / path).parent.mkdir(parents=True)
        (root / path).write_bytes(rng.bytes(1000 * number))
        entries.append(manifest.entry_of(root, path, {'folder': 'f'}))
    manifest.write(root, entries)
    (root / 'dataset.json').write_text('{"name": "mine"}')
    (root / 'lists').mkdir()
    (root / 'lists/training.txt').write_text('ü\n')
    (root / '.made').touch()
    return root


@pytest.fixture
def store():
    """An empty store in memory."""
    memory.MemoryFileSystem.store.clear()
    yield fsspec.filesystem('memory')
    memory.MemoryFileSystem.store.clear()


def tree(root):
    """{path: bytes} of the files that are not hidden."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file() and not path.name.startswith('.')
    }


def assert_no_partial_files(root):
    assert not [path for path in root.rglob('.*') if 'partial' in path.name]


def test_there_and_back_every_byte_is_the_same_and_nothing_is_copied_twice(
    records, store, tmp_path
):
    sent = transfer.transfer(str(records), 'memory://bucket/avia')
    assert (sent.num_files, sent.num_existing, sent.failed) == (8, 0, {})
    assert sent.num_bytes == sum(map(len, tree(records).values())) - len(
        (records / 'manifest.jsonl').read_bytes()
    )
    assert not [path for path in store.store if '/.' in path]  # neither hidden nor partial files
    again = transfer.transfer(str(records), 'memory://bucket/avia')
    assert (again.num_files, again.num_existing) == (0, 8)
    transfer.transfer('memory://bucket/avia', str(tmp_path / 'back'))
    assert tree(tmp_path / 'back') == tree(records)
    assert not (tmp_path / 'back/.made').exists()


def test_a_record_that_is_damaged_is_named_and_the_others_arrive_without_a_manifest(
    records, tmp_path
):
    path = 'Location_01/Subject_01/Action_003/Data_001.tfrecord'
    data = bytearray((records / path).read_bytes())
    data[1500] ^= 1
    (records / path).write_bytes(data)
    done = transfer.transfer(str(records), str(tmp_path / 'to'))
    assert list(done.failed) == [path] and 'CRC-32C' in done.failed[path]
    whole = tree(records)
    del whole[path], whole['manifest.jsonl']
    assert tree(tmp_path / 'to') == whole
    assert_no_partial_files(tmp_path)
    data[1500] ^= 1
    (records / path).write_bytes(data)
    done = transfer.transfer(str(records), str(tmp_path / 'to'))
    assert (done.num_files, done.num_existing, done.failed) == (1, 7, {})
    assert tree(tmp_path / 'to') == tree(records)


@pytest.mark.parametrize('same_size', [False, True])
def test_what_differs_is_kept_unless_it_is_to_be_overwritten(records, tmp_path, same_size):
    to = tmp_path / 'to'
    transfer.transfer(str(records), str(to))
    path = 'Location_01/Subject_01/Action_002/Data_001.tfrecord'
    size = (records / path).stat().st_size
    (records / path).write_bytes(os.urandom(size if same_size else size + 1))
    entries, _ = manifest.read(records)
    entries[path] = manifest.entry_of(records, path, {'folder': 'f'})
    manifest.write(records, entries.values())
    before = tree(to)
    with pytest.raises(ValueError, match=r'1 existing files differ.*Action_002.*--overwrite'):
        transfer.transfer(str(records), str(to))
    assert tree(to) == before
    done = transfer.transfer(str(records), str(to), overwrite=True)
    assert done.num_files == 1 and tree(to) == tree(records)


def test_other_records_at_the_target_stay_in_its_manifest(records, tmp_path):
    to = tmp_path / 'to'
    (to / 'other').mkdir(parents=True)
    (to / 'other/Data_001.tfrecord').write_bytes(b'other')
    other = manifest.entry_of(to, 'other/Data_001.tfrecord', {'folder': 'o'})
    manifest.write(to, [other])
    transfer.transfer(str(records), str(to))
    entries, broken = manifest.read(to)
    assert not broken and entries == {other.path: other} | manifest.read(records)[0]


def test_a_connection_that_fails_leaves_nothing_half_and_the_next_call_resumes(
    records, store, tmp_path, monkeypatch
):
    transfer.transfer(str(records), 'memory://b')
    opened = memory.MemoryFileSystem.open

    class Breaking:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, size):
            part = self.file.read(700)
            if not part:
                raise ConnectionError('gone')
            return part

    def open_file(self, path, mode='rb', **options):
        file = opened(self, path, mode, **options)
        return Breaking(file) if mode == 'rb' and 'Action_004' in path else file

    monkeypatch.setattr(memory.MemoryFileSystem, 'open', open_file)
    done = transfer.transfer('memory://b', str(tmp_path / 'to'))
    assert list(done.failed.values()) == ['gone'] and done.num_files == 7
    assert_no_partial_files(tmp_path)
    monkeypatch.undo()
    done = transfer.transfer('memory://b', str(tmp_path / 'to'))
    assert done.num_files == 1 and tree(tmp_path / 'to') == tree(records)


def test_ctrl_c_ends_it_and_leaves_nothing_half(records, store, tmp_path, monkeypatch):
    transfer.transfer(str(records), 'memory://b')

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer.concurrent.futures, 'as_completed', stop)
    with pytest.raises(KeyboardInterrupt):
        transfer.transfer('memory://b', str(tmp_path / 'to'), threads=1)
    assert_no_partial_files(tmp_path)
    monkeypatch.undo()
    transfer.transfer('memory://b', str(tmp_path / 'to'))
    assert tree(tmp_path / 'to') == tree(records)


def test_a_full_disk_is_found_before_anything_is_copied(records, store, tmp_path, monkeypatch):
    transfer.transfer(str(records), 'memory://b')
    free = type('Usage', (), {'free': 1000})
    monkeypatch.setattr(transfer.shutil, 'disk_usage', lambda _: free)
    with pytest.raises(OSError, match='GB are to be written, more than is free'):
        transfer.transfer('memory://b', str(tmp_path / 'to'))
    assert tree(tmp_path / 'to') == {}


def test_names_that_lead_out_are_refused(store, tmp_path, monkeypatch):
    found = {'/b/../x': {'size': 1, 'type': 'file'}}
    monkeypatch.setattr(memory.MemoryFileSystem, 'find', lambda *_, **__: found)
    with pytest.raises(ValueError, match=r'\.\./x: a name that leads out of its folder'):
        transfer.transfer('memory://b', str(tmp_path / 'to'))


def test_a_folder_is_made_on_file_systems_that_are_no_object_stores(records, tmp_path):
    transfer.transfer(str(records), f'file://{tmp_path}/to')
    assert tree(tmp_path / 'to') == tree(records)


def test_files_in_flight_are_as_many_as_asked(records, tmp_path, monkeypatch):
    counts, lock, most = [0], threading.Lock(), []
    copy = transfer._copy

    def counted(*arguments):
        with lock:
            counts[0] += 1
            most.append(counts[0])
        copy(*arguments)
        with lock:
            counts[0] -= 1

    monkeypatch.setattr(transfer, '_copy', counted)
    transfer.transfer(str(records), str(tmp_path / 'to'), threads=2)
    assert len(most) == 8 and max(most) <= 2


def test_the_command(records, tmp_path, program):
    call = ('-m', 'records.transfer', f'--to={tmp_path}/to')
    code, out, errors = program(*call, f'--from={records}')
    assert code == 0, errors
    assert out.splitlines()[-1].startswith('8 files copied (0.0 MB), 0 already existed, 0 failed: ')
    for extra, reason in (
        ((f'--from={tmp_path}/none',), 'no files in it'),
        (('--from=nonsense://x',), 'nonsense://x: '),
        ((f'--from={records}', '--storage_options=[1]'), 'expected JSON such as'),
        ((f'--from={records}', '--threads=0'), 'expected 1 or more'),
    ):
        code, _, errors = program(*call, *extra)
        assert code == 1 and reason in errors.splitlines()[-1]
        assert 'Traceback' not in errors


@pytest.fixture(scope='module')
def s3():
    """An S3-compatible server on this machine; returns fsspec's options for it."""
    server = pytest.importorskip('moto.server')
    pytest.importorskip('s3fs')
    running = server.ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    options = {'key': 'k', 'secret': 's', 'endpoint_url': f'http://{host}:{port}'}
    fsspec.filesystem('s3', **options).mkdir('bucket')
    yield options
    running.stop()


def test_a_server_of_s3(records, s3, tmp_path):
    (records / 'large').mkdir()
    (records / 'large/Data_001.tfrecord').write_bytes(os.urandom(11 << 20))  # several parts
    sent = transfer.transfer(str(records), 's3://bucket/a/b', storage_options=s3)
    assert (sent.num_files, sent.failed) == (9, {})
    back = transfer.transfer('s3://bucket/a/b', str(tmp_path / 'back'), storage_options=s3)
    assert (back.num_files, back.failed) == (9, {})
    assert tree(tmp_path / 'back') == tree(records)
    # A damaged record is not uploaded.
    path = 'Location_01/Subject_01/Action_006/Data_001.tfrecord'
    (records / path).write_bytes(bytes(6000))
    sent = transfer.transfer(str(records), 's3://bucket/c', storage_options=s3)
    assert list(sent.failed) == [path]
    names = fsspec.filesystem('s3', **s3).find('bucket/c')
    assert len(names) == 8 and not any(path in name or 'manifest' in name for name in names)


def test_manifest_lines_are_what_they_were(records):
    lines = (records / 'manifest.jsonl').read_bytes()
    entries, broken = manifest.parse(lines)
    assert not broken and len(entries) == 6
    assert ''.join(map(manifest.as_line, entries.values())).encode() == lines
    assert json.loads(lines.splitlines()[0])['num_bytes'] == 1000
    assert isinstance(fsspec.filesystem('file'), local.LocalFileSystem)
