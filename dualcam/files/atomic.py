"""Files and folders that are written atomically, even by several processes at once.

Files are flushed to disk before they get their final names, so that neither a kill nor a power cut
leaves a partial file under such a name. Files left by a killed process have `PARTIAL` in their
names.
"""

import contextlib
import errno
import os
import pathlib
import platform
import re
import secrets
import shutil
from collections.abc import Iterator

from dualcam.files.path_types import AnyPath

PARTIAL = '.partial'
_HOST_LENGTH = 24  # bytes; file names are limited to 255


def write_text(path: AnyPath, text: str) -> None:
    """Writes a UTF-8 text file, replacing an existing one. Its folder must exist."""
    with writing_file(path) as partial:
        partial.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def writing_file(path: AnyPath, ending: str = '', flushed: bool = True) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to; it is renamed to `path` unless an error is raised.

    Args:
        path: of the file; its folder must exist.
        ending: suffix of the temporary name, for writers that require one.
        flushed: whether the file must survive a power cut, not only a kill. Flushing takes
            milliseconds, too long for each of many small files that can be made again.
    """
    partial = partial_name(path, ending)
    try:
        yield partial
        if flushed:
            _flush(partial)
        os.replace(partial, path)
        if flushed:
            _flush(partial.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_folder(folder: AnyPath) -> Iterator[pathlib.Path]:
    """Yields a temporary folder to fill; it replaces `folder` unless an error is raised."""
    partial = partial_name(folder)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def flush(folder: pathlib.Path, prefix: str = '') -> None:
    """Flushes files that other code has written to disk.

    Args:
        folder: a `pathlib.Path`; its directory entries are flushed too.
        prefix: of the files' names.
    """
    for path in folder.iterdir():
        if path.name.startswith(prefix) and path.is_file():
            _flush(path)
    _flush(folder)


def make_folder(folder: AnyPath) -> None:
    """Creates a folder and its missing parents, flushed so that they survive a power cut."""
    path = pathlib.Path(folder)
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _flush(path.parent)


def partial_name(path: AnyPath, ending: str = '') -> pathlib.Path:
    """A temporary name next to `path`, unique across processes and hosts."""
    path = pathlib.Path(path)
    host = re.sub(r'[^a-zA-Z0-9-]', '_', platform.node())[:_HOST_LENGTH]
    writer = f'{host}-{os.getpid()}-{secrets.token_hex(4)}'
    return path.with_name(f'.{path.name}.{writer}{PARTIAL}{ending}')


def _flush(path):
    """Flushes a file's bytes, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush folders; there is no alternative.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
