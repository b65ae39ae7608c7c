"""Files of tagged clips: finds their sound and frames, and reads frames as JPEG.

Frames are pictures, one per second, in one folder per clip, or are taken from a video at the middle
of each second. `convert_tagging` puts them into records.
"""

import io
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Mapping

import av
from PIL import Image

from dualcam.data import schema
from dualcam.data.sources import folder_scan, sound_formats
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp')
VIDEOS = (
    '.mp4', '.mkv', '.webm', '.avi', '.mov', '.qt', '.m4v', '.flv', '.f4v', '.3gp', '.3g2', '.ogv',
    '.wmv', '.asf', '.mpg', '.mpeg', '.vob', '.ts', '.mts', '.m2ts', '.mxf', '.nut', '.rm',
)  # fmt: skip


def find_audio(folder: AnyPath) -> dict[str, pathlib.Path]:
    """{clip name: path} of all sound files, or videos with sound, in a folder and its subfolders.

    Raises:
        ValueError: there are none, or two of one name.
    """
    folder = pathlib.Path(folder)
    sounds = folder_scan.scan(folder).sounds
    # If a clip has both a sound file and a video, the video's audio track is not needed.
    alone = {path.with_suffix('') for path in sounds if path.suffix.lower() not in VIDEOS}
    wanted = [
        path
        for path in sounds
        if path.suffix.lower() not in VIDEOS or path.with_suffix('') not in alone
    ]
    return _by_name(folder, wanted, sound_formats.SUFFIXES)


def find_videos(folder: AnyPath) -> dict[str, pathlib.Path]:
    """{clip name: path} of all videos in a folder and its subfolders; errors as `find_audio`."""
    sounds = folder_scan.scan(folder).sounds
    return _by_name(folder, [path for path in sounds if path.suffix.lower() in VIDEOS], VIDEOS)


def find_frame_folders(folder: AnyPath) -> dict[str, pathlib.Path]:
    """{clip name: folder} of all subfolders with pictures; errors as `find_audio`."""
    found = [
        path
        for path in sorted(pathlib.Path(folder).rglob('*'))
        if path.is_dir() and any(inner.suffix.lower() in PICTURES for inner in path.iterdir())
    ]
    return _by_name(folder, found, PICTURES)


def unlisted(
    folder: AnyPath, found: Mapping[str, pathlib.Path], names: Iterable[str], list_name: str
) -> list[folder_scan.LeftOut]:
    """Files in a folder of sound that are not clips of a list.

    Args:
        folder: of sound.
        found: its clips, from `find_audio`.
        names: of the list's clips.
        list_name: of the list, for the reason.

    Returns:
        One entry for all sounds that no row names, then files that are not audio.
    """
    used = {file_of(found, name) for name in names}
    rest = [path.name for path in found.values() if path not in used]
    left_out = folder_scan.scan(pathlib.Path(folder)).left_out
    if not rest:
        return list(left_out)
    shown = ', '.join(map(text_files.printable_name, rest[:3]))
    more = f' and {len(rest) - 3} more' if len(rest) > 3 else ''
    reason = f'no row of {list_name} names {shown}{more}'
    return [folder_scan.LeftOut(str(folder), reason, len(rest)), *left_out]


def file_of(found: Mapping[str, pathlib.Path], name: str) -> pathlib.Path | None:
    """The path of a clip, or None.

    DCASE's lists contain names of YouTube videos, which may begin with a dash; downloaded files
    have a Y in front.
    """
    name = unicodedata.normalize('NFC', name)
    return found.get(name, found.get(f'Y{name}'))


def read_frames(path: pathlib.Path) -> list[bytes]:
    """Frames of a clip, one per second.

    Args:
        path: a folder of pictures, sorted by the numbers in their names, or a video.

    Returns:
        A list of JPEG bytes, the smallest side at most 256 pixels.

    Raises:
        ValueError: there are none, or one cannot be read; the message names it.
    """
    frames = _of_folder(path) if path.is_dir() else _of_video(path)
    if not frames:
        raise ValueError(f'{path}: contains no frames')
    return frames


def _by_name(folder, paths, suffixes):
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        # macOS decomposes accents in file names; most lists do not.
        name = unicodedata.normalize('NFC', path.name if path.is_dir() else path.stem)
        if name in found:
            raise ValueError(
                f'{found[name]} and {path} would both be clip {name}; rename or remove one'
            )
        found[name] = path
    if not found:
        raise ValueError(f'{folder}: no {", ".join(suffixes)} file in it or its subfolders')
    return found


def _of_folder(folder):
    paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    frames = []
    for path in sorted(
        paths,
        key=lambda path: ([int(number) for number in re.findall(r'\d+', path.stem)], path.name),
    ):
        try:
            with Image.open(path) as image:
                image.load()
                small = min(image.size) <= schema.CLIP_SMALLEST_SIDE
                # A JPEG of the right size is kept as it is, not encoded a second time.
                frames.append(
                    path.read_bytes()
                    if small and image.format == 'JPEG' and image.mode == 'RGB'
                    else _encode(image)
                )
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f'{path}: not a readable picture ({error})') from error
    return frames


def _of_video(path):
    frames, start_s, wanted_s = [], None, 0.5
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                start_s = frame.time if start_s is None else start_s
                if frame.time - start_s >= wanted_s:
                    frames.append(_encode(frame.to_image()))
                    wanted_s += 1.0
    except (av.FFmpegError, IndexError, TypeError) as error:
        raise ValueError(f'{path}: not a readable video ({error})') from error
    return frames


def _encode(image):
    image = image.convert('RGB')
    scale = schema.CLIP_SMALLEST_SIDE / min(image.size)
    if scale < 1:
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=90)
    return file.getvalue()
