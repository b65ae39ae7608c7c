"""Error handling for all commands: user errors end with one line instead of a traceback."""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence

from dualcam.files import text_files

INTERRUPTED = 130  # as in shells: 128 + SIGINT


def exit_code(action: Callable[[], int | None]) -> int:
    """Runs a command's work; returns 0 or its result, or 1 after printing a user error.

    Ctrl-C prints a line too and returns `INTERRUPTED`; errors with an `exit_code` return that one.
    """
    try:
        return action() or 0
    except KeyboardInterrupt as error:
        print(
            str(error) or 'stopped: the same command resumes where it left off',
            file=sys.stderr,
        )
        return INTERRUPTED
    except (ValueError, OSError) as error:
        message = ' '.join(str(error).splitlines())
        print('error:', text_files.printable(message), file=sys.stderr)
        return getattr(error, 'exit_code', 1)


def leave(code: int) -> int:
    """Returns the exit code, or exits at once if the process was interrupted or lost its peers.

    Threads that still read ahead, or wait for a peer, hold objects of native libraries, which
    report them as leaks when the interpreter shuts down. Everything that matters is on disk by now.
    """
    if code > 1:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # the reader is gone
                stream.flush()
        os._exit(code)
    return code


def clean_errors(main: Callable) -> Callable[[Sequence[str]], int]:
    """Wraps `main` to turn `ValueError`s and `OSError`s into a message and an exit code."""

    @functools.wraps(main)
    def wrapped(argv):
        if len(argv) > 1:
            print(
                f'error: unexpected argument {argv[1]!r}; options look like --out=DIR',
                file=sys.stderr,
            )
            return 1
        return leave(exit_code(lambda: main(argv)))

    return wrapped
