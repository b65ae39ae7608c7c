"""How much the simulator makes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SyntheticPreset:
    """Size of an embedded AVIA; all 14 actions and 3 scenarios always.

    Attributes:
        num_subjects: of the 9.
        take_s: length of a take, whole seconds.
        unit_s: stretch of a take that the lists may put into a split of its own.
    """

    num_subjects: int
    take_s: int
    unit_s: int


@dataclasses.dataclass(frozen=True)
class WildPreset:
    """Size of an embedded ACIVW; all 10 classes always.

    Attributes:
        num_videos: of each class; three at least, as lists go by video.
        take_s: length of a video, whole seconds.
    """

    num_videos: int
    take_s: int


PRESETS = {
    'avia': {
        'smoke': SyntheticPreset(num_subjects=1, take_s=5, unit_s=5),
        'demo': SyntheticPreset(num_subjects=3, take_s=20, unit_s=10),
        'paper': SyntheticPreset(num_subjects=9, take_s=30, unit_s=10),
    },
    'acivw': {
        'smoke': WildPreset(num_videos=3, take_s=2),
        'demo': WildPreset(num_videos=14, take_s=6),  # 14 minutes, 9 GB of raw files
    },
}


def preset_named(name, layout='avia'):
    """The preset of a layout, 'avia' or 'acivw', or a `ValueError` that lists them."""
    known = PRESETS[layout]
    if name not in known:
        raise ValueError(f'preset {name!r}: expected one of {", ".join(known)}')
    return known[name]
