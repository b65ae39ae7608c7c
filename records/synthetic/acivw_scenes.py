"""Settings of ACIVW's classes: places, paths through the view, surroundings.

Each video has its own place. Handheld objects are close, indoors or outdoors; vehicles, drones and
water are farther away, outdoors. Indoors is a shoebox room with its own size and damping, with busy
people at the sides; outdoors has a reflecting ground, wind, traffic and passers-by at random levels
(`scenes` has the physics). The recorder's gain and noise vary too.
"""

import dataclasses

import numpy as np

from dualcam.acoustics.microphones import VIEW_DEG
from dualcam.data import schema
from records.synthetic import scenes

# AVIA's actions that go on at the sides: speaking, clicking, typing, knocking, paper; outdoors
# snapping fingers, speaking, whistling, hammering.
_INDOOR_OTHERS, _OUTDOOR_OTHERS = (2, 5, 6, 7, 12), (1, 2, 3, 8)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A class's setting.

    Attributes:
        indoors: share of its videos in a room.
        distance_m: from - to.
        rows: from - to, vertical position of its sound as a share of the view's height, 0 the top.
        way: largest movement across the view in a video, as a share of the width.
    """

    indoors: float
    distance_m: tuple[float, float]
    rows: tuple[float, float]
    way: float


SETTINGS = (
    Setting(0.0, (7.0, 10.0), (0.50, 0.64), 0.25),  # train
    Setting(0.0, (5.0, 8.0), (0.52, 0.70), 0.20),  # boat
    Setting(0.0, (2.0, 4.0), (0.15, 0.45), 0.30),  # drone
    Setting(0.0, (3.5, 6.0), (0.48, 0.64), 0.0),  # fountain
    Setting(0.6, (0.9, 1.4), (0.38, 0.64), 0.06),  # drill
    Setting(1.0, (0.7, 1.0), (0.35, 0.62), 0.08),  # razor
    Setting(1.0, (0.8, 1.3), (0.30, 0.58), 0.12),  # hair dryer
    Setting(0.9, (1.5, 2.5), (0.58, 0.78), 0.25),  # vacuum cleaner
    Setting(0.4, (2.5, 4.5), (0.52, 0.70), 0.30),  # shopping cart
    Setting(0.0, (7.0, 11.0), (0.54, 0.68), 0.35),  # traffic
)


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """One video's circumstances.

    Attributes:
        indoors: whether it is a room.
        scenario: a `scenes.Scenario`.
        path_m: [frames + 1, 3] where the sound is.
        gain: of source and recorder together: factor on the source's pressure at 1 m.
    """

    indoors: bool
    scenario: scenes.Scenario
    path_m: np.ndarray
    gain: float


def draw_place(label: int, num_frames: int, rng: np.random.Generator) -> Place:
    """Draws a place for a video.

    Args:
        label: the class from 0; beyond the 10 classes the settings repeat.
        num_frames: of the video.
        rng: a `numpy.random.Generator`.

    Returns:
        A `Place`.
    """
    setting = SETTINGS[label % len(SETTINGS)]
    indoors = bool(rng.random() < setting.indoors)
    path_m = _way(setting, num_frames + 1, rng)
    scenario = _room(path_m, rng) if indoors else _outdoors(path_m, rng)
    # People raise the recording level for faint sources: distance hardly affects the level.
    gain = float(np.median(path_m[:, 2]) * 10 ** (rng.uniform(-6, 6) / 20))
    return Place(indoors, scenario, path_m, gain)


def _way(setting, num_points, rng):
    """A slow path through the view, [points, 3] m."""
    time = np.linspace(-0.5, 0.5, num_points)
    seconds = np.arange(num_points) / schema.FRAMES_PER_SECOND
    way = setting.way * rng.uniform(0.3, 1.0) * rng.choice([-1.0, 1.0])
    middle = rng.uniform(0.2 + abs(way) / 2, 0.8 - abs(way) / 2)
    sway = rng.uniform(0.003, 0.012, 3)[:, None] * np.sin(
        2 * np.pi * rng.uniform(0.1, 0.4, 3)[:, None] * seconds
        + rng.uniform(0, 2 * np.pi, 3)[:, None]
    )  # [3, points]
    cols = middle + way * time + sway[0]
    rows = rng.uniform(*setting.rows) + sway[1]
    z_m = rng.uniform(*setting.distance_m) * (1 + sway[2])
    half_width, half_height = np.tan(np.deg2rad(VIEW_DEG) / 2)
    return np.stack(
        [z_m * half_width * (2 * cols - 1), z_m * half_height * (1 - 2 * rows), z_m], axis=1
    )


def _room(path_m, rng):
    aside_m = np.abs(path_m[:, 0]).max()
    depth_m = max(path_m[:, 2].max() + 0.6 + rng.uniform(0.3, 2.0), 2.5)
    return scenes.Scenario(
        'indoors',
        room_m=(2 * aside_m + rng.uniform(1.0, 4.0), rng.uniform(2.4, 3.2), depth_m),
        absorption=rng.uniform(0.2, 0.55),
        others=_INDOOR_OTHERS,
        num_others=int(rng.integers(0, 3)),
        others_db=(2.0, 9.0),
        diffuse_db=rng.uniform(6, 16),
        hiss_db=rng.uniform(14, 28),
    )


def _outdoors(path_m, rng):
    return scenes.Scenario(
        'outdoors',
        ground_m=max(1.2, 0.2 - path_m[:, 1].min()),  # below the source
        ground_gain=rng.uniform(0.3, 0.8),
        others=_OUTDOOR_OTHERS,
        num_others=int(rng.integers(0, 3)),
        others_db=(3.0, 10.0),
        diffuse_db=rng.uniform(6, 16),
        traffic_db=rng.uniform(4, 14),
        wind_db=rng.uniform(4, 16),
        hiss_db=rng.uniform(14, 28),
    )
