"""Real recordings as the simulator's sources: a folder a class, dealt out so that none is shared.

Every stretch of `unit_seconds` of a take is a unit that a list may put into any split, so each
gets files of its own: no file is heard in two units, whatever the lists do with them.
"""

import pathlib

import numpy as np
import scipy.signal
import soundfile

from dualcam.data import schema

SUFFIXES = ('.wav', '.ogg', '.flac')
_LONGEST_S = 60.0     # of one file; enough for any unit, and bounds the memory


def find_recordings(folder):
    """Classes and their files.

    Args:
        folder: holds one folder a class with .wav, .ogg or .flac files.

    Returns:
        {class name: sorted paths}, classes in alphabetical order.

    Raises:
        ValueError: no such folder, fewer than two classes, or an empty class.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder; expected one folder a class with '
                         f'{", ".join(SUFFIXES)} files')
    classes = {}
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != '.'):
        files = sorted(p for p in inner.iterdir() if p.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(f'{inner}: no {", ".join(SUFFIXES)} file in this class')
        classes[inner.name.replace('_', ' ')] = files
    if len(classes) < 2:
        raise ValueError(f'{folder}: {len(classes)} class folders; expected two or more, each '
                         'with its recordings')
    return classes


def deal(classes, num_units, seed):
    """Files of each unit of each class, every file in one unit only.

    Args:
        classes: what `find_recordings` gives.
        num_units: units a class: locations x subjects x units a take.
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
                'units of sound that must not share any; add recordings, or take fewer '
                '--subjects or a smaller --preset')
        order = np.random.default_rng([seed, index]).permutation(len(files))
        dealt[name] = [[files[i] for i in order[unit::num_units]] for unit in range(num_units)]
    return dealt


def unit_sound(files, duration_s):
    """Dry sound of one unit from its files, one after the other, over again until it is full.

    Args:
        files: paths.
        duration_s: of the result.

    Returns:
        [samples] float64 at 12,288 Hz; silent ends are cut off each file and its loud parts
        brought to an RMS of 0.1.

    Raises:
        ValueError: a file cannot be read, or holds no sound; the message names it.
    """
    parts = [read_recording(path) for path in files]
    joined = np.concatenate(parts)
    wanted = round(duration_s * schema.ARRAY_RATE_HZ)
    return np.tile(joined, -(-wanted // len(joined)))[:wanted]


def read_recording(path):
    """One recording, mono at 12,288 Hz, without silent ends; see `unit_sound`."""
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            samples = file.read(int(_LONGEST_S * rate_hz), dtype='float64', always_2d=True)
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise ValueError(f'{path}: not a readable sound file ({error})') from error
    mono = samples.mean(axis=1)
    if len(mono) < rate_hz // 20 or not np.all(np.isfinite(mono)) or np.ptp(mono) == 0:
        raise ValueError(f'{path}: holds no sound; delete it or put another in its place')
    common = np.gcd(rate_hz, schema.ARRAY_RATE_HZ)
    mono = scipy.signal.resample_poly(mono, schema.ARRAY_RATE_HZ // common, rate_hz // common)
    size = schema.ARRAY_RATE_HZ // 40                                    # 25 ms
    mono = np.pad(mono, (0, -len(mono) % size))
    power = np.square(mono.reshape(-1, size)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 1e-4)                    # 40 dB below the loudest
    mono = mono[loud[0] * size:(loud[-1] + 1) * size]
    return mono * (0.1 / np.sqrt(power[loud].mean()))
