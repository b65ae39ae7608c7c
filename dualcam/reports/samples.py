"""A few validation clips to see and hear, for TensorBoard and a run's report."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import soundfile

from dualcam.data import audio, schema
from dualcam.files.path_types import AnyPath
from dualcam.reports import overlays

_NUM_SAMPLES = 4
_SPECTROGRAM = 480, 160  # pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One clip.

    Attributes:
        number: of the clip among the validation clips.
        label: its class.
        waveform: [samples] at 22,050 Hz, or None if the run has no sound.
        overlay: [height, width, 3] uint8 of its loudest frame, or None without acoustic images.
        teacher: the teacher's logits [classes], or None.
    """

    number: int
    label: int
    waveform: np.ndarray | None
    overlay: np.ndarray | None
    teacher: np.ndarray | None

    def named(self, classes: Sequence[str], answer: int | np.integer) -> dict[str, str]:
        """Names of the true class and of the teacher's (if any) and the network's predictions."""
        named = {'class': classes[self.label]}
        if self.teacher is not None:
            named['teacher'] = classes[int(np.argmax(self.teacher))]
        return named | {'answer': classes[int(answer)]}


def choose(clips: Any, num_samples: int = _NUM_SAMPLES) -> list[Sample]:
    """Chooses up to `num_samples` clips from as many classes as possible, the same for equal runs.

    Args:
        clips: `clip_sets.Clips`, or None.

    Returns:
        `Sample`s.
    """
    if clips is None:
        return []
    labels = np.asarray(clips.columns['label'])
    numbers = spread(labels, num_samples)
    teacher = clips.columns.get('teacher_logits')
    return [
        Sample(
            int(number),
            int(labels[number]),
            clips.waveform(number),
            overlay(clips, number),
            None if teacher is None else teacher[number],
        )
        for number in numbers
    ]


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` clips from as many classes as possible, [n] int64.

    The first clip of each class, then the second of each ...
    """
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, turn))[:count]


def overlay(clips: Any, number: int) -> np.ndarray | None:
    """The loudest acoustic image of a clip over its video frame, or over grey.

    Args:
        clips: `clip_sets.Clips`, or their origin.
        number: of the clip.

    Returns:
        [height, width, 3] uint8, or None without acoustic images.
    """
    images = clips.images(number)
    if images is None:
        return None
    decibels = overlays.maps(images)
    frame = int(decibels.max(axis=(1, 2)).argmax())
    return overlays.overlay(
        overlays.levels(decibels)[frame], clips.picture(number, frame), overlays.SIZE
    )


def save(
    samples: Sequence[Sample], logits: np.ndarray, classes: Sequence[str], folder: AnyPath
) -> None:
    """Writes the samples for `run_page.write`: pictures, sounds and predictions.

    Args:
        samples: from `choose`.
        logits: [clips, classes] of all validation clips.
        classes: names.
        folder: the run's `examples`.
    """
    write(
        [
            (
                sample.named(classes, np.argmax(logits[sample.number])),
                sample.overlay,
                sample.waveform,
            )
            for sample in samples
        ],
        folder,
    )


def write(examples: Iterable[tuple], folder: AnyPath, rate_hz: int = audio.SAMPLE_RATE_HZ) -> None:
    """Writes examples.json with its pictures and sounds.

    Args:
        examples: [({'class': ..., 'answer': ..., optionally 'teacher': ...}, picture [height,
            width, 3] uint8 or None, waveform [samples] or None)].
        folder: is created.
        rate_hz: of the waveforms.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    entries = []
    for place, (names, picture, waveform) in enumerate(examples, 1):
        entry = dict(names)
        if picture is not None:
            entry['overlay'] = f'{place}_overlay.png'
            (folder / entry['overlay']).write_bytes(overlays.png(picture))
        if waveform is not None:
            entry['spectrogram'], entry['sound'] = f'{place}_spectrogram.png', f'{place}.wav'
            (folder / entry['spectrogram']).write_bytes(
                overlays.png(overlays.spectrogram_picture(waveform, _SPECTROGRAM))
            )
            soundfile.write(
                folder / entry['sound'], 0.9 * audio.to_peak(waveform).numpy(), rate_hz, 'PCM_16'
            )
        entries.append(entry)
    (folder / 'examples.json').write_text(json.dumps(entries, indent=1) + '\n', encoding='utf-8')


@dataclasses.dataclass(frozen=True, eq=False)
class TaggedSample:
    """A clip with several events.

    Attributes:
        number: of the clip among the validation clips.
        labels: [classes], 0 or 1.
        waveform: [samples] at 32 kHz.
        picture: [height, width, 3] uint8, the middle frame.
    """

    number: int
    labels: np.ndarray
    waveform: np.ndarray
    picture: np.ndarray

    def events(self, classes: Sequence[str]) -> str:
        """Names of its events."""
        return _names(classes, self.labels > 0)


def choose_tagged(clips: Any, num_samples: int = _NUM_SAMPLES) -> list[TaggedSample]:
    """Chooses `TaggedSample`s with as many different first events as possible."""
    labels = clips.columns['label']
    return [
        TaggedSample(
            int(number),
            labels[number],
            clips.waveform(number),
            clips.picture(number, overlays.SIZE),
        )
        for number in spread(labels.argmax(axis=1), num_samples)
    ]


def save_tagged(
    samples: Sequence[TaggedSample],
    probabilities: np.ndarray,
    classes: Sequence[str],
    threshold: float,
    folder: AnyPath,
) -> None:
    """`save` for clips with several events: those at or above the threshold are predicted."""
    write(
        [
            (
                {
                    'class': sample.events(classes),
                    'answer': _names(classes, probabilities[sample.number] >= threshold),
                },
                sample.picture,
                sample.waveform,
            )
            for sample in samples
        ],
        folder,
        schema.CLIP_RATE_HZ,
    )


def _names(classes, there):
    return ', '.join(classes[i] for i in np.flatnonzero(there)) or 'none'
