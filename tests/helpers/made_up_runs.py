"""A finished run's files as far as its report needs them, and its clips."""

import json

import numpy as np

from dualcam.reports import samples

CLASSES = ('rain', 'dog bark', 'clock <tick>')


class Clips:
    """Replaces `clip_sets.Clips`: 7 clips, classes 0, 0, 0, 1, 1, 2, 2."""

    def __init__(self):
        self.columns = {
            'label': np.array([0, 0, 0, 1, 1, 2, 2]),
            'teacher_logits': np.eye(3)[[0, 1, 0, 1, 1, 2, 0]],
        }

    def waveform(self, number):
        return np.sin(np.arange(22_050) * 0.01 * (number + 1)).astype(np.float32) * 256

    def images(self, number):
        images = np.zeros((12, 36, 48, 12), np.float32)
        images[number, 3 * number, 5, 0] = 9.0
        return images

    def picture(self, number, frame):
        assert frame == number  # the loudest one
        return np.full((480, 640, 3), 10 * number, np.uint8)


LOGITS = np.eye(3)[[0, 0, 1, 1, 1, 2, 1]] * 4.0


def write_run(folder):
    """Fills the folder of a run, with five examples."""
    folder.mkdir(exist_ok=True)
    history = [
        {
            'epoch': e,
            'train/total': 2.0 / (e + 1),
            'train/accuracy': 0.5,
            'validation/total': 1.5,
            'validation/accuracy': 0.4,
        }
        for e in range(3)
    ]
    for name, content in (
        (
            'run.json',
            {
                'classes': CLASSES,
                'origin': 'made <up>',
                'seed': 7,
                'commit': None,
                'params': {'network': 'hearnet', 'loop': {'epochs': 3}},
                'versions': {'keras': '3'},
            },
        ),
        (
            'metrics.json',
            {
                'best_epoch': 1,
                'validation_accuracy': 0.4,
                'training_clips': 70,
                'validation_clips': 7,
                'history': history,
            },
        ),
        ('answers.json', {'accuracy': 0.5, 'labels': [0, 1], 'answers': [0, 0]}),
        ('test_all.json', {'accuracy': 0.5, 'labels': [2, 1], 'answers': [2, 0]}),
    ):
        (folder / name).write_text(json.dumps(content))
    (folder / 'saved_model').mkdir()
    samples.save(samples.choose(Clips(), 5), LOGITS, CLASSES, folder / 'examples')
    return folder
