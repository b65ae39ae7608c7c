"""Pictures of a localised recording: a video with sound, and a contact sheet.

Reads a `LocalisedTake`, and a student's predictions for its sources if there are any.
"""

import dataclasses
import fractions
import itertools
import pathlib
from collections.abc import Iterable, Iterator

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from dualcam.acoustics import localised_takes, recordings, videos, views
from dualcam.files import progress_bars
from dualcam.inference import source_classes

_GREY = 96  # background without video
_OPAQUE = 0.7
_FASTEST_HZ = 30.0  # highest frame rate of a video
_SOUND_HZ = 48_000  # supported by every player
_SHEET = 12  # pictures
_SHEET_WIDTH = 400
_NO_VIDEO_WIDTH = 640
_COLOURS = ('#ffffff', '#ffd400', '#00e5ff', '#ff7bff', '#8dff5a', '#ffa04d')
_LISTEN_PEAK = 0.9


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """What a video shows in addition to the maps.

    Attributes:
        video: pictures, or None.
        video_offset_s: when the video begins, in the time of the sound.
        dynamic_range_db: range shown below the loudest level.
        width: maximum width of the video.
        classes: a student's predictions for the sources, or None.
        listen: file with the video's sound; None for the first microphone's.
    """

    video: videos.Video | None = None
    video_offset_s: float = 0.0
    dynamic_range_db: float = 6.0
    width: int = 1280
    classes: source_classes.TakeClasses | None = None
    listen: pathlib.Path | None = None


def levels(level_db: np.ndarray, top_db: float, dynamic_range_db: float) -> np.ndarray:
    """A map scaled to 0 - 1: 1 at its maximum, or at that of a typical map if it is quieter.

    Args:
        level_db: [rows, cols].
        top_db: maximum of a typical map.
        dynamic_range_db: levels further below the maximum are 0.
    """
    high = max(float(level_db.max()), top_db)
    return np.clip((level_db - high) / dynamic_range_db + 1.0, 0.0, 1.0)


def blend(level: np.ndarray, picture: np.ndarray) -> Image.Image:
    """A map [rows, cols], 0 - 1, drawn over a picture [height, width, 3] uint8."""
    below = Image.fromarray(np.ascontiguousarray(picture))
    small = Image.fromarray(np.round(255 * level).astype(np.uint8))
    smooth = small.resize(below.size, Image.Resampling.BICUBIC)
    colours = smooth.copy()
    colours.putpalette(_palette())
    return Image.composite(colours.convert('RGB'), below, smooth.point(_alphas()))


def write_film(
    path: pathlib.Path, take: localised_takes.LocalisedTake, shown: Shown
) -> tuple[int, int]:
    """Writes the video, H.264 and AAC.

    Returns:
        The number of its frames, and how many of them come from the camera's video.
    """
    import av  # imported here: few callers need its libraries

    rate_hz = _film_rate(take, shown)
    count = max(1, round(take.recording.duration_s * rate_hz))
    size = _film_size(take, shown)
    times_s = [i / rate_hz for i in range(count)]
    seen = 0
    with (
        av.open(str(path), 'w', format='mp4') as film,
        progress_bars.bar(total=count, desc='film', unit='picture') as bar,
    ):
        picture_stream = film.add_stream(
            'libx264', rate=_fraction(rate_hz), options={'crf': '20', 'preset': 'veryfast'}
        )
        picture_stream.width, picture_stream.height = size
        picture_stream.pix_fmt = 'yuv420p'
        sound_stream = film.add_stream('aac', rate=_SOUND_HZ, layout='mono')
        sound = _SoundTrack(film, sound_stream, _film_sound(take, shown))
        for time_s, picture, real in _overlays(take, shown, times_s, size):
            frame = av.VideoFrame.from_image(picture)
            film.mux(picture_stream.encode(frame))
            sound.up_to(time_s + 0.5)
            seen += real
            bar.update(1)
        film.mux(picture_stream.encode())
        sound.finish()
    return count, seen


def write_sheet(path: pathlib.Path, take: localised_takes.LocalisedTake, shown: Shown) -> None:
    """Writes up to twelve pictures with their times and peaks, as one PNG."""
    count = min(_SHEET, len(take.times_s))
    chosen = np.unique(np.linspace(0, len(take.times_s) - 1, count).round().astype(int))
    size = _film_size(take, dataclasses.replace(shown, width=min(shown.width, 2 * _SHEET_WIDTH)))
    times_s = [float(take.times_s[i]) for i in chosen]
    pictures = [picture for _, picture, _ in _overlays(take, shown, times_s, size)]
    small = [
        one.resize(
            (_SHEET_WIDTH, round(_SHEET_WIDTH * size[1] / size[0])), Image.Resampling.LANCZOS
        )
        for one in pictures
    ]
    captions = [_caption(take, shown, int(i)) for i in chosen]
    _sheet(small, captions, _title(take, shown)).save(path, 'PNG')


def _overlays(take, shown, times_s, size) -> Iterator[tuple[float, Image.Image, bool]]:
    """Yields (time, picture with map and peaks, whether the video has a frame), in time order."""
    tops = np.array([one.max() for one in take.level_db])
    top_db = float(np.median(tops))
    if shown.video is None:
        pictures: Iterable[np.ndarray | None] = itertools.repeat(None)
    else:
        of_video = [time_s - shown.video_offset_s for time_s in times_s]
        pictures = shown.video.at(of_video, size, take.view)
    grey = np.full((size[1], size[0], 3), _GREY, np.uint8)
    nearest = np.abs(take.times_s[:, None] - times_s).argmin(axis=0) if len(times_s) < 64 else None
    for number, (time_s, picture) in enumerate(zip(times_s, pictures, strict=False)):
        if nearest is None:
            index = int(np.searchsorted(take.times_s, time_s))
            index = min(index, len(take.times_s) - 1)
            if index and abs(take.times_s[index - 1] - time_s) < abs(take.times_s[index] - time_s):
                index -= 1
        else:
            index = int(nearest[number])
        level = levels(take.level_db[index], top_db, shown.dynamic_range_db)
        image = blend(level, grey if picture is None else picture)
        _mark(image, take, shown, index)
        yield time_s, image, picture is not None


def _mark(image, take, shown, index):
    """Draws the peaks of a map with their classes."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    radius, font = max(5, width // 80), max(14, width // 45)
    for peak, owner in zip(take.peaks[index], take.owners[index], strict=True):
        number = take.source_number(owner)
        if number is None:
            continue
        place = take.view.places(views.direction(peak.azimuth_deg, peak.elevation_deg))
        x, y = place * (width, height)
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
        text = f'{number}  {peak.level_db:.0f} dB'
        if shown.classes is not None:
            one = shown.classes.at(number - 1, float(take.times_s[index]))
            if one is not None:
                text += f'\n{one.classes[0]} {one.probabilities[0]:.0%}'
        left = x + radius + 3 if x < 0.75 * width else x - radius - 3
        anchor = 'la' if x < 0.75 * width else 'ra'
        draw.multiline_text(
            (left, y - radius),
            text,
            fill=colour,
            font_size=font,
            anchor=anchor,
            stroke_width=2,
            stroke_fill='black',
            align='left' if anchor == 'la' else 'right',
        )


def _caption(take, shown, index):
    found = [
        f'{take.source_number(owner)}: {peak.azimuth_deg:+.0f}, {peak.elevation_deg:+.0f} deg'
        for peak, owner in zip(take.peaks[index], take.owners[index], strict=True)
        if take.source_number(owner) is not None
    ]
    return f'{take.times_s[index]:.2f} s   ' + '   '.join(found[:2])


def _title(take, shown):
    params = take.maker.params
    return (
        f'{take.recording.path.name}: {take.maker.array.num_mics} microphones, '
        f'{params.low_hz:g} - {params.high_hz:g} Hz, {params.method}, '
        f'{shown.dynamic_range_db:g} dB shown; angles to the right and up'
    )


def _sheet(pictures, captions, title, columns=4, gap=6, line=18):
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    width, height = pictures[0].size
    whole = Image.new(
        'RGB',
        (columns * (width + gap) + gap, rows * (height + gap + line) + gap + line),
        'white',
    )
    draw = ImageDraw.Draw(whole)
    draw.text((gap, 3), title, fill='black', font_size=14)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x = gap + number % columns * (width + gap)
        y = gap + line + number // columns * (height + gap + line)
        draw.text((x + 2, y), caption, fill='black', font_size=13)
        whole.paste(picture, (x, y + line))
    return whole


class _SoundTrack:
    """Sound written alongside the frames of a video."""

    def __init__(self, film, stream, blocks):
        self._film, self._stream, self._blocks = film, stream, blocks
        self._count = 0

    def up_to(self, time_s):
        """Writes sound until it covers the frames up to a time."""
        while self._count < time_s * _SOUND_HZ and (block := next(self._blocks, None)) is not None:
            self._write(block)

    def finish(self):
        """Writes the rest."""
        for block in self._blocks:
            self._write(block)
        self._film.mux(self._stream.encode())

    def _write(self, block):
        import av

        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block[None], np.float32), format='fltp', layout='mono'
        )
        frame.sample_rate, frame.pts = _SOUND_HZ, self._count
        self._count += len(block)
        self._film.mux(self._stream.encode(frame))


def _film_sound(take, shown):
    """Blocks [samples] at 48 kHz, full scale 1: the beamformed sound, or the first microphone's."""
    if shown.listen is not None:
        recording, scale = recordings.open_recording(shown.listen), 1.0
    else:
        recording = dataclasses.replace(take.recording, channels=take.recording.channels[:1])
        scale = _LISTEN_PEAK / max(take.loudest, 1e-12)
    for block in recording.blocks(rate_hz=_SOUND_HZ):
        yield np.clip(scale * block[:, 0], -1.0, 1.0)


def _film_rate(take, shown):
    if shown.video is None:
        return min(take.maker.params.maps_per_s, _FASTEST_HZ)
    return float(np.clip(shown.video.rate_hz, 1.0, _FASTEST_HZ))


def _fraction(rate_hz):
    return fractions.Fraction(rate_hz).limit_denominator(1001)


def _film_size(take, shown):
    """(width, height), even."""
    if shown.video is not None:
        width, height = shown.video.size
    elif take.view.calibration is not None:
        width, height = take.view.calibration.size
    else:
        across, up = np.tan(np.deg2rad(take.view.view_deg) / 2)
        width, height = _NO_VIDEO_WIDTH, _NO_VIDEO_WIDTH * up / across
    scale = min(1.0, shown.width / width)
    return tuple(max(2, 2 * round(side * scale / 2)) for side in (width, height))


def _palette():
    colours = matplotlib.colormaps['turbo'](np.arange(256))[:, :3]
    return np.round(255 * colours).astype(np.uint8).ravel().tolist()


def _alphas():
    return np.round(255 * _OPAQUE * np.linspace(0, 1, 256) ** 1.5).astype(int).tolist()
