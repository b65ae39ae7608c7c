"""Every supported format: single files, folders and tagged clips, under any file name."""

import errno
import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from dualcam.data.sources import sound_decoders, sound_files, sound_folders, sound_formats
from records import clip_files, convert_sounds
from tests.helpers import sound_containers
from tests.helpers.checkout import ROOT

_CLICK_S = 0.7


def _sound(suffix):
    """1.5 s of a tone that grows louder at 0.7 s."""
    time = np.arange(int(1.5 * (8_000 if suffix == '.amr' else 48_000)))
    time = time / (8_000 if suffix == '.amr' else 48_000)
    return np.where(time < _CLICK_S, 0.05, 0.5) * np.sin(2 * np.pi * 440 * time)


def _is_that_sound(path, is_speech_codec=False):
    signal = sound_files.read_sound(path)
    assert len(signal) / 22_050 == pytest.approx(1.5, abs=0.12)  # codecs add a frame or two
    spectrum = np.abs(np.fft.rfft(signal))
    assert spectrum.argmax() * 22_050 / len(signal) == pytest.approx(440, abs=2)
    levels = [
        np.std(signal[int(a * 22_050) : int(b * 22_050)]) for a, b in ((0.2, 0.6), (0.9, 1.3))
    ]
    if is_speech_codec:  # which suppresses what it classifies as noise
        assert levels[1] > 5 * levels[0] and levels[1] > 0.1
        return
    assert levels[1] / levels[0] == pytest.approx(10, rel=0.25)
    assert levels[1] == pytest.approx(0.5 / 2**0.5, rel=0.15)


def test_the_list_of_formats_is_whole():
    assert {*sound_containers.SUFFIXES, *sound_containers.ONLY_READ} == {*sound_formats.SUFFIXES}
    assert len(set(sound_formats.SUFFIXES)) == len(sound_formats.SUFFIXES)


@pytest.mark.parametrize('suffix', sound_containers.SUFFIXES)
def test_a_format_is_read_singly_and_whatever_its_name_in_folders_and_as_a_clip(
    suffix, tmp_path, capfd
):
    named = tmp_path / f'd/tone/a{suffix.upper()}'
    named.parent.mkdir(parents=True)
    sound_containers.write(named, _sound(suffix), suffix)
    is_speech_codec = suffix == '.amr'
    _is_that_sound(named, is_speech_codec)
    other = tmp_path / 'nothing.known'
    other.write_bytes(named.read_bytes())
    _is_that_sound(other, is_speech_codec)  # by its content
    wrong = tmp_path / 'wrong.wav'
    wrong.write_bytes(named.read_bytes())
    _is_that_sound(wrong, is_speech_codec)
    found = sound_folders.find_files(tmp_path / 'd')
    assert [sound.path for sound in found.sounds] == [str(named)] and found.classes == ('tone',)
    assert not found.left_out
    assert clip_files.find_audio(tmp_path / 'd') == {'a': named}
    assert not capfd.readouterr().err  # a complete file is never reported as truncated


@pytest.mark.parametrize('suffix', sound_containers.ONLY_READ)
def test_a_format_that_cannot_be_written_here_is_known_by_its_first_bytes(suffix, tmp_path):
    head, demuxer = sound_containers.ONLY_READ[suffix]
    assert sound_formats.demuxer_of(head) == demuxer
    path = tmp_path / f'a{suffix}'
    path.write_bytes(head + bytes(5000))
    with pytest.raises(sound_files.BadSound, match=f'a{suffix}: '):
        sound_files.read_sound(path)


# The warning about a file that was truncated to three fifths of its bytes.
_LENGTHS = (
    '.wav', '.rf64', '.w64', '.flac', '.mp3', '.aif', '.aiff', '.aifc', '.au', '.snd', '.caf',
    '.sph', '.nist', '.voc', '.avr', '.svx', '.8svx', '.webm', '.mkv', '.mka', '.wma', '.asf',
    '.avi', '.flv', '.wv', '.tta', '.rm', '.mp4',
)  # fmt: skip
_PAGES = ('.ogg', '.oga', '.opus', '.ogv', '.spx')
_PACKETS = ('.aac', '.mp2', '.amr', '.nut')
_NOTHING = ('.ircam', '.pvf', '.paf', '.ac3', '.ts', '.mpg')
_EXACT = (
    '.wav', '.w64', '.flac', '.aif', '.aifc', '.au', '.caf', '.sph', '.voc', '.avr', '.8svx',
    '.tta', '.wv',
)  # fmt: skip


def _with_index_first(data):
    """An MP4 file with its index before the sound, like those made for streaming."""
    begin = data.index(b'moov') - 4  # the last box
    sound_at = data.index(b'mdat') - 12  # an empty box precedes it
    index = bytearray(data[begin:])
    at = index.index(b'stco') + 8
    for place in range(at + 4, at + 4 + 4 * int.from_bytes(index[at : at + 4], 'big'), 4):
        moved = int.from_bytes(index[place : place + 4], 'big') + len(index)
        index[place : place + 4] = moved.to_bytes(4, 'big')
    return data[:sound_at] + index + data[sound_at:begin]


def _cut(path, suffix):
    """Samples of a 6 s sound, and (Hz, samples) of the same file truncated to three fifths."""
    sound_containers.write(path, np.tile(_sound(suffix), 4), suffix)
    if suffix == '.mp4':
        path.write_bytes(_with_index_first(path.read_bytes()))
    whole = np.concatenate(list(sound_decoders.open_blocks(path)[1]))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5 + 1])
    rate_hz, blocks = sound_decoders.open_blocks(path)
    return whole, rate_hz, np.concatenate(list(blocks))


@pytest.mark.parametrize('suffix', [*_LENGTHS, *_PAGES, *_PACKETS, *_NOTHING])
def test_a_cut_recording_is_read_as_far_as_it_goes_and_that_is_said(suffix, tmp_path, capfd):
    path = tmp_path / f'a{suffix}'
    whole, rate_hz, there = _cut(path, suffix)
    there_s = len(there) / rate_hz
    # Packets contain up to a second, and an Ogg page several packets.
    assert (1.8 if suffix in _PAGES else 2.8) < there_s < 3.9
    if suffix in _EXACT:
        np.testing.assert_array_equal(there, whole[: len(there)])
    if suffix in _LENGTHS:
        said = f'is shorter than announced: {there_s:.1f} s of 6.0 s are present and are read'
    elif suffix in _PAGES:
        said = 'was truncated or never finished, as its last page is missing: '
        said += f'{there_s:.1f} s are present and are read'
    else:
        said = 'ends within an audio packet; everything before it is read'
    expected = '' if suffix in _NOTHING else f'warning: {path}: {said}\n'
    assert capfd.readouterr().err == expected


def test_the_same_is_said_wherever_a_sound_is_read(tmp_path, capfd):
    for name in ('d/tone', 'd/hum'):
        (tmp_path / name).mkdir(parents=True)
        sound_containers.write(tmp_path / name / 'a.aif', np.tile(_sound('.aif'), 4))
    path = tmp_path / 'd/tone/a.aif'
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    for read in (
        lambda: sound_files.read_sound(path),
        lambda: list(sound_files.read_heard_windows(path, 22_050, 22_050)),
        lambda: convert_sounds.convert(tmp_path / 'd', tmp_path / 'out'),
    ):
        read()
        said = [line for line in capfd.readouterr().err.splitlines() if 'warning' in line]
        assert len(said) == 1 and said[0].endswith(
            f'{path}: is shorter than announced: 3.0 s of 6.0 s are present and are read'
        )


@pytest.mark.parametrize('suffix', ['.mp4', '.flac', '.aif', '.w64', '.caf'])
def test_a_header_alone_is_no_sound(suffix, tmp_path):
    path = tmp_path / f'a{suffix}'
    sound_containers.write(path, _sound(suffix), suffix)
    head = {'.aif': 54, '.w64': 104, '.flac': 42}.get(suffix, 30)
    path.write_bytes(path.read_bytes()[:head])
    with pytest.raises(sound_files.BadSound, match=f'a{suffix}: '):
        sound_files.read_sound(path)


def test_a_damaged_stream_of_packets_is_no_cut_one(tmp_path):
    path = tmp_path / 'a.aac'
    sound_containers.write(path, np.tile(_sound('.aac'), 4))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 8) + whole[len(whole) // 2 :])
    with pytest.raises(sound_files.BadSound, match='damaged'):
        sound_files.read_sound(path)


@pytest.mark.parametrize('subtype', ['PCM_16', 'PCM_24'])
def test_flac_that_was_cut_is_told_from_flac_that_is_damaged(subtype, tmp_path, rng, capfd):
    path = tmp_path / 'a.flac'
    soundfile.write(path, 0.1 * rng.standard_normal((25 * 16_000, 2)), 16_000, subtype)
    data = path.read_bytes()
    _, blocks = sound_decoders.open_blocks(path)
    whole = np.concatenate(list(blocks))
    for share in (0.3, 0.7, 0.999):  # in the first block of ten seconds, and in later ones
        path.write_bytes(data[: int(share * len(data))])
        there = np.concatenate(list(sound_decoders.open_blocks(path)[1]))
        assert len(there) == pytest.approx(share * len(whole), rel=0.1)
        np.testing.assert_array_equal(there, whole[: len(there)])
        assert 'is shorter than announced' in capfd.readouterr().err
    middle = len(data) // 2
    for damaged in (
        data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        data[:middle] + data[middle + 20_000 :],
        data[:middle] + bytes(20_000) + data[middle:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(sound_files.BadSound, match=r'a\.flac: damaged'):
            list(sound_decoders.open_blocks(path)[1])


@pytest.mark.parametrize('suffix', ['.mp3', '.aac'])
def test_a_cover_of_any_size_does_not_hide_what_follows(suffix, tmp_path, capfd):
    path = tmp_path / f'a{suffix}'
    sound_containers.write(path, np.tile(_sound(suffix), 4))
    plain = sound_files.read_sound(path)
    size = 50_000
    tag = b'ID3\x03\0\0' + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + bytes(size)
    data = tag + path.read_bytes()
    path.write_bytes(data)
    np.testing.assert_array_equal(sound_files.read_sound(path), plain)
    assert not capfd.readouterr().err
    path.write_bytes(data[: (len(data) + len(tag)) // 2])
    assert len(sound_files.read_sound(path)) < 0.6 * len(plain)
    assert len(capfd.readouterr().err.splitlines()) == 1
    path.write_bytes(tag)
    with pytest.raises(sound_files.BadSound, match='a tag with nothing after it'):
        sound_files.read_sound(path)


@pytest.mark.parametrize(
    ('suffix', 'at', 'size'),
    [('.au', 8, b'\xff' * 4), ('.aif', -1, b'\x7f\xff\xff\xff'), ('.caf', -1, b'\xff' * 8)],
)
def test_a_length_that_is_left_open_announces_nothing(suffix, at, size, tmp_path, capfd):
    path = tmp_path / f'a{suffix}'
    sound_containers.write(path, _sound(suffix))
    data = path.read_bytes()
    begin = at if at > 0 else data.index({'.aif': b'SSND', '.caf': b'data'}[suffix]) + 4
    path.write_bytes(data[:begin] + size + data[begin + len(size) :])
    rate_hz, blocks = sound_decoders.open_blocks(path)
    assert sum(map(len, blocks)) == 1.5 * rate_hz and not capfd.readouterr().err


def _misleading():
    """A Core Audio file whose chunks point outside it."""
    described = struct.pack('>d4sIIIII', 44_100.0, b'lpcm', 0, 2, 1, 1, 16)
    chunks = b'desc' + struct.pack('>q', 32) + described
    return b'caff\0\1\0\0' + chunks + (b'free' + struct.pack('>q', 1 << 62)) * 4 + bytes(200)


@pytest.mark.parametrize(
    ('name', 'data'),
    [('a.caf', _misleading()), ('a.mp3', b'\xff\xfb\x90\x40' + bytes(2000))],
)
def test_a_damaged_container_gives_one_line_and_no_other_librarys_words(name, data, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    program = (
        'import sys; from dualcam.cli import errors; from dualcam.data.sources import sound_files; '
        'sys.exit(errors.exit_code(lambda: list(sound_files.read_blocks(sys.argv[1])) and 0))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith(f'error: {path}: not a readable sound file (')
    assert len(done.stderr.splitlines()) == 1


class _Failing(io.FileIO):
    """A file on a failing disk."""

    def read(self, count=-1):
        if self.tell() > 100_000:
            raise OSError(errno.EIO, 'Input/output error')
        return super().read(count)


def test_a_disk_that_fails_is_not_taken_for_the_end_of_a_container(
    tmp_path, monkeypatch, capfd, rng
):
    path = tmp_path / 'a.mka'
    sound_containers.write(path, 0.1 * rng.standard_normal(6 * 48_000))
    monkeypatch.setattr(sound_decoders, 'open', lambda path, _: _Failing(path), raising=False)
    with pytest.raises(sound_files.BadSound, match=r'a\.mka: cannot be read \(Input/output error'):
        list(sound_decoders.open_blocks(path)[1])
    assert not capfd.readouterr().err
