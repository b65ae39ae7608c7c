"""Training, validation and test lists by take, stratified by class and scenario.

Seconds of one take share the subject's position, the object and the background sounds, so testing
on other seconds of a training take measures memorisation. Here a take's records stay together, and
each class of each scenario is split separately: about 15 % of its takes are for validation,
`test_share` for testing (rounded down), at least one each, and the rest for training. Takes are
distributed subject by subject, so that a class's held-out takes come from as many subjects as
possible. Takes of unseen subjects are only in their own list. With `by_subject`, whole subjects are
distributed instead, the same ones in all scenarios.

`record_lists` implements the authors' rule, which AVIA's own tables use.
"""

import collections
import pathlib
import re

import numpy as np

from dualcam.data.records import record_lists
from dualcam.data.sources import datasets

UNSEEN_SUBJECTS = 'unseen_subjects.txt'

_VALIDATION_SHARE = 0.15
_FOLDER = re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)(?:_take_\d+)?')


def make_take_lists(
    root: str | pathlib.Path,
    num_seconds: int,
    rule: datasets.TakeRule | None = None,
    location: int | None = None,
    seed: int = 42,
) -> dict[str, list[str]]:
    """Makes the lists of a records folder of AVIA or a data set in its layout.

    A scenario's lists do not depend on whether other scenarios are included.

    Args:
        root: contains Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord.
        num_seconds: records in a sequence, the lists' unit; a remainder at a take's end is not
            used.
        rule: a `datasets.TakeRule`; default the one in the folder's dataset.json, or whole folders
            as takes.
        location: scenario from 1, or None for all.
        seed: of the random split.

    Returns:
        {'training.txt', 'validation.txt', 'testing.txt', 'dataset.txt' (all takes), and
        'unseen_subjects.txt' if the rule names some: [record paths relative to root]}

    Raises:
        ValueError: there are no records, gaps in a folder's numbering, takes shorter than a
            sequence, or a class with fewer than three takes in a scenario.
    """
    root = pathlib.Path(root)
    if num_seconds < 1:
        raise ValueError(f'{num_seconds} seconds per sequence: expected 1 or more')
    rule = rule or datasets.read_description(root).take_rule or datasets.TakeRule()
    takes = _takes(root, num_seconds, rule.take_s, location)
    if not takes:
        raise ValueError(
            f'{root}: no take has {num_seconds} consecutive records'
            + (f' of location {location}' if location else '')
        )
    parts: dict[str, list] = {'training.txt': [], 'validation.txt': [], 'testing.txt': []}
    unseen = []
    owners = _subject_lists(root, num_seconds, rule, seed) if rule.by_subject else {}
    for (place, action), by_subject in takes.items():
        rng = np.random.default_rng([seed, place, action])
        unseen += [take for subject in rule.unseen_subjects for take in by_subject.pop(subject, [])]
        if rule.by_subject:
            for subject, own in by_subject.items():
                parts[owners[subject]] += own
            continue
        dealt = _dealt(by_subject, rng)
        if len(dealt) < 3:
            raise ValueError(
                f'{root}: {len(dealt)} takes of {num_seconds} s or more of action {action} in '
                f'location {place}, unseen subjects aside; expected 3, one for each list'
            )
        num_test = max(1, int(rule.test_share * len(dealt) + 1e-9))
        num_valid = max(1, round(_VALIDATION_SHARE * len(dealt)))
        num_test = min(num_test, len(dealt) - num_valid - 1)
        parts['testing.txt'] += dealt[:num_test]
        parts['validation.txt'] += dealt[num_test : num_test + num_valid]
        parts['training.txt'] += dealt[num_test + num_valid :]
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise ValueError(
            f'{root}: no takes for {" and ".join(empty)}'
            + (f' in location {location}' if location else '')
            + '; all its subjects are in other lists'
        )
    if rule.unseen_subjects:
        if not unseen:
            raise ValueError(
                f'{root}: no takes of the unseen subjects '
                f'{", ".join(map(str, rule.unseen_subjects))}'
            )
        parts[UNSEEN_SUBJECTS] = unseen
    lists = {name: _records(part, num_seconds) for name, part in parts.items()}
    lists['dataset.txt'] = [path for part in lists.values() for path in part]
    return lists


def write_take_lists(
    root: str | pathlib.Path,
    num_seconds: int,
    rule: datasets.TakeRule | None = None,
    location: int | None = None,
    seed: int = 42,
    absolute: bool = False,
) -> dict[pathlib.Path, int]:
    """Writes the lists of `make_take_lists`; returns {path of the list: number of records}.

    Args:
        absolute: see `record_lists.write_lists`.
    """
    return record_lists.write(
        make_take_lists(root, num_seconds, rule, location, seed),
        record_lists.lists_folder(root, num_seconds, location),
        root,
        absolute,
    )


def write_scenario_lists(
    root: str | pathlib.Path, num_seconds: int, location: int | None = None
) -> dict[pathlib.Path, int]:
    """Writes the lists of a scenario, or of all, by the data set's own rule.

    Returns:
        {path of the list: number of records}: training, validation and test lists and all data,
        and 'unseen_subjects.txt' if the data set has them.
    """
    rule = datasets.read_description(root).take_rule
    if rule is not None:
        return write_take_lists(root, num_seconds, rule, location)
    return record_lists.write_lists(
        root, num_seconds, 'train_valid_test', location
    ) | record_lists.write_lists(root, num_seconds, 'all', location)


def _takes(root, num_seconds, take_s, location):
    """{(location, action): {subject: [(folder, first record from 1, sequences)]}}, sorted."""
    takes = collections.defaultdict(lambda: collections.defaultdict(list))
    for folder, count in record_lists.record_folders(root, location):
        match = _FOLDER.fullmatch(folder)
        if match is None:
            continue
        place, subject, action = map(int, match.groups())
        length = take_s or count
        if take_s and take_s < num_seconds:
            raise ValueError(
                f'{root}: sequences of {num_seconds} s, but takes of {take_s} s; make shorter '
                'sequences (--num_seconds)'
            )
        if length >= num_seconds:
            takes[place, action][subject] += [
                (folder, start + 1, length // num_seconds)
                for start in range(0, count - length + 1, length)
            ]
    return takes


def _subject_lists(root, num_seconds, rule, seed):
    """{subject: name of its list} for the subjects of all scenarios."""
    found = _takes(root, num_seconds, rule.take_s, None)
    subjects = sorted({one for by_subject in found.values() for one in by_subject})
    subjects = [one for one in subjects if one not in rule.unseen_subjects]
    if len(subjects) < 3:
        raise ValueError(
            f'{root}: {len(subjects)} subjects with takes of {num_seconds} s or more; expected 3, '
            'one for each list, or lists by take'
        )
    order = np.random.default_rng(seed).permutation(subjects).tolist()
    num_test = max(1, int(rule.test_share * len(order) + 1e-9))
    num_valid = max(1, round(_VALIDATION_SHARE * len(order)))
    names = ['testing.txt'] * num_test + ['validation.txt'] * num_valid
    names += ['training.txt'] * (len(order) - len(names))
    return dict(zip(order, names, strict=True))


def _dealt(by_subject, rng):
    """Takes in random order, one of each subject before any subject's second one."""
    order = []
    for takes in by_subject.values():
        order += [
            (turn, rng.random(), takes[i]) for turn, i in enumerate(rng.permutation(len(takes)))
        ]
    return [take for _, _, take in sorted(order)]


def _records(takes, num_seconds):
    return [
        f'{folder}/{record_lists.record_name(first + i)}'
        for folder, first, sequences in sorted(takes)
        for i in range(sequences * num_seconds)
    ]
