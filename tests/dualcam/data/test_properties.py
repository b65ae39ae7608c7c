"""Properties that hold for any folder, table and WAV header; seeds are fixed."""

import csv
import io
import os
import pathlib
import struct
import tempfile

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualcam.data.sources import sound_decoders, sound_folders
from dualcam.files import text_files

LAW = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NAMES = st.sampled_from(
    ['dog', 'dog bark', 'dog_bark', '1 - dog', '__MACOSX', '.hidden', 'train', 'test', 'é',
     'e\u0301', 'caf\udce9', 'new\nline', 'a.b', 'x,"y"', 'spectrograms']
)  # fmt: skip
FILES = st.sampled_from(
    ['a.wav', 'A.WAV', 'b.flac', 'c.m4a', 'd.mp4', '._a.wav', '.b.wav', 'readme.txt', 'e.png', 'no',
     'f.wav.part', 'caf\udce9.wav', 'two\nlines.ogg', 'meta.csv']
)  # fmt: skip
TREES = st.lists(st.tuples(st.lists(NAMES, max_size=3), FILES), min_size=1, max_size=12)
CELLS = st.text(
    st.characters(exclude_categories=('Cs', 'Cc', 'Zs', 'Zl', 'Zp')), min_size=1, max_size=6
)


@LAW
@given(TREES)
def test_every_file_of_a_folder_is_answered_or_left_out_once(tree):
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch) / 'in'
        written = set()
        for folders, name in tree:
            place = root.joinpath(*folders)
            place.mkdir(parents=True, exist_ok=True)
            if not (place / name).is_dir():
                (place / name).write_bytes(b'x')
                written.add(os.path.join(*folders, name))
        seen = {
            path
            for path in written
            if not any(part[0] == '.' or part == '__MACOSX' for part in path.split(os.sep))
        }
        sounds = {path for path in seen if _is_sound(path)}
        try:
            found = sound_folders.find_files(root)
        except ValueError as error:
            assert not sounds and 'no sound file' in str(error)
            return
        answered = [os.path.relpath(sound.path, root) for sound in found.sounds]
        assert sorted(answered) == sorted(sounds)
        # Lists that are ignored are named, and counted with the files of their folder.
        assert found.num_left_out == len(seen - sounds)
        assert all(-1 <= sound.label < len(found.classes) for sound in found.sounds)
        str([str(one) for one in found.left_out]).encode()


def _is_sound(path):
    return pathlib.Path(path).suffix.lower() in ('.wav', '.flac', '.m4a', '.mp4', '.ogg')


@LAW
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5),
    st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']),
    st.sampled_from(['\n', '\r\n', '\r']),
    st.sampled_from([',', ';', '\t']),
    st.booleans(),
)
def test_a_table_is_read_however_it_was_written(rows, encoding, end, delimiter, last_end):
    file = io.StringIO(newline='')
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([['one', 'two'], *rows, ['', '']])
    text = file.getvalue() if last_end else file.getvalue().removesuffix(end)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / 'a.csv'
        path.write_bytes(text.encode(encoding))
        got = text_files.read_table(path, ('one', 'two'))
    assert [[row['one'], row['two']] for row in got] == [[c.strip() for c in row] for row in rows]


@LAW
@given(
    st.binary(min_size=1, max_size=12).filter(lambda name: b'/' not in name and b'\0' not in name)
)
def test_names_are_escaped_reversibly(name):
    text = os.fsdecode(name)
    for escaped in (text_files.escape_name(text), text_files.printable_name(text)):
        escaped.encode()
        assert text_files.unescape_name(escaped) == text
    assert len(text_files.printable_name(text).splitlines()) == 1


@LAW
@given(
    st.integers(1, 3000),
    st.sampled_from(['right', 'zero', 'open', 'short', 'long']),
    st.sampled_from([b'', b'LIST\x04\0\0\0abcd', b'LIST\x03\0\0\0abc', b'JUNK\0\0\0\0']),
)
def test_a_wav_file_is_read_to_its_end_whatever_its_header_announces(count, size, before):
    data = np.arange(1, count + 1, dtype='<i2').tobytes()
    announced = {
        'right': len(data),
        'zero': 0,
        'open': 0xFFFF_FFFF,
        'short': len(data) // 5 * 2,
        'long': len(data) + 1000,
    }[size]
    form = struct.pack('<4sIHHIIHH', b'fmt ', 16, 1, 1, 8000, 16_000, 2, 16)
    body = b'WAVE' + form + before + b'data' + struct.pack('<I', announced) + data
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / 'a.wav'
        path.write_bytes(b'RIFF' + struct.pack('<I', len(body)) + body)
        rate_hz, blocks = sound_decoders.open_blocks(path)
        got = np.concatenate(list(blocks))[:, 0]
    assert rate_hz == 8000
    np.testing.assert_array_equal(got, np.arange(1, count + 1) / 2**15)
