"""Drawn frames: seeded, the right size for their distance, and moving with the sound."""

import io

import numpy as np
import pytest
from PIL import Image

from records.synthetic import subjects, video

STILL_M = np.array([[0.0, 0.0, 1.5]] * 2)
MOUTH_ACTIONS = (2, 3)  # speaking, whistling


def frames_of(action, places_m=STILL_M, levels=(0.0, 1.0), location=0, seed=0, **kwargs):
    return list(
        video.render_frames(
            action,
            subjects.subject(2),
            location,
            np.asarray(places_m),
            levels,
            np.random.default_rng(seed),
            **kwargs,
        )
    )


def changed(one, other):
    """[480, 640] where two frames differ by more than the camera's noise."""
    return np.abs(one.astype(int) - other).sum(axis=-1) > 12


@pytest.mark.parametrize('location', range(3))
def test_same_seed_same_bytes(location):
    once, again, other = (
        [video.encode_jpeg(f) for f in frames_of(8, location=location, seed=s)] for s in (0, 0, 1)
    )
    assert once == again and once != other


def test_locations_look_different_and_the_chamber_is_dark():
    # A corner with nobody in front of it.
    corners = [frames_of(0, location=i)[0][:160, :160].mean(axis=(0, 1)) for i in range(3)]
    assert corners[0].max() < 80 < min(corners[1].min(), corners[2].max())
    assert corners[2][2] > corners[2][0] + 20  # the sky is blue


@pytest.mark.parametrize('action', MOUTH_ACTIONS)
def test_the_mouth_opens_with_the_voice_and_nothing_else_moves(action):
    shut, wide = frames_of(action)
    rows, cols = np.nonzero(changed(shut, wide))
    col, row = video.project(STILL_M[0])
    assert len(rows) > 20
    assert np.abs(rows - row).max() < 30 and np.abs(cols - col).max() < 30


def test_a_voice_has_no_hands_and_hands_move_with_the_level():
    shut, wide = frames_of(0)  # clapping
    assert changed(shut, wide).sum() > 200
    assert changed(frames_of(0)[1], frames_of(2)[1]).sum() > 1000


def test_what_is_farther_away_is_smaller():
    # Pictures of a person at two places at the same distance differ at both places.
    areas = []
    for z_m in (1.2, 2.0):
        left, right = frames_of(2, [[-0.3 * z_m, 0.2, z_m], [0.3 * z_m, 0.2, z_m]], (0.5, 0.5))
        areas.append(changed(left, right).sum())
    assert areas[0] > 1.3 * areas[1]


def test_classes_of_other_recordings_borrow_the_14_shapes():
    for one, other in zip(frames_of(6), frames_of(20), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_narrower_view_moves_the_object_outwards():
    place_m = [[0.3, 0.1, 1.5]]
    wide, narrow = (video.project(place_m[0], view) for view in ((60.0, 45.0), (40.0, 30.0)))
    assert narrow[0] > wide[0] > 320 and narrow[1] < wide[1] < 240
    (frame,) = frames_of(11, place_m, (0.5,), view_deg=(40.0, 30.0))
    col, row = np.round(narrow).astype(int)
    # A plastic bag is bright and bluish between the hands; the chamber behind it is dark.
    assert frame[row - 4 : row + 5, col - 4 : col + 5].mean() > 120


def test_someone_who_leaves_the_view_does_not_stop_the_film():
    places_m = [[x, y, 1.0] for x, y in ((-3.0, 0.0), (3.0, 0.0), (0.0, 3.0), (0.0, -3.0))]
    for action in range(14):
        for frame in frames_of(action, places_m, (0.0, 0.3, 0.6, 1.0)):
            assert frame.shape == (480, 640, 3) and frame.dtype == np.uint8


def test_jpeg_is_quality_85_with_halved_chroma():
    picture = Image.open(io.BytesIO(video.encode_jpeg(frames_of(0)[0])))
    assert picture.size == (640, 480) and picture.mode == 'RGB'
    assert [layer[1:3] for layer in picture.layer] == [(2, 2), (1, 1), (1, 1)]
    again = io.BytesIO()
    Image.new('RGB', (16, 16)).save(again, 'JPEG', quality=85)
    assert picture.quantization == Image.open(again).quantization


@pytest.mark.parametrize('location', [-1, 3])
def test_unknown_locations_are_refused(location):
    with pytest.raises(ValueError, match=f'location {location}: expected 0, 1 or 2'):
        frames_of(0, location=location)
