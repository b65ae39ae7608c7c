"""Sub-pixel peaks, and sources over time."""

import numpy as np
import pytest

from dualcam.acoustics import geometry_files, localisation, maps, views
from tests.helpers import array_takes

pytestmark = pytest.mark.numeric

VIEW = views.View()


def _hill(row, col, height_db=20.0, width=4.0):
    rows, cols = np.mgrid[:36, :48]
    return height_db - ((rows - row) ** 2 + (cols - col) ** 2) / width


def test_a_parabola_s_top_is_found_between_pixels(rng):
    for _ in range(50):
        row, col = rng.uniform(1, 34), rng.uniform(1, 46)
        (peak,) = localisation.find_peaks(_hill(row, col), VIEW)
        assert (peak.row, peak.col, peak.level_db) == pytest.approx((row, col, 20.0))
        place = VIEW.places(views.direction(peak.azimuth_deg, peak.elevation_deg))
        np.testing.assert_allclose(place * [48, 36] - 0.5, (col, row))


def test_corners_and_plateaus_have_one_peak():
    (corner,) = localisation.find_peaks(_hill(-3, 50), VIEW)
    assert (corner.row, corner.col) == (0.0, 47.0)
    flat = np.zeros((36, 48))
    flat[10:13, 20:24] = 10.0
    assert len(localisation.find_peaks(flat, VIEW)) == 1
    assert localisation.find_peaks(np.zeros((36, 48)), VIEW) == []


def test_peaks_end_with_the_dynamic_range_the_number_and_the_noise(rng):
    two = np.maximum(_hill(10, 10), _hill(25, 35, 15.0))
    assert len(localisation.find_peaks(two, VIEW)) == 2
    levels = [peak.level_db for peak in localisation.find_peaks(two, VIEW)]
    assert levels == pytest.approx([20.0, 15.0])
    for few in (
        localisation.PeakParams(dynamic_range_db=4.0),
        localisation.PeakParams(most=1),
        localisation.PeakParams(quietest_db=16.0),
        localisation.PeakParams(separation_deg=90.0),
    ):
        (peak,) = localisation.find_peaks(two, VIEW, few)
        assert peak.level_db == pytest.approx(20.0)
    assert localisation.find_peaks(rng.normal(0, 0.2, (36, 48)), VIEW) == []


def _follow(sound, tracker=None):
    maker = maps.MapMaker(
        geometry_files.uma16(), VIEW.grid(), array_takes.RATE_HZ, maps.MapParams()
    )
    tracker = tracker or localisation.Tracker()
    for one in maker.maps([sound]):
        tracker.add(one.time_s, localisation.peaks_of(one, VIEW))
    return tracker.sources()


def test_two_sources_are_two_tracks(rng):
    sources = _follow(array_takes.uma16_take([(-20.0, -8.0), (18.0, 9.0)], 2.0, rng))
    places = sorted(source.mean_place()[:2] for source in sources)
    np.testing.assert_allclose(places, [(-20.0, -8.0), (18.0, 9.0)], atol=1.5)
    assert all(len(source.times_s) > 20 for source in sources)


def test_a_moving_source_is_one_track_that_follows_it(rng):
    size = 3 * array_takes.RATE_HZ
    azimuths_deg = np.linspace(-22, 22, size)
    sound = array_takes.heard_moving(
        array_takes.noise(size, rng), geometry_files.uma16().positions_m, azimuths_deg
    )
    (source,) = _follow(sound)
    assert len(source.times_s) == 36
    found = [peak.azimuth_deg for peak in source.peaks]
    expected = np.interp(source.times_s, np.arange(size) / array_takes.RATE_HZ, azimuths_deg)
    np.testing.assert_allclose(found, expected, atol=0.6)
    towards = source.direction_at(1.5)
    assert views.angles(towards)[0] == pytest.approx(0.0, abs=1.0)


def test_a_short_pause_does_not_end_a_source_and_a_long_one_does(rng):
    def tracks(pause_s):
        tracker = localisation.Tracker()
        peak = localisation.Peak(5.0, 5.0, -20.0, 0.0, 0.0)
        for time_s in [*np.arange(6) / 12, *(np.arange(6) / 12 + 0.5 + pause_s)]:
            tracker.add(float(time_s), [peak])
            tracker.add(float(time_s) + 0.01, [])
        return tracker.sources()

    assert len(tracks(1.0)) == 1
    assert [track.number for track in tracks(2.0)] == [1, 2]


def test_sources_that_pass_each_other_keep_their_numbers():
    tracker = localisation.Tracker(localisation.TrackParams(smoothing=1.0))
    for step in range(20):
        tracker.add(
            step / 12,
            [
                localisation.Peak(-10.0 + step, 4.0, -10.0, 0, 0),
                localisation.Peak(10.0 - step, -4.0, -10.0, 0, 0),
            ][:: 1 if step % 2 else -1],
        )
    assert [len(track.peaks) for track in tracker.tracks] == [20, 20]
    assert all(
        np.ptp([peak.elevation_deg for peak in track.peaks]) == 0 for track in tracker.tracks
    )


@pytest.mark.parametrize('method', maps.METHODS)
def test_noise_of_the_microphones_has_no_sources(method, rng):
    params = maps.MapParams(method=method, high_hz=3000)
    maker = maps.MapMaker(geometry_files.uma16(), VIEW.grid(), array_takes.RATE_HZ, params)
    made = list(maker.maps([array_takes.uma16_take([], 0.5, rng)]))
    assert len(made) == 6
    assert not any(localisation.peaks_of(one, VIEW) for one in made)
    made = list(maker.maps([array_takes.uma16_take([(5.0, 5.0)], 0.5, rng, noise_rms=0.2)]))
    assert all(localisation.peaks_of(one, VIEW) for one in made)


def test_a_source_that_sounds_for_hours_takes_no_more_memory():
    tracker = localisation.Tracker(most_peaks=5)
    for step in range(200):
        peaks = [localisation.Peak(5.0, 5.0, -20.0, 0, step)]
        if step % 40 == 0:  # new ones that are short-lived
            peaks.append(localisation.Peak(-20.0, step / 10, -20.0, 0, step))
        (steady, *_) = tracker.add(step / 12, peaks)
    assert steady.number == 1 and [peak.col for peak in steady.peaks] == [195, 196, 197, 198, 199]
    assert len(steady.times_s) == 5 and tracker.tracks == [steady]


def test_a_flash_is_no_source():
    tracker = localisation.Tracker()
    tracker.add(0.0, [localisation.Peak(0.0, 0.0, -10.0, 0, 0)])
    assert tracker.sources() == [] and len(tracker.tracks) == 1
