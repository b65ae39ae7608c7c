"""The take of the examples, simulated: two people before a UMA-16, 1.5 s.

    python examples/make_take.py --out=examples/take.wav

One claps, at 20 degrees to the left and 5 down; from 0.5 s on the other whistles, at 18 to the
right and 8 up. 16 channels of 16 bit at 12,288 Hz, as the simulator works.
"""

import pathlib
import sys

# The checkout's root in place of this folder: records/ is not installed.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np
import soundfile
from absl import app, flags

from dualcam.acoustics import geometry_files, views
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.data.sources import datasets
from records.synthetic import propagation, sources, subjects

FRAMES = 18  # twelve are a second
PLACES_DEG = {'clapping': (-20.0, -5.0), 'whistling': (18.0, 8.0)}
DISTANCE_M = 1.5
WHISTLE_FROM_S = 0.5
NOISE = 3e-4

_OUT = flags.DEFINE_string('out', None, 'WAV file to write', required=True)


def simulate() -> np.ndarray:
    """[samples, 16] float32, full scale 1."""
    rng = np.random.default_rng(4)
    positions_m = geometry_files.uma16().positions_m
    heard = []
    for number, (name, place) in enumerate(PLACES_DEG.items()):
        action = datasets.AVIA_CLASSES.index(name)
        signal = sources.parametric_source(
            action, subjects.subject(number), FRAMES / schema.FRAMES_PER_SECOND, rng
        )
        if name == 'whistling':
            signal[: round(WHISTLE_FROM_S * schema.ARRAY_RATE_HZ)] = 0
        heard.append(propagation.PointSource(signal, DISTANCE_M * views.direction(*place)[None]))
    signals = propagation.microphone_signals(heard, positions_m, FRAMES).T
    signals = signals + NOISE * rng.standard_normal(signals.shape)
    return (0.5 * signals / np.abs(signals).max()).astype(np.float32)


def main(argv: list[str]) -> None:
    """Writes it."""
    soundfile.write(_OUT.value, simulate(), schema.ARRAY_RATE_HZ, 'PCM_16')
    print(f'written: {_OUT.value}', file=sys.stderr)


if __name__ == '__main__':
    app.run(errors.clean_errors(main))
