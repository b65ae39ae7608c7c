"""Which files are learned from, chosen by and tested on.

Files of one recording (`Sound.source`) stay on one side of a validation split.
"""

import dataclasses

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from dualcam.data.sources import sound_folders


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Rows of a set's files: [n] int64 each; `name` says which split it is."""

    name: str
    training: np.ndarray
    validation: np.ndarray
    testing: np.ndarray


def splits(sound_set: sound_folders.SoundSet, seed: int = 0, share: float = 0.2) -> list[Split]:
    """The splits that a data set asks for.

    Folds: each one is tested on once. DCASE's lists: as they say. Neither: a fifth of the files
    is tested on. In each case a share of the rest is for choices.

    Args:
        sound_set: a `sound_folders.SoundSet`.
        seed: of what is drawn.
        share: of the files that are not tested on, for validation.

    Returns:
        A list of `Split`s.

    Raises:
        ValueError: there are too few files a class to split.
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
    """Rows in two parts, the second about a share, classes in equal parts as far as possible.

    Returns:
        (most of the rows, the share), both sorted.

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
                f'{sound_set.root}: class "{name}" has {len(own)} recordings to '
                'learn from and choose by; expected two or more'
            )
    parts = min(parts, int(np.bincount(labels).min()))
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    kept, held = next(folds.split(rows, labels, groups))
    return np.sort(rows[kept]), np.sort(rows[held])
