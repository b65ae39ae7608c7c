"""Options that all commands about arrays share: the layout, the channels, the camera's view."""


def add_array(parser, required=True):
    """Which microphones."""
    group = parser.add_argument_group('array')
    group.add_argument(
        '--array',
        required=required,
        metavar='FILE',
        help="microphones as a table or acoular's XML, or dualcam or uma16",
    )
    group.add_argument(
        '--unit', choices=['m', 'cm', 'mm'], help='of a table; default what its header says, or m'
    )
    group.add_argument(
        '--array_from',
        choices=['behind', 'front'],
        default='behind',
        help='the layout is as seen from behind, as the camera looks, or from the front',
    )
    group.add_argument(
        '--camera_m',
        default='0,0,0',
        metavar='X,Y,Z',
        help='where the camera is in the coordinates of the layout, metres',
    )
    group.add_argument(
        '--focus_m', type=float, default=1.5, help='distance to focus at; 0 for far away'
    )
    return group


def add_view(parser):
    """What the camera sees."""
    group = parser.add_argument_group('view')
    group.add_argument(
        '--view_deg',
        metavar='H,V',
        help='field of view, horizontal and vertical; one number where pixels are square; '
        'default 60',
    )
    group.add_argument('--calibration', metavar='FILE', help="of OpenCV, in --view_deg's place")
    group.add_argument(
        '--mirrored', action='store_true', help='the video has left and right exchanged'
    )
    group.add_argument(
        '--upside_down', action='store_true', help='the video is turned by 180 degrees'
    )
    return group


def add_recording(parser):
    """Which sound of a recording."""
    group = parser.add_argument_group('recording')
    group.add_argument(
        '--channels',
        metavar='LIST',
        help='those of the microphones, in their order, as in 1-16; -5 drops the fifth',
    )
    return group


def add_maps(parser, methods):
    """How maps are made."""
    group = parser.add_argument_group('maps')
    group.add_argument('--band', default='900,6400', metavar='LOW,HIGH', help='Hz')
    group.add_argument('--method', choices=methods, default='sum', help='of beamforming')
    group.add_argument(
        '--maps_per_s', type=float, default=12.0, help='each is made of the sound of its time'
    )
    group.add_argument(
        '--dynamic_range_db', type=float, default=6.0, help='below the loudest that is shown'
    )
    return group


def array_of(options):
    """The `MicArray` of `add_array`'s options."""
    from dualcam.acoustics import geometry_files

    return geometry_files.find_array(
        options.array, options.unit, options.array_from, numbers(options, 'camera_m', (3,))
    )


def focus_of(options):
    """Distance in metres, or None for far away."""
    if not options.focus_m >= 0:
        raise ValueError(f'--focus_m={options.focus_m}: expected a distance, or 0 for far away')
    return options.focus_m or None


def view_of(options, picture_size=None):
    """The `View` of `add_view`'s options and a video's (width, height)."""
    from dualcam.acoustics import views

    return views.make_view(
        None if options.view_deg is None else numbers(options, 'view_deg', (1, 2)),
        options.calibration,
        picture_size,
        options.mirrored,
        options.upside_down,
    )


def numbers(options, name, counts):
    """Numbers with commas between, a tuple of floats.

    Raises:
        ValueError: they are no finite numbers, or others than so many.
    """
    import math

    text = getattr(options, name)
    try:
        values = tuple(float(part) for part in text.split(','))
    except ValueError:
        values = ()
    if len(values) not in counts or not all(map(math.isfinite, values)):
        raise ValueError(
            f'--{name}={text}: expected {" or ".join(map(str, counts))} numbers with commas between'
        )
    return values
