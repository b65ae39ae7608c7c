"""Progress bars: rate and time left; fewer lines where nobody watches a terminal."""

import contextlib
import sys

from tqdm import tqdm

_hidden = False


def hide():
    """No more bars in this process: one of several whose work another one shows."""
    global _hidden
    _hidden = True


@contextlib.contextmanager
def hidden():
    """No new bars within: parts of some work that has a bar already."""
    global _hidden
    before, _hidden = _hidden, True
    try:
        yield
    finally:
        _hidden = before


def bar(iterable=None, keep=True, inner=False, **options):
    """A `tqdm` bar with this project's defaults; `keep` leaves it on the screen at the end.

    An `inner` bar, within another one, is shown on a terminal only.
    """
    watched = sys.stderr.isatty()
    return tqdm(
        iterable,
        mininterval=0.5 if watched else 15.0,
        dynamic_ncols=watched,
        leave=keep and not inner,
        disable=_hidden or (inner and not watched),
        **options,
    )


def write(text, file):
    """A line that does not run into a bar."""
    tqdm.write(text, file)
