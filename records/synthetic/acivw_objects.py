"""Draws the sound sources of ACIVW's videos: ten machines, vehicles and waters.

Every drawing is centred on the sound's position and scaled by its distance. Colours, size and
orientation differ from video to video; parts move with the sound or with the frames.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

_DARK, _GLASS, _STEEL, _RUBBER = (34, 34, 38), (176, 206, 224), (150, 154, 160), (44, 44, 46)


@dataclasses.dataclass(frozen=True)
class Look:
    """Appearance of one video's object.

    Attributes:
        body, trim: RGB.
        skin: RGB of the person holding it.
        size: factor on its metres.
        side: 1 or -1, which way it faces.
    """

    body: tuple[int, ...]
    trim: tuple[int, ...]
    skin: tuple[int, int, int]
    size: float
    side: int


class _Pen:
    """Draws in metres relative to the sound's position, x in the object's direction, y up."""

    def __init__(self, picture, at, pixels_per_m, look):
        self._draw, self._at = ImageDraw.Draw(picture), at
        self._scale, self._side = pixels_per_m * look.size, look.side

    def _points(self, points):
        return [
            (self._at[0] + self._side * self._scale * x, self._at[1] - self._scale * y)
            for x, y in points
        ]

    def _corners(self, x0, y0, x1, y1):
        (a, b), (c, d) = self._points([(x0, y0), (x1, y1)])
        return min(a, c), min(b, d), max(a, c), max(b, d)

    def box(self, x0, y0, x1, y1, fill, radius=0.0):
        self._draw.rounded_rectangle(self._corners(x0, y0, x1, y1), radius * self._scale, fill)

    def disc(self, x, y, rx, ry, fill):
        self._draw.ellipse(self._corners(x - rx, y - ry, x + rx, y + ry), fill)

    def shape(self, points, fill):
        self._draw.polygon(self._points(points), fill)

    def line(self, points, width, fill):
        self._draw.line(self._points(points), fill, max(1, round(width * self._scale)), 'curve')


def draw_object(
    picture: Image.Image,
    label: int,
    at: Sequence[float] | np.ndarray,
    pixels_per_m: float,
    level: float,
    tick: int,
    look: Look,
    rng: np.random.Generator,
) -> None:
    """Draws a class's object into a picture.

    Args:
        picture: a `PIL.Image.Image`, RGB; it is changed.
        label: from 0; beyond the 10 classes the objects repeat.
        at: (column, row) of the sound's place, pixels.
        pixels_per_m: at its distance.
        level: 0 - 1, how loud it is.
        tick: number of the frame.
        look: a `Look`.
        rng: a `numpy.random.Generator`, for what splashes.
    """
    pen = _Pen(picture, at, pixels_per_m, look)
    _OBJECTS[label % len(_OBJECTS)](pen, look, level, tick, rng)


def _train(pen, look, level, tick, rng):
    for first in (-6.9, -2.3, 2.3):  # the engine in front, two coaches behind
        pen.box(first - 2.2, -0.9, first + 2.2, 1.15, look.body, 0.15)
        pen.box(first - 2.2, -0.55, first + 2.2, -0.3, look.trim)
        for window in np.arange(first - 1.8, first + 1.6, 0.9):
            pen.box(window, 0.25, window + 0.6, 0.85, _GLASS)
        for wheel in (first - 1.5, first - 0.8, first + 0.8, first + 1.5):
            pen.disc(wheel, -1.05, 0.26, 0.26, _DARK)
            turn = tick * 0.9
            pen.line(
                [(wheel, -1.05), (wheel + 0.2 * np.cos(turn), -1.05 + 0.2 * np.sin(turn))],
                0.07,
                _STEEL,
            )
    pen.shape([(4.5, -0.9), (5.3, -0.7), (4.9, 0.6), (4.5, 1.15)], look.body)
    pen.disc(5.05, -0.35, 0.12, 0.12, (250, 240, 190))


def _boat(pen, look, level, tick, rng):
    bob = 0.05 * np.sin(tick * 0.45)
    pen.shape([(-1.5, 0.15 + bob), (1.75, 0.3 + bob), (1.2, -0.5), (-1.3, -0.5)], look.body)
    pen.shape(
        [(-1.5, 0.15 + bob), (1.75, 0.3 + bob), (1.68, 0.18 + bob), (-1.5, 0.03 + bob)], look.trim
    )
    pen.box(-0.9, 0.15 + bob, 0.4, 0.85 + bob, (238, 236, 230), 0.06)
    pen.box(-0.7, 0.45 + bob, 0.2, 0.75 + bob, _GLASS)
    pen.line([(-0.25, 0.85 + bob), (-0.25, 1.6 + bob)], 0.05, _DARK)
    for wave in range(6):
        x = -2.4 + 0.75 * wave + 0.1 * np.sin(tick * 0.3 + wave)
        pen.line([(x, -0.5), (x + 0.3, -0.44), (x + 0.6, -0.5)], 0.05, (226, 238, 244))


def _drone(pen, look, level, tick, rng):
    for arm in (-1, 1):
        pen.line([(0, 0), (0.27 * arm, 0.07)], 0.035, look.trim)
        pen.line([(0.08 * arm, -0.04), (0.12 * arm, -0.14), (0.2 * arm, -0.14)], 0.02, _DARK)
        pen.box(0.27 * arm - 0.02, 0.05, 0.27 * arm + 0.02, 0.11, _DARK)
        reach = 0.17 * abs(np.cos(tick * 2.1 + arm)) + 0.05  # a blade caught by the film
        pen.disc(0.27 * arm, 0.12, 0.18, 0.018, (200, 200, 204))
        pen.line([(0.27 * arm - reach, 0.12), (0.27 * arm + reach, 0.12)], 0.018, _DARK)
    pen.box(-0.12, -0.06, 0.12, 0.06, look.body, 0.04)
    pen.disc(0.03, -0.08, 0.04, 0.04, _DARK)


def _fountain(pen, look, level, tick, rng):
    pen.disc(0, -0.85, 1.25, 0.28, look.body)
    pen.disc(0, -0.82, 1.1, 0.2, (120, 168, 190))
    pen.box(-0.13, -0.85, 0.13, -0.1, look.trim)
    pen.disc(0, -0.1, 0.5, 0.1, look.trim)
    for _ in range(70):  # drops on their parabolas
        way, reach = rng.random(), rng.uniform(-1.0, 1.0)
        top = rng.uniform(0.7, 1.0) * (0.75 + 0.25 * level)
        y = -0.05 + top * (1 - (2 * way - 0.7) ** 2 / 0.49 * (1.0 if way < 0.35 else 0.5))
        pen.disc(reach * way, max(-0.8, y), 0.035, 0.06, (214, 232, 242))
    pen.line([(0, -0.1), (0, 0.75)], 0.09, (224, 238, 246))


def _drill(pen, look, level, tick, rng):
    shake = 0.006 * level * np.sin(tick * 2.4)
    pen.box(0.17, -0.32, 0.34, 0.30, (150, 108, 70))  # the board
    pen.line([(0.08, 0.02 + shake), (0.19, 0.02 + shake)], 0.014, _STEEL)
    pen.box(-0.15, -0.04 + shake, 0.05, 0.08 + shake, look.body, 0.02)
    pen.box(0.05, -0.02 + shake, 0.10, 0.06 + shake, _DARK, 0.01)
    pen.shape(
        [(-0.14, -0.04 + shake), (-0.06, -0.04 + shake), (-0.09, -0.18), (-0.16, -0.18)], look.body
    )
    pen.box(-0.19, -0.23, -0.05, -0.17, look.trim, 0.01)  # the battery
    pen.line([(-0.55, -0.36), (-0.13, -0.11)], 0.09, look.trim)
    pen.disc(-0.11, -0.10, 0.055, 0.045, look.skin)


def _razor(pen, look, level, tick, rng):
    pen.disc(-0.13, 0.02, 0.12, 0.16, look.skin)  # a face
    pen.disc(-0.13, 0.14, 0.125, 0.07, look.trim)
    pen.disc(-0.09, 0.05, 0.012, 0.012, _DARK)
    pen.line([(-0.08, -0.05), (-0.04, -0.055)], 0.01, (140, 60, 60))
    shake = 0.004 * np.sin(tick * 2.6)
    pen.line([(0.24, -0.34), (0.06, -0.09)], 0.07, look.skin)
    pen.box(-0.025 + shake, -0.13, 0.035 + shake, 0.03, look.body, 0.02)
    pen.box(-0.03 + shake, 0.03, 0.04 + shake, 0.055, _STEEL, 0.008)
    pen.disc(0.005 + shake, -0.04, 0.012, 0.012, (90, 220, 120))
    pen.disc(0.045 + shake, -0.08, 0.035, 0.03, look.skin)


def _hair_dryer(pen, look, level, tick, rng):
    swing = 0.02 * np.sin(tick * 0.5)
    pen.disc(0.36, 0.06, 0.12, 0.15, look.skin)  # a head, and blown hair
    for strand in range(9):
        y = -0.02 + 0.03 * strand
        blow = 0.05 * np.sin(tick * 0.9 + strand)
        pen.line([(0.34, y), (0.50, y + 0.02 + blow), (0.62, y + 2 * blow)], 0.03, look.trim)
    pen.disc(-0.04, 0.02 + swing, 0.095, 0.085, look.body)
    pen.shape(
        [
            (-0.02, 0.08 + swing),
            (0.17, 0.06 + swing),
            (0.17, -0.02 + swing),
            (-0.02, -0.05 + swing),
        ],
        look.body,
    )
    pen.box(0.16, -0.03 + swing, 0.19, 0.07 + swing, _DARK)
    pen.disc(-0.04, 0.02 + swing, 0.05, 0.045, _RUBBER)
    pen.shape([(-0.08, -0.05), (-0.01, -0.05), (-0.04, -0.24), (-0.10, -0.24)], look.body)
    pen.line([(-0.07, -0.24), (-0.2, -0.42)], 0.02, _DARK)
    pen.disc(-0.06, -0.14, 0.055, 0.05, look.skin)


def _vacuum_cleaner(pen, look, level, tick, rng):
    pen.box(-0.26, -0.13, 0.22, 0.13, look.body, 0.11)
    pen.box(-0.10, 0.08, 0.14, 0.15, look.trim, 0.03)
    for wheel in (-0.17, 0.13):
        pen.disc(wheel, -0.13, 0.07, 0.07, _RUBBER)
    reach = 0.10 * np.sin(tick * 0.5)  # the nozzle's strokes
    pen.line([(0.22, 0.05), (0.42, 0.42), (0.58, 0.75)], 0.06, _RUBBER)
    pen.line([(0.58, 0.75), (0.80 + reach, -0.1)], 0.035, _STEEL)
    pen.box(0.70 + reach, -0.17, 0.95 + reach, -0.10, look.trim, 0.02)
    pen.disc(0.58, 0.75, 0.05, 0.05, look.skin)


def _shopping_cart(pen, look, level, tick, rng):
    shake = 0.012 * level * np.sin(tick * 2.2)
    top, bottom = 0.40 + shake, -0.12 + shake
    corners = [(-0.48, top), (0.50, top - 0.08), (0.40, bottom), (-0.36, bottom)]
    for goods, (x, size) in enumerate(((-0.25, 0.2), (0.0, 0.28), (0.22, 0.16))):
        fill = (look.trim, (216, 190, 90), (110, 150, 90))[goods]
        pen.box(x - 0.1, bottom, x + 0.1, bottom + size + 0.12, fill)
    for part in np.linspace(0, 1, 8):
        ends = [
            tuple((1 - part) * np.array(a) + part * np.array(b))
            for a, b in ((corners[0], corners[1]), (corners[3], corners[2]))
        ]
        pen.line(ends, 0.02, look.body)
    for part in np.linspace(0, 1, 5):
        ends = [
            tuple((1 - part) * np.array(a) + part * np.array(b))
            for a, b in ((corners[0], corners[3]), (corners[1], corners[2]))
        ]
        pen.line(ends, 0.02, look.body)
    pen.line([(-0.48, top), (-0.62, top + 0.12)], 0.05, look.trim)
    pen.line([(-0.36, bottom), (-0.40, -0.46), (0.42, -0.46)], 0.03, look.body)
    for wheel in (-0.38, 0.40):
        pen.disc(wheel, -0.53, 0.065, 0.065, _RUBBER)


def _traffic(pen, look, level, tick, rng):
    for shift, body in ((-5.6, look.trim), (0.0, look.body), (5.4, _STEEL)):
        pen.box(shift - 2.0, -0.42, shift + 2.0, 0.18, body, 0.18)
        pen.shape(
            [(shift - 1.3, 0.15), (shift - 0.85, 0.68), (shift + 0.6, 0.68), (shift + 1.2, 0.15)],
            body,
        )
        pen.shape(
            [(shift - 1.05, 0.18), (shift - 0.75, 0.58), (shift - 0.1, 0.58), (shift - 0.1, 0.18)],
            _GLASS,
        )
        pen.shape(
            [(shift + 0.05, 0.18), (shift + 0.05, 0.58), (shift + 0.5, 0.58), (shift + 0.9, 0.18)],
            _GLASS,
        )
        for wheel in (shift - 1.25, shift + 1.25):
            pen.disc(wheel, -0.42, 0.32, 0.32, _RUBBER)
            pen.disc(wheel, -0.42, 0.15, 0.15, _STEEL)
        pen.disc(shift + 1.93, -0.02, 0.08, 0.08, (252, 244, 200))


_OBJECTS = (
    _train,
    _boat,
    _drone,
    _fountain,
    _drill,
    _razor,
    _hair_dryer,
    _vacuum_cleaner,
    _shopping_cart,
    _traffic,
)
