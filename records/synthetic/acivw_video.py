"""ACIVW's camera pictures: a unique place per video, and the object at the sound's position.

The object (`acivw_objects`) determines the class; light, colours, surroundings, exposure, white
balance and camera noise differ from video to video. Drawn at 480 x 640 and averaged to half that.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dualcam.acoustics.microphones import VIEW_DEG
from dualcam.data import schema
from records.synthetic import acivw_objects, subjects, video

SHAPE = (240, 320, 3)
_HEIGHT, _WIDTH = schema.VIDEO_SHAPE[:2]

# Type of open ground, in class order; videos of other classes may be anywhere.
_GROUNDS = ('rails', 'water', None, 'paving', None, None, None, None, 'paving', 'road')
_ANYWHERE = ('grass', 'paving', 'sand')
_ON_WHEELS = (7, 8)  # objects on the floor: vacuum cleaners, shopping carts


def render_frames(
    label: int, indoors: bool, path_m: np.ndarray, levels: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields a video's frames.

    Args:
        label: the class from 0; beyond the 10 classes the objects repeat.
        indoors: whether the place is a room.
        path_m: [frames, 3] where the sound is.
        levels: [frames] 0 - 1, how loud it is.
        rng: a `numpy.random.Generator`.

    Yields:
        uint8 [240, 320, 3] RGB.
    """
    look = draw_look(rng)
    horizon = _HEIGHT * rng.uniform(0.42, 0.52)
    ground = _GROUNDS[label % len(_GROUNDS)] or _ANYWHERE[int(rng.integers(len(_ANYWHERE)))]
    floor = _HEIGHT * rng.uniform(0.72, 0.9)
    if label % len(_GROUNDS) in _ON_WHEELS:
        floor = min(floor, min(video.project(place_m)[1] for place_m in path_m))
    background = _room(int(floor), rng) if indoors else _open_air(ground, horizon, rng)
    background = background.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 2.0)))
    gains = rng.uniform(0.7, 1.15) * rng.uniform(0.92, 1.08, 3)
    # Little grain: records are raw pixels, and noise does not compress.
    noise = np.round(rng.normal(0.0, rng.uniform(0.3, 1.2), (2 * SHAPE[0], SHAPE[1], 1)))
    pixels_per_m = _WIDTH / 2 / np.tan(np.deg2rad(VIEW_DEG[0]) / 2)
    for tick, (place_m, level) in enumerate(zip(path_m, levels, strict=True)):
        frame = background.copy()
        acivw_objects.draw_object(
            frame, label, video.project(place_m), pixels_per_m / place_m[2], level, tick, look, rng
        )
        shift = int(rng.integers(SHAPE[0]))
        pixels = np.asarray(frame.reduce(2)) * gains + noise[shift : shift + SHAPE[0]]
        yield np.clip(pixels, 0, 255).astype(np.uint8)


def draw_look(rng: np.random.Generator) -> acivw_objects.Look:
    """A unique `acivw_objects.Look` for a video."""
    body, trim = (tuple(int(c) for c in rng.integers(20, 236, 3)) for _ in range(2))
    return acivw_objects.Look(
        body,
        trim,
        subjects.subject(int(rng.integers(9))).skin,
        rng.uniform(0.85, 1.2),
        int(rng.choice([-1, 1])),
    )


def _colour(rng, base, spread):
    return tuple(
        int(c)
        for c in np.clip(
            np.array(base)
            + rng.integers(-spread, spread + 1, 3)
            + rng.integers(-spread, spread + 1),
            0,
            255,
        )
    )


def _fade(top, bottom, height):
    """A picture [height, width] with a gradient from one colour to another."""
    share = np.linspace(0, 1, height)[:, None, None]
    column = (1 - share) * np.array(top) + share * np.array(bottom)
    return Image.fromarray(np.repeat(column, _WIDTH, axis=1).astype(np.uint8))


def _room(floor_row, rng):
    wall = _colour(rng, (196, 188, 176), 28)
    picture = _fade(wall, [c * 0.85 for c in wall], _HEIGHT)
    draw = ImageDraw.Draw(picture)
    if rng.random() < 0.4:  # tiles of a bathroom
        step = int(rng.integers(34, 70))
        for row in range(0, floor_row, step):
            draw.line((0, row, _WIDTH, row), fill=tuple(int(c * 0.9) for c in wall), width=2)
        for col in range(0, _WIDTH, step):
            draw.line((col, 0, col, floor_row), fill=tuple(int(c * 0.9) for c in wall), width=2)
    for _ in range(int(rng.integers(1, 5))):  # windows, pictures, doors
        col, row = int(rng.integers(-40, _WIDTH - 60)), int(rng.integers(10, 200))
        width, height = int(rng.integers(60, 170)), int(rng.integers(60, 220))
        frame = _colour(rng, (130, 104, 80), 40)
        draw.rectangle(
            (col, row, col + width, row + height),
            fill=_colour(rng, (180,) * 3, 60),
            outline=frame,
            width=int(rng.integers(3, 10)),
        )
    draw.rectangle((0, floor_row, _WIDTH, _HEIGHT), fill=_colour(rng, (128, 104, 84), 36))
    for _ in range(int(rng.integers(0, 3))):  # cupboards
        col, width = int(rng.integers(-60, _WIDTH)), int(rng.integers(80, 200))
        top = floor_row - int(rng.integers(40, 160))
        draw.rectangle(
            (col, top, col + width, floor_row + 20),
            fill=_colour(rng, (140, 116, 92), 44),
            outline=(60, 50, 44),
            width=2,
        )
    return picture


def _open_air(ground, horizon, rng):
    sky = _colour(rng, (128, 172, 222), 34)
    picture = _fade(sky, [0.5 * c + 110 for c in sky], _HEIGHT)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(0, 5))):  # clouds
        col, row = rng.uniform(0, _WIDTH), rng.uniform(0, horizon * 0.6)
        for _ in range(4):
            x, y = col + rng.uniform(-60, 60), row + rng.uniform(-10, 10)
            draw.ellipse((x - 45, y - 14, x + 45, y + 14), fill=_colour(rng, (232, 236, 240), 6))
    _skyline(draw, horizon, rng)
    _ground(draw, ground, int(horizon), rng)
    return picture


def _skyline(draw, horizon, rng):
    """Houses, trees or hills along the horizon."""
    kind = rng.integers(3)
    colour = _colour(rng, ((150, 136, 126), (74, 108, 66), (110, 126, 120))[kind], 26)
    col = -60.0
    while col < _WIDTH:
        width, height = rng.uniform(50, 150), rng.uniform(25, 120)
        shade = tuple(int(c * f) for c, f in zip(colour, [rng.uniform(0.8, 1.15)] * 3, strict=True))
        if kind == 0:
            draw.rectangle((col, horizon - height, col + width, horizon + 4), fill=shade)
            for row in np.arange(horizon - height + 8, horizon - 8, 22):
                for window in np.arange(col + 8, col + width - 14, 24):
                    draw.rectangle((window, row, window + 11, row + 12), fill=(96, 106, 120))
        elif kind == 1:
            draw.ellipse((col, horizon - height, col + width, horizon + height / 2), fill=shade)
        else:
            draw.polygon(
                (
                    (col - width, horizon + 4),
                    (col + width / 2, horizon - height * 0.8),
                    (col + 2 * width, horizon + 4),
                ),
                fill=shade,
            )
        col += width * rng.uniform(0.7, 1.5)


def _ground(draw, kind, horizon, rng):
    base = {
        'rails': (128, 116, 104),
        'water': (72, 112, 138),
        'paving': (168, 160, 150),
        'road': (96, 96, 100),
        'grass': (94, 134, 70),
        'sand': (196, 176, 138),
    }[kind]
    colour = _colour(rng, base, 18)
    draw.rectangle((0, horizon, _WIDTH, _HEIGHT), fill=colour)
    lighter, darker = (tuple(min(255, int(c * f)) for c in colour) for f in (1.18, 0.82))
    if kind == 'water':
        for _ in range(70):
            x, y = rng.uniform(0, _WIDTH), rng.uniform(horizon + 4, _HEIGHT)
            draw.line(
                (x - 18, y, x + 18, y), fill=lighter if rng.random() < 0.5 else darker, width=2
            )
    elif kind == 'rails':
        for row in np.geomspace(30, _HEIGHT - horizon, 4) + horizon:
            for x in range(-10, _WIDTH, 26):
                draw.line((x, row, x + 14, row + 6), fill=darker, width=5)
            draw.line((0, row, _WIDTH, row), fill=(172, 174, 178), width=3)
    elif kind == 'road':
        middle = horizon + 0.62 * (_HEIGHT - horizon)
        draw.rectangle((0, horizon, _WIDTH, horizon + 14), fill=(170, 166, 158))
        for x in range(int(rng.integers(-80, 0)), _WIDTH, 110):
            draw.rectangle((x, middle, x + 56, middle + 7), fill=(226, 224, 214))
    elif kind == 'paving':
        for x in np.linspace(-2.5 * _WIDTH, 3.5 * _WIDTH, 37):
            draw.line(
                (_WIDTH / 2 + (x - _WIDTH / 2) * 0.12, horizon, x, _HEIGHT), fill=darker, width=1
            )
        for row in np.geomspace(8, _HEIGHT - horizon, 9) + horizon:
            draw.line((0, row, _WIDTH, row), fill=darker, width=1)
    else:
        for _ in range(260):
            x, y = rng.uniform(0, _WIDTH), rng.uniform(horizon, _HEIGHT)
            draw.line((x, y, x + 3, y - 6), fill=lighter if rng.random() < 0.5 else darker)
