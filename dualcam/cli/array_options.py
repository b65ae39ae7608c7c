"""Options shared by all array commands: the layout, the channels, the camera's view."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dualcam.acoustics.microphones import MicArray
    from dualcam.acoustics.views import View


def add_array(parser: argparse.ArgumentParser, required: bool = True) -> argparse._ArgumentGroup:
    """Options for the microphones."""
    group = parser.add_argument_group('array')
    group.add_argument(
        '--array',
        required=required,
        metavar='FILE',
        help="microphone positions as a table or acoular's XML, or dualcam or uma16",
    )
    group.add_argument(
        '--unit', choices=['m', 'cm', 'mm'], help='of a table; default: as in its header, or m'
    )
    group.add_argument(
        '--array_from',
        choices=['behind', 'front'],
        default='behind',
        help='whether the layout is seen from behind, in viewing direction, or from the front',
    )
    group.add_argument(
        '--camera_m',
        default='0,0,0',
        metavar='X,Y,Z',
        help="camera position in the layout's coordinates, metres",
    )
    group.add_argument('--focus_m', type=float, default=1.5, help='focus distance; 0 for infinity')
    return group


def add_view(
    parser: argparse.ArgumentParser, description: str | None = None
) -> argparse._ArgumentGroup:
    """Options for the camera's view."""
    group = parser.add_argument_group('view', description)
    group.add_argument(
        '--view_deg',
        metavar='H,V',
        help='horizontal and vertical field of view; one number if pixels are square; default 60',
    )
    group.add_argument('--calibration', metavar='FILE', help="OpenCV's, instead of --view_deg")
    group.add_argument(
        '--mirrored', action='store_true', help='left and right are swapped in the video'
    )
    group.add_argument(
        '--upside_down', action='store_true', help='the video is rotated by 180 degrees'
    )
    return group


def add_video_offset(group: argparse._ArgumentGroup) -> None:
    """The option for the start of the video."""
    group.add_argument(
        '--video_offset_s',
        type=float,
        default=0.0,
        help='start of the video, in time of the sound',
    )


def add_recording(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Options for the channels of a recording."""
    group = parser.add_argument_group('recording')
    group.add_argument(
        '--channels',
        metavar='LIST',
        help="the microphones' channels, in order, such as 1-16; -5 drops the fifth",
    )
    return group


def add_maps(parser: argparse.ArgumentParser, methods: Sequence[str]) -> argparse._ArgumentGroup:
    """Options for the maps."""
    group = parser.add_argument_group('maps')
    group.add_argument('--band', default='900,6400', metavar='LOW,HIGH', help='Hz')
    group.add_argument('--method', choices=methods, default='sum', help='beamforming method')
    group.add_argument('--maps_per_s', type=float, default=12.0, help='maps per second of sound')
    group.add_argument(
        '--dynamic_range_db', type=float, default=6.0, help='range shown below the loudest level'
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
    """Distance in metres, or None for infinity."""
    if not options.focus_m >= 0:
        raise ValueError(f'--focus_m={options.focus_m}: expected a distance, or 0 for infinity')
    return options.focus_m or None


def has_view(options: Any) -> bool:
    """Whether any of `add_view`'s options, or flags of the same names, is given."""
    names = 'view_deg', 'calibration', 'mirrored', 'upside_down'
    return any(getattr(options, name) for name in names)


def view_of(options: argparse.Namespace, picture_size: tuple[int, int] | None = None) -> 'View':
    """The `View` for `add_view`'s options and a video's (width, height)."""
    from dualcam.acoustics import views

    return views.make_view(
        None if options.view_deg is None else numbers(options, 'view_deg', (1, 2)),
        options.calibration,
        picture_size,
        options.mirrored,
        options.upside_down,
    )


def numbers(options: argparse.Namespace, name: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Comma-separated numbers of an option, see `numbers_of`."""
    return numbers_of(name, getattr(options, name), counts)


def numbers_of(name: str, text: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Parses comma-separated numbers to a tuple of floats.

    Raises:
        ValueError: one is not a finite number, or their count is wrong.
    """
    import math

    try:
        values = tuple(float(part) for part in text.split(','))
    except ValueError:
        values = ()
    if len(values) not in counts or not all(map(math.isfinite, values)):
        raise ValueError(
            f'--{name}={text}: expected {" or ".join(map(str, counts))} comma-separated numbers'
        )
    return values
