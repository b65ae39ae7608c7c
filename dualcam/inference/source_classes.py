"""Classifies sources: a student gets the sound beamformed towards each source, and the scene's.

The student needs one microphone; the array acts as a directional one. A source's sound is cut into
windows of the student's length, each steered to the source's position at the time.
"""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import soxr

from dualcam.acoustics import localised_takes, steered_sound
from dualcam.evaluation import ties

if TYPE_CHECKING:  # it loads TensorFlow
    from dualcam.inference import students

_BATCH = 16


@dataclasses.dataclass(frozen=True)
class SourceClass:
    """A student's prediction for a window, or for all windows of a source.

    Attributes:
        start_s, end_s: of the window.
        classes: names, the most probable first.
        probabilities: of these classes.
    """

    start_s: float
    end_s: float
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class TakeClasses:
    """A student's predictions for a take.

    Attributes:
        scene: for the first microphone, all windows together; None for silence.
        sources: for each source, in order; None for silence.
        windows: of each source.
    """

    scene: SourceClass | None
    sources: list[SourceClass | None]
    windows: list[list[SourceClass]]

    def at(self, source: int, time_s: float) -> SourceClass | None:
        """The window of a source whose centre is closest to a time."""
        return min(
            self.windows[source],
            key=lambda one: abs((one.start_s + one.end_s) / 2 - time_s),
            default=None,
        )


def classify_take(
    take: localised_takes.LocalisedTake, student: 'students.Listener', top_k: int = 3
) -> TakeClasses:
    """Classifies each source of a take, and the sound of its first microphone.

    Args:
        take: the take.
        student: from `students.open_listener`, one that predicts classes.
        top_k: classes to report for each.

    Raises:
        ValueError: the student has no classes.
    """
    if not student.classes:
        raise ValueError(f'{student.source}: {student.network} has no classes')
    ask = student.listen('logits')
    recording, focus_m = take.recording, take.maker.params.focus_m

    def steered(track):
        steerer = steered_sound.Steerer(
            take.maker.array, recording.rate_hz, track.direction_at, focus_m
        )

        def read(first, count):
            margin = steerer.margin
            return steerer.steer(recording.read(first - margin, count + 2 * margin), first)

        return read

    one_mic = dataclasses.replace(recording, channels=recording.channels[:1])
    scene, _ = _ask(student, ask, recording, 0.0, recording.duration_s, _first(one_mic), top_k)
    answers = [
        _ask(student, ask, recording, one.times_s[0], one.last_s, steered(one), top_k)
        for one in take.sources
    ]
    return TakeClasses(scene, [whole for whole, _ in answers], [parts for _, parts in answers])


def window_starts(start_s: float, end_s: float, window_s: float, duration_s: float) -> list[float]:
    """Starts of windows that cover a source, within the recording if that is long enough."""
    count = max(1, int(np.ceil((end_s - start_s) / window_s - 0.05)))
    middle_s = (start_s + end_s) / 2
    first_s = middle_s - count * window_s / 2
    first_s = max(0.0, min(first_s, duration_s - count * window_s))
    return [first_s + i * window_s for i in range(count)]


def prepared(signal: np.ndarray, rate_hz: float, student: 'students.Listener') -> np.ndarray:
    """[clip_samples] float32 at the student's rate, padded with zeros."""
    if rate_hz != student.sample_rate_hz:
        signal = soxr.resample(signal, rate_hz, student.sample_rate_hz, 'HQ')
    clip = np.zeros(student.clip_samples, np.float32)
    clip[: len(signal)] = signal[: len(clip)]
    return clip


def named(
    student: 'students.Listener', logits: np.ndarray, top_k: int
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """(names, probabilities) for logits [classes], the most probable first."""
    shares = student.probabilities(logits)
    order = np.argsort(ties.merged_predictions(-shares), kind='stable')[:top_k]
    return (
        tuple(student.classes[i] for i in order),
        tuple(round(float(shares[i]), 4) for i in order),
    )


def _first(one_mic):
    return lambda first, count: one_mic.read(first, count)[:, 0]


def _ask(student, ask, recording, start_s, end_s, read, top_k):
    """(`SourceClass` for all windows together, one for each window)."""
    starts = window_starts(start_s, end_s, student.seconds, recording.duration_s)
    parts, all_logits = [], []
    for batch_starts, clips in _batches(starts, student, recording, read):
        padded = np.pad(clips, ((0, _BATCH - len(clips)), (0, 0)))  # one trace of the graph
        for start, logits in zip(batch_starts, ask(padded), strict=False):
            all_logits.append(logits)
            parts.append(
                SourceClass(start, start + student.seconds, *named(student, logits, top_k))
            )
    if not parts:
        return None, []
    whole = named(student, np.mean(all_logits, axis=0), top_k)
    return SourceClass(parts[0].start_s, parts[-1].end_s, *whole), parts


def _batches(starts, student, recording, read) -> Iterator[tuple[list[float], np.ndarray]]:
    """(starts, [windows, clip_samples]) of windows that are not silent."""
    held: list[tuple[float, np.ndarray]] = []
    count = round(student.seconds * recording.rate_hz)
    for start in starts:
        signal = read(round(start * recording.rate_hz), count)
        if np.ptp(signal) > 0:
            held.append((start, prepared(signal, recording.rate_hz, student)))
        if len(held) == _BATCH:
            yield [one for one, _ in held], np.stack([clip for _, clip in held])
            held = []
    if held:
        yield [one for one, _ in held], np.stack([clip for _, clip in held])
