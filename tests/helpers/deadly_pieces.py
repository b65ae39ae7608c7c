"""Work that fails or kills its worker; the workers of a cluster import it from here."""

import os
import signal
import time

from dualcam.files import atomic, progress_bars


def square(piece):
    """The square of a number; 3 ends its worker."""
    if piece == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return piece**2


def refuse(piece):
    """The number; 2 is refused, and 1 draws a warning."""
    if piece == 1:
        progress_bars.warn('one', 'is odd')
    if piece == 2:
        raise ValueError('2 is even')
    return piece


def hang(path):
    """The number of its process; with a path, writes it there and then takes ten minutes."""
    if path is not None:
        with atomic.writing_file(path) as partial:
            partial.write_text(str(os.getpid()))
        time.sleep(600)
    return os.getpid()


def lack(piece):
    """Fails as a lost disk does."""
    raise OSError(f'no disk for {piece}')
