"""dualcam look: where the sound is, over the video."""

import argparse

from dualcam.cli import array_options, examples

_EXAMPLES = (
    'dualcam look --input RECORDS/Location_01/Subject_01/Action_003 --out=seen',
    'dualcam look --input TAKE OTHER --out=seen --kinds=png,gif --every=6',
    'dualcam look --input TAKE --out=seen --view_deg=70,43 --mirrored --video_offset_s=0.4',
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
    array_options.add_video_offset(
        array_options.add_view(
            parser,
            'of the camera; default the 60 x 45 degrees of the acoustic images',
        )
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
        take = _seen(take, path, options)
        for written in look.write(take, options.out, options.kinds.split(','), options.every):
            print(f'written: {written}')


def _seen(take, path, options):
    """A take as its camera saw it, where an option says how."""
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
