"""Files and folders that appear whole or not at all, even if several processes write them.

Files are flushed to disk before they get their names, so that neither a kill nor a power cut leaves
half of one. What a killed process leaves behind has `PARTIAL` in its name.
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
_HOST_LENGTH = 24  # bytes: names of files may have 255


def write_text(path: AnyPath, text: str) -> None:
    """Writes a text file, UTF-8; an existing one is replaced. Its folder must be there."""
    with writing_file(path) as partial:
        partial.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def writing_file(path: AnyPath, ending: str = '') -> Iterator[pathlib.Path]:
    """Yields a path beside `path` to write to; unless an error is raised, it becomes `path`.

    Args:
        path: of the file; its folder must be there.
        ending: of the temporary name, for writers that insist on a suffix.
    """
    partial = partial_name(path, ending)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush(partial.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_folder(folder: AnyPath) -> Iterator[pathlib.Path]:
    """Yields a folder beside `folder` to fill; unless an error is raised, it replaces `folder`."""
    partial = partial_name(folder)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def flush(folder: pathlib.Path, prefix: str = '') -> None:
    """Waits until files that other code wrote are on the disk.

    Args:
        folder: a `pathlib.Path`; its names are flushed too.
        prefix: of the files' names.
    """
    for path in folder.iterdir():
        if path.name.startswith(prefix) and path.is_file():
            _flush(path)
    _flush(folder)


def make_folder(folder: AnyPath) -> None:
    """Makes a folder and its missing parents, such that they survive a power cut."""
    path = pathlib.Path(folder)
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _flush(path.parent)


def partial_name(path: AnyPath, ending: str = '') -> pathlib.Path:
    """A name beside `path` for what becomes it, which no other process of any host has."""
    path = pathlib.Path(path)
    host = re.sub(r'[^a-zA-Z0-9-]', '_', platform.node())[:_HOST_LENGTH]
    writer = f'{host}-{os.getpid()}-{secrets.token_hex(4)}'
    return path.with_name(f'.{path.name}.{writer}{PARTIAL}{ending}')


def _flush(path):
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush folders; what they can do is done.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
