"""Scans a folder recursively: which files are sound, and what is left out and why.

Only hidden names, which begin with a dot, are ignored silently.
"""

import dataclasses
import os
import pathlib

from dualcam.data.sources import sound_formats
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

_RESOURCE_FORKS = '__MACOSX'  # added to archives by macOS
_NAMED = 3  # so many files of other kinds are named; more are only counted


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """An unused file, or several in one folder.

    Attributes:
        path: of the file or the folder.
        reason: for messages.
        count: number of files; 0 for an empty folder or a list.
    """

    path: str
    reason: str
    count: int = 1

    def __str__(self):
        return f'{text_files.printable_name(self.path)}: {self.reason}'


@dataclasses.dataclass(frozen=True)
class Scan:
    """Contents of a folder.

    Attributes:
        sounds: sorted paths of files with a sound file's extension.
        folders: sorted names of its immediate subfolders, without hidden ones.
        left_out: other files, and unreadable folders and links.
    """

    sounds: tuple[pathlib.Path, ...]
    folders: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def scan(folder: AnyPath, known: frozenset[str] = frozenset()) -> Scan:
    """Scans a folder recursively; follows links, but visits each folder once.

    Args:
        folder: a `pathlib.Path`.
        known: paths, relative to the folder, of files with another purpose, such as lists; they
            are not reported.
    """
    folder = pathlib.Path(folder)
    sounds: list[pathlib.Path] = []
    left_out: list[LeftOut] = []
    folders: list[str] = []
    seen = {_identity(folder)}

    def failed(error):
        left_out.append(LeftOut(error.filename, f'cannot be read ({error.strerror})', 0))

    for place, inner, files in os.walk(folder, onerror=failed, followlinks=True):
        kept = []
        for name in sorted(inner):
            if name.startswith('.'):
                continue
            below = os.path.join(place, name)
            if name == _RESOURCE_FORKS:
                left_out.append(LeftOut(below, 'added to archives by macOS, not audio', 0))
                continue
            identity = _identity(below)
            if identity in seen:
                left_out.append(LeftOut(below, 'a link to a folder that was already read', 0))
                continue
            seen.add(identity)
            kept.append(name)
        inner[:] = kept
        if pathlib.Path(place) == folder:
            folders = kept
        others = []
        for name in sorted(files):
            path = pathlib.Path(place, name)
            if name.startswith('.') or path.relative_to(folder).as_posix() in known:
                continue
            if not path.is_file():
                dangling = path.is_symlink() and not path.exists()
                reason = 'a dangling link' if dangling else 'not a regular file'
                left_out.append(LeftOut(str(path), reason))
            elif path.suffix.lower() in sound_formats.SUFFIXES:
                sounds.append(path)
            else:
                others.append(name)
        if others:
            left_out.append(LeftOut(place, _not_sound(others), len(others)))
    return Scan(tuple(sorted(sounds)), tuple(folders), tuple(left_out))


def _identity(path):
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _not_sound(names):
    shown = ', '.join(map(text_files.printable_name, names[:_NAMED]))
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    verb = 'is' if len(names) == 1 else 'are'
    return f'{shown}{more} {verb} not named like audio'
