"""Physics first: place a source and check where it is found."""

import numpy as np
import pytest

from dualcam.acoustics import beamforming, microphones

pytestmark = pytest.mark.numeric

RATE_HZ = 12_288


@pytest.fixture(scope='module')
def beamformer(mics, grid):
    return beamforming.Beamformer(mics, grid)


def plane_wave(mics, direction, rng, hz=(500, 6000)):
    """[1, mics, 1024] of noise from a direction, delays exact in the frequency domain."""
    size = 8192
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum[(frequencies < hz[0]) | (frequencies > hz[1])] = 0
    delays_s = -mics.positions_m @ direction / 343.0
    shifted = spectrum * np.exp(-2j * np.pi * frequencies * delays_s[:, None])
    return np.fft.irfft(shifted)[None, :, 3000:4024] * 1e6


@pytest.mark.parametrize('place', range(20))
def test_image_peaks_within_a_pixel_of_the_source(mics, grid, beamformer, place):
    rng = np.random.default_rng(place)
    row, col = rng.integers(36), rng.integers(48)
    frames = plane_wave(mics, grid.directions[row, col], rng).astype(np.int32)
    energy = beamformer.power(frames)[0].sum(axis=-1)
    found = np.unravel_index(energy.argmax(), energy.shape)
    assert np.abs(np.subtract(found, (row, col))).max() <= 1


def test_twice_the_pressure_is_6_db_more_everywhere(mics, grid, beamformer, rng):
    frames = plane_wave(mics, grid.directions[10, 20], rng)
    ratio = beamformer.power(2 * frames)[..., 50:] / beamformer.power(frames)[..., 50:]
    gain_db = 10 * np.log10(ratio)
    np.testing.assert_allclose(gain_db, 20 * np.log10(2), atol=1e-3)


@pytest.fixture(scope='module')
def coarse_grid():
    """The same view in few directions, whose steering matrices are soon made."""
    return microphones.look_directions(12, 16)


@pytest.mark.parametrize('focus_m', [None, 1.5])
def test_band_sum_equals_direct_evaluation(mics, coarse_grid, focus_m, rng):
    grid = coarse_grid
    frames = plane_wave(mics, grid.directions[10, 2], rng)
    frames += rng.standard_normal(frames.shape) * 1e5
    band = np.arange(75, 533 - 21)  # 900 - 6,132 Hz
    got = beamforming.beamform(frames, mics, grid, focus_m)[0][..., band].sum(axis=-1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    spectra = np.fft.fft(frames[0] * window)[:, band]  # [mics, bins]
    for row, col in [(0, 0), (6, 8), (10, 2), (11, 15), (1, 13)]:
        direction = grid.directions[row, col]
        if focus_m:
            distances_m = np.linalg.norm(focus_m * direction - mics.positions_m, axis=1)
            delays_s = (distances_m - focus_m) / 343
        else:
            delays_s = -mics.positions_m @ direction / 343
        turned = spectra * np.exp(2j * np.pi * 12.0 * band * delays_s[:, None])
        direct = np.sum(np.abs(turned.mean(axis=0)) ** 2)
        assert got[row, col] == pytest.approx(direct, rel=1e-4)


def test_two_sources_15_degrees_apart_are_two_peaks_at_5_khz(mics, grid, beamformer, rng):
    def towards(azimuth_deg):
        a = np.deg2rad(azimuth_deg)
        return np.array([np.sin(a), 0.0, np.cos(a)])

    frames = sum(plane_wave(mics, towards(a), rng, (4900, 5100)) for a in (-7.5, 7.5))
    line = beamformer.power(frames)[0, 17:19, :, 409:425].sum(axis=(0, 2))
    azimuth_deg = np.rad2deg(np.arctan2(grid.directions[18, :, 0], grid.directions[18, :, 2]))
    left, right = (line[np.sign(azimuth_deg) == s] for s in (-1, 1))
    middle = line[np.abs(azimuth_deg) < 1.5].max()
    assert middle < 0.5 * min(left.max(), right.max())
    assert azimuth_deg[:24][left.argmax()] == pytest.approx(-7.5, abs=2)
    assert azimuth_deg[24:][right.argmax()] == pytest.approx(7.5, abs=2)


def test_a_source_in_focus_is_as_loud_as_one_microphone_hears_it(mics, grid, beamformer, rng):
    frames = plane_wave(mics, grid.directions[12, 30], rng)
    at_mic = np.abs(beamforming.frame_spectra(frames[0, :1])[0]) ** 2
    seen = beamformer.power(frames)[0, 12, 30]
    assert seen[100:450].sum() == pytest.approx(at_mic[100:450].sum(), rel=0.02)


def test_many_frames_are_as_frames_alone(beamformer, rng, monkeypatch):
    frames = rng.standard_normal((3, 128, 1024)) * 1e4
    alone = np.concatenate([beamformer.power(frames[i : i + 1]) for i in range(3)])
    monkeypatch.setattr(beamforming, '_FRAMES_AT_A_TIME', 2)
    held = np.full(alone.shape, np.nan, np.float32)
    assert beamformer.power(frames, out=held) is held
    np.testing.assert_allclose(held, alone, rtol=1e-4, atol=1e-6 * alone.max())


def test_an_array_to_write_to_must_fit(beamformer):
    for out in (
        np.zeros((2, 36, 48, 512)),
        np.zeros((1, 36, 48, 512), np.float32),
        np.zeros((2, 36, 512, 48), np.float32).swapaxes(2, 3),
    ):
        with pytest.raises(ValueError, match='in C order'):
            beamformer.power(np.zeros((2, 128, 1024)), out=out)


def test_thin_matrices_steer_within_1e_3_of_all_singular_values(mics, coarse_grid, rng):
    """Relative to the loudest direction, for independent microphone noise, the worst case."""
    frames = rng.standard_normal((2, 128, 1024)) * 1e4
    close = beamforming.Beamformer(mics, coarse_grid, 1.5).power(frames)
    exact = beamforming.Beamformer(mics, coarse_grid, 1.5, rank_tolerance=0).power(frames)
    assert 0 < np.abs(close - exact).max() < 1e-3 * exact.max()


@pytest.mark.parametrize('shape', [(1, 5), (7, 3), (13, 1)])
def test_grids_need_not_be_whole_strips(mics, shape, rng):
    grid = microphones.look_directions(*shape)
    frames = plane_wave(mics, grid.directions[-1, -1], rng)
    power = beamforming.beamform(frames, mics, grid)
    spectra = beamforming.frame_spectra(frames[0])  # [mics, bins]
    delays_s = microphones.steering_delays(mics.positions_m, grid.directions)
    for k in (50, 101, 400):
        steering = np.exp(2j * np.pi * 12.0 * k * delays_s)
        direct = np.abs(steering @ spectra[:, k] / 128) ** 2
        np.testing.assert_allclose(power[0, ..., k], direct, rtol=1e-4, atol=1e-4 * direct.max())


def test_wrong_channels_are_refused(beamformer):
    with pytest.raises(ValueError, match='128'):
        beamformer.power(np.zeros((2, 64, 1024)))


def test_many_microphones_are_factored_through_a_random_subspace(grid, rng):
    positions_m = rng.uniform(-0.2, 0.2, (600, 3)) * (1, 1, 0)
    delays_s = microphones.steering_delays(positions_m, grid.directions, 1.5).reshape(-1, 600)
    for hz in (300.0, 5_000.0):
        steering = np.exp(2j * np.pi * hz * delays_s.T)
        kept = beamforming._large_directions(steering, 1e-4)
        np.testing.assert_allclose(kept.conj().T @ kept, np.eye(kept.shape[1]), atol=1e-10)
        values = np.linalg.svd(steering, compute_uv=False)
        assert kept.shape[1] == np.count_nonzero(values >= 1e-4 * values[0])
        left = np.linalg.norm(steering - kept @ (kept.conj().T @ steering), 2)
        assert left < 1.01e-4 * values[0]


def test_a_random_subspace_that_is_too_narrow_is_widened(rng):
    # As many large singular values as the first subspace has vectors, and as the second has.
    for rank in (256, 500):
        unitary, _ = np.linalg.qr(rng.standard_normal((1_100, 600)))
        matrix = unitary[:, :rank] @ rng.standard_normal((rank, 700))
        assert beamforming._large_directions(matrix, 1e-4).shape[1] == rank
