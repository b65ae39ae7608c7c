"""The `dualcam` command.

    dualcam import-weights --from=FILE --model=NAME --out=FILE.weights.h5
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')     # before TensorFlow: its start is chatty

_ENDING = '.weights.h5'


def main(argv=None):
    """Runs a subcommand; the caller's mistakes end it with one line and exit code 1."""
    parser = argparse.ArgumentParser(prog='dualcam', description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    _add_import_weights(commands)
    options = parser.parse_args(argv)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


def _add_import_weights(commands):
    parser = commands.add_parser(
        'import-weights', help='weights that other programs wrote, to Keras',
        description='TensorFlow checkpoints of the authors\' programs or of TF-Slim '
        '(resnet_v1_50.ckpt), Keras\' own ResNet-50 (.h5), SoundNet-5 and -8 (.t7).')
    parser.add_argument('--from', dest='source', required=True, help='the file')
    parser.add_argument('--model', required=True, help='network that takes them')
    parser.add_argument('--out', required=True, help=f'file to write, {_ENDING}')
    parser.add_argument('--classes', type=int, default=14, help='of the network\'s answer')
    parser.add_argument('--overwrite', action='store_true', help='write over an existing file')
    parser.set_defaults(run=_import_weights)


def _import_weights(options):
    from dualcam import models
    from dualcam.models import foreign, weights

    source, out = pathlib.Path(options.source), pathlib.Path(options.out)
    if not out.name.endswith(_ENDING):
        raise ValueError(f'--out={out}: expected a name that ends in {_ENDING}')
    if out.exists() and not options.overwrite:
        raise ValueError(f'{out} exists; choose another --out, or --overwrite')
    settings = {}
    if 'resnet' in options.model or options.model == 'avnet':
        settings['layout'] = foreign.layout_of(source)
    model = models.build(options.model, options.classes, **settings)
    report = foreign.import_weights(source, model)
    weights.save(model, out, settings.get('layout', 'slim'))
    for title, names in (('taken', report.taken), ('left in the file', report.left),
                         ('missing, as they were drawn', report.missing)):
        print(f'{title}: {len(names)}')
        for name in names:
            print(f'    {name}')
    print(f'{report.source} {source}: {len(report.taken)} taken, {len(report.left)} left, '
          f'{len(report.missing)} missing; written: {out}')


if __name__ == '__main__':
    sys.exit(main())
