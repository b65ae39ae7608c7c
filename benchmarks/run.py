"""How fast the parts are on this machine: one command, one table.

    python benchmarks/run.py --out=DIR

Each row is a rate or a size, measured on data that is made up for it; the machine and the
versions stand above. Writes <out>/benchmarks.md and .json, and prints the table.
"""

import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))     # run from the checkout
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')     # before TensorFlow: its start is chatty

import numpy as np
import soundfile
import tensorflow as tf
from absl import app, flags

from dualcam import export, models, triplet
from dualcam.data import datasets, features, frontend
from dualcam.data import store as store_lib
from dualcam.evaluation import retrieval as retrieval_lib
from dualcam.models import resnet
from records import writer


def resnet_features(folder):
    """Frames a second from records on disk to kept features of ResNet-50, all frames asked for."""
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8),
                      np.ones((16, 16, 1), np.uint8))                          # [480, 640, 3]
    paths = []
    for i in range(20):
        frames = [np.roll(picture, (i, 8 * f), axis=(0, 1)) for f in range(12)]
        path = folder / f'Data_{i + 1:03d}.tfrecord'
        writer.write_record(path, writer.second_to_example(
            {'action': 0, 'location': 0, 'subject': 0}, {'video': frames}))
        paths.append(str(path))
    store = store_lib.open_store(paths, [], folder / 'cache')
    made = features.FrameFeatures(store, resnet.build_backbone(), folder / 'features')
    frames = np.arange(12)
    made.require(np.zeros(12, int), frames)                                    # traces
    rows = np.repeat(np.arange(1, 20), 12)
    started = time.perf_counter()
    made.require(rows, np.tile(frames, 19))
    return len(rows) / (time.perf_counter() - started)


def embedding(folder):
    """Clips a second, and the largest memory of the command that embeds 1,000 clips of 5 s."""
    rng, seconds = np.random.default_rng(0), 5
    model = models.build('hearnet', 10, seconds=seconds)
    ears = frontend.Frontend('spectrogram', 'log', (np.zeros(257, np.float32),
                                                    np.ones(257, np.float32)), band_limited=False)
    info = datasets.DatasetInfo('noise', tuple('abcdefghij'), 'noise', 0)
    export.export(model, folder / 'model' / '1', info, seconds, ears)
    (folder / 'in').mkdir()
    for number in range(1000):
        soundfile.write(folder / 'in' / f'{number:04d}.wav',
                        0.1 * rng.standard_normal(seconds * 44_100), 44_100)
    started = time.perf_counter()
    subprocess.run([sys.executable, '-m', 'dualcam.main', 'embed', f'--model={folder}/model',
                    f'--input={folder}/in', f'--out={folder}/features.npz'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rate = 1000 / (time.perf_counter() - started)
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return rate, kibibytes / 2**20


def serving(folder):
    """Milliseconds to the answer to one 5 s waveform (median, 99 %) and to 32, and their rate."""
    seconds, width = 5, np.zeros(257, np.float32)
    width[:145] = 300.0                       # a training set of 12,288 Hz recordings
    ears = frontend.Frontend('spectrogram', statistics=(np.zeros(257, np.float32), width))
    model = models.build('hearnet', 14, seconds=seconds, bins_heard=ears.bins_heard)
    info = datasets.DatasetInfo('noise', tuple('abcdefghijklmn'), 'noise', 0)
    export.export(model, folder / 'model' / '1', info, seconds, ears)
    loaded = tf.saved_model.load(str(folder / 'model' / '1'))
    serve = loaded.signatures[export.SIGNATURE]
    sound = np.random.default_rng(0).standard_normal((32, 22_050 * seconds)).astype(np.float32)
    figures = []
    for batch, calls in ((1, 400), (32, 40)):
        waveform, times = tf.constant(sound[:batch]), []
        for _ in range(calls + 5):
            started = time.perf_counter()
            serve(waveform=waveform)['probabilities'].numpy()
            times.append(time.perf_counter() - started)
        figures += list(1e3 * np.percentile(times[5:], (50, 99)))
    return *figures, 32e3 / figures[2]


def correspondence(_):
    """Milliseconds, share of the direct form's, and MiB beyond the maps of ECCV 2020's losses.

    Each form has a process of its own, whose largest memory is read.
    """
    spent = []
    for direct in (False, True):
        with concurrent.futures.ProcessPoolExecutor(
                1, multiprocessing.get_context('spawn')) as pool:
            spent.append(pool.submit(_triplets, direct).result())
    (ours, memory), (others, other_memory) = spent
    return 1e3 * ours, others / ours, memory, other_memory


def _triplets(direct, batch=64):
    """Seconds (median of 7) and MiB beyond the maps of a batch's loss and gradients."""
    def features(audio, video):
        if direct:
            return tf.math.l2_normalize(tf.reduce_sum(
                audio[:, None] * video * video, axis=[2, 3]), axis=-1)
        return triplet.audio_visual_features(audio, video)

    @tf.function(input_signature=[tf.TensorSpec([None, 12, 16, 128])] * 2
                 + [tf.TensorSpec([None], tf.int64)])
    def gradients(audio, video, videos):
        with tf.GradientTape() as tape:
            tape.watch((audio, video))
            loss, _ = triplet.all_triplets(
                triplet.squared_distances(triplet.audio_features(audio), features(audio, video)),
                triplet.same_video(videos, videos), 0.2)
        return loss, tape.gradient(loss, (audio, video))
    rng, times = np.random.default_rng(0), []
    audio, video = (tf.constant(rng.random((batch, 12, 16, 128), np.float32)) for _ in range(2))
    videos = tf.constant(np.arange(batch) // 2)
    gradients(audio[:2], video[:2], tf.constant([0, 1], tf.int64))             # traces
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    before = pages * resource.getpagesize() / 2**20
    for _ in range(7):
        started = time.perf_counter()
        loss, _ = gradients(audio, video, videos)
        float(loss)
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return float(np.median(times)), peak - before


def retrieval(_):
    """Seconds of rank-k retrieval among 1,400 clips: sounds as maps, and as vectors."""
    rng, times = np.random.default_rng(0), []
    maps, video = (rng.random((1400, 12, 16, 128), np.float32) for _ in range(2))
    labels = rng.integers(0, 10, 1400)
    for sounds in (maps, maps[:, 0, 0]):
        started = time.perf_counter()
        retrieval_lib.ranks(sounds, video, labels)
        times.append(time.perf_counter() - started)
    return times


# what with which unit (one or more), function of a scratch folder that gives the numbers
ROWS = (
    ((('ResNet-50 features of video, records to disk', 'frames/s'),), resnet_features),
    ((('dualcam embed, HearNet, 5 s files of 44.1 kHz, start included', 'clips/s'),
      ('its largest memory for 1,000 files (limit 1.5)', 'GiB')), embedding),
    ((('serving HearNet, one 5 s waveform, median (limit 12)', 'ms'), ('its 99th percentile', 'ms'),
      ('serving HearNet, 32 waveforms of 5 s, median', 'ms'), ('its 99th percentile', 'ms'),
      ('its rate (reach 250)', 'clips/s')), serving),
    ((('correspondence loss and gradients, batch of 64 maps', 'ms'),
      ('how many times as fast as with all products made (reach 5)', 'times'),
      ('its memory beyond the maps (limit 200)', 'MiB'),
      ('that with all products made', 'MiB')), correspondence),
    ((('retrieval among 1,400 clips, sounds as maps', 's'), ('sounds as vectors', 's')),
     retrieval),
)


def main(_):
    """The command."""
    out = pathlib.Path(flags.FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    machine = (f'{os.cpu_count()} processors ({_processor()}), Python '
               f'{platform.python_version()}, TensorFlow {tf.__version__}')
    rows = []
    for names, measure in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            values = np.atleast_1d(measure(pathlib.Path(folder)))
        rows += [{'row': name, 'rate': float(value), 'unit': unit}
                 for (name, unit), value in zip(names, values, strict=True)]
    text = '\n'.join([f'Measured on {machine}.', '', '| row | measured |', '|---|---|',
                      *(f'| {r["row"]} | {r["rate"]:.3g} {r["unit"]} |' for r in rows)]) + '\n'
    (out / 'benchmarks.md').write_text(text, encoding='utf-8')
    (out / 'benchmarks.json').write_text(json.dumps({'machine': machine, 'rows': rows}, indent=1)
                                         + '\n', encoding='utf-8')
    print(text + f'written: {out}/benchmarks.md, .json')


def _processor():
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


if __name__ == '__main__':
    flags.DEFINE_string('out', None, 'Where the table goes.', required=True)
    app.run(main)
