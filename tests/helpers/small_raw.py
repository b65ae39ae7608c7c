"""Tiny raw recordings of every layout, fast to convert."""

import numpy as np
import scipy.io
import soundfile

from tests.helpers.tagged_clips import write_delivered


def write_avia(root, rng, sequences=((1, 1, 0), (2, 3, 5)), num_frames=19):
    """Takes (location, subject, action from 0) of small cepstra and sound below `root`."""
    for location, subject, action in sequences:
        name = f'Location_{location:02d}/Subject_{subject:02d}/Action_{action:03d}'
        images, sounds = root / 'matfiles' / name / 'MFCC_Image', root / 'sync' / name / 'audio'
        images.mkdir(parents=True)
        sounds.mkdir(parents=True)
        for i in range(1, num_frames + 1):
            _write_cepstra(images / f'Data_{i}.mat', rng)
            np.save(sounds / f'A_{i:06d}.npy', rng.integers(-99, 99, (1, 1024), np.int32))


def avia_call(raw, out, *options):
    """Python's arguments that convert AVIA's images and sound below `raw`."""
    return [
        *('-m', 'records.convert_avia', f'--matfiles={raw}/matfiles', f'--sync={raw}/sync'),
        *(f'--out={out}', '--modalities=0,1', *options),
    ]


def write_acivw(root, rng, videos=((0, 1), (3, 17)), num_frames=26):
    """Videos (class, number) of small cepstra only below `root`."""
    for label, number in videos:
        folder = root / f'class_{label}' / f'data_{number:03d}'
        (folder / 'MFCC_Image').mkdir(parents=True)
        for i in range(1, num_frames + 1):
            _write_cepstra(folder / 'MFCC_Image' / f'Data_{i}.mat', rng)
        (folder / 'video_time.txt').write_text(f'{label}_{number}.avi: {num_frames / 12:.3f}\n')


def write_sounds(root, rng):
    """Two classes with two sounds each, below `root`."""
    for name in ('rain', 'wind'):
        (root / name).mkdir(parents=True)
        for i in range(2):
            soundfile.write(root / name / f'{i}.wav', 0.1 * rng.standard_normal(2205), 22_050)


def write_clips(root, rng):
    """Four tagged clips of 1 s in their original format below `root`."""
    write_delivered(root, {f'clip{i}': (i % 3,) for i in range(4)}, 1, rng)


def _write_cepstra(path, rng):
    scipy.io.savemat(path, {'MFCC': rng.standard_normal((4, 5, 6))})
