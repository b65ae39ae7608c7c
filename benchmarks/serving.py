"""Rates of trained students: embedding files, serving a SavedModel."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import soundfile
import tensorflow as tf

from benchmarks import measure
from dualcam import models
from dualcam.data.clips import record_clips
from dualcam.data.packers import sound_packer
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets, sound_folders
from dualcam.export import saved_models
from dualcam.training import loop, recipes, run, run_data
from dualcam.training.recipes import supervised

_DISTINCT = 500
# `dualcam`, printing its peak memory at exit.
_WATCHED = (
    'import atexit, sys; from benchmarks import measure; from dualcam.cli import main; '
    'atexit.register(lambda: print(measure.largest_mib())); sys.exit(main.main())'
)


def embedding(folder, count=10_000, seconds=5):
    """The command that embeds many files: its rate and its peak memory."""
    train_student(folder, seconds)
    write_sounds(folder / 'in', count, seconds)
    for name, model, reach in (
        (f'dualcam embed, a run of HearNet, {count:,} files of 5 s at 44.1 kHz', 'run', '250'),
        ('the same, its SavedModel', 'run/saved_model', ''),
    ):
        found = []
        for attempt in range(measure.RUNS):
            started = time.perf_counter()
            done = subprocess.run(
                [
                    sys.executable,
                    '-c',
                    _WATCHED,
                    'embed',
                    f'--model={folder}/{model}',
                    f'--input={folder}/in',
                    f'--out={folder}/{pathlib.Path(model).name}-{attempt}.npz',
                ],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            found.append(count / (time.perf_counter() - started))
        yield measure.row(f'{name}, startup included', 'files/s', found, reach=reach)
        yield measure.Row(
            f'its peak memory for {count:,} files',
            float(done.stdout.split()[-1]) / 2**10,
            'GiB',
            'below 1.5',
        )


def write_sounds(folder, count, seconds=5):
    """Writes files of noise; only `_DISTINCT` of them, the others are links to them."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f'{number:05d}.wav'
        if number < _DISTINCT:
            soundfile.write(path, 0.1 * rng.standard_normal(seconds * 44_100), 44_100)
        else:
            os.link(folder / f'{number % _DISTINCT:05d}.wav', path)


def train_student(folder, seconds):
    """Trains a HearNet on a little noise: its run is `folder`/run."""
    for label in 'ab':
        write_sounds(folder / 'sounds' / label, 8, seconds)
    found = sound_folders.find_sounds(folder / 'sounds')
    store, _ = sound_packer.open_sounds(found, folder / 'cache')
    rows = np.arange(len(store.paths))
    data = run_data.SoundData(
        store, rows[::2], rows[1::2], datasets.DatasetInfo('noise', ('a', 'b'), 'noise', 0)
    )
    params = supervised.RunParams(
        'hearnet',
        record_clips.ClipParams(seconds, seconds, 1),
        loop.LoopParams(1, 8),
        normalisation='log',
        band_limited=False,
    )
    run.train(recipes.SUPERVISED, params, data, folder / 'run')


def export_student(folder, seconds):
    """Writes a HearNet as a SavedModel."""
    model = models.build('hearnet', 10, seconds=seconds)
    frontend = frontends.Frontend(
        'spectrogram',
        'log',
        (np.zeros(257, np.float32), np.ones(257, np.float32)),
        band_limited=False,
    )
    info = datasets.DatasetInfo('noise', tuple('abcdefghij'), 'noise', 0)
    saved_models.export(model, folder, info, seconds, frontend)


def starting(folder):
    """Seconds until a command has ended that has next to nothing to do."""
    export_student(folder / 'model' / '1', 1)
    soundfile.write(folder / 'a.wav', np.random.default_rng(0).uniform(-0.1, 0.1, 22_050), 22_050)
    sound = f'--input={folder}/a.wav'
    for name, reach, code, arguments in (
        ('dualcam --help', 'below 0.3', 0, ['--help']),
        (
            'dualcam classify without its model: an error',
            'below 0.3',
            1,
            ['classify', f'--model={folder}/none', sound],
        ),
        (
            'dualcam classify of one file, which loads TensorFlow',
            'below 3',
            0,
            ['classify', f'--model={folder}/model', sound],
        ),
    ):
        times = []
        for _ in range(measure.RUNS + 1):
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, '-m', 'dualcam', *arguments], check=False, capture_output=True
            )
            times.append(time.perf_counter() - started)
            assert done.returncode == code, done.stderr
        yield measure.row(name, 's', times[1:], reach=reach)  # the first one fills the file cache


def serving(folder, seconds=5):
    """One 5 s waveform, and 32 at a time."""
    width = np.zeros(257, np.float32)
    width[:145] = 300.0  # a training set of 12,288 Hz recordings
    frontend = frontends.Frontend('spectrogram', statistics=(np.zeros(257, np.float32), width))
    model = models.build('hearnet', 14, seconds=seconds, bins_heard=frontend.bins_heard)
    info = datasets.DatasetInfo('noise', tuple('abcdefghijklmn'), 'noise', 0)
    saved_models.export(model, folder / 'model' / '1', info, seconds, frontend)
    loaded = tf.saved_model.load(str(folder / 'model' / '1'))
    serve = loaded.signatures[saved_models.SIGNATURE]
    sound = np.random.default_rng(0).standard_normal((32, 22_050 * seconds)).astype(np.float32)
    for batch, calls, reach in ((1, 400, 'below 12'), (32, 40, '')):
        waveform, times = tf.constant(sound[:batch]), []
        for _ in range(calls + 5):
            started = time.perf_counter()
            serve(waveform=waveform)['probabilities'].numpy()
            times.append(time.perf_counter() - started)
        middle, late = 1e3 * np.percentile(times[5:], (50, 99))
        name = f'serving HearNet, {"one 5 s waveform" if batch == 1 else "32 waveforms"}'
        yield measure.Row(f'{name}, median of {calls}', middle, 'ms', reach)
        yield measure.Row('its 99th percentile', late, 'ms')
    yield measure.Row('its rate', 32e3 / middle, 'clips/s', '250')
