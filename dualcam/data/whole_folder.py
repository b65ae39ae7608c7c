"""A folder of packed files that is there whole or not at all."""

import contextlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def writing(folder):
    """Gives a folder beside `folder` to fill, which takes its place where no error was raised."""
    folder = pathlib.Path(folder)
    partial = folder.with_name(f'.{folder.name}.{os.getpid()}.partial')
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
