"""Splits of files for training, validation and testing.

Files of one recording (`Sound.source`) stay on one side of a validation split.
"""

import dataclasses

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from dualcam.data.sources import sound_folders


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Rows of a set's files, [n] int64 each; `name` identifies the split."""

    name: str
    training: np.ndarray
    validation: np.ndarray
    testing: np.ndarray


def splits(sound_set: sound_folders.SoundSet, seed: int = 0, share: float = 0.2) -> list[Split]:
    """Makes a data set's splits.

    With folds, each one is tested on once. DCASE's lists are used as given. With neither, a fifth
    of the files is for testing. In each case a share of the rest is for validation.

    Args:
        sound_set: a `sound_folders.SoundSet`.
        seed: of random choices.
        share: of the files not used for testing, for validation.

    Returns:
        A list of `Split`s.

    Raises:
        ValueError: there are too few files per class to split.
    """
    rows, found = np.arange(len(sound_set.sounds)), []
    given = [sound.split for sound in sound_set.sounds]
    if any(given):
        found = [('evaluation set', np.array([split == 'evaluate' for split in given]))]
    elif len(sound_set.folds) > 1:
        folds = np.array([sound.fold for sound in sound_set.sounds])
        found = [(f'fold {fold}', folds == fold) for fold in sound_set.folds]
    else:
        tested = np.zeros(len(rows), bool)
        tested[held_out(sound_set, rows, seed, 0.2)[1]] = True
        found = [('a fifth', tested)]
    made = []
    for name, tested in found:
        training, validation = held_out(sound_set, rows[~tested], seed, share)
        made.append(Split(name, training, validation, rows[tested]))
    return made


def held_out(
    sound_set: sound_folders.SoundSet, rows: np.ndarray, seed: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Splits rows in two, the second part about a share, stratified by class as far as possible.

    Returns:
        (the larger part, the share), both sorted.

    Raises:
        ValueError: a class has too few recordings.
    """
    labels = sound_set.labels[rows]
    groups = [
        f'{sound_set.sounds[row].label}/{sound_set.sounds[row].source or row}' for row in rows
    ]
    parts = round(1 / share)
    for label, name in enumerate(sound_set.classes):
        own = {g for g, one in zip(groups, labels, strict=True) if one == label}
        if len(own) < 2:
            raise ValueError(
                f'{sound_set.root}: class "{name}" has {len(own)} recordings for '
                'training and validation; expected two or more'
            )
    parts = min(parts, int(np.bincount(labels).min()))
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    kept, held = next(folds.split(rows, labels, groups))
    return np.sort(rows[kept]), np.sort(rows[held])
