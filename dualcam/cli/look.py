"""dualcam look: where the sound is, over the video."""

import argparse

from dualcam.cli import examples

_EXAMPLES = (
    'dualcam look --input RECORDS/Location_01/Subject_01/Action_003 --out=seen',
    'dualcam look --input TAKE OTHER --out=seen --kinds=png,gif --every=6',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds it to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'look',
        _EXAMPLES,
        help='acoustic images over video frames',
        description='Lays the acoustic images of records over their video frames: a contact '
        'sheet, pictures, and films with the sound and its spectrogram. For raw folders: python '
        '-m records.look.',
    )
    parser.add_argument(
        '--input',
        nargs='+',
        required=True,
        metavar='PATH',
        help='folders of one take each (Location_01/Subject_01/Action_001, '
        'class_0/data_001), or records',
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument('--kinds', default='sheet,mp4', help='of png, sheet, gif, mp4')
    parser.add_argument(
        '--every',
        type=int,
        default=3,
        help='frames from picture to picture in sheet and png; twelve are a second',
    )
    parser.set_defaults(run=_run)


def _run(options):
    # Not above: TensorFlow takes seconds to start, and --help does not need it.
    from dualcam.reports import look

    if options.every < 1:
        raise ValueError(f'--every={options.every}: expected 1 or more')
    names = set()
    for path in options.input:
        take = look.read_take(path)
        if take.name in names:
            raise ValueError(
                f'{path}: another take of this call is called {take.name} too; give '
                'it a call and an --out of its own'
            )
        names.add(take.name)
        for written in look.write(take, options.out, options.kinds.split(','), options.every):
            print(f'written: {written}')
