"""Flags that the commands about microphone arrays share."""

from absl import flags

from dualcam.acoustics import geometry_files


def define(default: str | None = 'dualcam') -> None:
    """Defines --array, which must be given where it has no default, and --unit."""
    flags.DEFINE_string(
        'array',
        default,
        'File with the microphones, or dualcam or uma16.',
        required=default is None,
    )
    flags.DEFINE_enum(
        'unit', None, list(geometry_files.UNITS), 'Of --array; default what it says, or m.'
    )
