"""The ACIVW raw layout (ECCV 2020): one folder per class, and one per video in it.

    class_C/data_DDD/MFCC_Image/Data_I.mat       key 'MFCC', I from 1, float32 36 x 48 x 12
    class_C/data_DDD/audio/A_IIIIII.dc           int32 [128, 1024], Fortran order, I from 1
    class_C/data_DDD/video/I_IIIIII.bmp          any size
    class_C/data_DDD/video_time.txt              one line: the video's name, a colon, its seconds

Acoustic images are stored upside down and mirrored: to overlay them on the video, flip both axes.
Records keep them that way, since they are what the authors' programs read.
"""

import dataclasses
import math
import pathlib
import re
from collections.abc import Iterable

import numpy as np

from dualcam.acoustics import microphones
from dualcam.data import schema
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath
from records import frame_files

TIME_FILE = 'video_time.txt'
_VIDEO = re.compile(r'class_(\d+)/data_(\d+)')
_FRAME_FILES = {
    'acoustic': ('MFCC_Image', '.mat'),
    'audio': ('audio', '.dc'),
    'video': ('video', '.bmp'),
}


@dataclasses.dataclass(frozen=True)
class RawVideo:
    """One video: its place in the layout and its files.

    Attributes:
        label: the class, from 0, like the folders.
        number: of the video within its class, like its folder.
        title: the video's own name in `video_time.txt`; empty if there is no such file.
        seconds: its length according to that file, or None.
        files: for each modality the frame files in order.
    """

    label: int
    number: int
    title: str
    seconds: float | None
    files: dict[str, tuple[pathlib.Path, ...]]

    @property
    def name(self) -> str:
        """Its folder below the root."""
        return video_name(self.label, self.number)

    @property
    def num_frames(self) -> int:
        """Number of frames, the same in every modality."""
        return len(next(iter(self.files.values())))


def video_name(label: int, number: int) -> str:
    """Folder of a video below the root of raw files or records."""
    return f'class_{label}/data_{number:03d}'


def find_videos(
    root: AnyPath,
    modalities: Iterable[str],
    check_time: bool = True,
    only: str | None = None,
) -> list[RawVideo]:
    """Finds all videos below a folder, or one of them, with all of their modalities.

    Args:
        root: folder with class_C/data_DDD.
        modalities: names, of 'acoustic', 'audio', 'video'.
        check_time: compare the number of frames with `video_time.txt`, which must exist.
        only: name of one video; the others are ignored.

    Returns:
        `RawVideo`s sorted by class and number, each with the same number of frames in every
        modality.

    Raises:
        ValueError: there are none, a folder is missing or has another name, the numbering of files
            has gaps, modalities differ in their number of frames, or the frames differ from the
            length in the time file by more than a second.
    """
    return [
        _read_video(folder, label, number, modalities, check_time)
        for (label, number), folder in video_folders(root).items()
        if only in (None, video_name(label, number))
    ]


def video_folders(root: AnyPath) -> dict[tuple[int, int], pathlib.Path]:
    """The folders of videos below a root of raw files or records.

    Returns:
        {(class, number): folder}, sorted.

    Raises:
        ValueError: there are none, or one has an unexpected name.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise ValueError(f'{root}: no such folder; expected class_C/data_DDD below it')
    found = {}
    for folder in filter(pathlib.Path.is_dir, root.glob('class_*/data_*')):
        name = folder.relative_to(root).as_posix()
        match = _VIDEO.fullmatch(name)
        key = (int(match[1]), int(match[2])) if match else (0, 0)
        if name != video_name(*key):
            raise ValueError(f'{folder}: not named like class_0/data_001; rename it')
        found[key] = folder
    if not found:
        raise ValueError(f'{root}: no class_C/data_DDD below it; is this a folder of ACIVW?')
    return dict(sorted(found.items()))


def _read_video(folder, label, number, modalities, check_time):
    files = {}
    for name in modalities:
        inner, suffix = _FRAME_FILES[name]
        if not (folder / inner).is_dir():
            raise ValueError(
                f'{folder / inner}: no such folder; restore the {name} frames or '
                'leave the modality out (--modalities)'
            )
        files[name] = frame_files.numbered(folder / inner, suffix)
    counts = {name: len(paths) for name, paths in files.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(
            f'{folder}: unequal numbers of frames {counts}; restore the missing ones, '
            'or remove those past the shortest'
        )
    title, seconds = '', None
    path = folder / TIME_FILE
    if check_time or path.exists():
        title, seconds = read_time(path)
    video = RawVideo(label, number, title, seconds, files)
    frames_s = video.num_frames / schema.FRAMES_PER_SECOND
    if check_time and seconds is not None and abs(frames_s - seconds) > 1.0:
        raise ValueError(
            f'{path}: "{title}" is {seconds:g} s long, but there are '
            f'{video.num_frames} frames, {frames_s:.2f} s; restore what is missing, '
            'correct the file, or pass --nocheck_time'
        )
    return video


def read_time(path: AnyPath) -> tuple[str, float]:
    """Name and seconds in a `video_time.txt`.

    Raises:
        ValueError: there is no such file, or it has another form.
    """
    try:
        (line,) = (line.strip() for line in text_files.read_lines(path) if line.strip())
        title, _, number = line.rpartition(':')  # a name may contain colons
        seconds = float(number)
        if not title.strip() or not 0 <= seconds < math.inf:
            raise ValueError(f'{line!r}')
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{path}: not one line like "name: 12.5" ({error}); correct it, or pass '
            '--nocheck_time and remove it'
        ) from error
    return title.strip(), seconds


def read_frame(name: str, path: pathlib.Path, microphone: int = 0) -> np.ndarray:
    """One frame of a modality, as a record stores it.

    Args:
        name: 'acoustic', 'audio' or 'video'.
        path: of the frame's file.
        microphone: for audio, which of the 128, from 0.

    Returns:
        float32 [36, 48, 12], int32 [1, 1024], or uint8 BGR whose smallest side is 224.

    Raises:
        ValueError: the file cannot be read as such a frame; the message names it.
    """
    if name == 'acoustic':
        # The authors' converter kept the files' own type, although their loader reads float32.
        return frame_files.read_mat(path)
    if name == 'video':
        return frame_files.read_bmp(path, schema.ACIVW_SMALLEST_SIDE)
    return read_channels(path)[microphone : microphone + 1]


def read_channels(path: pathlib.Path) -> np.ndarray:
    """All channels of one frame of sound, int32 [128, 1024].

    Raises:
        ValueError: as `read_frame`.
    """
    samples = frame_files.read_dc(path)
    if len(samples) != microphones.NUM_MICS:
        raise ValueError(
            f'{path}: {len(samples)} channels of {schema.SAMPLES_PER_FRAME} samples; '
            f'expected {microphones.NUM_MICS}; restore the file'
        )
    return samples
