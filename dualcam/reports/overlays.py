"""Acoustic images over video frames, as pictures, contact sheets and videos.

The map of an acoustic image is its power summed over 900 - 6,400 Hz (WACV 2020, Figure 1). If there
are only cepstra, it is the first one, the mean log energy of each direction.
"""

import io
from collections.abc import Iterable, Iterator, Sequence

import matplotlib
import numpy as np
import scipy.ndimage
from PIL import Image, ImageDraw

from dualcam.acoustics import cepstra, dimensions, views
from dualcam.data import audio, schema
from dualcam.files.path_types import AnyPath

LOW_HZ, HIGH_HZ = 900.0, 6400.0
SIZE = 480, 360  # of a video frame, pixels
_STRIP = 120  # height of the spectrogram below it
_GREY = 96  # background without video
_OPAQUE = 0.7
_CAPTION = 14
_COMPRESSION = 2  # of PNG: files are a seventh larger than with the usual 6, in a third of the time
_FINER = 2  # upsampling of a placed map along each side


def maps(images: np.ndarray, band_hz: tuple[float, float] | None = None) -> np.ndarray:
    """Level maps of acoustic images.

    Args:
        images: [frames, 36, 48, 512] power of frequencies 12 Hz apart, [frames, 36, 48, 1] its
            sum over the band, or [frames, 36, 48, 12] cepstra.
        band_hz: lowest and highest frequency of the map; default 900 - 6,400 Hz, or for cepstra
            the first coefficient.

    Returns:
        [frames, 36, 48] decibels; a cepstrum has its own scale.

    Raises:
        ValueError: the number of channels is wrong, or the band contains none of the frequencies.
    """
    images = np.asarray(images)
    channels = images.shape[-1]
    if channels == schema.CEPSTRA:
        if band_hz is not None:
            return cepstra.band_db(images, *band_hz)
        return images[..., 0].astype(np.float64)
    if channels not in (1, dimensions.BINS):
        raise ValueError(
            f'acoustic images of {channels} channels: expected {dimensions.BINS} '
            f'frequencies or {schema.CEPSTRA} cepstra'
        )
    weights = band(*(band_hz or (LOW_HZ, HIGH_HZ)))
    power = images[..., 0] if channels == 1 else images @ weights.astype(images.dtype)
    return 10.0 * np.log10(np.maximum(power, np.finfo(np.float32).tiny), dtype=np.float64)


def band(low_hz: float = LOW_HZ, high_hz: float = HIGH_HZ) -> np.ndarray:
    """Which of the 512 frequencies are summed, [512] float64 of 0 and 1.

    Raises:
        ValueError: the band contains none of them.
    """
    hz = np.arange(dimensions.BINS) * schema.ARRAY_RATE_HZ / schema.SAMPLES_PER_FRAME
    chosen = (hz >= low_hz) & (hz <= high_hz)
    if not chosen.any():
        raise ValueError(
            f'the band {low_hz:g} - {high_hz:g} Hz contains none of the frequencies, which are '
            f'{hz[1]:g} Hz apart, from 0 to {hz[-1]:g}'
        )
    return chosen.astype(np.float64)


def levels(decibels: np.ndarray) -> np.ndarray:
    """Maps of a sequence scaled to 0 - 1: 0 up to the overall median, 1 at a frame's maximum.

    Frames that are quieter than most stay below 1, so that noise is not amplified.

    Args:
        decibels: [frames, 36, 48].

    Returns:
        [frames, 36, 48] float64.
    """
    low = np.median(decibels)
    peaks = decibels.max(axis=(1, 2))
    high = np.maximum(np.maximum(peaks, np.median(peaks)), low + 1e-6)
    return np.clip((decibels - low) / (high - low)[:, None, None], 0.0, 1.0)


def placed(level: np.ndarray, view: views.View, of: views.View | None = None) -> np.ndarray:
    """Maps resampled to a camera's picture.

    Args:
        level: [..., rows, cols], 0 - 1, in directions that are not the camera's pixels.
        view: of the camera.
        of: the view whose pixels the maps' directions are; default the field of view for which
            AVIA's and ACIVW's images are beamformed, 60 x 45 degrees.

    Returns:
        [..., 2 rows, 2 cols], twice as fine; 0 where the camera sees beyond the maps.
    """
    rows, cols = level.shape[-2:]
    seen = view.grid(_FINER * rows, _FINER * cols).directions
    x, y = np.moveaxis((of or views.View()).places(seen), -1, 0)
    inside = (np.abs(x - 0.5) <= 0.5) & (np.abs(y - 0.5) <= 0.5)
    where = np.nan_to_num([y * rows - 0.5, x * cols - 0.5])
    flat = level.reshape(-1, rows, cols)
    found = [scipy.ndimage.map_coordinates(one, where, order=1, mode='nearest') for one in flat]
    return (np.stack(found) * inside).reshape(*level.shape[:-2], *inside.shape)


def overlay(
    level: np.ndarray, picture: np.ndarray | None = None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """A map over a picture.

    Args:
        level: [36, 48], 0 - 1.
        picture: [height, width, 3] uint8 RGB, or None for grey.
        size: (width, height) in pixels; default the picture's, or that of a video frame.

    Returns:
        [height, width, 3] uint8 RGB.
    """
    if picture is None:
        below = Image.new('RGB', size or SIZE, (_GREY,) * 3)
    else:
        below = Image.fromarray(picture)
        below = below.resize(size, Image.Resampling.BILINEAR) if size else below
    enlarged = Image.fromarray(np.asarray(level, np.float32)).resize(
        below.size, Image.Resampling.BICUBIC
    )
    smooth = np.clip(np.asarray(enlarged), 0.0, 1.0)
    colours = matplotlib.colormaps['turbo'](smooth)[..., :3] * 255.0
    share = (_OPAQUE * smooth**1.5)[..., None]
    return np.round(np.asarray(below) * (1 - share) + colours * share).astype(np.uint8)


def shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [height, width, 3] resized to (width, height)."""
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def sheet(pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int = 4) -> np.ndarray:
    """A contact sheet.

    Args:
        pictures: list of [height, width, 3] uint8 of one size.
        captions: one per picture, of one or more lines.
        columns: number of pictures per row.

    Returns:
        [height, width, 3] uint8.
    """
    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    gap, line = 4, (_CAPTION + 4) * (1 + max(caption.count('\n') for caption in captions))
    whole = Image.new(
        'RGB', (columns * (width + gap) + gap, rows * (height + gap + line) + gap), 'white'
    )
    draw = ImageDraw.Draw(whole)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x = gap + number % columns * (width + gap)
        y = gap + number // columns * (height + gap + line)
        draw.multiline_text((x + 2, y), caption, fill='black', font_size=_CAPTION, spacing=2)
        whole.paste(Image.fromarray(picture), (x, y + line))
    return np.asarray(whole)


def spectrogram_picture(waveform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A spectrogram in decibels as a picture, 0 Hz at the bottom.

    Args:
        waveform: [samples].
        size: (width, height) in pixels.

    Returns:
        [height, width, 3] uint8.
    """
    magnitude = audio.spectrogram(np.asarray(waveform, np.float32)).numpy().T[::-1]
    decibels = 20.0 * np.log10(magnitude + 1e-5 * max(magnitude.max(), 1e-9))
    low, high = np.percentile(decibels, 5), decibels.max()
    shown = np.clip((decibels - low) / max(high - low, 1e-6), 0.0, 1.0)
    colours = matplotlib.colormaps['magma'](shown)[..., :3] * 255
    picture = Image.fromarray(colours.astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def film_frames(
    pictures: Sequence[np.ndarray], waveform: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Pictures with the sound's spectrogram below and a line at the current time.

    Args:
        pictures: list of [height, width, 3] uint8, together as long as the sound.
        waveform: [samples] at 22,050 Hz, or None.

    Yields:
        [height + 120, width, 3] uint8.
    """
    if waveform is None:
        yield from pictures
        return
    width = pictures[0].shape[1]
    strip = spectrogram_picture(waveform, (width, _STRIP))
    for number, picture in enumerate(pictures):
        below = strip.copy()
        x = min(width - 2, round(width * (number + 0.5) / len(pictures)))
        below[:, x : x + 2] = 255
        yield np.concatenate([picture, below])


def write_gif(path: AnyPath, frames: Iterable[np.ndarray]) -> None:
    """Writes a looping animation, 12 frames per second, silent."""
    first, *others = (Image.fromarray(frame).quantize(128) for frame in frames)
    # The format's time unit is hundredths of a second.
    ends = np.arange(len(others) + 2) * 100 // schema.FRAMES_PER_SECOND
    first.save(
        path, save_all=True, append_images=others, loop=0, duration=(10 * np.diff(ends)).tolist()
    )


def write_mp4(
    path: AnyPath, frames: Iterable[np.ndarray], waveform: np.ndarray | None = None
) -> None:
    """Writes a video with sound: H.264 and AAC.

    Args:
        path: of the file.
        frames: of [height, width, 3] uint8, even sizes, 12 per second.
        waveform: [samples] at 22,050 Hz, or None.
    """
    import av  # imported here: few callers need its libraries

    with av.open(str(path), 'w') as film:
        video = sound = None
        if waveform is not None:
            sound = film.add_stream('aac', rate=audio.SAMPLE_RATE_HZ)
        for frame in frames:
            if video is None:
                video = film.add_stream(
                    'libx264', rate=schema.FRAMES_PER_SECOND, options={'crf': '20'}
                )
                video.height, video.width = frame.shape[:2]
                video.pix_fmt = 'yuv420p'
            film.mux(
                video.encode(
                    av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')
                )
            )
        assert video is not None, 'a video has frames'
        film.mux(video.encode())
        if sound is None:
            return
        signal = 0.9 * audio.to_peak(np.asarray(waveform, np.float32)).numpy()
        block = av.AudioFrame.from_ndarray(signal[None], format='fltp', layout='mono')
        block.sample_rate = audio.SAMPLE_RATE_HZ
        film.mux(sound.encode(block))
        film.mux(sound.encode())


def png(picture: np.ndarray) -> bytes:
    """A picture [height, width, 3] uint8 encoded as PNG, fast rather than small."""
    held = io.BytesIO()
    Image.fromarray(picture).save(held, 'PNG', compress_level=_COMPRESSION)
    return held.getvalue()
