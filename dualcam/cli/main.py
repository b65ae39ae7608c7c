"""The `dualcam` command: trained students, microphone arrays and acoustic images.

dualcam classify --model=RUN --input PATH ...       classify sound files, or a microphone's sound
dualcam embed --model=RUN --input=DIR --out=F.npz   features of sound files
dualcam tflite --model=RUN --out=DIR                TFLite files for phones and small computers
dualcam look --input TAKE ... --out=DIR             acoustic images over video frames
dualcam camera --input=TAKE --array=FILE --out=DIR  sound sources in an array's recording
dualcam live --array=FILE                           the same live, as a page in the browser
dualcam array --array=FILE --out=DIR                what a microphone array can resolve
dualcam import-weights --from=FILE --model=NAME --out=F.weights.h5   convert other programs' weights
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import dualcam
from dualcam.cli import array, camera, classify, embed, errors, import_weights, live, look, tflite

_COMMANDS = (classify, embed, tflite, look, camera, live, array, import_weights)
_SUMMARY, _, _OVERVIEW = __doc__.partition('\n\n')


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand; user errors end it with one line and exit code 1."""
    parser, commands = make_parsers()
    given = list(sys.argv[1:] if argv is None else argv)

    def run():
        if not given:
            parser.print_help()
            return 1
        options = parser.parse_args([_unmistakable(argument) for argument in given])
        if options.command is None:
            parser.error(f'expected one of {", ".join(commands)}')
        return options.run(options)

    code = errors.exit_code(run)
    return errors.leave(code) if argv is None else code


def make_parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The command's parser, and those of its subcommands by name."""
    parser = _Parser(
        prog='dualcam',
        description=_SUMMARY,
        epilog=_OVERVIEW.rstrip() + '\n\ndualcam COMMAND --help shows examples.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'dualcam {dualcam.__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', parser_class=_Parser)
    for one in _COMMANDS:
        one.add(commands)
    return parser, commands.choices


def _unmistakable(argument):
    """Rewrites a file name that begins with a dash, so that it is not taken for an option."""
    return f'./{argument}' if argument.startswith('-') and os.path.lexists(argument) else argument


class _Parser(argparse.ArgumentParser):
    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message):
        """Raises an error that is printed as one line, like any other."""
        raise ValueError(f'{message}; see {self.prog} --help')


if __name__ == '__main__':
    sys.exit(main())
