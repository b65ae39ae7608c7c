"""Shared by all commands: user errors end them with one line instead of a traceback."""

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence

from dualcam.files import text_files

INTERRUPTED = 130  # the shells' convention


def exit_code(action: Callable[[], int | None]) -> int:
    """Runs a command's work; returns 0 or its result, or 1 after printing a user error.

    Ctrl-C is `INTERRUPTED`, and a line too; an error that has an `exit_code` has that one.
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
    """The exit code of a process; one that was interrupted, or whose peers are gone, ends here.

    Threads that still read ahead, or wait for a peer, hold objects of native libraries, which
    report them as leaks when the interpreter is taken down. All that counts is on disk by now.
    """
    if code > 1:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # the reader is gone
                stream.flush()
        os._exit(code)
    return code


def clean_errors(main: Callable) -> Callable[[Sequence[str]], int]:
    """Wraps `main` to turn `ValueError`s and `OSError`s into a message and exit code 1."""

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
