"""Band images from powers at a few directions, compared with the full computation."""

import numpy as np
import pytest

from dualcam.acoustics import band_beamforming, beamforming, cepstra, microphones

pytestmark = pytest.mark.slow  # steering for every direction

RATE_HZ = 12_288


@pytest.fixture(scope='module')
def exact(mics, grid):
    return beamforming.Beamformer(mics, grid, 1.5, rank_tolerance=0)


@pytest.fixture(scope='module')
def bands(mics, grid):
    return band_beamforming.BandBeamformer(mics, grid, cepstra.mel_filters(), 1.5)


def waves(mics, places_m, rng):
    """[2, mics, 1024] of white noise from given positions, spherical waves."""
    size, result = 8192, 0.0
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    for place_m in places_m:
        distances_m = np.linalg.norm(mics.positions_m - place_m, axis=1)[:, None]
        spectrum = np.fft.rfft(rng.standard_normal(size))
        shifted = spectrum * np.exp(-2j * np.pi * hz * distances_m / 343.0) / distances_m
        result = result + np.fft.irfft(shifted)[:, 3000:5048]
    return result.reshape(len(mics.positions_m), 2, 1024).transpose(1, 0, 2) * 1e6


def test_filtered_bands_are_sums_of_bins(exact, bands, rng):
    frames = rng.standard_normal((3, 128, 1024)) * 1e4
    expected = exact.power(frames).astype(np.float64) @ cepstra.mel_filters().T
    np.testing.assert_allclose(
        bands.energies(frames), expected, rtol=1e-4, atol=1e-5 * expected.max()
    )


@pytest.mark.parametrize(
    'places_m',
    [[(0.2, -0.1, 1.5)], [(0.5, 0.3, 1.2), (-0.4, -0.2, 1.8)]],
    ids=['one', 'two'],
)
def test_images_of_sources_are_those_of_all_directions(places_m, mics, exact, bands, rng):
    frames = waves(mics, np.array(places_m), rng)
    expected = exact.power(frames).astype(np.float64) @ cepstra.mel_filters().T
    # In decibels, wherever there is more than a hundred-thousandth of the maximum energy.
    loud = expected > 1e-5 * expected.max(axis=(1, 2), keepdims=True)
    difference_db = 10 * np.log10(bands.energies(frames)[loud] / expected[loud])
    assert loud.mean() > 0.5
    assert np.abs(difference_db).max() < 0.01


def test_a_loud_source_aside_is_wrong_by_little_of_what_a_microphone_hears(mics, exact, bands, rng):
    frames = waves(mics, np.array([(3.0, 0.2, 1.0)]), rng)  # 70 degrees off; the view ends at 30
    filters = cepstra.mel_filters()
    expected = exact.power(frames).astype(np.float64) @ filters.T
    heard = np.square(np.abs(beamforming.frame_spectra(frames))).mean(axis=1) @ filters.T
    difference = np.abs(bands.energies(frames) - expected).max(axis=(1, 2))  # [frames, bands]
    assert np.all(difference < 2e-5 * heard)
    # What little remains is what the array lets through, above 1.6 kHz.
    assert np.all(expected.max(axis=(1, 2))[:, 12:] < 0.05 * heard[:, 12:])


def test_frames_are_as_frames_alone(bands, rng, monkeypatch):
    frames = rng.standard_normal((3, 128, 1024)) * 1e4
    alone = np.concatenate([bands.energies(frames[i : i + 1]) for i in range(3)])
    monkeypatch.setattr(band_beamforming, '_FRAMES_AT_A_TIME', 2)
    np.testing.assert_allclose(bands.energies(frames), alone, rtol=1e-4)


def test_silence_is_silent_and_nothing_is_negative(bands):
    frames = np.zeros((2, 128, 1024), np.int32)
    frames[1] = 1  # a constant: nothing above 12 Hz
    energies = bands.energies(frames)
    assert np.all(energies[0] == 0) and np.all(energies >= 0)


@pytest.mark.parametrize('hz, most', [(600, 60), (6000, 400)])
def test_few_directions_tell_all_others(hz, most, mics, grid, rng):
    """Within the tolerance for any source in the view, also between the grid's directions."""
    delays_s = microphones.steering_delays(mics.positions_m, grid.directions, 1.5)
    steering = np.exp(2j * np.pi * hz * delays_s.reshape(-1, 128).T)
    nodes = band_beamforming.choose_nodes(steering, tolerance=1e-8)
    assert len(set(nodes.chosen)) == len(nodes.chosen) <= most
    at_nodes = nodes.weights[:, nodes.chosen]
    np.testing.assert_allclose(at_nodes, np.eye(len(at_nodes)), atol=1e-5)
    for _ in range(20):
        direction = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.35, 0.35), 1.0])
        delays_s = microphones.steering_delays(
            mics.positions_m, (direction / np.linalg.norm(direction))[None, None], 1.5
        )[0, 0]
        image = np.abs(np.exp(-2j * np.pi * hz * delays_s) @ steering / 128) ** 2
        spread = image[nodes.chosen] @ nodes.weights.astype(np.float64)
        assert np.abs(spread - image).max() < 1e-6


def test_wrong_shapes_are_refused(mics, grid, bands):
    with pytest.raises(ValueError, match='128'):
        bands.energies(np.zeros((2, 64, 1024)))
    with pytest.raises(ValueError, match=r'expected \[bands, 512\]'):
        band_beamforming.BandBeamformer(mics, grid, np.ones(512))
