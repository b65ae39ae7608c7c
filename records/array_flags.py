"""Flags shared by the commands on microphone arrays."""

from collections.abc import Sequence

from absl import flags

from dualcam.acoustics import geometry_files, views
from dualcam.cli import array_options


def define(default: str | None = 'dualcam') -> None:
    """Defines --array, which is required unless it has a default, and --unit."""
    flags.DEFINE_string(
        'array',
        default,
        'File with the microphones, or dualcam or uma16.',
        required=default is None,
    )
    flags.DEFINE_enum(
        'unit', None, list(geometry_files.UNITS), 'Unit of --array; default: its header, or m.'
    )


def define_view() -> None:
    """Defines the camera's view: --view_deg, --calibration, --mirrored, --upside_down."""
    flags.DEFINE_list('view_deg', [], 'Horizontal and vertical field of view; default 60.')
    flags.DEFINE_string('calibration', None, "OpenCV's file, instead of --view_deg.")
    flags.DEFINE_bool('mirrored', False, 'Left and right are swapped in the videos.')
    flags.DEFINE_bool('upside_down', False, 'The videos are rotated by 180 degrees.')


def define_video_offset() -> None:
    """Defines --video_offset_s."""
    flags.DEFINE_float('video_offset_s', 0.0, 'Start of the videos, in time of the sound.')


def view_of(picture_size: tuple[int, int]) -> views.View | None:
    """The view from `define_view`'s flags, for pictures of a (width, height).

    Returns:
        The view; None if no flag is given.
    """
    options = flags.FLAGS
    if not array_options.has_view(options):
        return None
    return views.make_view(
        numbers('view_deg', (1, 2)) if options.view_deg else None,
        options.calibration,
        picture_size if options.view_deg or options.calibration else None,
        options.mirrored,
        options.upside_down,
    )


def numbers(name: str, counts: Sequence[int]) -> tuple[float, ...]:
    """Comma-separated numbers of a flag; see `array_options.numbers_of`."""
    return array_options.numbers_of(name, ','.join(getattr(flags.FLAGS, name)), counts)
