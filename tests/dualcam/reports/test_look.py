"""Acoustic images over video: maps with known results, valid files, the sound's position."""

import av
import numpy as np
import pytest
from PIL import Image

from dualcam.acoustics import microphones, views
from dualcam.cli import main
from dualcam.reports import look, overlays, take_figures


def test_power_is_summed_over_the_band_in_decibels():
    power = np.zeros((2, 36, 48, 512))
    power[0, 3, 5, 75] = 4.0  # 900 Hz
    power[0, 3, 5, 511] = 6.0  # 6,132 Hz
    power[0, 7, 9, 74] = 1e6  # 888 Hz: below the band
    power[1, 1, 1, 200:210] = 1.0
    made = overlays.maps(power)
    assert made[0].argmax() == 3 * 48 + 5 and made[0].max() == pytest.approx(10.0)
    assert made[0, 7, 9] < -300 and made[1].max() == pytest.approx(10.0)
    cepstra = np.arange(2 * 36 * 48 * 12.0).reshape(2, 36, 48, 12)
    np.testing.assert_array_equal(overlays.maps(cepstra), cepstra[..., 0])
    with pytest.raises(ValueError, match='13 channels: expected 512 frequencies or 12 cepstra'):
        overlays.maps(np.zeros((1, 36, 48, 13)))


def test_levels_reach_one_where_it_is_loud_and_stay_faint_in_quiet_frames(rng):
    decibels = rng.normal(0, 0.1, (9, 36, 48))
    decibels[:8, 10, 20] = 30.0
    level = overlays.levels(decibels)
    assert np.all(level[:8].max(axis=(1, 2)) == 1.0) and level[8].max() < 0.05
    assert level.min() == 0.0 and np.mean(level > 0.1) < 0.01


def test_the_hot_spot_lies_where_the_sound_is_and_the_rest_is_the_picture(rng):
    level = np.zeros((36, 48))
    level[9, 36] = 1.0  # a quarter down, three quarters to the right
    picture = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    made = overlays.overlay(level, picture)
    assert made.shape == picture.shape
    changed = np.abs(made.astype(int) - picture).sum(axis=2)
    rows, columns = np.nonzero(changed > 30)
    assert abs(rows.mean() - 9.5 * 480 / 36) < 6 and abs(columns.mean() - 36.5 * 640 / 48) < 6
    np.testing.assert_array_equal(made[300:, :300], picture[300:, :300])
    grey = overlays.overlay(level)
    assert grey.shape == (360, 480, 3) and np.all(grey[300:, :300] == 96)


def test_a_tone_is_a_line_at_its_height():
    tone = np.sin(2 * np.pi * 5512.5 * np.arange(22_050) / 22_050)
    picture = overlays.spectrogram_picture(tone, (200, 100)).astype(int).sum(axis=2)
    assert abs(int(picture[:, 100].argmax()) - 50) <= 2


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def take(rng):
    images = rng.normal(0, 1, (24, 36, 48, 12)).astype(np.float32)
    images[:, 5, 7, 0] = 40.0
    return look.Take(
        'take',
        images,
        rng.integers(0, 255, (24, 480, 640, 3)).astype(np.uint8),
        rng.integers(-(2**20), 2**20, (24, 1, 1024)).astype(np.int32),
    )


def test_all_kinds_of_files_open(take, tmp_path):
    written = look.write(take, tmp_path, look.KINDS, every=6)
    assert [path.suffix for path in written] == ['.png'] * 5 + ['.gif', '.mp4']
    assert pixels(written[0]).shape == (360, 480, 3)
    assert pixels(tmp_path / 'take.png').shape[1] > 4 * 480
    with Image.open(tmp_path / 'take.gif') as film:
        assert film.n_frames == 24 and film.size == (480, 480)
    with av.open(str(tmp_path / 'take.mp4')) as film:
        frames = [frame.to_ndarray(format='rgb24') for frame in film.decode(video=0)]
    assert len(frames) == 24 and frames[0].shape == (480, 480, 3)
    with av.open(str(tmp_path / 'take.mp4')) as film:
        samples = sum(frame.samples for frame in film.decode(audio=0))
    assert abs(samples - 2 * 22_050) < 3000
    with pytest.raises(ValueError, match="kind 'avi': expected one or more of png, sheet"):
        look.write(take, tmp_path, ['avi'])


def test_takes_without_video_or_sound_are_shown_too(take, tmp_path):
    bare = look.Take('bare', take.images)
    written = look.write(bare, tmp_path, ['sheet', 'mp4'])
    with av.open(str(written[1])) as film:
        assert not film.streams.audio and film.streams.video[0].height == 360


def _red_at(picture):
    """(x, y), 0 - 1, of the centre of the red area in a picture [height, width, 3]."""
    red = picture[..., 0].astype(int) - picture[..., 1:].max(axis=2)
    rows, cols = np.nonzero(red > 0.8 * red.max())
    return (cols.mean() + 0.5) / picture.shape[1], (rows.mean() + 0.5) / picture.shape[0]


@pytest.mark.parametrize(
    'view',
    [
        views.View((70.0, 43.0)),
        views.View((45.0, 30.0), mirrored=True),
        views.View((60.0, 45.0), upside_down=True),
        views.View(
            (0.0, 0.0),
            views.Calibration(
                np.array([[320.0, 0, 330], [0, 322, 250], [0, 0, 1]]),
                np.array([-0.1, 0.02, 0.0, 0.0]),
                (480, 360),
            ),
        ),
    ],
    ids=['wide', 'narrow, mirrored', 'upside down', 'lens'],
)
def test_a_camera_s_view_puts_the_sound_where_its_picture_has_the_source(view):
    place = views.direction(15.0, 8.0)
    grid = microphones.look_directions()
    images = np.zeros((4, 36, 48, 12))
    images[..., 0] = np.exp(-200 * (1 - grid.directions @ place))
    # Like a camera's: dark, and white where the source is, from the third frame on.
    scene = np.full((360, 480, 3), 20, np.uint8)
    x, y = np.round(view.places(place) * [480, 360]).astype(int)
    scene[y - 2 : y + 3, x - 2 : x + 3] = 255
    made = view.turned(scene)  # rotating twice changes nothing
    take = look.seen(look.Take('a', images, np.stack([made, made])), view, 2 / 12)
    assert [one is None for one in take.pictures] == [True, True, False, False]
    np.testing.assert_array_equal(take.pictures[2], scene)
    shown = look.over(take)
    assert np.all(shown[0][:20, :20] == 96)  # grey before the video begins
    red = _red_at(np.where((scene == 255).any(axis=2, keepdims=True), 0, shown[3]))
    np.testing.assert_allclose(red, view.places(place), atol=0.012)  # half a pixel of the map
    figure = take_figures.excerpt(take)
    np.testing.assert_allclose(_red_at(figure.overlay), view.places(place), atol=0.012)


def test_what_the_camera_sees_beside_the_maps_has_no_colour():
    level = overlays.placed(np.ones((36, 48)), views.View((120.0, 90.0)))
    inside = np.tan(np.deg2rad([30.0, 22.5])) / np.tan(np.deg2rad([60.0, 45.0]))
    assert level.shape == (72, 96) and set(np.unique(level.round(9))) == {0.0, 1.0}
    assert level.mean() == pytest.approx(np.prod(inside), rel=0.05)
    same = overlays.placed(np.arange(36 * 48.0).reshape(36, 48), views.View())
    np.testing.assert_allclose(same[::2, ::2][1:, 1:], same[1::2, 1::2][:-1, :-1] + 24.5, atol=1e-6)


def test_images_that_were_made_for_a_camera_are_not_moved_again(tmp_path, take, monkeypatch):
    folder = tmp_path / 'Location_01/Subject_01/Action_001'
    folder.mkdir(parents=True)
    look.check_unplaced(folder)
    (tmp_path / 'conversion.json').write_text('{"modalities": ["acoustic"]}')
    look.check_unplaced(folder)
    (tmp_path / 'conversion.json').write_text('{"view_deg": [70.0, 43.0]}')
    with pytest.raises(ValueError, match='omit the view options'):
        look.check_unplaced(folder)
    monkeypatch.setattr(look, 'read_take', lambda path: take)
    call = ['look', '--input', str(folder), f'--out={tmp_path}', '--kinds=sheet']
    assert main.main([*call, '--mirrored']) == 1
    assert main.main([*call, '--video_offset_s=0.5']) == 0


@pytest.mark.slow
def test_the_command_looks_at_records_and_raw_folders(smoke, tmp_path, capsys, program):
    folder = smoke / 'records' / 'Location_01' / 'Subject_01' / 'Action_003'
    assert main.main(['look', '--input', str(folder), f'--out={tmp_path}', '--kinds=sheet']) == 0
    assert 'written: ' in capsys.readouterr().out
    by_record = look.read_take(folder / 'Data_001.tfrecord')
    assert by_record.images.shape == (12, 36, 48, 12) and by_record.pictures.shape[0] == 12
    code, out, errors = program(
        '-m',
        'records.look',
        f'--raw={smoke}/raw',
        f'--out={tmp_path}/raw',
        '--kinds=sheet',
        '--take=Location_01/Subject_01/Action_002',
    )
    assert code == 0, errors
    assert 'Action_002.png' in out
    # The same take, from its records and from its frames, whose actions count from 0.
    name = 'Location_01_Subject_01_Action_{}.png'
    np.testing.assert_array_equal(
        pixels(tmp_path / name.format('003')), pixels(tmp_path / 'raw' / name.format('002'))
    )
    # And with a camera that has another view.
    view = ('--view_deg=70,43', '--mirrored', '--video_offset_s=0.25', '--kinds=sheet')
    assert main.main(['look', '--input', str(folder), f'--out={tmp_path}/seen', *view]) == 0
    code, out, errors = program(
        '-m',
        'records.look',
        f'--raw={smoke}/raw',
        f'--out={tmp_path}/seen',
        '--take=Location_01/Subject_01/Action_002',
        *view,
    )
    assert code == 0, errors
    seen = pixels(tmp_path / 'seen' / name.format('003'))
    np.testing.assert_array_equal(seen, pixels(tmp_path / 'seen' / name.format('002')))
    assert np.any(seen != pixels(tmp_path / name.format('003')))
    for path, message in (
        (tmp_path, 'expected the folder of one take'),
        (smoke / 'none', 'no Data_NNN'),
    ):
        assert main.main(['look', '--input', str(path), f'--out={tmp_path}']) == 1
        assert message in capsys.readouterr().err


def test_128_channels_show_their_power(tmp_path):
    import records.look
    from dualcam.acoustics import band_beamforming, microphones

    rng = np.random.default_rng(3)
    layout, grid = microphones.built_in_array(), microphones.look_directions()
    source = 1.5 * grid.directions[12, 30]
    distances = np.linalg.norm(source - layout.positions_m, axis=1)
    noise = rng.standard_normal(2048)
    name = 'Location_01/Subject_01/Action_000'
    for kind in ('audio', 'video'):
        (tmp_path / 'sync' / name / kind).mkdir(parents=True)
    (tmp_path / 'array' / name / 'audio').mkdir(parents=True)
    for frame in range(12):
        spectrum = np.fft.rfft(np.roll(noise, 100 * frame)[:1024])
        hz = np.fft.rfftfreq(1024, 1 / 12_288)
        delayed = np.fft.irfft(
            spectrum * np.exp(-2j * np.pi * hz * distances[:, None] / microphones.SPEED_OF_SOUND)
        )
        samples = (delayed * 1e5).astype('<i4')
        (tmp_path / 'array' / name / 'audio' / f'A_{frame + 1:06d}.dc').write_bytes(
            samples.tobytes(order='F')
        )
        np.save(tmp_path / 'sync' / name / 'audio' / f'A_{frame + 1:06d}.npy', samples[:1])
        Image.new('RGB', (640, 480)).save(
            tmp_path / 'sync' / name / 'video' / f'I_{frame + 1:06d}.jpeg'
        )
    take = records.look.read_take(
        tmp_path,
        tmp_path / 'matfiles',
        name,
        lambda filters: band_beamforming.BandBeamformer(layout, grid, filters, 1.5),
    )
    assert take.images.shape == (12, 36, 48, 1)
    loudest = overlays.maps(take.images).reshape(12, -1).argmax(axis=1)
    assert np.all(np.abs(loudest // 48 - 12) <= 1) and np.all(np.abs(loudest % 48 - 30) <= 1)
    assert len(look.write(take, tmp_path / 'out', ['sheet'])) == 1
    view = views.View((70.0, 43.0), mirrored=True)  # to which they may be beamformed directly
    wide = records.look.read_take(
        tmp_path,
        tmp_path / 'matfiles',
        name,
        lambda filters: band_beamforming.BandBeamformer(layout, view.grid(), filters, 1.5),
    )
    shown = look.over(look.seen(wide, view, aligned=True))[5]
    np.testing.assert_allclose(_red_at(shown), view.places(grid.directions[12, 30]), atol=0.02)
    (tmp_path / 'sync' / 'Location_01/Subject_02/Action_000/audio').mkdir(parents=True)  # harmless
    records.look.read_take(
        tmp_path,
        tmp_path / 'matfiles',
        name,
        lambda filters: band_beamforming.BandBeamformer(layout, grid, filters, 1.5),
    )
    with pytest.raises(ValueError, match='no take Location_09'):
        records.look.read_take(
            tmp_path, tmp_path / 'matfiles', 'Location_09/Subject_01/Action_000', None
        )
