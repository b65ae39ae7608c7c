import numpy as np
import pytest

from dualcam.acoustics import microphones


def test_built_in_array_is_aperiodic_planar_and_fits_its_aperture():
    positions_m = microphones.built_in_array().positions_m
    assert positions_m.shape == (128, 3)
    assert np.all(positions_m[:, 2] == 0)
    assert np.ptp(positions_m, axis=0)[:2] == pytest.approx([0.45, 0.45], abs=0.015)
    between = np.linalg.norm(positions_m[:, None] - positions_m, axis=-1)
    assert between[~np.eye(128, dtype=bool)].min() > 0.02
    # Aperiodic: no displacement between two microphones is repeated often.
    steps = np.round((positions_m[:, None] - positions_m)[~np.eye(128, dtype=bool)] * 1000)
    _, counts = np.unique(steps, axis=0, return_counts=True)
    assert counts.max() <= 3
    np.testing.assert_array_equal(positions_m, microphones.built_in_array().positions_m)


def test_look_directions_are_even_on_the_video(rng):
    grid = microphones.look_directions()
    assert grid.directions.shape == (36, 48, 3)
    np.testing.assert_allclose(np.linalg.norm(grid.directions, axis=-1), 1.0)
    slopes = grid.directions[..., :2] / grid.directions[..., 2:]
    np.testing.assert_allclose(np.diff(slopes[0, :, 0]), 2 * np.tan(np.pi / 6) / 48)
    assert slopes[0, 0, 0] < 0 < slopes[0, 0, 1]  # row 0 is up, column 0 is left
    assert (
        microphones.look_directions(view_deg=(90, 60)).directions[0, 0, 0]
        < grid.directions[0, 0, 0]
    )
    with pytest.raises(ValueError, match='field of view'):
        microphones.look_directions(view_deg=(0, 45))


def test_near_delays_approach_those_of_plane_waves():
    mics, grid = microphones.built_in_array(), microphones.look_directions()
    plane = microphones.steering_delays(mics.positions_m, grid.directions)
    near = microphones.steering_delays(mics.positions_m, grid.directions, focus_m=1e5)
    np.testing.assert_allclose(near, plane, atol=1e-9)
    ahead = microphones.steering_delays(mics.positions_m, np.array([0.0, 0.0, 1.0]), focus_m=1.0)
    expected = (np.sqrt(1 + np.square(mics.positions_m).sum(axis=1)) - 1) / 343.0
    np.testing.assert_allclose(ahead, expected, atol=1e-12)
