"""Acoustic images over video: maps with known answers, files that open, the place of the sound."""

import av
import numpy as np
import pytest
from PIL import Image

from dualcam.cli import main
from dualcam.reports import look, overlays


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


@pytest.mark.slow
def test_the_command_looks_at_records_and_raw_folders(smoke, tmp_path, capsys, command):
    folder = smoke / 'records' / 'Location_01' / 'Subject_01' / 'Action_004'
    assert main.main(['look', '--input', str(folder), f'--out={tmp_path}', '--kinds=sheet']) == 0
    assert 'written: ' in capsys.readouterr().out
    by_record = look.read_take(folder / 'Data_001.tfrecord')
    assert by_record.images.shape == (12, 36, 48, 12) and by_record.pictures.shape[0] == 12
    code, out, errors = command(
        '-m',
        'records.look',
        f'--raw={smoke}/raw',
        f'--out={tmp_path}/raw',
        '--kinds=sheet',
        '--take=Location_01/Subject_01/Action_003',
    )
    assert code == 0, errors
    assert 'Action_003.png' in out
    # The same take, from its records and from its frames, whose actions count from 0.
    name = 'Location_01_Subject_01_Action_{}.png'
    np.testing.assert_array_equal(
        pixels(tmp_path / name.format('004')), pixels(tmp_path / 'raw' / name.format('003'))
    )
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
    (tmp_path / 'sync' / 'Location_01/Subject_02/Action_000/audio').mkdir(parents=True)  # no harm
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
