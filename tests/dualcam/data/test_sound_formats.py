"""Every format that is read: singly, in folders, as tagged clips, whatever the file is called."""

import re

import numpy as np
import pytest

from dualcam.data.sources import sound_files, sound_folders, sound_formats
from records import clip_files
from tests.helpers import sound_containers

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
    if is_speech_codec:  # which suppresses what it takes for noise
        assert levels[1] > 5 * levels[0] and levels[1] > 0.1
        return
    assert levels[1] / levels[0] == pytest.approx(10, rel=0.25)
    assert levels[1] == pytest.approx(0.5 / 2**0.5, rel=0.15)


def test_the_list_of_formats_is_whole():
    assert {*sound_containers.SUFFIXES, *sound_containers.ONLY_READ} == {*sound_formats.SUFFIXES}
    assert len(set(sound_formats.SUFFIXES)) == len(sound_formats.SUFFIXES)


@pytest.mark.parametrize('suffix', sound_containers.SUFFIXES)
def test_a_format_is_read_singly_and_whatever_its_name_in_folders_and_as_a_clip(suffix, tmp_path):
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


@pytest.mark.parametrize('suffix', sound_containers.ONLY_READ)
def test_a_format_that_cannot_be_written_here_is_known_by_its_first_bytes(suffix, tmp_path):
    head, demuxer = sound_containers.ONLY_READ[suffix]
    assert sound_formats.demuxer_of(head) == demuxer
    path = tmp_path / f'a{suffix}'
    path.write_bytes(head + bytes(5000))
    with pytest.raises(sound_files.BadSound, match=f'a{suffix}: '):
        sound_files.read_sound(path)


@pytest.mark.parametrize('suffix', ['.aac', '.ts', '.wma', '.webm', '.avi', '.mkv', '.mka'])
def test_a_cut_recording_is_read_as_far_as_it_goes_and_that_is_said(suffix, tmp_path, capfd):
    path = tmp_path / f'a{suffix}'
    sound_containers.write(path, np.tile(_sound(suffix), 4))
    whole = path.read_bytes()
    assert len(sound_files.read_sound(path)) == pytest.approx(6 * 22_050, rel=0.02)
    assert not capfd.readouterr().err
    path.write_bytes(whole[: len(whole) * 3 // 5])
    assert len(sound_files.read_sound(path)) == pytest.approx(3.6 * 22_050, rel=0.1)
    if suffix not in ('.ts', '.avi'):  # which announce nothing
        assert re.search(rf'warning: .*a{suffix}: (is shorter|ends within)', capfd.readouterr().err)
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 8) + whole[len(whole) // 2 :])
    if suffix == '.aac':
        with pytest.raises(sound_files.BadSound, match='damaged'):
            sound_files.read_sound(path)
