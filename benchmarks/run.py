"""How fast the parts are on this machine: one command, one table.

    python benchmarks/run.py --out=DIR

Each row is a rate, measured on data that is made up for it; the machine and the versions stand
above. Writes <out>/benchmarks.md and .json, and prints the table.
"""

import json
import os
import pathlib
import platform
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))     # run from the checkout
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')     # before TensorFlow: its start is chatty

import numpy as np
import tensorflow as tf
from absl import app, flags

from dualcam.data import features
from dualcam.data import store as store_lib
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


# what, unit, function of a scratch folder that gives the rate
ROWS = (
    ('ResNet-50 features of video, records to disk', 'frames/s', resnet_features),
)


def main(_):
    """The command."""
    out = pathlib.Path(flags.FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    machine = (f'{os.cpu_count()} processors ({_processor()}), Python '
               f'{platform.python_version()}, TensorFlow {tf.__version__}')
    rows = []
    for name, unit, measure in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append({'row': name, 'rate': measure(pathlib.Path(folder)), 'unit': unit})
    text = '\n'.join([f'Measured on {machine}.', '', '| row | rate |', '|---|---|',
                      *(f'| {r["row"]} | {r["rate"]:.1f} {r["unit"]} |' for r in rows)]) + '\n'
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
