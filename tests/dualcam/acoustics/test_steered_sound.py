"""Sound from the steered direction is unchanged, sound from elsewhere is attenuated."""

import numpy as np
import pytest

from dualcam.acoustics import geometry_files, steered_sound, views
from tests.helpers import array_takes

pytestmark = pytest.mark.numeric

MICS = geometry_files.uma16()
RATE_HZ = array_takes.RATE_HZ


def _steer(sound, place, block_samples=4800, focus_m=1.5):
    steerer = steered_sound.Steerer(MICS, RATE_HZ, lambda _: views.direction(*place), focus_m)
    blocks = np.split(sound, np.arange(block_samples, len(sound), block_samples))
    return np.concatenate(list(steerer.stream(blocks)))


@pytest.mark.parametrize('place', [(0.0, 0.0), (25.0, -15.0), (-40.0, 30.0)])
def test_a_source_comes_out_as_it_went_in(place, rng):
    signal = array_takes.noise(RATE_HZ, rng, band_hz=(100, 18_000))
    made = _steer(array_takes.heard(signal, MICS.positions_m, place).astype(np.float32), place)
    assert len(made) == len(signal)
    inner = slice(2000, -2000)  # the source is periodic, the recording is not
    error_db = 20 * np.log10(np.std((made - signal)[inner]) / np.std(signal))
    assert error_db < -60


def test_blocks_of_any_size_give_the_same(rng):
    sound = rng.standard_normal((20_000, 16)).astype(np.float32)
    whole = _steer(sound, (12.0, 5.0), 20_000)
    for size in (333, 4801):
        np.testing.assert_allclose(_steer(sound, (12.0, 5.0), size), whole, atol=1e-5)


def test_noise_of_microphones_falls_by_the_arrays_gain(rng):
    made = _steer(rng.standard_normal((RATE_HZ, 16)).astype(np.float32), (10.0, 0.0))
    spectrum = np.square(np.abs(np.fft.rfft(made)))[:16_000].mean() / RATE_HZ
    assert 10 * np.log10(spectrum) == pytest.approx(-10 * np.log10(16), abs=0.3)


def test_a_source_elsewhere_is_softer(rng):
    signal = array_takes.noise(RATE_HZ, rng, band_hz=(3000, 6000))
    sound = array_takes.heard(signal, MICS.positions_m, (-25.0, 0.0)).astype(np.float32)
    there, away = np.std(_steer(sound, (-25.0, 0.0))), np.std(_steer(sound, (25.0, 0.0)))
    assert 20 * np.log10(away / there) < -8


def test_a_moving_direction_follows_its_source(rng):
    size = 2 * RATE_HZ
    signal = array_takes.noise(size, rng, band_hz=(2000, 5000))
    azimuths_deg = np.linspace(-25, 25, size)
    sound = array_takes.heard_moving(signal, MICS.positions_m, azimuths_deg).astype(np.float32)

    def followed(time_s):
        return views.direction(np.interp(time_s, np.arange(size) / RATE_HZ, azimuths_deg), 0.0)

    steerer = steered_sound.Steerer(MICS, RATE_HZ, followed, 1.5)
    moving = np.concatenate(list(steerer.stream(np.split(sound, 20))))
    still = _steer(sound, (0.0, 0.0))
    begin, inner = slice(4800, 19_200), slice(4800, -4800)
    assert np.corrcoef(moving[inner], signal[inner])[0, 1] > 0.99
    loss_db = [
        20 * np.log10(np.std(made[begin]) / np.std(signal[begin])) for made in (moving, still)
    ]
    assert loss_db[0] > -1 and loss_db[1] < loss_db[0] - 3


def test_nothing_in_nothing_out():
    assert list(steered_sound.Steerer(MICS, RATE_HZ, lambda _: np.eye(3)[2]).stream([])) == []
