"""Small tagged clips: each class has a tone and a picture colour."""

import io

import numpy as np
import soundfile
from PIL import Image

from dualcam.data import schema
from dualcam.data.sources import datasets, tagging_lists
from records import writer

INFO = datasets.DatasetInfo('tiny', ('low', 'middle', 'high'), 'tones', num_locations=1)
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
TONES_HZ = (220.0, 1100.0, 5000.0)
RATE_HZ = schema.CLIP_RATE_HZ


def sound(labels, clip_s, rng, rate_hz=RATE_HZ):
    """[samples] float64: the tones of some classes plus faint noise."""
    seconds = np.arange(round(clip_s * rate_hz)) / rate_hz
    signal = 0.001 * rng.standard_normal(len(seconds))
    for label in labels:
        signal += 0.1 * np.sin(2 * np.pi * TONES_HZ[label] * seconds)
    return signal


def jpeg(colour, size=(40, 30)):
    """A picture of one colour as JPEG bytes."""
    file = io.BytesIO()
    Image.new('RGB', size, tuple(colour)).save(file, 'JPEG', quality=90)
    return file.getvalue()


def write_records(root, labels, clip_s, rng, split='training'):
    """Writes records of clips with these labels, list and description; returns their paths."""
    paths = []
    for number, (numbers, hot) in enumerate(
        zip(labels, tagging_lists.multi_hot(labels, INFO.num_classes), strict=True)
    ):
        samples = np.rint(sound(numbers, clip_s, rng) * 32_768).astype(np.int16)
        frames = [jpeg(COLOURS[numbers[second % len(numbers)]]) for second in range(clip_s)]
        path = root / split / f'clip_{number:03d}{schema.RECORD_SUFFIX}'
        writer.write_record(path, writer.clip_to_example(path.stem, samples, frames, hot))
        paths.append(str(path))
    (root / f'{split}.txt').write_text(''.join(f'{path}\n' for path in paths))
    datasets.write_description(root, INFO)
    return paths


def write_delivered(root, clips, clip_s, rng):
    """Writes sound and frames of {name: labels} in original format, with a DCASE 2017 list."""
    (root / 'audio').mkdir(parents=True)
    rows = []
    for name, labels in clips.items():
        soundfile.write(
            root / 'audio' / f'{name}.wav', sound(labels, clip_s, rng), RATE_HZ, 'PCM_16'
        )
        (root / 'frames' / name).mkdir(parents=True)
        for second in range(clip_s):
            (root / 'frames' / name / f'{second + 1}.jpg').write_bytes(
                jpeg(COLOURS[labels[second % len(labels)]])
            )
        rows += [f'{name}.wav\t0.000\t{clip_s}.000\t{INFO.classes[label]}' for label in labels]
    (root / 'list.csv').write_text('\n'.join(rows) + '\n')
    datasets.write_description(root, INFO)
    return root
