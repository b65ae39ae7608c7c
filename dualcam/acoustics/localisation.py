"""From maps to sources: peaks with sub-pixel accuracy, and their tracks over time."""

import dataclasses

import numpy as np
import scipy.optimize

from dualcam.acoustics import maps, views


@dataclasses.dataclass(frozen=True)
class PeakParams:
    """What counts as a peak.

    Attributes:
        dynamic_range_db: largest distance below the map's loudest direction.
        most: largest number of peaks per map; the loudest are kept.
        prominence_db: smallest level above the map's median.
        gain_db: smallest gain of the map, see `maps.SoundMap`; microphone noise stays below it.
        separation_deg: smallest angle between two peaks; otherwise the louder one is kept.
        quietest_db: lowest level; None for any.
    """

    dynamic_range_db: float = 6.0
    most: int = 4
    prominence_db: float = 1.0
    gain_db: float = 1.0
    separation_deg: float = 6.0
    quietest_db: float | None = None


@dataclasses.dataclass(frozen=True)
class Peak:
    """A local maximum of a map.

    Attributes:
        azimuth_deg, elevation_deg: its direction, see `views`.
        level_db: re squared units of the samples.
        row, col: its position in pixels of the map, from the centre of the first pixel.
    """

    azimuth_deg: float
    elevation_deg: float
    level_db: float
    row: float
    col: float


@dataclasses.dataclass(frozen=True)
class TrackParams:
    """When peaks of successive maps belong to the same source.

    Attributes:
        gate_deg: largest jump from one map to the next.
        longest_gap_s: longest silence.
        shortest_s: shortest duration; shorter tracks are not sources.
        smoothing: weight of the new position in the track's, 0 - 1.
    """

    gate_deg: float = 8.0
    longest_gap_s: float = 1.5
    shortest_s: float = 0.2
    smoothing: float = 0.4


@dataclasses.dataclass
class Track:
    """One source over time.

    Attributes:
        number: from 1.
        times_s, peaks: of its detections.
        direction: smoothed unit vector.
    """

    number: int
    times_s: list[float]
    peaks: list[Peak]
    direction: np.ndarray

    @property
    def last_s(self) -> float:
        """Time of its last detection."""
        return self.times_s[-1]

    def mean_place(self) -> tuple[float, float, float]:
        """(azimuth_deg, elevation_deg, level_db), directions weighted by power."""
        weights = 10 ** (np.array([peak.level_db for peak in self.peaks]) / 10)
        share = weights / max(weights.sum(), 1e-300)
        vectors = [views.direction(peak.azimuth_deg, peak.elevation_deg) for peak in self.peaks]
        azimuth_deg, elevation_deg = views.angles(share @ np.array(vectors))
        return (
            float(azimuth_deg),
            float(elevation_deg),
            float(10 * np.log10(max(weights.mean(), 1e-300))),
        )

    def direction_at(self, time_s: float) -> np.ndarray:
        """Unit vector of the detection closest to a time."""
        peak = self.peaks[int(np.abs(np.asarray(self.times_s) - time_s).argmin())]
        return views.direction(peak.azimuth_deg, peak.elevation_deg)


def peaks_of(
    sound_map: maps.SoundMap, view: views.View, params: PeakParams = PeakParams()
) -> list[Peak]:
    """Peaks of a map, the loudest first; none if there is only microphone noise."""
    if sound_map.gain_db < params.gain_db:
        return []
    return find_peaks(sound_map.level_db, view, params)


def find_peaks(
    level_db: np.ndarray, view: views.View, params: PeakParams = PeakParams()
) -> list[Peak]:
    """Peaks of a map, the loudest first.

    A parabola through a maximum and its neighbours, in decibels, gives its sub-pixel position; at
    the edge of the map it is the pixel itself.

    Args:
        level_db: [rows, cols].
        view: of the camera, whose picture the map covers.
        params: see `PeakParams`.
    """
    rows, cols = level_db.shape
    around = np.pad(level_db, 1, constant_values=-np.inf)
    neighbours = [
        around[1 + down : 1 + down + rows, 1 + right : 1 + right + cols]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    ]
    # On a plateau, the first pixel: larger than those before, not smaller than those after.
    is_peak = np.all([level_db > one for one in neighbours[:4]], axis=0)
    is_peak &= np.all([level_db >= one for one in neighbours[4:]], axis=0)
    least = max(
        level_db.max() - params.dynamic_range_db, np.median(level_db) + params.prominence_db
    )
    if params.quietest_db is not None:
        least = max(least, params.quietest_db)
    places = np.argwhere(is_peak & (level_db >= least))
    places = places[np.argsort(-level_db[tuple(places.T)], kind='stable')]
    found: list[Peak] = []
    directions: list[np.ndarray] = []
    nearest = np.cos(np.deg2rad(params.separation_deg))
    for row, col in places:
        peak = _refined(level_db, int(row), int(col), view)
        towards = views.direction(peak.azimuth_deg, peak.elevation_deg)
        if all(towards @ other < nearest for other in directions):
            found.append(peak)
            directions.append(towards)
        if len(found) == params.most:
            break
    return found


def _refined(level_db, row, col, view):
    rows, cols = level_db.shape
    down, gained = _parabola(level_db[max(row - 1, 0) : row + 2, col], 0 < row < rows - 1)
    right, gained_too = _parabola(level_db[row, max(col - 1, 0) : col + 2], 0 < col < cols - 1)
    row, col, level = row + down, col + right, level_db[row, col] + gained + gained_too
    azimuth_deg, elevation_deg = views.angles(
        view.directions((col + 0.5) / cols, (row + 0.5) / rows)
    )
    return Peak(float(azimuth_deg), float(elevation_deg), float(level), float(row), float(col))


def _parabola(three, inside):
    """(offset of the vertex from the middle value, its height above it)."""
    if not inside:
        return 0.0, 0.0
    before, here, after = map(float, three)
    bend = before - 2 * here + after
    if not bend < 0:
        return 0.0, 0.0
    place = float(np.clip((before - after) / (2 * bend), -0.5, 0.5))
    return place, -0.25 * (before - after) * place


class Tracker:
    """Assigns peaks to sources, map by map.

    Tracks and peaks are paired so that the sum of the angles between them is smallest.

    Args:
        params: see `TrackParams`.
        most_peaks: for use over hours: keep so many of a track's newest peaks, and no tracks that
            have ended; None keeps all.
    """

    def __init__(self, params: TrackParams = TrackParams(), most_peaks: int | None = None) -> None:
        self._params, self._most_peaks = params, most_peaks
        self._active: list[Track] = []
        self._count = 0
        self.tracks: list[Track] = []

    def add(self, time_s: float, peaks: list[Peak]) -> list[Track]:
        """The tracks of a map's peaks, in their order; `tracks` has all remaining ones."""
        params = self._params
        self._active = [one for one in self._active if time_s - one.last_s <= params.longest_gap_s]
        if self._most_peaks is not None:
            self.tracks = list(self._active)
        towards = [views.direction(peak.azimuth_deg, peak.elevation_deg) for peak in peaks]
        owners: dict[int, Track] = {}
        if self._active and peaks:
            cosines = np.array(
                [[one.direction @ other for other in towards] for one in self._active]
            )
            angles_deg = np.rad2deg(np.arccos(np.clip(cosines, -1.0, 1.0)))
            costs = np.where(angles_deg <= params.gate_deg, angles_deg, 1e3)
            for one, peak in zip(*scipy.optimize.linear_sum_assignment(costs), strict=True):
                if angles_deg[one, peak] <= params.gate_deg:
                    owners[int(peak)] = self._active[one]
        return [
            self._follow(owners.get(i), time_s, peak, towards[i]) for i, peak in enumerate(peaks)
        ]

    def sources(self) -> list[Track]:
        """Tracks that last long enough to be sources."""
        return [
            one for one in self.tracks if one.last_s - one.times_s[0] >= self._params.shortest_s
        ]

    def _follow(self, track, time_s, peak, towards):
        if track is None:
            self._count += 1
            track = Track(self._count, [time_s], [peak], towards)
            self._active.append(track)
            self.tracks.append(track)
            return track
        track.times_s.append(time_s)
        track.peaks.append(peak)
        if self._most_peaks is not None:
            del track.times_s[: -self._most_peaks], track.peaks[: -self._most_peaks]
        mixed = track.direction + self._params.smoothing * (towards - track.direction)
        track.direction = mixed / np.linalg.norm(mixed)
        return track
