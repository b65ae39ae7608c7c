"""Thousands of requests to a served student: does its memory use stay constant?

    python -m tests.proofs.soak --requests=10000

HearNet is exported and reloaded in this process; its signatures are called with waveforms of random
length and, every fourth time, a WAV file of random length, rate and channels. Resident memory (from
/proc) is read after each hundredth of the requests; the largest value in the first fifth counts as
that of a warm process. Later values must not exceed it by more than 5 %.
"""

import contextlib
import ctypes
import dataclasses
import io
import os
import pathlib
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
import soundfile
import tensorflow as tf
from absl import app, flags

from dualcam import models
from dualcam.data import audio
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets
from dualcam.export import saved_models

LIMIT = 1.05  # of the warm process's memory
_CLASSES = tuple('abc')
_WARM_SHARE = 0.2
_RATES_HZ = (8000, 16_000, 22_050, 44_100, 48_000)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The measurements of a soak test.

    Attributes:
        warm_mib: resident memory once warm.
        largest_mib: the largest after that.
        last_mib: at the end.
        seconds: time for all requests.
    """

    warm_mib: float
    largest_mib: float
    last_mib: float
    seconds: float

    @property
    def growth(self):
        """The ratio of the largest memory to that of the warm process."""
        return self.largest_mib / self.warm_mib


def export_student(folder, seconds=2):
    """Exports an untrained HearNet for clips of some seconds; returns the SavedModel's folder."""
    ears = frontends.Frontend(
        'spectrogram',
        'log',
        (np.zeros(257, np.float32), np.ones(257, np.float32)),
        band_limited=False,
    )
    model = models.build('hearnet', len(_CLASSES), seconds=seconds)
    place = pathlib.Path(folder) / 'model' / '1'
    saved_models.export(
        model, place, datasets.DatasetInfo('noise', _CLASSES, 'noise', 0), seconds, ears
    )
    return place


def soak(signatures, requests, seed=0, longest_s=8.0):
    """Sends requests of random lengths.

    Args:
        signatures: of a loaded SavedModel, {name: function}.
        requests: their number.
        seed: of their lengths and contents.
        longest_s: longest sound; the shortest has 1 s, the minimum that is accepted.

    Returns:
        An `Outcome`.
    """
    return_freed()
    rng, memory_mib = np.random.default_rng(seed), []
    step = max(1, requests // 100)
    started = time.perf_counter()
    for number in range(requests):
        duration_s = rng.uniform(1.0, longest_s)
        if number % 4 == 3:
            answer = signatures[saved_models.WAV_SIGNATURE](
                wav_bytes=_wav_file(duration_s, rng)[None]
            )
        else:
            samples = round(duration_s * audio.SAMPLE_RATE_HZ)
            sound = rng.standard_normal((1, samples), np.float32)
            answer = signatures[saved_models.SIGNATURE](waveform=tf.constant(sound))
        total = float(tf.reduce_sum(answer['probabilities']))
        assert abs(total - 1.0) < 1e-4, total
        if (number + 1) % step == 0:
            memory_mib.append(resident_mib())
    warm = int(_WARM_SHARE * len(memory_mib))
    return Outcome(
        max(memory_mib[:warm]),
        max(memory_mib[warm:]),
        memory_mib[-1],
        time.perf_counter() - started,
    )


def return_freed():
    """Returns freed memory that glibc keeps to the system: growth could hide in it."""
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def resident_mib():
    """This process's resident memory."""
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def _wav_file(duration_s, rng):
    rate_hz, channels = int(rng.choice(_RATES_HZ)), int(rng.integers(1, 3))
    frames = int(np.ceil(duration_s * rate_hz)) + 1
    file = io.BytesIO()
    soundfile.write(file, rng.uniform(-1, 1, (frames, channels)), rate_hz, 'PCM_16', format='WAV')
    return tf.constant(file.getvalue())


def main(_):
    """Runs the command."""
    options = flags.FLAGS
    with tempfile.TemporaryDirectory() as folder:
        loaded = tf.saved_model.load(str(export_student(folder)))
        outcome = soak(loaded.signatures, options.requests, options.seed)
    print(
        f'{options.requests} requests of 1 - 8 s in {outcome.seconds:.0f} s: '
        f'{outcome.warm_mib:.0f} MiB once warm, at most {outcome.largest_mib:.0f} MiB after '
        f'that ({outcome.growth - 1:+.1%}), {outcome.last_mib:.0f} MiB in the end'
    )
    return int(outcome.growth > LIMIT)


if __name__ == '__main__':
    flags.DEFINE_integer('requests', 10_000, 'How many.', lower_bound=100)
    flags.DEFINE_integer('seed', 0, 'Of lengths, rates and contents.')
    app.run(main)
