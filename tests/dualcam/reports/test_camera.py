"""`dualcam camera` on takes with known results: positions, videos, sound, classes."""

import csv
import json
import types

import av
import h5py
import numpy as np
import pytest
import soundfile
from PIL import Image

from dualcam.acoustics import (
    geometry_files,
    localised_takes,
    maps,
    recordings,
    videos,
    views,
)
from dualcam.cli import main
from dualcam.inference import source_classes
from dualcam.reports import camera
from tests.helpers import array_takes, array_videos

PLACE = (20.0, 10.0)
VIEW = views.View()
HALF_PIXEL_DEG = 0.5 * np.array([60 / 48, 45 / 36])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A take of 1.5 s and its layout in all formats, and a video with a mark at the source."""
    folder = tmp_path_factory.mktemp('take')
    sound = array_takes.uma16_take([PLACE], 1.5, np.random.default_rng(7))
    for name, subtype in (('take.wav', 'PCM_24'), ('take.w64', 'FLOAT'), ('wavex.wav', 'PCM_16')):
        kind = 'WAVEX' if name.startswith('wavex') else None
        soundfile.write(folder / name, sound, array_takes.RATE_HZ, subtype, format=kind)
    with h5py.File(folder / 'take.h5', 'w') as file:
        file.create_dataset('time_data', data=sound).attrs['sample_freq'] = 48_000.0
    positions_m = geometry_files.uma16().positions_m
    np.savetxt(folder / 'mics.csv', positions_m, delimiter=',')
    np.savetxt(
        folder / 'mics_mm.csv', 1000 * positions_m, delimiter=';', header='X;Y;Z', comments=''
    )
    (folder / 'mics.xml').write_text(
        '<MicArray name="a">'
        + ''.join(f'<pos Name="1" x="{x}" y="{y}" z="{z}"/>' for x, y, z in positions_m)
        + '</MicArray>'
    )
    mark = VIEW.places(views.direction(*PLACE))
    array_videos.write_video(folder / 'take.mp4', (640, 480), 25, 1.5, mark)
    array_videos.write_video(folder / 'both.mkv', (640, 480), 25, 1.5, mark, sound)
    array_videos.write_video(folder / 'mirrored.mp4', (640, 480), 25, 1.5, (1 - mark[0], mark[1]))
    return folder


def _table(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _call(folder, out, *options, take='take.wav', array='mics.csv'):
    return main.main(
        [
            'camera',
            f'--input={folder / take}',
            f'--array={folder / array}',
            f'--out={out}',
            *options,
        ]
    )


def _film_pictures(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format='rgb24') for frame in film.decode(video=0)]


@pytest.mark.parametrize(
    ('take', 'array', 'options'),
    [
        ('take.wav', 'mics.csv', ()),
        ('wavex.wav', 'mics.xml', ()),
        ('take.w64', 'mics_mm.csv', ('--unit=mm',)),
        ('take.h5', 'mics.xml', ('--method=functional',)),
        ('take.h5', 'mics.csv', ('--method=diagonal', '--channels=-4')),
        ('both.mkv', 'mics.csv', ()),
    ],
)
def test_a_source_is_found_within_half_a_pixel(folder, tmp_path, capsys, take, array, options):
    assert (
        _call(folder, tmp_path / 'out', *options, '--view_deg=60,45', take=take, array=array) == 0
    )
    rows = _table(tmp_path / 'out/peaks.csv')
    assert len(rows) == 18 and {row['source'] for row in rows} == {'1'}
    assert [float(row['time_s']) for row in rows] == pytest.approx(
        (np.arange(18) + 0.5) / 12, abs=1e-3
    )
    for row in rows:
        found = float(row['azimuth_deg']), float(row['elevation_deg'])
        assert np.all(np.abs(np.subtract(found, PLACE)) < HALF_PIXEL_DEG)
        # The band of 900 - 6,400 Hz contains what the source has above 900 Hz.
        assert float(row['level_db']) == pytest.approx(-20 + 10 * np.log10(5100 / 5500), abs=1.0)
        assert (row['low_hz'], row['high_hz']) == ('900', '6400')
    (source,) = _table(tmp_path / 'out/sources.csv')
    assert source['maps'] == '18' and 'source 1:  +20.0 degrees right' in capsys.readouterr().out
    content = json.loads((tmp_path / 'out/take.json').read_text())
    assert len(content['sources']) == 1 and content['quiet_channels'] == []
    assert len(content['channels']) == (15 if '--channels=-4' in options else 16)
    assert np.load(tmp_path / 'out/maps.npy').shape == (18, 36, 48)


@pytest.mark.parametrize(
    ('video', 'options'),
    [('take.mp4', ()), ('mirrored.mp4', ('--mirrored',)), ('both.mkv', ())],
)
def test_the_film_shows_the_sound_over_the_video(folder, tmp_path, video, options):
    take = video if video == 'both.mkv' else 'take.wav'
    more = () if take == video else (f'--video={folder / video}',)
    assert _call(folder, tmp_path / 'out', '--view_deg=60,45', *options, *more, take=take) == 0
    with av.open(str(tmp_path / 'out/overlay.mp4')) as film:
        assert film.streams.video[0].average_rate == 25
        assert float(film.streams.audio[0].duration * film.streams.audio[0].time_base) == (
            pytest.approx(1.5, abs=0.05)
        )
    pictures = _film_pictures(tmp_path / 'out/overlay.mp4')
    assert len(pictures) == 38 and pictures[5].shape == (480, 640, 3)
    picture = pictures[20].astype(int)
    red = picture[..., 0] - picture[..., 2]
    rows, cols = np.nonzero(red > 60)
    hot = (cols.mean() + 0.5) / 640, (rows.mean() + 0.5) / 480
    # The hot spot is on the mark, wherever that is in the camera's picture.
    np.testing.assert_allclose(hot, VIEW.places(views.direction(*PLACE)), atol=0.05)
    corner = 1 if '--mirrored' not in options else -2
    assert pictures[37][2, corner].mean() > pictures[2][2, corner].mean() + 100
    assert pictures[20][300:, :200].max() < 60  # where there is no sound, only the video


def test_without_video_there_are_maps_alone_and_an_offset_moves_pictures(folder, tmp_path):
    assert _call(folder, tmp_path / 'a') == 0
    pictures = _film_pictures(tmp_path / 'a/overlay.mp4')
    assert len(pictures) == 18 and abs(int(pictures[3][400, 50].mean()) - 96) < 6
    late = ('--video', str(folder / 'take.mp4'), '--video_offset_s=0.52')
    assert _call(folder, tmp_path / 'b', *late) == 0
    pictures = _film_pictures(tmp_path / 'b/overlay.mp4')
    grey = [abs(float(one[440:, :100].mean()) - 96) < 6 for one in pictures]
    assert sum(grey) == 13 and all(grey[:13])
    with Image.open(tmp_path / 'b/sheet.png') as sheet:
        assert sheet.size[0] == 4 * 406 + 6


def test_listening_hears_the_source_and_not_the_noise(folder, tmp_path, rng):
    sound = array_takes.uma16_take([PLACE], 2.0, rng, noise_rms=0.1)
    soundfile.write(tmp_path / 'take.wav', sound, array_takes.RATE_HZ, 'PCM_24')

    def ratio_db(name, option):
        assert _call(tmp_path, tmp_path / name, option, array=folder / 'mics.csv') == 0
        heard, rate_hz = soundfile.read(tmp_path / name / 'listen.wav')
        assert (rate_hz, len(heard)) == (array_takes.RATE_HZ, len(sound))
        assert np.abs(heard).max() <= 1.0
        spectrum = np.square(np.abs(np.fft.rfft(heard)))
        hz = np.fft.rfftfreq(len(heard), 1 / rate_hz)
        inside, outside = (hz > 1000) & (hz < 6000), (hz > 7000) & (hz < 12_000)
        return 10 * np.log10(spectrum[inside].mean() / spectrum[outside].mean())

    one_mic = 10 * np.log10((1 / 5500 + 1 / 24_000) / (1 / 24_000))
    assert ratio_db('peak', '--listen=peak') > one_mic + 10
    assert ratio_db('there', '--listen=20,10') > one_mic + 10
    assert ratio_db('away', '--listen=-29,-20') < one_mic + 8


def _student(**bands_hz):
    """A student that classifies bands by energy, with windows of 0.5 s at 16 kHz."""

    def ask(clips):
        energy = np.square(np.abs(np.fft.rfft(clips, axis=1)))
        hz = np.fft.rfftfreq(clips.shape[1], 1 / 16_000)
        sums = [energy[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in bands_hz.values()]
        return np.log(np.stack(sums, axis=1) + 1e-9)

    return types.SimpleNamespace(
        source='made up',
        network='bands',
        classes=tuple(bands_hz),
        seconds=0.5,
        sample_rate_hz=16_000,
        clip_samples=8000,
        listen=lambda layer: ask,
        probabilities=lambda logits: np.exp(logits) / np.exp(logits).sum(),
    )


def test_a_student_hears_each_source_for_itself(tmp_path, rng):
    positions_m = geometry_files.uma16().positions_m
    size = 2 * array_takes.RATE_HZ
    bands = {'rumble': (3000, 4000), 'hiss': (4500, 6000)}
    places = {'rumble': (-22.0, -10.0), 'hiss': (22.0, 10.0)}
    sound = 0.001 * rng.standard_normal((size, 16))
    for name, band_hz in bands.items():
        signal = 0.1 * array_takes.noise(size, rng, band_hz=band_hz)
        sound += array_takes.heard(signal, positions_m, places[name])
    soundfile.write(tmp_path / 'take.w64', sound.astype(np.float32), 48_000, 'FLOAT')
    recording = recordings.open_recording(tmp_path / 'take.w64')
    maker = maps.MapMaker(
        geometry_files.uma16(), VIEW.grid(), 48_000, maps.MapParams(2500, 6400, 'functional')
    )
    take = localised_takes.localise(recording, maker, VIEW, tmp_path / 'maps.npy')
    assert len(take.sources) == 2
    found = source_classes.classify_take(take, _student(**bands), top_k=2)
    for track, one, windows in zip(take.sources, found.sources, found.windows, strict=True):
        name = 'hiss' if track.mean_place()[0] > 0 else 'rumble'
        assert one.classes[0] == name and one.probabilities[0] > 0.8 and len(windows) == 4
        assert (one.start_s, one.end_s) == pytest.approx((0.0, 2.0), abs=0.1)
    assert max(found.scene.probabilities) < 0.65  # a single microphone hears both


def test_windows_cover_a_source_within_the_take():
    starts = source_classes.window_starts
    assert starts(0.04, 5.96, 2.0, 6.0) == pytest.approx([0.0, 2.0, 4.0])
    assert starts(3.0, 3.5, 2.0, 6.0) == pytest.approx([2.25])
    assert starts(0.0, 0.5, 2.0, 6.0) == [0.0]
    assert starts(5.8, 6.0, 2.0, 6.0) == pytest.approx([4.0])
    assert starts(0.0, 1.0, 2.0, 1.0) == [0.0]


def test_a_quiet_channel_is_told(folder, tmp_path, capsys):
    sound, rate_hz = soundfile.read(folder / 'take.wav')
    sound[:, 6] = 0
    soundfile.write(tmp_path / 'take.wav', sound, rate_hz, 'PCM_24')
    assert _call(tmp_path, tmp_path / 'out', array=folder / 'mics.csv') == 0
    assert 'channel 7 is (nearly) silent; --channels=-7' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--array=dualcam',), '16 channels, but the array "built-in" has 128'),
        (('--channels=17',), 'the channels are 1 - 16'),
        (('--band=1,2',), 'contains 0 frequencies'),
        (('--method=orthogonal',), '--method=orthogonal needs --engine=acoular'),
        (('--video=none.mp4',), 'none.mp4: no such file'),
        (('--view_deg=60,45,1',), 'expected 1 or 2 comma-separated numbers'),
        (('--listen=100,0',), 'within 90 degrees'),
        (('--maps_per_s=0',), 'expected more than 0'),
        (('--unit=km',), 'invalid choice'),
        (('--most_peaks=0',), 'expected 1 or more'),
    ],
)
def test_mistakes_are_told_in_a_line(folder, tmp_path, capsys, options, message):
    assert _call(folder, tmp_path / 'out', *options) == 1
    errors = capsys.readouterr().err
    assert message in errors and 'Traceback' not in errors
    assert not (tmp_path / 'out/peaks.csv').exists()


def test_results_are_not_written_over(folder, tmp_path, capsys):
    (tmp_path / 'peaks.csv').write_text('mine')
    assert _call(folder, tmp_path) == 1
    assert 'peaks.csv exists' in capsys.readouterr().err
    assert _call(folder, tmp_path, '--overwrite') == 0


def test_quiet_maps_stay_faint():
    loud, soft = np.full((36, 48), -40.0), np.full((36, 48), -70.0)
    loud[5, 5], soft[5, 5] = -20.0, -60.0
    shown = camera.levels(loud, -20.0, 10.0)
    assert shown[5, 5] == 1.0 and shown[0, 0] == 0.0
    assert camera.levels(soft, -20.0, 10.0).max() == 0.0
    louder = camera.levels(loud + 5, -20.0, 10.0)
    np.testing.assert_allclose(louder, shown)


def test_the_count_of_maps_is_that_of_the_stream(rng):
    for rate_hz, seconds in ((48_000, 1.013), (16_000, 0.999), (44_100, 0.2), (12_288.5, 0.51)):
        maker = maps.MapMaker(geometry_files.uma16(), VIEW.grid(4, 4), rate_hz)
        size = int(rate_hz * seconds)
        made = list(maker.maps([rng.standard_normal((size, 16)).astype(np.float32)]))
        assert len(made) == localised_takes.count_maps(size, maker)


def test_the_video_of_a_take_is_read_by_its_size(folder):
    assert videos.open_video(folder / 'both.mkv').size == (640, 480)
