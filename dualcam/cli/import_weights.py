"""dualcam import-weights: see `models/weight_import.py` for the formats."""

import argparse
import collections
import pathlib

from dualcam.cli import examples

_EXAMPLES = (
    'dualcam import-weights --from=resnet_v1_50.ckpt --model=resnet50 --out=resnet50.weights.h5',
    'dualcam import-weights --from=soundnet5.t7 --model=soundnet5 --out=soundnet5.weights.h5',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'import-weights',
        _EXAMPLES,
        help="convert other programs' weights to Keras",
        description="TensorFlow checkpoints of the authors' programs or of TF-Slim "
        "(resnet_v1_50.ckpt), Keras' own ResNet-50 (.h5), SoundNet-5 and -8 (.t7).",
    )
    parser.add_argument('--from', dest='source', required=True, help='the file')
    parser.add_argument(
        '--model',
        required=True,
        help='target network; soundnet5 is SoundNet-5 with its own conv5',
    )
    parser.add_argument('--out', required=True, help='file to write, .weights.h5')
    parser.add_argument('--classes', type=int, default=14, help='number of classes of the network')
    parser.add_argument(
        '--allow_missing',
        action='store_true',
        help='accept a file that lacks variables',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an existing file')
    parser.set_defaults(run=_run)


def _run(options):
    # Imported late: TensorFlow takes seconds to start, and --help does not need it.
    from dualcam import models
    from dualcam.models import resnet, soundnet, weight_import, weights

    source, out = pathlib.Path(options.source), pathlib.Path(options.out)
    if options.classes < 1:
        raise ValueError(f'--classes={options.classes}: expected 1 or more')
    if not out.name.endswith(weights.ENDING):
        raise ValueError(f'--out={out}: expected a name that ends in {weights.ENDING}')
    if out.exists() and not options.overwrite:
        raise ValueError(f'{out} exists; choose another --out, or --overwrite')
    layout = {'layout': weight_import.layout_of(source)} if options.model in resnet.NETWORKS else {}
    if options.model == 'soundnet5':
        model = soundnet.build_5()
    else:
        model = models.build(options.model, options.classes, **layout)
    report = weight_import.import_weights(source, model, options.allow_missing)
    weights.save(model, out)
    for title, names in (
        ('taken', report.taken),
        ('ignored in the file', report.left),
        ('missing, randomly initialised', report.missing),
    ):
        print(f'{title}: {len(names)}')
        for group, count in _grouped(names, {*report.taken, *report.left}).items():
            print(f'    {group}' + (f' ({count})' if count > 1 else ''))
    print(
        f'{report.source} {source}: {len(report.taken)} taken, {len(report.left)} left, '
        f'{len(report.missing)} missing; written: {out}'
    )


def _grouped(names, all_names):
    """{group: number of names}; a group is a layer, a block, or a kind of optimizer slot."""
    groups = collections.Counter()
    for name in names:
        variable, _, last = name.rpartition('/')
        if variable in all_names:
            groups[f'*/{last}'] += 1  # hear_net/conv1/weights/Adam
        else:
            groups['/'.join(name.split('/')[:2])] += 1
    return groups
