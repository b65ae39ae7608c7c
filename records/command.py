"""What all commands share: the caller's mistakes end them with one line, not a traceback."""

import functools
import sys


def clean_errors(main):
    """`main` with `ValueError`s and `OSError`s turned into a message and exit code 1."""
    @functools.wraps(main)
    def wrapped(argv):
        if len(argv) > 1:
            print(f'error: unexpected argument {argv[1]!r}; options look like --out=DIR',
                  file=sys.stderr)
            return 1
        try:
            return main(argv)
        except (ValueError, OSError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 1
    return wrapped
