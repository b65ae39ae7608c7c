"""Training, validation and test lists by video: records filmed in one place stay together.

Records of one video share object, place and microphones, so a network that was trained on one of
them knows the others. So the videos of each class are shuffled with the seed and distributed: about
15 % for validation, 15 % for testing, at least one each, and the rest for training (ECCV 2020
splits its data by video; its actual split is not known). A data set's description may set another
share for testing, as the embedded data's does. The lists' unit is a sequence of N
consecutive records, as in `record_lists`; the order of each list is shuffled too.
"""

import pathlib

import numpy as np

from dualcam.data.records import record_lists
from dualcam.data.sources import datasets
from dualcam.files.path_types import AnyPath
from records import acivw_layout

_VALIDATION_SHARE = 0.15  # of a class's videos


def make_video_lists(root: AnyPath, num_seconds: int, seed: int = 42) -> dict[str, list[str]]:
    """Makes the lists of an ACIVW records folder.

    Args:
        root: contains class_C/data_DDD/Data_NNN.tfrecord.
        num_seconds: records in a sequence; shorter videos and the remainder at a video's end are
            not used.
        seed: of the split.

    Returns:
        {'training.txt', 'validation.txt', 'testing.txt': [record paths relative to root]}

    Raises:
        ValueError: there are no records, a gap in a folder's numbering, or a class with fewer than
            three videos that are long enough.
    """
    if num_seconds < 1:
        raise ValueError(f'{num_seconds} seconds per sequence: expected 1 or more')
    root = pathlib.Path(root)
    rule = datasets.read_description(root).take_rule or datasets.TakeRule()
    parts: dict[str, list] = {'training.txt': [], 'validation.txt': [], 'testing.txt': []}
    for label, folders in _videos(root, num_seconds).items():
        if len(folders) < 3:
            raise ValueError(
                f'{root / f"class_{label}"}: {len(folders)} videos of {num_seconds} s '
                'or more; expected 3, one for each list; convert more, or make '
                'shorter sequences (--num_seconds)'
            )
        order = np.random.default_rng([seed, label]).permutation(sorted(folders))
        # One remains for training, whatever the share.
        validating = max(1, round(_VALIDATION_SHARE * len(folders)))
        testing = max(1, min(round(rule.test_share * len(folders)), len(folders) - validating - 1))
        parts['validation.txt'] += list(order[:validating])
        parts['testing.txt'] += list(order[validating : validating + testing])
        parts['training.txt'] += list(order[validating + testing :])
    rng = np.random.default_rng(seed)
    return {
        name: _shuffled_sequences(root, folders, num_seconds, rng)
        for name, folders in parts.items()
    }


def write_video_lists(
    root: AnyPath, num_seconds: int, seed: int = 42, absolute: bool = False
) -> dict[pathlib.Path, int]:
    """Writes the lists of `make_video_lists`; returns {path of the list: number of records}.

    Args:
        absolute: see `lists.write_lists`.
    """
    return record_lists.write(
        make_video_lists(root, num_seconds, seed),
        record_lists.lists_folder(root, num_seconds),
        root,
        absolute,
    )


def _videos(root, num_seconds):
    """{class: [folder relative to root]} of the videos long enough for a sequence."""
    folders = acivw_layout.video_folders(root)
    videos: dict[int, list[str]] = {label: [] for label, _ in folders}
    for (label, number), folder in folders.items():
        if record_lists.count_records(folder) >= num_seconds:
            videos[label].append(acivw_layout.video_name(label, number))
    return videos


def _shuffled_sequences(root, folders, num_seconds, rng):
    starts = [
        (folder, start)
        for folder in folders
        for start in range(
            0, record_lists.count_records(root / folder) - num_seconds + 1, num_seconds
        )
    ]
    return [
        f'{starts[i][0]}/{record_lists.record_name(starts[i][1] + second + 1)}'
        for i in rng.permutation(len(starts))
        for second in range(num_seconds)
    ]
