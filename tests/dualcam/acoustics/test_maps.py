"""Maps for arrays of any size: source positions and levels, and agreement with acoular."""

import warnings

import numpy as np
import pytest

from dualcam.acoustics import acoular_maps, geometry_files, localisation, maps, views
from tests.helpers import array_takes, peers

pytestmark = pytest.mark.numeric

VIEW = views.View()
SPAN = 4000  # samples, a twelfth of a second


@pytest.fixture(scope='module')
def mics():
    return geometry_files.uma16()


def _maker(mics, **params):
    rate_hz = params.pop('rate_hz', array_takes.RATE_HZ)
    return maps.MapMaker(mics, VIEW.grid(), rate_hz, maps.MapParams(**params))


@pytest.mark.parametrize('rate_hz', [12_288, 16_000, 44_100, 48_000, 51_200.5, 96_000])
@pytest.mark.parametrize('place_deg', [(0.0, 0.0), (20.0, 10.0), (-27.0, -18.0)])
def test_a_source_is_within_half_a_pixel_at_any_rate(mics, rate_hz, place_deg, rng):
    maker = _maker(mics, rate_hz=rate_hz)
    sound = array_takes.uma16_take([place_deg], SPAN / 48_000, rng, rate_hz)
    (peak,) = localisation.find_peaks(maps.to_db(maker.power(sound)), VIEW)
    x, y = VIEW.places(views.direction(*place_deg)) * [48, 36] - 0.5
    assert abs(peak.col - x) < 0.5 and abs(peak.row - y) < 0.5


@pytest.mark.parametrize('method', maps.METHODS)
@pytest.mark.parametrize('focus_m', [1.5, None])
def test_a_source_shows_its_level_with_every_method(mics, method, focus_m, rng):
    grid = VIEW.grid()
    row, col = 10, 36  # on the grid, so that steering is exact
    signal = array_takes.noise(SPAN, rng)
    place = views.angles(grid.directions[row, col])
    far_m = focus_m or 1e4
    sound = 0.3 * array_takes.heard(signal, mics.positions_m, place, far_m)
    # In 16 Hann-windowed blocks of this stretch, samples have different weights.
    maker = _maker(mics, method=method, focus_m=focus_m, low_hz=300, high_hz=7000)
    one_mic = np.square(np.abs(maker.spectra(sound))).sum(axis=0).mean()
    level_db = maps.to_db(maker.power(sound))
    assert np.unravel_index(level_db.argmax(), level_db.shape) == (row, col)
    assert level_db.max() == pytest.approx(10 * np.log10(one_mic), abs=0.1)
    assert level_db.max() == pytest.approx(20 * np.log10(0.3), abs=1.0)


def test_diagonal_removal_hears_below_the_microphones_noise(mics, rng):
    """With `sum`, noise 10 dB above the source fills the valleys; cross-spectra are unaffected."""
    quiet = array_takes.uma16_take([(15.0, -5.0)], 1.0, rng, noise_rms=0.3)
    summed = _maker(mics, maps_per_s=1).power(quiet)
    without = _maker(mics, maps_per_s=1, method='diagonal').power(quiet)
    assert maps.to_db(summed.min()) - maps.to_db(summed.max()) > -8
    assert maps.to_db(without.min()) - maps.to_db(without.max()) < -15
    # The level of the source only, 90 % of which is in the band.
    assert maps.to_db(without.max()) == pytest.approx(-20 + 10 * np.log10(5100 / 5500), abs=0.5)


def test_functional_and_clean_sc_lower_side_lobes(mics, rng):
    sound = array_takes.uma16_take([(10.0, 0.0)], 0.25, rng, noise_rms=1e-4)

    def side_lobe_db(method):
        level_db = maps.to_db(_maker(mics, method=method, maps_per_s=4, low_hz=4000).power(sound))
        away = np.abs(VIEW.grid().directions @ views.direction(10.0, 0.0)) < np.cos(np.deg2rad(20))
        return level_db[away].max() - level_db.max()

    summed, functional, cleaned = map(side_lobe_db, ('sum', 'functional', 'clean-sc'))
    assert summed > -16
    assert functional < 3 * summed
    assert cleaned < -40


def test_two_sources_and_their_levels_are_told_by_clean_sc(mics, rng):
    positions_m = mics.positions_m
    loud, soft = array_takes.noise(2 * SPAN, rng), array_takes.noise(2 * SPAN, rng)
    sound = array_takes.heard(loud, positions_m, (-15.0, 5.0))
    sound += 0.5 * array_takes.heard(soft, positions_m, (20.0, -8.0))
    maker = _maker(mics, method='clean-sc', maps_per_s=6, low_hz=2000, high_hz=6000)
    peaks = localisation.find_peaks(
        maps.to_db(maker.power(sound)), VIEW, localisation.PeakParams(dynamic_range_db=12)
    )
    places = [(peak.azimuth_deg, peak.elevation_deg) for peak in peaks[:2]]
    np.testing.assert_allclose(places, [(-15.0, 5.0), (20.0, -8.0)], atol=1.5)


@pytest.mark.slow
def test_thin_steering_changes_nothing_to_be_seen(rng):
    mics = geometry_files.find_array('dualcam')
    sound = array_takes.heard(array_takes.noise(4000, rng), mics.positions_m, (12.0, -7.0))
    sound += 0.1 * rng.standard_normal(sound.shape)
    thin, whole = (
        maps.to_db(_maker(mics, rank_tolerance=tolerance).power(sound)) for tolerance in (1e-4, 0)
    )
    loud = whole > whole.max() - 20
    np.testing.assert_allclose(thin[loud], whole[loud], atol=0.02)


def test_twice_the_pressure_is_6_db_more_everywhere(mics, rng):
    sound = array_takes.uma16_take([(3.0, 4.0)], 0.1, rng)
    for method in maps.METHODS:
        maker = _maker(mics, method=method, low_hz=1000, high_hz=2000)
        once, twice = maker.power(sound), maker.power(2 * sound)
        seen = once > once.max() * 1e-6
        np.testing.assert_allclose(twice[seen] / once[seen], 4.0, rtol=2e-3)


def test_maps_of_a_stream_do_not_depend_on_its_blocks(mics, rng):
    sound = array_takes.uma16_take([(3.0, 4.0)], 1.02, rng)
    maker = _maker(mics)
    whole = list(maker.maps([sound]))
    parts = list(maker.maps(np.split(sound, np.arange(777, len(sound), 777))))
    assert [one.time_s for one in whole] == pytest.approx((np.arange(12) + 0.5) / 12)
    assert len(parts) == 12
    for one, other in zip(whole, parts, strict=True):
        assert (one.time_s, one.gain_db) == (other.time_s, other.gain_db)
        np.testing.assert_array_equal(one.power, other.power)


def test_the_gain_tells_a_source_from_noise(mics, rng):
    maker = _maker(mics)
    source = maker.measure(array_takes.uma16_take([(3.0, 4.0)], 0.1, rng, noise_rms=1e-4))
    assert source.gain_db == pytest.approx(10 * np.log10(16), abs=0.2)
    noise = maker.measure(array_takes.uma16_take([], 0.1, rng))
    assert noise.gain_db == pytest.approx(0.4, abs=0.4)


def test_parameters_that_cannot_be_are_refused(mics):
    with pytest.raises(ValueError, match='expected one of sum'):
        _maker(mics, method='music')
    with pytest.raises(ValueError, match='contains 0 frequencies'):
        _maker(mics, low_hz=30_000, high_hz=40_000)
    with pytest.raises(ValueError, match='maps per second'):
        _maker(mics, maps_per_s=0)
    with pytest.raises(ValueError, match='overlap'):
        _maker(mics, overlap=0.3)
    with pytest.raises(ValueError, match=r'\[samples, 16\], of the array "uma16"'):
        _maker(mics).power(np.zeros((4000, 15), np.float32))


@pytest.fixture(scope='module')
def acoular():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield peers.acoular()


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('method', ['sum', 'diagonal', 'functional'])
@pytest.mark.parametrize('focus_m', [1.5, None])
def test_maps_are_acoulars_to_a_tenth_of_a_decibel(acoular, mics, method, focus_m, rng):
    sound = array_takes.uma16_take([(-20.0, 5.0), (15.0, -5.0)], 0.5, rng)
    params = maps.MapParams(1000, 1500, method, focus_m, maps_per_s=2)
    arguments = mics, VIEW.grid(), array_takes.RATE_HZ, params
    ours = maps.to_db(maps.MapMaker(*arguments).power(sound))
    theirs = maps.to_db(acoular_maps.AcoularMapMaker(*arguments).power(sound))
    seen = ours > ours.max() - 15
    assert seen.sum() > 100
    np.testing.assert_allclose(ours[seen], theirs[seen], atol=0.1)


@pytest.mark.filterwarnings('ignore')
def test_maps_are_acoulars_from_the_recording_on(acoular, mics, rng):
    """acoular's own spectra (symmetric Hann window, half overlap) and beamformer."""
    sound = array_takes.uma16_take([(20.0, 10.0)], 1.0, rng)[: 1024 * 40]
    grid = VIEW.grid()
    steer = acoular.SteeringVector(
        steer_type='classic',
        grid=acoular.ImportGrid(pos=1.5 * grid.directions.reshape(-1, 3).T),
        mics=acoular.MicGeom(pos_total=mics.positions_m.T),
    )
    spectra = acoular.PowerSpectra(
        source=acoular.TimeSamples(data=sound.astype(np.float64), sample_freq=48_000.0),
        block_size=1024,
        window='Hanning',
        overlap='50%',
        cached=False,
    )
    steer.env.c = 343.0
    beamformer = acoular.BeamformerBase(freq_data=spectra, steer=steer, r_diag=False, cached=False)
    maker = _maker(mics, low_hz=1000, high_hz=1200, maps_per_s=1)
    theirs = sum(beamformer.synthetic(hz, 0) for hz in maker.frequencies_hz).reshape(36, 48)
    ours = maker.power(sound)
    np.testing.assert_allclose(maps.to_db(ours), maps.to_db(theirs), atol=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('method', ['clean-sc', 'orthogonal'])
def test_acoulars_other_methods_find_the_source_too(acoular, mics, method, rng):
    sound = array_takes.uma16_take([(20.0, 10.0)], 0.1, rng)
    params = maps.MapParams(2000, 2400, method)
    made = acoular_maps.AcoularMapMaker(mics, VIEW.grid(), 48_000, params).power(sound)
    peak = localisation.find_peaks(maps.to_db(made), VIEW)[0]
    assert (peak.azimuth_deg, peak.elevation_deg) == pytest.approx((20.0, 10.0), abs=1.0)
    if method == 'clean-sc':
        ours = maps.MapMaker(mics, VIEW.grid(), 48_000, params).power(sound)
        assert maps.to_db(ours.max()) == pytest.approx(maps.to_db(made.max()), abs=0.1)
