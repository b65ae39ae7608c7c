"""Locks for work that one process does while others that need its result wait.

These are the operating system's locks: they disappear with the process that holds them, however
that process ends.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterator

from dualcam.files.path_types import AnyPath

LOCK_FILE = '.lock'  # in a folder that one process at a time writes to
_POLL_S = 0.5


@contextlib.contextmanager
def held(path: AnyPath, work: str) -> Iterator[bool]:
    """Holds a file lock; if another process holds it, prints that and waits.

    Args:
        path: of the lock file, which is created if necessary and stays, empty. Its existence means
            nothing; only whether it is locked.
        work: what the holder does, for the line that is printed while waiting: "trains this run".

    Yields:
        Whether it had to wait for another process.
    """
    path = pathlib.Path(path)
    with open(path, 'a+', encoding='utf-8') as file:

        def holder() -> str:
            file.seek(0)
            return file.read().strip()

        waited = _wait(file.fileno(), holder, work, path.parent)
        file.truncate(0)
        file.write(f'process {os.getpid()} on {platform.node()}\n')
        file.flush()
        try:
            yield waited
        finally:
            file.truncate(0)


@contextlib.contextmanager
def held_folder(folder: AnyPath, work: str) -> Iterator[bool]:
    """`held` for a folder itself, which is created if necessary; leaves no file in it.

    On file systems that cannot lock folders, no lock is taken.
    """
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _wait(descriptor, str, work, folder)
    finally:
        os.close(descriptor)


def _wait(descriptor, holder, work, place) -> bool:
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return waited
        except BlockingIOError:
            if not waited:
                name = holder() or 'another process'
                print(f'waiting: {name} {work}: {place}', file=sys.stderr, flush=True)
            waited = True
            time.sleep(_POLL_S)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                raise
            return waited
