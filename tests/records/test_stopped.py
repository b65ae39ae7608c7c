"""Conversions that are killed or run out of disk space leave nothing partial, and resume."""

import contextlib
import errno
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from dualcam.data import schema
from dualcam.data.sources import datasets
from dualcam.files import locking
from records import convert_avia, manifest
from tests.helpers import small_raw
from tests.helpers.checkout import ROOT
from tests.proofs import kill

MODALITIES = [schema.ACOUSTIC, schema.AUDIO]


@pytest.fixture
def raw(tmp_path, rng):
    small_raw.write_avia(tmp_path / 'raw', rng)
    return tmp_path / 'raw'


def convert(raw, out, **options):
    return convert_avia.convert(
        raw / 'matfiles', raw / 'sync', out, MODALITIES, **{'sequence_seconds': 3} | options
    )


@pytest.fixture
def converted(raw, tmp_path):
    assert convert(raw, tmp_path / 'out') == (6, 0)
    return tmp_path / 'out'


def records(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob('*.tfrecord'))
    }


def is_listed(out):
    """Whether the manifest matches each record on disk, and has no invalid line."""
    entries, broken = manifest.read(out)
    return (
        not broken
        and entries.keys() == records(out).keys()
        and all(
            entry == manifest.entry_of(out, path, entry.source) for path, entry in entries.items()
        )
    )


def members(group):
    """Number of live processes in a group, without zombies."""
    alive = 0
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, its_group, *_ = path.read_text().rpartition(')')[2].split()
            alive += int(its_group) == group and state != 'Z'
    return alive


@pytest.mark.slow
def test_killed_conversions_go_on_to_the_same_bytes(command):
    code, out, errors = command('-m', 'tests.proofs.kill', '--count=12')
    assert code == 0, out + errors
    assert out.startswith('12 conversions killed') and out.endswith(
        ' 0 differences from undisturbed ones\n'
    )


def test_the_manifest_lists_sources_sizes_and_checksums(converted, raw):
    assert is_listed(converted)
    entries, _ = manifest.read(converted)
    assert {path: entry.num_bytes for path, entry in entries.items()} == {
        path: len(data) for path, data in records(converted).items()
    }
    # 19 frames: the second record continues with the first of them.
    folder = 'Location_02/Subject_03/Action_005'
    assert [
        entries[f'Location_02/Subject_03/Action_006/Data_00{i}.tfrecord'].source for i in (1, 2, 3)
    ] == [
        {'folder': folder, 'frames': [[1, 12]]},
        {'folder': folder, 'frames': [[13, 19], [1, 5]]},
        {'folder': folder, 'frames': [[6, 17]]},
    ]
    noted = json.loads((converted / 'conversion.json').read_text())
    assert noted['calls'][0]['paths'] == {'matfiles': '../raw/matfiles', 'sync': '../raw/sync'}


def test_checksums_are_crc32c(tmp_path):
    (tmp_path / 'x').write_bytes(b'123456789')
    assert manifest.entry_of(tmp_path, 'x', {}) == manifest.Entry('x', 9, 'e3069283', {})


def test_records_without_lines_get_them_and_half_a_line_is_dropped(converted, raw):
    path = converted / 'manifest.jsonl'
    whole = path.read_text()
    files = records(converted)
    for text in (
        whole[:-40],
        whole[:-1],
        whole.partition('\n')[2],
        '',
        'no line\n' + whole,
        whole + '{"path": 3}\n',
        whole + whole,
    ):
        path.write_text(text)
        assert convert(raw, converted) == (0, 6)
        assert set(path.read_text().splitlines()) == set(whole.splitlines())
        assert is_listed(converted)
    path.unlink()  # records of an earlier version
    assert convert(raw, converted) == (0, 6)
    assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())
    assert records(converted) == files


def test_a_line_after_half_a_line_stays_whole(tmp_path):
    entries = [manifest.Entry(name, 1, '00000000', {}) for name in 'ab']
    manifest.append(tmp_path, entries[:1])
    with open(tmp_path / 'manifest.jsonl', 'a') as file:
        file.write('{"path": "c", ')
    manifest.append(tmp_path, entries[1:])
    assert manifest.read(tmp_path) == ({'a': entries[0], 'b': entries[1]}, [2])


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(tmp_path, monkeypatch):
    manifest.append(tmp_path, [manifest.Entry('a', 1, '00000000', {})])
    before, write = (tmp_path / 'manifest.jsonl').read_bytes(), os.write

    def half(descriptor, data):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, 'no space')
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, 'write', half)
    with pytest.raises(OSError, match='no space'):
        manifest.append(tmp_path, [manifest.Entry('b', 1, '00000000', {})])
    assert (tmp_path / 'manifest.jsonl').read_bytes() == before


def fill_disk_at(monkeypatch, number):
    """The disk fills up halfway through the record `number`."""
    write, begun = os.write, set()

    def full(descriptor, data):
        name = os.readlink(f'/proc/self/fd/{descriptor}')
        if '.tfrecord.' in name:
            begun.add(name)
            if len(begun) >= number:
                if len(data) < 1000:
                    raise OSError(errno.ENOSPC, 'No space left on device')
                data = data[: len(data) // 2]
        return write(descriptor, data)

    monkeypatch.setattr(os, 'write', full)


def test_a_full_disk_stops_with_what_is_done(raw, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    with monkeypatch.context() as patch:
        fill_disk_at(patch, 5)
        with pytest.raises(
            OSError,
            match=r'out: the disk is full; 4 of 6 records are done, all '
            r'of them whole; free some space and call again',
        ):
            convert(raw, out)
    assert len(records(out)) == 4 and not list(out.rglob('*.partial'))
    assert convert(raw, out) == (2, 4)
    assert is_listed(out)


def test_a_flush_that_finds_the_disk_full_leaves_no_record(raw, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match=r'0 of 6 records are done'):
            convert(raw, tmp_path / 'out')
    assert not list((tmp_path / 'out').rglob('*.*'))
    assert convert(raw, tmp_path / 'out') == (6, 0)


def test_an_overwriting_call_that_stops_goes_on(converted, raw, tmp_path, rng, monkeypatch):
    """Old and new records are never confused, although their settings are the same."""
    shutil.rmtree(raw)
    small_raw.write_avia(raw, rng)  # different data
    convert(raw, tmp_path / 'new')
    assert convert(raw, converted) == (0, 6)  # --overwrite is explicit
    with monkeypatch.context() as patch:
        fill_disk_at(patch, 4)
        with pytest.raises(OSError, match='3 of 6 records are done'):
            convert(raw, converted, overwrite=True)
    assert len(manifest.read(converted)[0]) == 3
    assert convert(raw, converted) == (3, 3)
    assert records(converted) == records(tmp_path / 'new') and is_listed(converted)
    assert convert(raw, converted) == (0, 6)


def test_a_second_call_waits_for_the_first_and_writes_what_that_left(
    converted, raw, tmp_path, capsys
):
    out, counts = tmp_path / 'shared', []
    out.mkdir()
    with locking.held(out / '.lock', 'writes records'):
        second = threading.Thread(target=lambda: counts.append(convert(raw, out)))
        second.start()
        second.join(1.0)
        assert not counts and not records(out)
        for path, data in list(records(converted).items())[:4]:  # what the first one wrote
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(data)
    second.join(60)
    assert counts == [(2, 4)] and records(out) == records(converted) and is_listed(out)
    lines = [line for line in capsys.readouterr().err.splitlines() if 'waiting' in line]
    host = platform.node()
    assert lines == [f'waiting: process {os.getpid()} on {host} writes records: {out}']
    assert (out / '.lock').read_bytes() == b''  # names no process once it is free


def test_a_call_with_other_settings_is_refused_at_once_or_after_waiting(converted, raw, tmp_path):
    with (
        locking.held(converted / '.lock', 'writes records'),
        pytest.raises(ValueError, match='holds records made with'),
    ):
        convert(raw, converted, sequence_seconds=2)
    out, messages = tmp_path / 'shared', []

    def other():
        try:
            convert(raw, out, sequence_seconds=2)
        except ValueError as error:
            messages.append(str(error))

    out.mkdir()
    with locking.held(out / '.lock', 'writes records'):
        second = threading.Thread(target=other)
        second.start()
        second.join(1.0)
        assert not messages
        shutil.copy(converted / 'conversion.json', out)
    second.join(60)
    assert len(messages) == 1 and 'holds records made with' in messages[0] and not records(out)


@pytest.mark.slow
@pytest.mark.parametrize('count', [2, 3])
def test_calls_at_once_share_the_work(raw, tmp_path, count):
    options = '--processes=1', '--sequence_seconds=40'
    command = [sys.executable, *small_raw.avia_call(raw, tmp_path / 'out', *options)]
    calls = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    said = [call.communicate() for call in calls]
    assert [call.returncode for call in calls] == [0] * count, said
    counts = sorted(out.partition(' already')[0] for out, _ in said)
    expected = ['0 records written, 80'] * (count - 1) + ['80 records written, 0']
    assert counts == expected and is_listed(tmp_path / 'out')
    convert(raw, tmp_path / 'alone', sequence_seconds=40)
    assert records(tmp_path / 'out') == records(tmp_path / 'alone')


def test_a_damaged_note_of_the_settings_is_named(converted, raw):
    (converted / 'conversion.json').write_text('{"modalities": ["acou')
    with pytest.raises(ValueError, match=r'conversion\.json: damaged'):
        convert(raw, converted)


@pytest.mark.slow
def test_workers_end_with_the_command_that_is_killed(raw, tmp_path):
    """Several processes, killed from outside: none continues; a second call finishes the work."""
    out = tmp_path / 'out'
    options = '--processes=2', '--sequence_seconds=200'
    command = [sys.executable, *small_raw.avia_call(raw, out, *options)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
    while not records(out):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    until_s = time.monotonic() + 60
    while members(process.pid) and time.monotonic() < until_s:
        time.sleep(0.1)
    left = members(process.pid)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    assert not left
    assert 0 < len(records(out)) < 400
    written, there = convert(raw, out, sequence_seconds=200)
    assert written and there and written + there == 400
    convert(raw, tmp_path / 'undisturbed', sequence_seconds=200)
    assert kill.differences(kill.contents(out), kill.contents(tmp_path / 'undisturbed')) == []


def test_recordings_are_avia_only_where_somebody_says_so(raw, tmp_path):
    convert(raw, tmp_path / 'unnamed')
    assert datasets.read_description(tmp_path / 'unnamed') == datasets.UNNAMED
    assert convert(raw, tmp_path / 'unnamed', dataset='avia') == (0, 6)  # named afterwards
    assert datasets.read_description(tmp_path / 'unnamed') == datasets.AVIA
    own = datasets.DatasetInfo('own', ('a', 'b'), 'my array')
    datasets.write_description(raw, own)
    convert(raw, tmp_path / 'own', dataset='avia')
    assert datasets.read_description(tmp_path / 'own') == own  # the file wins
    with pytest.raises(ValueError, match="data set 'acivw': expected 'avia'"):
        convert(raw, tmp_path / 'other', dataset='acivw')
