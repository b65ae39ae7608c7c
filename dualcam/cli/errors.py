"""What all commands share: the caller's mistakes end them with one line, not a traceback."""

import functools
import sys


def exit_code(action):
    """Runs a command's work: 0 or what it returns, or 1 and a line for the caller's mistakes.

    Ctrl-C is 130, as shells have it, and a line too.
    """
    try:
        return action() or 0
    except KeyboardInterrupt as error:
        print(
            str(error) or 'stopped: the same call goes on with what is not done yet',
            file=sys.stderr,
        )
        return 130
    except (ValueError, OSError) as error:
        print('error:', ' '.join(str(error).splitlines()), file=sys.stderr)
        return 1


def clean_errors(main):
    """`main` with `ValueError`s and `OSError`s turned into a message and exit code 1."""

    @functools.wraps(main)
    def wrapped(argv):
        if len(argv) > 1:
            print(
                f'error: unexpected argument {argv[1]!r}; options look like --out=DIR',
                file=sys.stderr,
            )
            return 1
        return exit_code(lambda: main(argv))

    return wrapped
