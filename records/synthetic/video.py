"""The camera's pictures: the scenario, a person, and the action's object at the sound's position.

Drawings rather than photographs, but with the geometry of the sound: the hands, the mouth or the
object are at the projected position of the source and scaled by its distance.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dualcam.acoustics.microphones import VIEW_DEG
from dualcam.data import schema
from records.synthetic import subjects

_HEIGHT, _WIDTH = schema.VIDEO_SHAPE[:2]
_SPEAKING, _WHISTLING = 2, 3
_NUM_GRAINS = 3  # different camera noises, used in turn

# Objects that are held or hit, in class order: shape, width and height in metres, RGB.
_OBJECTS = (
    None,  # clapping: the hands
    None,  # snapping fingers
    None,  # speaking: the mouth
    None,  # whistling
    ('kendama', 0.10, 0.22, (196, 60, 44)),
    ('box', 0.06, 0.10, (40, 40, 46)),  # a mouse
    ('box', 0.42, 0.10, (54, 56, 62)),  # a keyboard
    ('box', 0.70, 0.95, (136, 92, 54)),  # a door
    ('hammer', 0.26, 0.12, (120, 124, 130)),
    ('ball', 0.07, 0.07, (205, 160, 92)),  # a peanut
    ('sheets', 0.30, 0.30, (240, 240, 234)),  # paper, torn
    ('ball', 0.24, 0.20, (196, 214, 226)),  # a plastic bag
    ('box', 0.30, 0.36, (246, 246, 240)),  # a sheet
    ('stick', 0.42, 0.03, (170, 120, 60)),
)


def render_frames(*take: Any, **view: Any) -> Iterator[np.ndarray]:
    """`draw_frames` as uint8 [480, 640, 3] RGB."""
    return map(np.asarray, draw_frames(*take, **view))


def draw_frames(
    action: int,
    subject: subjects.Subject,
    location: int,
    path_m: np.ndarray,
    levels: np.ndarray,
    rng: np.random.Generator,
    view_deg: tuple[float, float] = VIEW_DEG,
) -> Iterator[Image.Image]:
    """Yields a take's video frames.

    Args:
        action: from 0; beyond the 14 actions the objects repeat.
        subject: a `subjects.Subject`.
        location: scenario from 0 to 2.
        path_m: [frames, 3] position of the sound.
        levels: [frames] 0 - 1, its loudness.
        rng: a `numpy.random.Generator`.
        view_deg: horizontal and vertical field of view.

    Yields:
        Pictures of 640 x 480, RGB.

    Raises:
        ValueError: there is no such location.
    """
    if location not in range(3):
        raise ValueError(f'location {location}: expected 0, 1 or 2')
    # No more grain than JPEG smooths out: noise would make records (raw pixels) six times larger.
    empty = np.asarray(draw_place(location, rng)).astype(np.int16)
    grain = rng.integers(-1, 2, (_NUM_GRAINS, _HEIGHT, _WIDTH, 1), dtype=np.int16)
    backgrounds = [Image.fromarray(np.clip(empty + one, 0, 255).astype(np.uint8)) for one in grain]
    scale = (np.array([_WIDTH, _HEIGHT]) / 2) / np.tan(np.deg2rad(view_deg) / 2)
    mouth = action % len(_OBJECTS) in (_SPEAKING, _WHISTLING)
    for number, (place_m, level) in enumerate(zip(path_m, levels, strict=True)):
        frame = backgrounds[number % _NUM_GRAINS].copy()
        pixels_per_m = scale[0] / place_m[2]
        at = (
            _WIDTH / 2 + scale[0] * place_m[0] / place_m[2],
            _HEIGHT / 2 - scale[1] * place_m[1] / place_m[2],
        )
        draw = ImageDraw.Draw(frame)
        _person(draw, subject, at, pixels_per_m, mouth, level)
        if not mouth:
            _hands_and_object(draw, subject, action % len(_OBJECTS), at, pixels_per_m, level)
        yield frame


def project(place_m: np.ndarray, view_deg: tuple[float, float] = VIEW_DEG) -> tuple[float, float]:
    """Video pixel (column, row) of a position [3] in metres, as floats."""
    half_x, half_y = np.tan(np.deg2rad(view_deg) / 2)
    return (
        _WIDTH / 2 * (1 + place_m[0] / place_m[2] / half_x),
        _HEIGHT / 2 * (1 - place_m[1] / place_m[2] / half_y),
    )


def encode_jpeg(frame: Image.Image | np.ndarray) -> bytes:
    """JPEG bytes of an RGB frame, a picture or an array, quality 85, chroma halved."""
    file = io.BytesIO()
    picture = frame if isinstance(frame, Image.Image) else Image.fromarray(frame)
    picture.save(file, 'JPEG', quality=85, subsampling='4:2:0')
    return file.getvalue()


def draw_place(location: int, rng: np.random.Generator) -> Image.Image:
    """An empty scenario, from 0 to 2, in random light: a picture of 640 x 480."""
    pixels = np.asarray(_background(location, rng)) * rng.uniform(0.85, 1.1)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _background(location, rng):
    picture = Image.new(
        'RGB', (_WIDTH, _HEIGHT), ((46, 48, 52), (204, 200, 190), (150, 190, 230))[location]
    )
    draw = ImageDraw.Draw(picture)
    if location == 0:  # wedges of foam
        for row in range(0, _HEIGHT, 40):
            for col in range(0, _WIDTH, 40):
                upright = (row // 40 + col // 40) % 2
                for k in range(4):
                    grey = 36 + 10 * k
                    box = (
                        (col + 10 * k, row, col + 10 * k + 9, row + 39)
                        if upright
                        else (col, row + 10 * k, col + 39, row + 10 * k + 9)
                    )
                    draw.rectangle(box, fill=(grey, grey, grey + 4))
    elif location == 1:  # windows, desks, monitors
        for col in (30, 250, 470):
            draw.rectangle((col, 30, col + 140, 170), fill=(226, 236, 246), outline=(120,) * 3)
            draw.line((col + 70, 30, col + 70, 170), fill=(150,) * 3, width=3)
        draw.rectangle((0, 360, _WIDTH, _HEIGHT), fill=(118, 110, 100))
        for _ in range(3):
            col = int(rng.integers(0, 540))
            draw.rectangle((col, 260, col + 80, 312), fill=(30, 32, 40), outline=(80,) * 3)
            draw.rectangle((col - 20, 322, col + 110, 334), fill=(160, 120, 80))
    else:  # sky, trees, railing, tiles
        for _ in range(9):
            col, size = int(rng.integers(0, _WIDTH)), int(rng.integers(30, 80))
            draw.ellipse(
                (col - size, 190 - size // 2, col + size, 250 + size // 2),
                fill=(60 + size // 2, 110, 60),
            )
        draw.rectangle((0, 330, _WIDTH, _HEIGHT), fill=(178, 160, 140))
        for col in range(0, _WIDTH, 24):
            draw.line((col, 230, col, 330), fill=(90, 90, 96), width=3)
            draw.line(
                (col * 3 - _WIDTH, _HEIGHT, col + (_WIDTH // 2 - col) // 3, 330),
                fill=(150, 134, 118),
                width=1,
            )
        draw.line((0, 230, _WIDTH, 230), fill=(80, 80, 86), width=6)
    return picture


def _person(draw, subject, at, pixels_per_m, mouth, level):
    """Head, hair, torso; the mouth is at the sound for a voice, otherwise the hands are."""
    head = 0.11 * pixels_per_m
    x = at[0]
    eye_y = at[1] - 0.55 * head if mouth else at[1] - subject.height_m * pixels_per_m
    shoulder_y = eye_y + 1.9 * head
    draw.rounded_rectangle(
        (x - 2.2 * head, shoulder_y, x + 2.2 * head, shoulder_y + 6.5 * head),
        head,
        fill=subject.shirt,
    )
    draw.rectangle(
        (x - 0.4 * head, eye_y + head, x + 0.4 * head, shoulder_y + 2), fill=subject.skin
    )
    draw.ellipse(
        (x - head * 1.05, eye_y - 1.3 * head, x + head * 1.05, eye_y + 0.9 * head),
        fill=subject.hair,
    )
    draw.ellipse(
        (x - 0.9 * head, eye_y - 0.9 * head, x + 0.9 * head, eye_y + 1.2 * head), fill=subject.skin
    )
    for side in (-0.35, 0.35):
        draw.ellipse(
            (x + side * head - 2, eye_y - 2, x + side * head + 2, eye_y + 2), fill=(20, 20, 24)
        )
    opening = (0.06 + 0.28 * level if mouth else 0.05) * head
    draw.ellipse(
        (
            x - 0.28 * head,
            eye_y + 0.55 * head - opening,
            x + 0.28 * head,
            eye_y + 0.55 * head + opening,
        ),
        fill=(120, 40, 44),
    )


def _hands_and_object(draw, subject, action, at, pixels_per_m, level):
    x, y = at
    hand = 0.045 * pixels_per_m
    apart = (0.05 + 0.10 * (1 - level)) * pixels_per_m
    shoulder_y = y - (subject.height_m - 0.24) * pixels_per_m
    shape = _OBJECTS[action]
    if shape:
        kind, width_m, height_m, colour = shape
        half_w, half_h = width_m * pixels_per_m / 2, height_m * pixels_per_m / 2
        if kind in ('ball', 'kendama'):
            if kind == 'kendama':
                draw.rectangle(
                    (x - half_w / 3, y, x + half_w / 3, y + 2 * half_h), fill=(190, 140, 80)
                )
                half_h = half_w
            draw.ellipse((x - half_w, y - half_h, x + half_w, y + half_h), fill=colour)
        elif kind == 'sheets':
            gap = (0.2 + level) * half_w * 0.4
            draw.polygon(
                ((x - gap, y), (x - 2 * half_w, y - half_h), (x - 2 * half_w, y + half_h)),
                fill=colour,
            )
            draw.polygon(
                ((x + gap, y), (x + 2 * half_w, y - half_h), (x + 2 * half_w, y + half_h)),
                fill=colour,
            )
        elif kind == 'hammer':
            lift = (1 - level) * 2 * half_h
            draw.rectangle((x - half_w, y + 4, x + half_w, y + half_h), fill=(92, 84, 76))
            draw.rectangle(
                (x - half_w / 3, y - half_h - lift, x + half_w / 3, y - lift), fill=colour
            )
            draw.line(
                (x, y - half_h / 2 - lift, x + 2 * half_w, y - half_h - lift),
                fill=(150, 110, 60),
                width=max(3, int(hand / 3)),
            )
        elif kind == 'stick':
            draw.line(
                (x - half_w, y - half_h, x + half_w, y + half_h * (3 - 2 * level)),
                fill=colour,
                width=max(3, int(2 * half_h)),
            )
        else:
            draw.rectangle(
                (x - half_w, y - half_h, x + half_w, y + half_h), fill=colour, outline=(30, 30, 30)
            )
    for side in (-1, 1):
        hand_x = x + side * apart
        draw.line(
            (x + side * 0.22 * pixels_per_m, shoulder_y, hand_x, y),
            fill=subject.shirt,
            width=max(4, int(hand * 1.3)),
        )
        draw.ellipse(
            (hand_x - hand, y - hand, hand_x + hand, y + hand),
            fill=subject.skin,
            outline=(60, 40, 30),
        )
