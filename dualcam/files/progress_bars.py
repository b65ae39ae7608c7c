"""Progress bars with rate and remaining time; updated less often if stderr is not a terminal."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from tqdm import tqdm

from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

_hidden = False
_caught: list[str] | None = None


def hide() -> None:
    """Disables bars in this process, for workers whose progress another process shows."""
    global _hidden
    _hidden = True


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Disables new bars within this context, for parts of a job that already has a bar."""
    global _hidden
    before, _hidden = _hidden, True
    try:
        yield
    finally:
        _hidden = before


def bar(
    iterable: Iterable[Any] | None = None, keep: bool = True, inner: bool = False, **options: Any
) -> tqdm:
    """A `tqdm` bar with this project's defaults; `keep` leaves it on the terminal at the end.

    An `inner` bar, nested in another one, is only shown on a terminal.
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


def write(text: str, file: TextIO) -> None:
    """Prints a line without breaking a visible bar."""
    tqdm.write(text, file)


def warn(path: AnyPath, text: str) -> None:
    """Prints a warning about a file to stderr, likewise."""
    line = f'warning: {text_files.printable_name(path)}: {text}'
    if _caught is not None:
        _caught.append(line)
    else:
        write(line, sys.stderr)


@contextlib.contextmanager
def caught_warnings() -> Iterator[list[str]]:
    """Collects the lines that `warn` would print in this context, for another process to print."""
    global _caught
    lines: list[str] = []
    before, _caught = _caught, lines
    try:
        yield lines
    finally:
        _caught = before
