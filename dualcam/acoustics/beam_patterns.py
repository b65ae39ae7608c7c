"""An array's resolution: its response to a single source, over frequency.

For filter-and-sum with equal weights, as in `maps` and `beamforming`. The response in a direction
is the power that the map shows there, relative to that at the source.
"""

import dataclasses

import numpy as np

from dualcam.acoustics import geometry_files, microphones, views

_STEP_DEG = 0.25
_WIDEST_DEG = 89.0
_HALF_DB = 10 * np.log10(0.5)
_SIDE_LOBE_DB = -3.0  # above it, a side lobe can hardly be distinguished from the source
_FIRST_NULL = 1.3  # approximate extent of the main lobe, in half widths at -3 dB
_ROWS, _COLS = 45, 60  # of the view searched for side lobes


@dataclasses.dataclass(frozen=True, eq=False)
class Resolution:
    """An array's resolution over frequency.

    Attributes:
        frequencies_hz: [frequencies].
        widths_deg: [frequencies, 2] horizontal and vertical -3 dB width of the main lobe of a
            source straight ahead; not finite if the power does not halve within 89 degrees.
        side_lobes_db: [frequencies] the highest response outside the main lobe, in the view, for
            sources straight ahead and at the edges of the view.
    """

    frequencies_hz: np.ndarray
    widths_deg: np.ndarray
    side_lobes_db: np.ndarray

    def first_ambiguous_hz(self) -> float | None:
        """The lowest frequency at which a ghost in the view is within 3 dB of the source."""
        ghosts = np.flatnonzero(self.side_lobes_db > _SIDE_LOBE_DB)
        return float(self.frequencies_hz[ghosts[0]]) if len(ghosts) else None

    def separable_from_hz(self, angle_deg: float) -> float | None:
        """The lowest frequency above which the main lobe is narrower than an angle."""
        wide = ~(self.widths_deg.max(axis=1) <= angle_deg)
        if wide[-1]:
            return None
        first = np.flatnonzero(wide)[-1] + 1 if wide.any() else 0
        return float(self.frequencies_hz[first])


def response_db(
    array: microphones.MicArray,
    source: np.ndarray,
    directions: np.ndarray,
    frequency_hz: float,
    focus_m: float | None = None,
) -> np.ndarray:
    """Response in directions [..., 3] to a source in one [3], decibels, 0 at the source."""
    here = microphones.steering_delays(array.positions_m, source, focus_m)
    there = microphones.steering_delays(array.positions_m, directions, focus_m)
    summed = np.exp(2j * np.pi * frequency_hz * (there - here)).mean(axis=-1)
    return 20 * np.log10(np.maximum(np.abs(summed), 1e-10))


def resolution(
    array: microphones.MicArray,
    view: views.View,
    frequencies_hz: np.ndarray,
    focus_m: float | None = None,
) -> Resolution:
    """The `Resolution` of an array with a camera.

    Args:
        array: the microphones.
        view: of the camera, within which side lobes count.
        frequencies_hz: [frequencies].
        focus_m: distance of sources; None for plane waves.
    """
    ahead = np.array([0.0, 0.0, 1.0])
    angles_deg = np.arange(-_WIDEST_DEG, _WIDEST_DEG + _STEP_DEG, _STEP_DEG)
    cuts = [
        np.stack([views.direction(angle, 0.0) for angle in angles_deg]),
        np.stack([views.direction(0.0, angle) for angle in angles_deg]),
    ]
    widths = [
        [_width(response_db(array, ahead, cut, hz, focus_m), angles_deg) for cut in cuts]
        for hz in frequencies_hz
    ]
    grid = view.grid(_ROWS, _COLS).directions
    sources = [grid[_ROWS // 2, _COLS // 2], grid[0, 0], grid[_ROWS // 2, 0], grid[0, _COLS // 2]]
    lobes = [
        max(
            _highest_away(response_db(array, source, grid, hz, focus_m), grid, source, width)
            for source in sources
        )
        for hz, width in zip(frequencies_hz, np.array(widths).max(axis=1), strict=True)
    ]
    return Resolution(np.asarray(frequencies_hz), np.array(widths), np.array(lobes))


def summary(array: microphones.MicArray, found: Resolution, view: views.View) -> dict:
    """An array's properties as numbers; None for frequencies that do not exist.

    Returns:
        A dictionary for JSON.
    """
    distances_m = np.linalg.norm(array.positions_m[:, None] - array.positions_m, axis=-1)
    np.fill_diagonal(distances_m, np.inf)
    widths = np.where(np.isfinite(found.widths_deg), found.widths_deg, 180.0)
    return {
        'name': array.name,
        'microphones': array.num_mics,
        'aperture_m': round(geometry_files.aperture_m(array), 4),
        'smallest_distance_m': round(float(distances_m.min()), 4),
        'planar': bool(np.ptp(array.positions_m[:, 2]) < 1e-3),
        'gain_over_noise_db': round(float(10 * np.log10(array.num_mics)), 1),
        'view_deg': [round(angle, 1) for angle in view.rim_deg()],
        'tells_30_deg_apart_from_hz': _rounded(found.separable_from_hz(30.0)),
        'tells_15_deg_apart_from_hz': _rounded(found.separable_from_hz(15.0)),
        'ghosts_within_3_db_from_hz': _rounded(found.first_ambiguous_hz()),
        'resolution': [
            {
                'hz': round(float(hz)),
                'horizontal_deg': round(float(across), 1),
                'vertical_deg': round(float(up), 1),
                'side_lobes_db': None if not np.isfinite(lobe) else round(float(lobe), 1),
            }
            for hz, (across, up), lobe in zip(
                found.frequencies_hz, widths, found.side_lobes_db, strict=True
            )
        ],
    }


def _width(response, angles_deg):
    """Full width around 0 degrees at half the power; infinite if it never halves."""
    middle = len(angles_deg) // 2
    halves = []
    for side in (response[middle:], response[middle::-1]):
        below = np.flatnonzero(side < _HALF_DB)
        if not len(below):
            return np.inf
        last = below[0]
        share = (side[last - 1] - _HALF_DB) / (side[last - 1] - side[last])
        halves.append((last - 1 + share) * _STEP_DEG)
    return float(sum(halves))


def _highest_away(response, grid, source, width_deg):
    """The highest response outside the main lobe; minus infinity if there is none."""
    # Lobes widen off-axis by 1 / cos, as the array appears foreshortened.
    stretch = 1.0 / max(float(source[2]), 0.2)
    nearest_deg = 2 * _FIRST_NULL * stretch * width_deg / 2
    if not np.isfinite(nearest_deg):
        return -np.inf
    away = grid @ source < np.cos(np.deg2rad(min(nearest_deg, 180.0)))
    return float(response[away].max()) if away.any() else -np.inf


def _rounded(hz):
    return None if hz is None else round(hz)
