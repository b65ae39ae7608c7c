"""Pictures of a take: overlays, contact sheet and video.

This module reads takes from records; `records.look` reads raw folders.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dualcam.acoustics import views
from dualcam.data import audio, schema
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath
from dualcam.reports import overlays

KINDS = ('png', 'sheet', 'gif', 'mp4')
_CONVERSION_FILE = 'conversion.json'  # a converter's settings


@dataclasses.dataclass(frozen=True, eq=False)
class Take:
    """Frames of one take, twelve per second.

    Attributes:
        name: for files and captions.
        images: [frames, 36, 48, channels], see `overlays.maps`.
        pictures: [height, width, 3] uint8 RGB per frame, None for frames without one; or None.
        frames: [frames, mics, 1024] int32 sound, or None.
        view: of the camera, if the images' directions are not its pictures' pixels but those of
            60 x 45 degrees; see `seen`.
    """

    name: str
    images: np.ndarray
    pictures: np.ndarray | Sequence[np.ndarray | None] | None = None
    frames: np.ndarray | None = None
    view: views.View | None = None

    def levels(self, decibels: np.ndarray) -> np.ndarray:
        """`overlays.levels` of the take's maps [frames, 36, 48], aligned with its pictures."""
        found = overlays.levels(decibels)
        return found if self.view is None else overlays.placed(found, self.view)


def read_take(path: AnyPath, seconds: int | None = None) -> Take:
    """A take from its records.

    Args:
        path: a folder of Data_NNN.tfrecord files, or one of them.
        seconds: how many of a folder's records to read, from the first on; default all.

    Returns:
        A `Take`.

    Raises:
        ValueError: there are no records, they hold no acoustic images, or one is damaged.
    """
    path = pathlib.Path(path)
    paths = [path] if path.is_file() else sorted(path.glob(f'Data_*{schema.RECORD_SUFFIX}'))
    paths = paths[:seconds]
    if not paths:
        raise ValueError(
            f'{path}: no Data_NNN{schema.RECORD_SUFFIX} in it; expected the folder '
            'of one take, as in Location_01/Subject_01/Action_001 or '
            'class_0/data_001'
        )
    held = reading.modalities_of(paths[0])
    if 'acoustic' not in held:
        raise ValueError(
            f'{paths[0]}: holds {" and ".join(held)}, but no acoustic images; convert it '
            'again with --modalities=0,1,2'
        )
    found = list(reading.read_seconds([str(p) for p in paths], held, ()))
    joined = {name: np.concatenate([one[name] for one in found]) for name in held}
    folder = (path if path.is_dir() else path.parent).resolve()
    name = '_'.join(folder.relative_to(folder.anchor).parts[-3:])
    name += '' if path.is_dir() else f'_{path.stem}'
    pictures = joined['video'][..., ::-1] if 'video' in joined else None
    images = joined['acoustic']
    if reading.is_acivw(paths[0]):
        images = acoustic_images.flip(images)
    return Take(name, images, pictures, joined.get('audio'))


def seen(take: Take, view: views.View, video_offset_s: float = 0.0, aligned: bool = False) -> Take:
    """A take aligned with its camera.

    Args:
        take: from `read_take`, with the camera's original pictures.
        view: of the camera: its field of view or calibration, and how its pictures are turned.
        video_offset_s: time of the first picture, relative to the sound.
        aligned: whether the images' directions already are the view's pixels.
    """
    pictures = take.pictures
    if pictures is not None:
        first = round(video_offset_s * schema.FRAMES_PER_SECOND)
        numbers = range(-first, len(take.images) - first)
        found = [pictures[i] if 0 <= i < len(pictures) else None for i in numbers]
        pictures = [None if one is None else view.turned(one) for one in found]
    return dataclasses.replace(take, pictures=pictures, view=None if aligned else view)


def check_unplaced(path: AnyPath) -> None:
    """Raises a `ValueError` if the converter made a take's images for its camera's view."""
    path = pathlib.Path(path).resolve()
    for folder in (path, *path.parents):
        conversion = folder / _CONVERSION_FILE
        if conversion.is_file():
            if 'view_deg' in text_files.read_json(conversion):
                raise ValueError(
                    f'{path}: according to {conversion} its acoustic images already match the '
                    "camera's view; omit the view options, or convert again with another view"
                )
            return


def write(
    take: Take, out: AnyPath, kinds: Sequence[str] = ('sheet', 'mp4'), every: int = 3
) -> list[pathlib.Path]:
    """Writes pictures of a take.

    Args:
        take: a `Take`.
        out: folder.
        kinds: of `KINDS`: 'png', a file per frame; 'sheet', one of every n-th frame; 'gif'; 'mp4'.
        every: the n for sheet and png.

    Returns:
        Paths of the files, in the order of `kinds`.

    Raises:
        ValueError: an unknown kind.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ValueError(f'kind {unknown[0]!r}: expected one or more of {", ".join(KINDS)}')
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shown = over(take)
    captions = [f'{number / schema.FRAMES_PER_SECOND:.2f} s' for number in range(len(shown))]
    waveform = sound(take)
    written = []
    for kind in kinds:
        path = out / f'{take.name}.{"png" if kind == "sheet" else kind}'
        if kind == 'png':
            for number in range(0, len(shown), every):
                path = out / f'{take.name}_{number + 1:06d}.png'
                Image.fromarray(shown[number]).save(path)
                written.append(path)
            continue
        if kind == 'sheet':
            Image.fromarray(overlays.sheet(shown[::every], captions[::every])).save(path)
        elif kind == 'gif':
            overlays.write_gif(path, overlays.film_frames(shown, waveform))
        else:
            overlays.write_mp4(path, overlays.film_frames(shown, waveform), waveform)
        written.append(path)
    return written


def over(take: Take) -> list[np.ndarray]:
    """Overlays [height, width, 3] of a take's frames, as a list."""
    levels = take.levels(overlays.maps(take.images))
    return [
        overlays.overlay(level, None if take.pictures is None else take.pictures[i], overlays.SIZE)
        for i, level in enumerate(levels)
    ]


def sound(take: Take) -> np.ndarray | None:
    """The first microphone's waveform [samples] at 22,050 Hz, cut to whole seconds, or None."""
    if take.frames is None:
        return None
    seconds = len(take.frames) // schema.FRAMES_PER_SECOND
    if not seconds:
        return None
    frames = take.frames[: seconds * schema.FRAMES_PER_SECOND]
    return audio.waveform(frames.astype(np.int32)).numpy()
