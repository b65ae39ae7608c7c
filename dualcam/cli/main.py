"""The `dualcam` command.

dualcam import-weights --from=FILE --model=NAME --out=FILE.weights.h5 [--classes=14]
dualcam embed --model=SAVED_MODEL_OR_RUN --input=DIR --out=FILE.npz [--layer=embedding]
"""

import argparse
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its start is chatty

from dualcam.cli import array, camera, classify, embed, errors, import_weights, live, look, tflite


def main(argv=None):
    """Runs a subcommand; the caller's mistakes end it with one line and exit code 1."""
    parser = _Parser(prog='dualcam', description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    for one in (import_weights, embed, classify, tflite, look, array, camera, live):
        one.add(commands)

    def run():
        options = parser.parse_args(argv)
        return options.run(options)

    return errors.exit_code(run)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message):
        """One line, as for any other mistake."""
        raise ValueError(f'{message}; see {self.prog} --help')


if __name__ == '__main__':
    sys.exit(main())
