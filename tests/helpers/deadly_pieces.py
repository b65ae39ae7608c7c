"""Work that fails or kills its worker; the workers of a cluster import it from here."""

import os
import signal
import time

from dualcam.files import progress_bars


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
