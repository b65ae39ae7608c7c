"""dualcam look: acoustic images drawn over the video."""

import argparse

from dualcam.cli import array_options, examples

_EXAMPLES = (
    'dualcam look --input RECORDS/Location_01/Subject_01/Action_003 --out=seen',
    'dualcam look --input TAKE OTHER --out=seen --kinds=png,gif --every=6',
    'dualcam look --input TAKE --out=seen --view_deg=70,43 --mirrored --video_offset_s=0.4',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'look',
        _EXAMPLES,
        help='acoustic images over video frames',
        description='Draws the acoustic images of records over their video frames: a contact '
        'sheet, pictures, and videos with the sound and its spectrogram. For raw folders: python '
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
    parser.add_argument('--kinds', default='sheet,mp4', help='some of png, sheet, gif, mp4')
    parser.add_argument(
        '--every',
        type=int,
        default=3,
        help='frames between pictures in sheet and png; there are twelve per second',
    )
    array_options.add_video_offset(
        array_options.add_view(
            parser,
            "the camera's; default: the 60 x 45 degrees of the acoustic images",
        )
    )
    parser.set_defaults(run=_run)


def _run(options):
    # Imported late: TensorFlow takes seconds to start, and --help does not need it.
    from dualcam.reports import look

    if options.every < 1:
        raise ValueError(f'--every={options.every}: expected 1 or more')
    names = set()
    for path in options.input:
        take = look.read_take(path)
        if take.name in names:
            raise ValueError(
                f'{path}: another take of this call is also named {take.name}; give '
                'it a separate call and --out'
            )
        names.add(take.name)
        take = _seen(take, path, options)
        for written in look.write(take, options.out, options.kinds.split(','), options.every):
            print(f'written: {written}')


def _seen(take, path, options):
    """A take aligned with its camera, if the options describe it."""
    from dualcam.acoustics import views
    from dualcam.reports import look

    has_view = array_options.has_view(options)
    if has_view:
        look.check_unplaced(path)
        is_given = take.pictures is not None and (options.view_deg or options.calibration)
        view = array_options.view_of(options, take.pictures[0].shape[1::-1] if is_given else None)
    elif options.video_offset_s:
        view = views.View()
    else:
        return take
    return look.seen(take, view, options.video_offset_s, aligned=not has_view)
