"""A few validation clips to look at and to listen to: what boards and reports show of a run."""

import dataclasses
import json
import pathlib

import numpy as np
import soundfile

from dualcam.data import audio
from dualcam.evaluation import overlays

_NUM_SAMPLES = 4
_SPECTROGRAM = 480, 160               # pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One clip.

    Attributes:
        number: of the clip among the validation clips.
        label: its class.
        waveform: [samples] at 22,050 Hz, or None where the run has no sound.
        overlay: [height, width, 3] uint8 of its loudest frame, or None without acoustic images.
        teacher: the teacher's logits [classes], or None.
    """
    number: int
    label: int
    waveform: np.ndarray | None
    overlay: np.ndarray | None
    teacher: np.ndarray | None

    def said(self, classes, answer):
        """Names of its class, of what the teacher, if any, and of what the network says."""
        named = {'class': classes[self.label]}
        if self.teacher is not None:
            named['teacher'] = classes[int(np.argmax(self.teacher))]
        return named | {'answer': classes[int(answer)]}


def choose(clips, num_samples=_NUM_SAMPLES):
    """Up to so many clips, of as many classes as possible, the same for equal runs.

    Args:
        clips: `clips.Clips` or `sound_clips.SoundClips`, or None.

    Returns:
        `Sample`s.
    """
    if clips is None:
        return []
    labels = np.asarray(clips.columns['label'])
    numbers = spread(labels, num_samples)
    teacher = clips.columns.get('teacher_logits')
    return [Sample(int(number), int(labels[number]), clips.waveform(number),
                   _overlay(clips, number), None if teacher is None else teacher[number])
            for number in numbers]


def spread(labels, count):
    """Numbers of up to `count` clips of as many classes as possible, [n] int64.

    The first clip of each class, then the second of each ...
    """
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, turn))[:count]


def _overlay(clips, number):
    images = clips.images(number)
    if images is None:
        return None
    decibels = overlays.maps(images)
    frame = int(decibels.max(axis=(1, 2)).argmax())
    return overlays.overlay(overlays.levels(decibels)[frame], clips.picture(number, frame),
                            overlays.SIZE)


def save(samples, logits, classes, folder):
    """Writes the samples for `report.write`: pictures, sounds and answers.

    Args:
        samples: what `choose` gives.
        logits: [clips, classes] of all validation clips.
        classes: names.
        folder: the run's `examples`.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    entries = []
    for place, sample in enumerate(samples, 1):
        entry = sample.said(classes, np.argmax(logits[sample.number]))
        if sample.overlay is not None:
            entry['overlay'] = f'{place}_overlay.png'
            (folder / entry['overlay']).write_bytes(overlays.png(sample.overlay))
        if sample.waveform is not None:
            entry['spectrogram'], entry['sound'] = f'{place}_spectrogram.png', f'{place}.wav'
            (folder / entry['spectrogram']).write_bytes(overlays.png(
                overlays.spectrogram_picture(sample.waveform, _SPECTROGRAM)))
            soundfile.write(folder / entry['sound'], 0.9 * audio.to_peak(sample.waveform).numpy(),
                            audio.SAMPLE_RATE_HZ, 'PCM_16')
        entries.append(entry)
    (folder / 'examples.json').write_text(json.dumps(entries, indent=1) + '\n', encoding='utf-8')
