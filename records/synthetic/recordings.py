"""Real recordings as the simulator's sources: one folder per class, distributed without sharing.

Lists may put any take into any split, so each take gets its own files: no file is used in two
takes.
"""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.signal

from dualcam.data import schema
from dualcam.data.sources import sound_decoders, sound_folders
from dualcam.files.path_types import AnyPath

_LONGEST_S = 60.0  # used of one file; enough for any unit, and limits memory


def of_folds(
    sound_set: sound_folders.SoundSet, folds: Sequence[int] = ()
) -> tuple[dict[str, list[pathlib.Path]], tuple[int, ...]]:
    """Classes and their files.

    Args:
        sound_set: a `sounds.SoundSet` of sound files.
        folds: numbers of the folds to use; empty for all.

    Returns:
        {class name: sorted paths}, and the numbers of the folds that these are.

    Raises:
        ValueError: there is no such fold.
    """
    unknown = set(folds) - set(sound_set.folds)
    if unknown:
        raise ValueError(
            f'{sound_set.root}: no fold {min(unknown)}; it has '
            f'{", ".join(map(str, sound_set.folds)) or "none"}'
        )
    classes: dict[str, list[pathlib.Path]] = {name: [] for name in sound_set.classes}
    for sound in sound_set.sounds:
        if not folds or sound.fold in folds:
            classes[sound_set.classes[sound.label]].append(pathlib.Path(sound.path))
    return (
        {name: sorted(paths) for name, paths in classes.items()},
        tuple(sorted(folds)) or tuple(sound_set.folds),
    )


def deal(classes: Mapping[str, Sequence], num_units: int, seed: int) -> dict[str, list]:
    """Distributes files over the units of each class, every file to one unit only.

    Args:
        classes: from `sounds.class_folders`.
        num_units: units per class: takes of all locations and subjects, or videos.
        seed: of the shuffle.

    Returns:
        {class name: [files of unit 0, files of unit 1, ...]}

    Raises:
        ValueError: a class has fewer files than units.
    """
    dealt = {}
    for index, (name, files) in enumerate(classes.items()):
        if len(files) < num_units:
            raise ValueError(
                f'class "{name}" ({files[0].parent}): {len(files)} recordings for {num_units} '
                'units of sound that must not share any; add recordings, or use fewer '
                '--subjects (make ... SUBJECTS=2), fewer --videos or a smaller --preset'
            )
        order = np.random.default_rng([seed, index]).permutation(len(files))
        dealt[name] = [[files[i] for i in order[unit::num_units]] for unit in range(num_units)]
    return dealt


def names(dealt: Sequence | None) -> list[list[list[str]]]:
    """The distribution of files, for JSON; an empty list for None."""
    return [[[str(file) for file in unit] for unit in units] for units in dealt or ()]


def unit_sound(files: Sequence[AnyPath], duration_s: float) -> np.ndarray:
    """Dry sound of one unit: its files concatenated, repeated as often as necessary.

    Args:
        files: paths.
        duration_s: of the result.

    Returns:
        [samples] float64 at 12,288 Hz; each file's silent ends are trimmed and its loud parts
        scaled to an RMS of 0.1.

    Raises:
        ValueError: a file is unreadable or silent; the message names it.
    """
    parts = [read_recording(path) for path in files]
    joined = np.concatenate(parts)
    wanted = round(duration_s * schema.ARRAY_RATE_HZ)
    return np.tile(joined, -(-wanted // len(joined)))[:wanted]


def read_recording(path: AnyPath, wanted_hz: int = schema.ARRAY_RATE_HZ) -> np.ndarray:
    """One recording, mono at `wanted_hz`, without silent ends; see `unit_sound`."""
    rate_hz, blocks = sound_decoders.open_blocks(path)
    held, longest, count = [], int(_LONGEST_S * rate_hz), 0
    for block in blocks:
        held.append(block.astype(np.float64))
        count += len(block)
        if count >= longest:
            break
    samples = np.concatenate(held)[:longest] if held else np.zeros((0, 1))
    mono = samples.mean(axis=1)
    if len(mono) < rate_hz // 20 or not np.all(np.isfinite(mono)) or np.ptp(mono) == 0:
        raise ValueError(f'{path}: contains no sound; delete or replace it')
    common = np.gcd(rate_hz, wanted_hz)
    mono = scipy.signal.resample_poly(mono, wanted_hz // common, rate_hz // common)
    size = wanted_hz // 40  # 25 ms
    mono = np.pad(mono, (0, -len(mono) % size))
    power = np.square(mono.reshape(-1, size)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 1e-4)  # 40 dB below the loudest
    mono = mono[loud[0] * size : (loud[-1] + 1) * size]
    return mono * (0.1 / np.sqrt(power[loud].mean()))
