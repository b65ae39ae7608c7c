"""Files and folders that are there whole or not at all, whoever else writes them too.

Files are on the disk before they have their names, so that neither a kill nor a power cut leaves
half of one. What a killed process wrote under another name has `PARTIAL` in it.
"""

import contextlib
import errno
import os
import pathlib
import shutil

PARTIAL = '.partial'


def write_text(path, text):
    """Writes a text file, UTF-8; an existing one is replaced. Its folder must be there."""
    with writing_file(path) as partial:
        partial.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def writing_file(path, ending=''):
    """Gives a path beside `path` to write to; where no error was raised, it becomes `path`.

    Args:
        path: of the file; its folder must be there.
        ending: of the other name, for writers that insist on one.
    """
    partial = _beside(path, ending)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush(partial.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_folder(folder):
    """Gives a folder beside `folder` to fill, which takes its place where no error was raised."""
    partial = _beside(folder)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def flush(folder, prefix=''):
    """Waits until files that somebody else wrote are on the disk.

    Args:
        folder: a `pathlib.Path`; its names are flushed too.
        prefix: of the files' names.
    """
    for path in folder.iterdir():
        if path.name.startswith(prefix) and path.is_file():
            _flush(path)
    _flush(folder)


def make_folder(folder):
    """Makes a folder and those above it, where they are missing, so that a power cut keeps them."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)


def _beside(path, ending=''):
    path = pathlib.Path(path)
    return path.with_name(f'.{path.name}.{os.getpid()}{PARTIAL}{ending}')


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
