"""Simulates the take used in the examples: two people in front of a UMA-16, 1.5 s.

    python examples/make_take.py --out=examples/take.wav

One claps, 20 degrees to the left and 5 down; from 0.5 s on, the other whistles, 18 degrees to the
right and 8 up. 16 channels of 16 bits at 12,288 Hz, the simulator's rate.
"""

import pathlib
import sys

# Import from the checkout's root instead of this folder, since records/ is not installed.
sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np
import soundfile
from absl import app, flags

from dualcam.acoustics import geometry_files, views
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.data.sources import datasets
from records.synthetic import propagation, sources, subjects

FRAMES = 18  # twelve per second
PLACES_DEG = {'clapping': (-20.0, -5.0), 'whistling': (18.0, 8.0)}
DISTANCE_M = 1.5
WHISTLE_FROM_S = 0.5
NOISE = 3e-4

_OUT = flags.DEFINE_string('out', None, 'WAV file to write', required=True)


def simulate() -> np.ndarray:
    """The simulated take, [samples, 16] float32, full scale 1."""
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
    """Writes the take."""
    soundfile.write(_OUT.value, simulate(), schema.ARRAY_RATE_HZ, 'PCM_16')
    print(f'written: {_OUT.value}', file=sys.stderr)


if __name__ == '__main__':
    app.run(errors.clean_errors(main))
