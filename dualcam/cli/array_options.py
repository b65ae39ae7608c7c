"""Options that all commands about arrays share: the layout, the channels, the camera's view."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dualcam.acoustics.microphones import MicArray
    from dualcam.acoustics.views import View


def add_array(parser: argparse.ArgumentParser, required: bool = True) -> argparse._ArgumentGroup:
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


def add_view(
    parser: argparse.ArgumentParser, description: str | None = None
) -> argparse._ArgumentGroup:
    """What the camera sees."""
    group = parser.add_argument_group('view', description)
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


def add_video_offset(group: argparse._ArgumentGroup) -> None:
    """When the video began."""
    group.add_argument(
        '--video_offset_s',
        type=float,
        default=0.0,
        help='when the video begins, in time of the sound',
    )


def add_recording(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Which sound of a recording."""
    group = parser.add_argument_group('recording')
    group.add_argument(
        '--channels',
        metavar='LIST',
        help='those of the microphones, in their order, as in 1-16; -5 drops the fifth',
    )
    return group


def add_maps(parser: argparse.ArgumentParser, methods: Sequence[str]) -> argparse._ArgumentGroup:
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


def array_of(options: argparse.Namespace) -> 'MicArray':
    """The `MicArray` of `add_array`'s options."""
    from dualcam.acoustics import geometry_files

    right_m, up_m, forward_m = numbers(options, 'camera_m', (3,))
    return geometry_files.find_array(
        options.array, options.unit, options.array_from, (right_m, up_m, forward_m)
    )


def focus_of(options: argparse.Namespace) -> float | None:
    """Distance in metres, or None for far away."""
    if not options.focus_m >= 0:
        raise ValueError(f'--focus_m={options.focus_m}: expected a distance, or 0 for far away')
    return options.focus_m or None


def has_view(options: Any) -> bool:
    """Whether any of `add_view`'s options is given; also of flags that have these names."""
    names = 'view_deg', 'calibration', 'mirrored', 'upside_down'
    return any(getattr(options, name) for name in names)


def view_of(options: argparse.Namespace, picture_size: tuple[int, int] | None = None) -> 'View':
    """The `View` of `add_view`'s options and a video's (width, height)."""
    from dualcam.acoustics import views

    return views.make_view(
        None if options.view_deg is None else numbers(options, 'view_deg', (1, 2)),
        options.calibration,
        picture_size,
        options.mirrored,
        options.upside_down,
    )


def numbers(options: argparse.Namespace, name: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Numbers of an option with commas between, see `numbers_of`."""
    return numbers_of(name, getattr(options, name), counts)


def numbers_of(name: str, text: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Numbers with commas between, a tuple of floats.

    Raises:
        ValueError: they are no finite numbers, or others than so many.
    """
    import math

    try:
        values = tuple(float(part) for part in text.split(','))
    except ValueError:
        values = ()
    if len(values) not in counts or not all(map(math.isfinite, values)):
        raise ValueError(
            f'--{name}={text}: expected {" or ".join(map(str, counts))} numbers with commas between'
        )
    return values
