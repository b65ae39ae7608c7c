"""Eight sequences of 2 s, with two classes that differ in pitch, position and colour."""

import numpy as np

from dualcam.data.packers import record_packer
from dualcam.data.sources import datasets
from dualcam.training import run_data

INFO = datasets.DatasetInfo('toy', ('low', 'high'), 'made up', 1)


def make_store():
    rng = np.random.default_rng(0)
    time = np.arange(2 * 12_288) / 12_288
    sound, images, frames, labels = [], [], [], []
    for i in range(8):
        kind = i % 2
        signal = np.sin(2 * np.pi * (500, 3000)[kind] * time) * 3e5
        signal += rng.standard_normal(len(time)) * 1e5
        sound.append(signal.reshape(2, 12, 1024).astype(np.int32))
        image = rng.standard_normal((2, 12, 36, 48, 12)).astype(np.float32) * 0.1
        image[:, :, 10:20, 10:20, kind] += 1
        images.append(image)
        frame = rng.integers(0, 100, (2, 2, 224, 298, 3), dtype=np.uint8)
        frame[..., 2 * kind] += 120
        frames.append(frame)
        labels += [kind] * 2
    paths = tuple(
        f'/r/class_{i % 2}/data_{i:03d}/Data_{j + 1:03d}.tfrecord'
        for i in range(8)
        for j in range(2)
    )
    return record_packer.RecordStore(
        paths,
        {'label': np.array(labels), 'group': np.repeat(np.arange(8), 2)},
        {
            'audio': np.concatenate(sound),
            'acoustic': np.concatenate(images),
            'frames': np.concatenate(frames),
        },
        'toy',
        mirrored=True,
    )


def make_data(store):
    return run_data.RunData(store, list(store.paths[:12]), list(store.paths[12:]), INFO)
