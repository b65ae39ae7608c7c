"""The same sound is read identically from every container, with any block size."""

import sys

import av
import h5py
import numpy as np
import pytest
import soundfile

from dualcam.acoustics import geometry_files, recordings
from dualcam.acoustics.microphones import MicArray

RATE_HZ = 48_000
KINDS = {  # file, format, subtype, largest difference
    'PCM 16': ('take.wav', 'WAV', 'PCM_16', 2**-15),
    'PCM 24': ('take.wav', 'WAV', 'PCM_24', 2**-23),
    'PCM 32': ('take.wav', 'WAV', 'PCM_32', 2**-23),
    'float': ('take.wav', 'WAV', 'FLOAT', 0),
    'EXTENSIBLE': ('take.wav', 'WAVEX', 'PCM_24', 2**-23),
    'RF64': ('take.rf64', 'RF64', 'PCM_24', 2**-23),
    'W64': ('take.w64', 'W64', 'FLOAT', 0),
    'FLAC': ('take.flac', 'FLAC', 'PCM_24', 2**-23),
    'CAF': ('take.caf', 'CAF', 'PCM_32', 2**-23),
    'HDF5': ('take.h5', None, 'f4', 0),
    'HDF5, float64': ('take.hdf5', None, 'f8', 0),
    'Matroska, PCM': ('take.mkv', 'matroska', 'pcm_s24le', 2**-23),
    'AVI, PCM 16': ('take.avi', 'avi', 'pcm_s16le', 2**-15),
}


def _write(path, kind, subtype, sound):
    if path.suffix in recordings.HDF5_SUFFIXES:
        with h5py.File(path, 'w') as file:
            data = file.create_dataset('time_data', data=sound.astype(subtype))
            data.attrs['sample_freq'] = float(RATE_HZ)
    elif subtype.startswith('pcm'):
        channels = sound.shape[1]
        layout = {2: 'stereo', 8: '7.1'}.get(channels, f'{channels} channels')
        sample = 's16' if subtype == 'pcm_s16le' else 's32'
        scaled = np.round(sound * (2**15 if sample == 's16' else 2**31))
        with av.open(str(path), 'w') as file:
            stream = file.add_stream(subtype, rate=RATE_HZ, layout=layout)
            block = av.AudioFrame.from_ndarray(
                scaled.astype('i2' if sample == 's16' else 'i4').reshape(1, -1), sample, layout
            )
            block.sample_rate = RATE_HZ
            file.mux(stream.encode(block))
            file.mux(stream.encode())
    else:
        soundfile.write(path, sound, RATE_HZ, subtype, format=kind)


@pytest.fixture
def sound(rng):
    return rng.uniform(-0.9, 0.9, (5000, 8)).astype(np.float32)


@pytest.mark.parametrize(('name', 'kind', 'subtype', 'tolerance'), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize('block_samples', [None, 777])
def test_all_containers_give_the_same_sound(
    tmp_path, sound, name, kind, subtype, tolerance, block_samples
):
    path = tmp_path / name
    _write(path, kind, subtype, sound)
    recording = recordings.open_recording(path)
    assert (recording.rate_hz, recording.num_channels) == (RATE_HZ, 8)
    assert recording.num_samples == pytest.approx(5000, abs=60)
    blocks = list(recording.blocks(block_samples))
    assert {len(block) for block in blocks[:-1]} <= {block_samples}
    np.testing.assert_allclose(np.concatenate(blocks), sound, rtol=0, atol=tolerance)
    part = np.concatenate(list(recording.blocks(block_samples, 0.03, 0.09)))
    np.testing.assert_allclose(part, sound[1440:4320], rtol=0, atol=tolerance)
    around = recording.read(-100, 6000)
    np.testing.assert_allclose(around[100:5100], sound, rtol=0, atol=tolerance)
    assert not around[:100].any() and not around[5100:].any()


def test_sixteen_channels_come_from_a_container_too(tmp_path, rng):
    sound = rng.uniform(-0.9, 0.9, (3000, 16)).astype(np.float32)
    path = tmp_path / 'take.mkv'
    _write(path, 'matroska', 'pcm_s24le', sound)
    recording = recordings.open_recording(path, '16-1')
    np.testing.assert_allclose(
        np.concatenate(list(recording.blocks())), sound[:, ::-1], atol=2**-23
    )


def test_channels_are_picked_ordered_and_dropped(tmp_path, sound):
    path = tmp_path / 'take.wav'
    _write(path, 'WAV', 'FLOAT', sound)
    for text, wanted in {
        '1-8': range(8),
        '8-1': range(7, -1, -1),
        '3,1-2': (2, 0, 1),
        '-3': (0, 1, 3, 4, 5, 6, 7),
        '-2-4,-8': (0, 4, 5, 6),
        '1-4,-2': (0, 2, 3),
    }.items():
        recording = recordings.open_recording(path, text)
        np.testing.assert_array_equal(recording.read(0, 5000), sound[:, list(wanted)])
    for text in ('0', '9', '1,1', 'a', '1-', '1-8,-1-8', '1;2'):
        with pytest.raises(ValueError, match=r'take\.wav: --channels'):
            recordings.open_recording(path, text)


def test_a_dropped_channel_drops_its_microphone(tmp_path, sound):
    path = tmp_path / 'take.wav'
    _write(path, 'WAV', 'FLOAT', sound)
    array = MicArray('eight', np.arange(24.0).reshape(8, 3) / 100)

    def positions(channels, layout=array):
        recording = recordings.open_recording(path, channels)
        return recordings.match_array(recording, layout).positions_m

    np.testing.assert_array_equal(positions(None), array.positions_m)
    np.testing.assert_array_equal(positions('-3'), np.delete(array.positions_m, 2, axis=0))
    four = MicArray('four', array.positions_m[:4])
    np.testing.assert_array_equal(positions('5-8', four), four.positions_m)
    with pytest.raises(ValueError, match=r'8 channels, but .*4 microphones; --channels=1-4'):
        positions(None, four)
    with pytest.raises(ValueError, match=r'8 channels, but .*"uma16" has 16'):
        positions(None, geometry_files.uma16())


@pytest.mark.parametrize('rate_hz', [12_288, 22_050, 44_100, 96_000])
def test_other_rates_are_aligned_with_the_original(tmp_path, rate_hz):
    time_s = np.arange(RATE_HZ) / RATE_HZ
    phases = np.linspace(0, 3, 5)
    path = tmp_path / 'take.w64'
    _write(path, 'W64', 'FLOAT', np.sin(2 * np.pi * 1000 * time_s[:, None] + phases))
    recording = recordings.open_recording(path)
    whole = np.concatenate(list(recording.blocks(rate_hz=rate_hz)))
    parts = np.concatenate(list(recording.blocks(1000, rate_hz=rate_hz)))
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert len(whole) == pytest.approx(rate_hz, abs=1)
    expected = np.sin(2 * np.pi * 1000 * np.arange(len(whole))[:, None] / rate_hz + phases)
    inner = slice(rate_hz // 20, -rate_hz // 20)
    np.testing.assert_allclose(whole[inner], expected[inner], atol=1e-4)


def test_samples_that_are_not_finite_are_named(tmp_path, sound):
    sound[3210, 6] = np.nan
    path = tmp_path / 'take.w64'
    _write(path, 'W64', 'FLOAT', sound)
    with pytest.raises(recordings.BadRecording, match=r'channel 7 has a sample of nan at 0\.067'):
        list(recordings.open_recording(path).blocks(500))
    picked = recordings.open_recording(path, '8,7')
    with pytest.raises(recordings.BadRecording, match='channel 7 '):
        list(picked.blocks())
    assert len(list(recordings.open_recording(path, '-7').blocks())) == 1


def test_sound_of_a_codec_that_is_not_known_is_refused(tmp_path, sound):
    path = tmp_path / 'a.mkv'
    _write(path, None, 'pcm_s16le', sound)
    data = path.read_bytes()
    assert data.count(b'A_PCM/INT/LIT') == 1
    path.write_bytes(data.replace(b'A_PCM/INT/LIT', b'A_XCM/INT/LIT'))
    with pytest.raises(recordings.BadRecording, match=r'a\.mkv: no decoder for its audio'):
        recordings.open_recording(path)


def test_what_is_no_recording_is_refused_by_name(tmp_path, rng):
    for name in ('a.wav', 'a.h5', 'a.mkv', 'a.flac'):
        path = tmp_path / name
        with pytest.raises(recordings.BadRecording, match='no such file'):
            recordings.open_recording(path)
        for data in (b'', rng.bytes(3000), b'RIFF' + rng.bytes(300)):
            path.write_bytes(data)
            with pytest.raises(recordings.BadRecording, match=rf'{path.name}'):
                recordings.open_recording(path)
    path = tmp_path / 'a.wav'
    soundfile.write(path, np.zeros((0, 4)), RATE_HZ)
    with pytest.raises(recordings.BadRecording, match='no samples'):
        recordings.open_recording(path)


@pytest.mark.parametrize('form, subtype', [('WAV', 'PCM_16'), ('W64', 'FLOAT'), ('AIFF', 'PCM_24')])
def test_a_recording_that_was_cut_is_read_as_far_as_it_goes(tmp_path, sound, capsys, form, subtype):
    path = tmp_path / f'take.{form.lower()}'
    _write(path, form, subtype, sound)
    whole = np.concatenate(list(recordings.open_recording(path).blocks()))
    assert capsys.readouterr().err == ''
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording = recordings.open_recording(path)
    there = np.concatenate(list(recording.blocks()))
    np.testing.assert_array_equal(there, whole[: len(there)])
    assert 0.45 < len(there) / len(whole) < 0.55 and recording.num_samples == len(there)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'warning: {path}: is shorter than announced: ')


def test_a_recording_whose_header_was_never_finished_is_read(tmp_path, sound, capsys):
    path = tmp_path / 'take.wav'
    _write(path, 'WAV', 'PCM_16', sound)
    whole = np.concatenate(list(recordings.open_recording(path).blocks()))
    data = bytearray(path.read_bytes())
    place = data.index(b'data') + 4
    data[4:8] = data[place : place + 4] = bytes(4)  # as left by a recorder that loses power
    path.write_bytes(data)
    there = np.concatenate(list(recordings.open_recording(path).blocks()))
    np.testing.assert_array_equal(there, whole)
    assert 'was not finished' in capsys.readouterr().err


@pytest.mark.parametrize('what', ['no time_data', 'no rate', 'text', 'flat', 'rate 0', 'rate nan'])
def test_hdf5_of_another_make_is_refused(tmp_path, what):
    path = tmp_path / 'take.h5'
    with h5py.File(path, 'w') as file:
        if what != 'no time_data':
            shape = (10,) if what == 'flat' else (10, 2)
            data = file.create_dataset('time_data', data=np.zeros(shape))
            rates = {'text': 'fast', 'rate 0': 0.0, 'rate nan': np.nan}
            if what != 'no rate':
                data.attrs['sample_freq'] = rates.get(what, 48000.0)
    with pytest.raises(recordings.BadRecording, match=r'take\.h5'):
        recordings.open_recording(path)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_long_recordings_stay_out_of_memory(tmp_path, command):
    """A minute of 64 channels, 737 MB as float32, in a sparse file."""
    path = tmp_path / 'long.w64'
    soundfile.write(path, np.zeros((1, 64)), 48_000, 'PCM_16')
    data_bytes = 60 * 48_000 * 64 * 2
    header = path.read_bytes()[:-128]
    with open(path, 'wb') as file:
        sizes = bytearray(header)
        sizes[16:24] = (len(header) + data_bytes).to_bytes(8, 'little')
        sizes[-8:] = (24 + data_bytes).to_bytes(8, 'little')
        file.write(sizes)
        file.truncate(len(header) + data_bytes)
    code, said, errors = command(
        '-c',
        'import resource, sys\n'
        'from dualcam.acoustics import recordings\n'
        'one = recordings.open_recording(sys.argv[1])\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'n = sum(len(block) for block in one.blocks(rate_hz=12_288))\n'
        'print(n, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)',
        path,
    )
    assert code == 0, errors
    samples, mebibytes = map(int, said.split())
    assert samples == pytest.approx(60 * 12_288, abs=2)
    assert mebibytes < 150
