"""Describes two epochs of clips, in a separate process, since threads are set at its start.

    python -m tests.helpers.clip_epochs

Prints JSON for `tests/dualcam/training/test_independence.py`.
"""

import hashlib
import json

import numpy as np

from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends


def epoch():
    """Digests of the order, crops and labels of two epochs, and means of their inputs; JSON."""
    rng = np.random.default_rng(0)
    paths = tuple(
        f'/r/Action_{f:03d}/Data_{i + 1:03d}.tfrecord' for f in range(6) for i in range(10)
    )
    held = record_packer.RecordStore(
        paths,
        {'label': np.repeat(np.arange(6), 10)},
        {'audio': rng.integers(-(10**6), 10**6, (60, 12, 1024)).astype(np.int32)},
        'digest',
    )
    rows = record_clips.sequence_rows(held, paths, 10)
    windows = record_clips.training_windows(rows, record_clips.ClipParams(10, 2, 4), 5)
    frontend = frontends.Frontend(
        'spectrogram', statistics=(np.zeros(257, np.float32), np.full(257, 9.0, np.float32))
    )
    exact, close = hashlib.sha256(windows.tobytes()), []
    for memory_bytes in (1 << 30, 0):
        made = record_clips.cut(held, windows, ['spectrogram'], frontend, memory_bytes=memory_bytes)
        for number in range(2):
            for batch in made.batches(5, (5, number)):
                exact.update(batch['clip'].numpy().tobytes() + batch['label'].numpy().tobytes())
                close += batch['input'].numpy().astype(np.float64).mean(axis=(1, 2)).tolist()
    return {'exact': exact.hexdigest(), 'close': close}


if __name__ == '__main__':
    print(json.dumps(epoch()))
