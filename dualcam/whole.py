"""Files and folders that are there whole or not at all, whoever else writes them too."""

import contextlib
import os
import pathlib
import shutil


def write_text(path, text):
    """Writes a text file, UTF-8; an existing one is replaced. Its folder must be there."""
    partial = _beside(path)
    try:
        partial.write_text(text, encoding='utf-8')
        os.replace(partial, path)
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


def _beside(path):
    path = pathlib.Path(path)
    return path.with_name(f'.{path.name}.{os.getpid()}.partial')
