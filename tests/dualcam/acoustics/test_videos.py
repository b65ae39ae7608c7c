"""Frames at the times of the sound, in the scene's orientation."""

import numpy as np
import pytest

from dualcam.acoustics import videos, views
from tests.helpers import array_videos

MARK = (0.75, 0.25)


@pytest.mark.parametrize(
    ('name', 'size', 'rate'),
    [('a.mp4', (640, 480), 30), ('a.mkv', (1280, 720), 12), ('a.avi', (322, 242), 25)],
)
def test_any_size_and_rate_is_read_at_given_times(tmp_path, name, size, rate):
    array_videos.write_video(tmp_path / name, size, rate, 2.0, MARK)
    video = videos.open_video(tmp_path / name)
    assert (video.size, video.rate_hz) == (size, rate)
    times_s = np.arange(-0.5, 4.0, 0.1)
    pictures = list(video.at(times_s))
    there = [picture is not None for picture in pictures]
    assert there == [-1e-6 < time_s < 3.0 - 1 / rate + 0.001 for time_s in times_s]
    shape = pictures[10].shape
    assert shape == (size[1], size[0], 3)
    corner = [float(one[2, 2].mean()) for one in pictures[5:25]]
    expected = 20 + 200 * np.floor((times_s[5:25] + 1e-6) * rate) / (2 * rate)
    np.testing.assert_allclose(corner, expected, atol=8)
    np.testing.assert_allclose(array_videos.white_at(pictures[8]), MARK, atol=0.02)
    small = next(iter(video.at([0.5], (160, 120))))
    assert small.shape == (120, 160, 3)
    np.testing.assert_allclose(array_videos.white_at(small), MARK, atol=0.03)


@pytest.mark.parametrize(('mirrored', 'upside_down'), [(1, 0), (0, 1), (1, 1)])
def test_turned_pictures_come_as_the_scene_is(tmp_path, mirrored, upside_down):
    x, y = MARK
    turned = (1 - x if mirrored != upside_down else x, 1 - y if upside_down else y)
    array_videos.write_video(tmp_path / 'a.mp4', (320, 240), 10, 1.0, turned)
    view = views.View(mirrored=bool(mirrored), upside_down=bool(upside_down))
    _, picture = next(videos.open_video(tmp_path / 'a.mp4').pictures(view=view))
    np.testing.assert_allclose(array_videos.white_at(picture), MARK, atol=0.02)


def test_what_is_no_video_is_refused_by_name(tmp_path, rng):
    import soundfile

    path = tmp_path / 'a.mp4'
    with pytest.raises(videos.BadVideo, match='no such file'):
        videos.open_video(path)
    for data in (b'', rng.bytes(5000)):
        path.write_bytes(data)
        with pytest.raises(videos.BadVideo, match=r'a\.mp4'):
            videos.open_video(path)
    soundfile.write(tmp_path / 'a.wav', np.zeros((100, 2)), 48_000)
    with pytest.raises(videos.BadVideo, match='has no video frames'):
        videos.open_video(tmp_path / 'a.wav')
    assert not videos.has_pictures(tmp_path / 'a.wav')


def test_a_video_that_breaks_off_ends_there(tmp_path):
    path = tmp_path / 'a.mkv'
    array_videos.write_video(path, (320, 240), 10, 5.0, MARK)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pictures = [one is not None for one in videos.open_video(path).at(np.arange(0, 6, 0.1))]
    assert pictures[0] and not pictures[-1]
