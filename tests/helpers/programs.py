"""Runs a program within this process, for tests that need no separate one.

Each separate process takes seconds to load TensorFlow.
"""

import contextlib
import io
import logging
import pathlib
import re
import runpy
import sys
from unittest import mock

import absl.logging
from absl import app, flags

from tests.helpers.checkout import ROOT

_LOGGERS = ('absl', 'tensorflow')
# What TensorFlow 2.21 prints when it starts, at any TF_CPP_MIN_LOG_LEVEL: notes on the processor.
_STARTUP = re.compile(r'^(?:WARNING: All log messages before absl::|I\d{4} \d).*\n', re.M)


def without_startup(errors):
    """A process's stderr without TensorFlow's own notes at the start."""
    return _STARTUP.sub('', errors)


def run(script, *arguments):
    """Runs a program like `python SCRIPT ARGUMENTS` or `python -m MODULE ARGUMENTS`.

    Args:
        script: its path in the checkout, or -m; the module's name is then the first argument.
        *arguments: as typed.

    Returns:
        (exit code, stdout, stderr).
    """
    if script == '-m':
        module, *arguments = arguments
        script = pathlib.Path(*module.split('.'))
        is_package = (ROOT / script).is_dir()
        script = script / '__main__.py' if is_package else script.with_suffix('.py')
    out, errors = io.StringIO(), io.StringIO()
    known = set(flags.FLAGS)
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    verbosity, was_parsed = absl.logging.get_verbosity(), flags.FLAGS.is_parsed()
    path = list(sys.path)
    argv = [str(ROOT / script), *map(str, arguments)]
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(errors),
            mock.patch.object(sys, 'argv', argv),
            mock.patch.object(app, 'run', _run_main),
        ):
            runpy.run_path(argv[0], run_name='__main__')
            raise AssertionError(f'{script} ended without an exit code')
    except SystemExit as ended:
        return ended.code or 0, out.getvalue(), errors.getvalue()
    finally:
        # The next program defines its own flags, some with the same names.
        for name in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, name)
        if not was_parsed:
            flags.FLAGS.unparse_flags()
        sys.path[:] = path
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        absl.logging.set_verbosity(verbosity)


def _run_main(main):
    """`app.run` without its process-wide handlers for logs and crashes."""
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        print(f'FATAL Flags parsing error: {error}', file=sys.stderr)
        sys.exit(1)
    sys.exit(main(rest))
