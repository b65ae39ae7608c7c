"""Records of one second of noise, as small as the schema allows."""

import pathlib

import numpy as np

from dualcam.data import schema
from records import writer

LABELS = {'action': 3, 'location': 1, 'subject': 2}
_FRAMES = schema.FRAMES_PER_SECOND


def noise(rng, modalities=('acoustic', 'audio'), mics=2, video_size=(48, 64)):
    """{modality: twelve frames} of noise, for `writer.second_to_example`."""
    makers = {
        'acoustic': lambda: rng.standard_normal((_FRAMES, *schema.ACOUSTIC_SHAPE)).astype('f4'),
        'audio': lambda: rng.integers(-9, 9, (_FRAMES, mics, 1024), dtype=np.int32),
        'video': lambda: rng.integers(0, 256, (_FRAMES, *video_size, 3), dtype=np.uint8),
    }
    return {name: list(makers[name]()) for name in modalities}


def write_second(path, frames, labels=LABELS):
    """Writes a record; returns its path as a string."""
    writer.write_record(pathlib.Path(path), writer.second_to_example(labels, frames))
    return str(path)


def write_seconds(folder, rng, count=5):
    """Writes records of one folder, each with its number from 0 as action; returns their paths."""
    return [
        write_second(folder / f'Data_{i + 1:03d}.tfrecord', noise(rng), LABELS | {'action': i})
        for i in range(count)
    ]
