"""How much the simulator makes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SyntheticPreset:
    """Size of an embedded data set; all 14 actions and 3 scenarios always.

    Attributes:
        num_subjects: of the 9.
        take_s: length of a take, whole seconds.
        unit_s: stretch of a take that the lists may put into a split of its own.
    """
    num_subjects: int
    take_s: int
    unit_s: int


PRESETS = {
    'smoke': SyntheticPreset(num_subjects=1, take_s=5, unit_s=5),
    'demo': SyntheticPreset(num_subjects=3, take_s=20, unit_s=10),
    'paper': SyntheticPreset(num_subjects=9, take_s=30, unit_s=10),
}


def preset_named(name):
    """The preset, or a `ValueError` that lists them."""
    if name not in PRESETS:
        raise ValueError(f'preset {name!r}: expected one of {", ".join(PRESETS)}')
    return PRESETS[name]
