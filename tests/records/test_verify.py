"""Every kind of damage is found, without false alarms, and repaired if there is a source."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data import schema
from records import convert_avia, convert_sounds, convert_tagging, verify, writer
from tests.helpers import record_bytes, small_raw
from tests.proofs import damage, kill

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


def found(out):
    """{path: kind} of what `verify` finds."""
    return {one.path: one.kind for one in verify.verify(out)[1]}


@pytest.fixture(scope='module')
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp('many')
    return root, damage.write_records(root, 150, np.random.default_rng(0))


def test_all_damage_is_found_and_nothing_else(many, tmp_path, rng):
    root, paths = many
    assert found(root) == {}
    shutil.copytree(root, tmp_path / 'copy')
    expected = damage.damage(tmp_path / 'copy', paths, 40, rng)
    assert len(expected) == 40
    assert damage.judge(verify.verify(tmp_path / 'copy')[1], expected) == []


@pytest.mark.parametrize('kind', damage.DAMAGES, ids=lambda kind: kind.__name__)
def test_damage_is_told_from_the_record_alone(kind, many, tmp_path, rng):
    """Without a manifest: everything except what only the manifest can reveal."""
    root, paths = many
    (tmp_path / 'Location_01/Subject_01/Action_001').mkdir(parents=True)
    for path in paths[:2]:
        shutil.copy(root / path, tmp_path / path)
    expected = kind(tmp_path / paths[0], rng)
    got = found(tmp_path)
    if kind is damage.other_content:
        assert got == {}
    elif kind is damage.removed:
        assert got == {paths[0]: 'gap'}
    elif kind is not damage.flipped_bit or got:  # in GZIP's name or time field
        assert set(got) == {paths[0]} and got[paths[0]] in expected


def test_the_command_reports_and_repairs(converted, raw, tmp_path, program):
    whole = records(converted)
    first, second, *_, last = whole
    for path, kind in (
        (first, damage.truncated),
        (second, damage.removed),
        (last, damage.other_content),
    ):
        kind(converted / path, np.random.default_rng(1))
    with open(converted / 'manifest.jsonl', 'a') as file:
        file.write('{"path": "Loc')
    arguments = [
        '-m',
        'records.verify',
        f'--root={converted}',
        f'--report={tmp_path}/report.json',
        '--processes=1',
    ]
    code, out, errors = program(*arguments)
    assert code == 1, errors
    *lines, end = out.splitlines()
    assert len(lines) == 4 and end.startswith('5 records read, 4 findings (')
    assert any(
        line.startswith(f'{first}: ends within its GZIP data')
        and line.endswith('; convert it again')
        for line in lines
    )
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['records'] == 5 and report['manifest']
    assert {one['path']: one['kind'] for one in report['findings']} == {
        first: 'truncated',
        second: 'missing',
        last: 'other_size',
        'manifest.jsonl': 'manifest_line',
    }
    (raw / 'sync/Location_02/Subject_03/Action_005/audio/A_000017.npy').write_bytes(b'')
    code, out, errors = program(*arguments, '--repair')
    assert code == 1, errors
    assert f'repaired: {first}: ends within' in out and f'repaired: {second}: ' in out
    assert 'A_000017.npy: not a readable .npy file' in out
    assert '6 records read, 1 findings (1 other_size), 3 repaired' in out
    assert records(converted) == whole | {last: (converted / last).read_bytes()}
    shutil.rmtree(raw)
    small_raw.write_avia(raw, np.random.default_rng(7))
    _, findings, repaired, failed = verify.verify(converted, repairing=True)
    assert [one.path for one in repaired] == [last] and not findings and not failed
    assert records(converted) == whole
    code, out, _ = program(*arguments)
    assert code == 0 and out == f'6 records read, 0 findings: {converted}\n'


def test_repair_says_what_it_does_not_know(converted):
    first = next(iter(records(converted)))
    damage.empty(converted / first, None)
    shutil.copy(converted / first, converted / 'Data_001.tfrecord')
    _, findings, repaired, failed = verify.verify(converted, repairing=True)
    assert [one.path for one in repaired] == [first]
    assert [one.path for one in findings] == ['Data_001.tfrecord'] == list(failed)
    assert 'no raw sequence' in failed['Data_001.tfrecord']
    (converted / 'conversion.json').unlink()
    (converted / 'Data_001.tfrecord').unlink()
    damage.empty(converted / first, None)
    _, (finding,), _, failed = verify.verify(converted, repairing=True)
    assert finding.path == first and 'does not list their sources' in failed[first]


def test_notes_of_the_conversion_are_verified_too(converted, raw):
    for text in (
        '{"modalities": ["acou',
        '7',
        '[' * 5000,
        '{"calls": 7}',
        '{"calls": [{"command": "x", "paths": [], "options": {}}]}',
    ):
        (converted / 'conversion.json').write_text(text)
        assert found(converted) == {'conversion.json': 'settings'}, text


def test_a_wild_number_does_not_fill_the_memory(converted):
    first = next(iter(records(converted)))
    wild = converted / first.replace('001.tfrecord', '9999999999.tfrecord')
    shutil.copy(converted / first, wild)
    kinds = list(found(converted).values())
    assert kinds.count('gap') == 1000 and len(kinds) == 1001


def test_a_folder_without_a_manifest_is_fine(converted):
    (converted / 'manifest.jsonl').unlink()
    assert found(converted) == {}


def test_records_beyond_a_sequence_are_too_many(converted, raw):
    convert(raw, converted, sequence_seconds=2, overwrite=True)
    assert found(converted) == {
        path: 'extra' for path in records(converted) if path.endswith('Data_003.tfrecord')
    }


def test_acivw_sounds_and_clips_are_verified_and_repaired(tmp_path, rng):
    small_raw.write_acivw(tmp_path / 'raw/acivw', rng)
    small_raw.write_sounds(tmp_path / 'raw/sounds', rng)
    small_raw.write_clips(tmp_path / 'raw/clips', rng)
    for name in ('acivw', 'sounds', 'tagging'):
        out = tmp_path / name
        kill.CONVERSIONS[name](tmp_path / 'raw', out)
        whole = records(out)
        assert found(out) == {}
        first, second, *_, last = whole
        damage.truncated(out / first, rng)
        damage.removed(out / second, rng)
        damage.two_examples(out / last, rng)
        # A sound's second example starts at the wrong place.
        assert found(out) == {
            first: 'truncated',
            second: 'missing',
            last: 'size' if name == 'sounds' else 'foreign',
        }
        assert verify.verify(out, repairing=True)[1] == []
        assert records(out) == whole


def rewrite_clip(path, key, kind, values):
    example = tf.train.Example.FromString(record_bytes.serialized(path))
    del getattr(example.features.feature[key], kind).value[:]
    getattr(example.features.feature[key], kind).value.extend(values)
    writer.write_record(path, example)


@pytest.mark.parametrize(
    'key, kind, values, expected',
    [
        (schema.CLIP_RATE, 'int64_list', [16_000], 'size'),
        (schema.CLIP_AUDIO, 'bytes_list', [b'123'], 'size'),
        (schema.CLIP_FRAMES, 'bytes_list', [b'\xff\xd8'] * 2, 'size'),
        (schema.CLIP_FRAMES, 'bytes_list', [b'no picture'], 'value'),
        (schema.CLIP_LABELS, 'int64_list', [0, 2, 1], 'value'),
        (schema.CLIP_LABELS, 'int64_list', [0, 1], 'other_kind'),
    ],
)
def test_damaged_clips_are_told(key, kind, values, expected, tmp_path, rng):
    small_raw.write_clips(tmp_path / 'raw', rng)
    convert_tagging.convert(
        tmp_path / 'raw/list.csv',
        'testing',
        tmp_path / 'raw/audio',
        tmp_path / 'out',
        tmp_path / 'raw/frames',
        clip_seconds=1,
    )
    (tmp_path / 'out/manifest.jsonl').unlink()
    rewrite_clip(tmp_path / 'out/testing/clip1.tfrecord', key, kind, values)
    assert found(tmp_path / 'out') == {'testing/clip1.tfrecord': expected}


def test_damaged_sounds_are_told(tmp_path, rng):
    small_raw.write_sounds(tmp_path / 'raw', rng)
    convert_sounds.convert(tmp_path / 'raw', tmp_path / 'out')
    (tmp_path / 'out/manifest.jsonl').unlink()
    rewrite_clip(
        tmp_path / 'out/rain/0_wav.tfrecord',
        schema.SOUND_DATA,
        'bytes_list',
        [np.full(9, np.inf, '<f4').tobytes()],
    )
    assert found(tmp_path / 'out') == {'rain/0_wav.tfrecord': 'not_finite'}


def test_what_is_no_records_folder_is_an_error(tmp_path, program):
    code, _, errors = program('-m', 'records.verify', f'--root={tmp_path}/nowhere')
    assert code == 1 and 'nowhere: no such folder' in errors and 'Traceback' not in errors
    with pytest.raises(ValueError, match='contains no records'):
        verify.verify(tmp_path)
