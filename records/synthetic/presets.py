"""Sizes of the embedded data."""

import dataclasses
from typing import Any

from dualcam.data.sources import datasets


@dataclasses.dataclass(frozen=True)
class AviaPreset:
    """Size of an embedded AVIA; all 14 actions and 3 scenarios always.

    Each class has `num_subjects * num_takes` takes per scenario. Lists are by take
    (`dualcam.data.records.take_lists`), so many short takes are more informative than few long
    ones: clips of one take share position, object and interferers, so their errors are correlated.

    Attributes:
        num_subjects: of the 9.
        num_unseen: number of test-only subjects, the last ones.
        num_takes: per subject, action and scenario; their records are concatenated in a folder.
        take_s: length of a take, whole seconds.
        test_share: share of the seen subjects' takes for testing.
    """

    num_subjects: int
    num_takes: int
    take_s: int
    num_unseen: int = 0
    test_share: float = datasets.TakeRule.test_share

    def take_rule(self) -> datasets.TakeRule | None:
        """How the lists are made; None if a class has too few takes to split."""
        if (self.num_subjects - self.num_unseen) * self.num_takes < 3:
            return None
        unseen = range(self.num_subjects - self.num_unseen + 1, self.num_subjects + 1)
        return datasets.TakeRule(self.take_s, tuple(unseen), self.test_share)

    def with_subjects(self, num_subjects: int) -> 'AviaPreset':
        """The preset with another number of subjects, possibly with fewer unseen ones."""
        return dataclasses.replace(
            self,
            num_subjects=num_subjects,
            num_unseen=min(self.num_unseen, max(0, num_subjects - 3)),
        )


@dataclasses.dataclass(frozen=True)
class AcivwPreset:
    """Size of an embedded ACIVW; all 10 classes always.

    Attributes:
        num_videos: per class; at least three, as lists are by video.
        take_s: length of a video, whole seconds.
        test_share: share of the videos for testing.
    """

    num_videos: int
    take_s: int
    test_share: float = datasets.TakeRule.test_share

    def take_rule(self) -> datasets.TakeRule | None:
        """How the lists are made; None for the usual share."""
        rule = datasets.TakeRule(test_share=self.test_share)
        return rule if rule != datasets.TakeRule() else None


PRESETS: dict[str, dict[str, Any]] = {
    'avia': {
        # One take of a class and scenario for each list.
        'smoke': AviaPreset(num_subjects=4, num_takes=1, take_s=4, num_unseen=1),
        # Per class and scenario: 8 takes for training, 3 validation, 7 test, 6 of unseen subjects.
        'demo': AviaPreset(num_subjects=8, num_takes=3, take_s=5, num_unseen=2, test_share=0.4),
        'paper': AviaPreset(num_subjects=9, num_takes=1, take_s=30, num_unseen=2, test_share=0.3),
    },
    # Real recordings: each take or video has its own, of which there are few.
    'avia_recordings': {
        'smoke': AviaPreset(num_subjects=1, num_takes=1, take_s=4),
        'demo': AviaPreset(num_subjects=3, num_takes=2, take_s=10),
        'paper': AviaPreset(num_subjects=9, num_takes=3, take_s=10),
    },
    'acivw': {
        'smoke': AcivwPreset(num_videos=3, take_s=2),
        # Per class: 22 videos for training, 10 validation, 32 test; 21 minutes, 13 GB of raw files.
        'demo': AcivwPreset(num_videos=64, take_s=2, test_share=0.5),
    },
    'acivw_recordings': {
        'smoke': AcivwPreset(num_videos=3, take_s=2),
        'demo': AcivwPreset(num_videos=14, take_s=6),
    },
}


def preset_named(name: str, layout: str = 'avia') -> AviaPreset | AcivwPreset:
    """The preset of a layout: avia, acivw, or either with `_recordings` for real sources.

    Raises:
        ValueError: there is none; the message lists them.
    """
    known = PRESETS[layout]
    if name not in known:
        raise ValueError(f'preset {name!r}: expected one of {", ".join(known)}')
    return known[name]
