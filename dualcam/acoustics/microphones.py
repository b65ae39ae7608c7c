"""Microphone positions and look directions.

Coordinates, here and in records/: metres, x to the right, y up, z forward into the scene, with the
array centre (and camera) at the origin. WACV 2020's sensor is a planar array of 128 MEMS
microphones, 0.45 m x 0.45 m, in an aperiodic layout. The device's geometry was not published; the
built-in one has the same size, number of microphones and character. `geometry_files` reads others.
"""

import dataclasses

import numpy as np

from dualcam.acoustics import dimensions

NUM_MICS = 128
APERTURE_M = 0.45
SPEED_OF_SOUND = 343.0  # m/s
VIEW_DEG = (60.0, 45.0)  # horizontal, vertical


@dataclasses.dataclass(frozen=True, eq=False)
class MicArray:
    """A microphone layout.

    Attributes:
        name: used in messages.
        positions_m: [mics, 3] float64.
    """

    name: str
    positions_m: np.ndarray

    @property
    def num_mics(self) -> int:
        return len(self.positions_m)


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """The look directions of an acoustic image.

    Attributes:
        directions: [rows, cols, 3] float64 unit vectors; row 0 is the top, column 0 the left.
        view_deg: horizontal and vertical field of view.
    """

    directions: np.ndarray
    view_deg: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols, _ = self.directions.shape
        return rows, cols


def built_in_array() -> MicArray:
    """The built-in 128-microphone layout: a sunflower spiral, [128, 3] m, always the same.

    Successive microphones turn by the golden angle, so no spacing repeats, and radii grow such that
    every microphone covers the same area; the central 3 cm are left for the camera.
    """
    index = np.arange(NUM_MICS)
    inner_m, outer_m = 0.015, APERTURE_M / 2
    radius_m = np.sqrt(inner_m**2 + (outer_m**2 - inner_m**2) * index / (NUM_MICS - 1))
    angle_rad = index * np.pi * (3.0 - np.sqrt(5.0))
    positions_m = np.stack(
        [radius_m * np.cos(angle_rad), radius_m * np.sin(angle_rad), np.zeros(NUM_MICS)], axis=1
    )
    return MicArray('built-in', positions_m)


def look_directions(
    rows: int = dimensions.ROWS,
    cols: int = dimensions.COLS,
    view_deg: tuple[float, float] = VIEW_DEG,
) -> Grid:
    """Look directions aligned with the video's pixels: equal steps in the image plane.

    Args:
        rows, cols: size of the acoustic image.
        view_deg: horizontal and vertical field of view, each between 0 and 180 degrees.

    Returns:
        A `Grid`; entry [r, c] looks through the centre of acoustic pixel (r, c), which covers
        480 / rows x 640 / cols video pixels (WACV 2020: 13.3 x 13.3).
    """
    if not all(0.0 < angle < 180.0 for angle in view_deg):
        raise ValueError(
            f'a field of view of {view_deg} degrees; expected two angles between 0 and 180'
        )
    half_width, half_height = np.tan(np.deg2rad(view_deg) / 2)
    x = half_width * (2 * (np.arange(cols) + 0.5) / cols - 1)
    y = half_height * (1 - 2 * (np.arange(rows) + 0.5) / rows)
    directions = np.ones((rows, cols, 3))
    directions[..., 0] = x
    directions[..., 1] = y[:, None]
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return Grid(directions, view_deg)


def steering_delays(
    positions_m: np.ndarray,
    directions: np.ndarray,
    focus_m: float | None = None,
    speed_of_sound: float = SPEED_OF_SOUND,
) -> np.ndarray:
    """Delay of the wave from each look direction at each microphone.

    Args:
        positions_m: [mics, 3].
        directions: [..., 3] unit vectors from the array to the scene.
        focus_m: distance of the sources from the array centre; None for plane waves. At 1 m, a
            plane wave is wrong by half a wavelength at the array's edge above 3 kHz.

    Returns:
        [..., mics] seconds relative to the array centre; negative where it arrives early.
    """
    if focus_m is None:
        return -directions @ positions_m.T / speed_of_sound
    sources_m = focus_m * directions[..., None, :]  # [..., 1, 3]
    distances_m = np.linalg.norm(sources_m - positions_m, axis=-1)  # [..., mics]
    return (distances_m - focus_m) / speed_of_sound
