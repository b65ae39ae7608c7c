"""The embedded data for AAAI 2021: clips with some of ten events, heard and sometimes seen.

    python -m records.synthetic.tagging --out=RAW [--preset=demo] [--sources=DIR] [--seed=0]

Writes the format of DCASE 2017 task 4: RAW/audio/*.wav, RAW/frames/<clip>/*.jpg at one per second,
tab-separated lists (file, onset, offset, label; one row per event of a clip) for training and
testing, and RAW/dataset.json. `records.convert_tagging` converts it.

Each clip has one to three of ACIVW's machines, vehicles and waters with random start and end, faint
in noise. Frames show each of them with a probability of 0.7, from the first second to the last,
loud or not. So sound reveals more events, frames reveal the visible ones more reliably, and both
together reveal most. Every event has its own machine, which no other clip has. The sounds are the
simulator's parametric ones, with nothing above 6.1 kHz, or recordings (--sources, one folder per
class), each of which is used in one split only; they are drawn as the same ten objects, class by
class. Complete clips are left unchanged.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.signal
import soundfile
from absl import app, flags

from dualcam import jobs
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.data.sources import datasets, sound_folders
from records.synthetic import acivw_objects, acivw_sources, acivw_video, recordings, takes, video

LISTS = {
    'training': 'groundtruth_weak_label_training_set.csv',
    'testing': 'groundtruth_weak_label_testing_set.csv',
}
_RATE_HZ = schema.CLIP_RATE_HZ
_NUM_EVENTS_SHARES = (0.35, 0.40, 0.25)  # of clips with one, two, three events
_SEEN = 0.7  # share of the events
_OVER_NOISE_DB = (-20.0, -4.0)  # an event's loud parts
_TESTED_SHARE = 0.25  # of a class's recordings
# Approximate width of an object; for trains and traffic, of the first vehicle.
_WIDTHS_M = (5.0, 3.6, 0.9, 2.6, 0.9, 0.6, 1.0, 1.3, 1.2, 4.2)
_SIZE = (320, 240)  # of a frame


@dataclasses.dataclass(frozen=True)
class TaggingPreset:
    """Size of the embedded clips."""

    num_training: int
    num_testing: int
    clip_s: int


PRESETS = {
    'smoke': TaggingPreset(48, 24, 2),
    'demo': TaggingPreset(300, 1200, 4),
    'paper': TaggingPreset(6000, 500, 10),
}


@dataclasses.dataclass(frozen=True)
class Job:
    """Settings common to all clips.

    Attributes:
        out: the raw folder.
        seed: of everything.
        preset: a `TaggingPreset`.
        num_classes: of the events.
        dealt: {split: files of each class}, or None for parametric sounds.
    """

    out: pathlib.Path
    seed: int
    preset: TaggingPreset
    num_classes: int
    dealt: dict | None = None

    def pieces(self) -> list[tuple[str, int]]:
        """(split, number) of all clips."""
        counts = {'training': self.preset.num_training, 'testing': self.preset.num_testing}
        return [(split, number) for split, count in counts.items() for number in range(count)]


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """One event within a clip.

    Attributes:
        label: the class.
        sound: [samples] at 32 kHz, its loud parts with an RMS of about 0.1.
        start: first sample in the clip.
        gain: of the sound.
    """

    label: int
    sound: np.ndarray
    start: int
    gain: float


def clip_name(piece: tuple[str, int], clip_s: int) -> str:
    """A clip's name in the style of YouTube clips: Y, video, first and last second."""
    split, number = piece
    return f'Y{split}{number:05d}_0.000_{clip_s}.000'


def draw_events(piece: tuple[str, int], job: Job) -> tuple[list[Event], np.random.Generator]:
    """Draws the events of a clip.

    Returns:
        `Event`s of different classes, ordered by class, and the generator that drew them, for
        `mix` and then `render`.
    """
    split, number = piece
    rng = np.random.default_rng([job.seed, list(LISTS).index(split), number])
    count = min(1 + rng.choice(len(_NUM_EVENTS_SHARES), p=_NUM_EVENTS_SHARES), job.num_classes)
    labels = np.sort(rng.choice(job.num_classes, count, replace=False))
    clip_s, events = job.preset.clip_s, []
    for label in labels:
        sound = _dry_sound(split, label, clip_s * rng.uniform(0.3, 0.8), job, rng)
        start = rng.integers(0, clip_s * _RATE_HZ - len(sound) + 1)
        events.append(
            Event(int(label), sound, int(start), 10 ** (rng.uniform(*_OVER_NOISE_DB) / 20))
        )
    return events, rng


def mix(events: Sequence[Event], clip_s: int, rng: np.random.Generator) -> np.ndarray:
    """Sound of a clip: its events over noise.

    Returns:
        [clip_s * 32,000] float64, full scale 1.
    """
    signal = _noise(clip_s * _RATE_HZ, rng)
    for event in events:
        signal[event.start : event.start + len(event.sound)] += event.gain * event.sound
    return signal * min(rng.uniform(0.3, 0.8), 0.99 / np.abs(signal).max())


def render(events: Sequence[Event], clip_s: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Frames of a clip.

    Returns:
        A list of uint8 [240, 320, 3] RGB, one per second.
    """
    place = video.draw_place(int(rng.integers(3)), rng)
    slots = rng.permutation(len(_NUM_EVENTS_SHARES))
    shown = []
    for event, slot in zip(events, slots, strict=False):
        if rng.random() < _SEEN:
            at = (
                place.width * (slot + rng.uniform(0.3, 0.7)) / len(slots),
                place.height * rng.uniform(0.4, 0.7),
            )
            width_m = _WIDTHS_M[event.label % len(_WIDTHS_M)]
            shown.append((event, at, rng.uniform(170, 260) / width_m, acivw_video.draw_look(rng)))
    frames = []
    for second in range(clip_s):
        frame = place.copy()
        for event, at, pixels_per_m, look in shown:
            acivw_objects.draw_object(
                frame,
                event.label,
                at + rng.normal(0, 6, 2),
                pixels_per_m,
                _level(event, second),
                second,
                look,
                rng,
            )
        frames.append(np.asarray(frame.resize(_SIZE)))
    return frames


def write_clip(piece: tuple[str, int], job: Job) -> list[int]:
    """Writes a clip's frames, then atomically its sound, which marks it as complete.

    Returns:
        Indices of its classes.
    """
    events, rng = draw_events(piece, job)
    clip_s = job.preset.clip_s
    path = job.out / 'audio' / f'{clip_name(piece, clip_s)}.wav'
    labels = [event.label for event in events]
    if path.exists():
        return labels
    signal = mix(events, clip_s, rng)
    folder = job.out / 'frames' / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(render(events, clip_s, rng), 1):
        (folder / f'{i:02d}.jpg').write_bytes(video.encode_jpeg(frame))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    soundfile.write(partial, signal, _RATE_HZ, 'PCM_16', format='WAV')
    os.replace(partial, path)
    return labels


def write_lists(job: Job, labels: Iterable[Sequence[int]], classes: Sequence[str]) -> None:
    """Writes the lists of all clips, as in DCASE 2017 task 4: without the Y in front of names."""
    rows: dict[str, list[str]] = {split: [] for split in LISTS}
    for piece, numbers in zip(job.pieces(), labels, strict=True):
        name = clip_name(piece, job.preset.clip_s)[1:]
        rows[piece[0]] += [
            f'{name}.wav\t0.000\t{job.preset.clip_s}.000\t{classes[number]}\n' for number in numbers
        ]
    for split, file in LISTS.items():
        (job.out / file).write_text(''.join(rows[split]), encoding='utf-8')


def deal(sound_set: sound_folders.SoundSet) -> dict[str, tuple]:
    """Files of each class for each split; parts of one recording stay in one split.

    Args:
        sound_set: a `sounds.SoundSet` of sound files.

    Returns:
        {split: a tuple of paths for each class}

    Raises:
        ValueError: a class has fewer than two recordings.
    """
    dealt: dict[str, list] = {split: [] for split in LISTS}
    for label, name in enumerate(sound_set.classes):
        files = [sound for sound in sound_set.sounds if sound.label == label]
        origins = sorted({sound.source or sound.path for sound in files})
        if len(origins) < 2:
            raise ValueError(
                f'{sound_set.root}: class "{name}" has one recording; expected two '
                'or more, as training and testing share none'
            )
        tested = set(origins[-max(1, round(_TESTED_SHARE * len(origins))) :])
        for split, wanted in (('training', False), ('testing', True)):
            dealt[split].append(
                tuple(
                    pathlib.Path(sound.path)
                    for sound in files
                    if ((sound.source or sound.path) in tested) == wanted
                )
            )
    return {split: tuple(files) for split, files in dealt.items()}


def _dry_sound(split, label, duration_s, job, rng):
    """[samples] at 32 kHz, faded in and out over 10 ms."""
    if job.dealt is None:
        sound = acivw_sources.acivw_source(label, duration_s, rng)
        common = np.gcd(_RATE_HZ, schema.ARRAY_RATE_HZ)
        sound = scipy.signal.resample_poly(
            sound, _RATE_HZ // common, schema.ARRAY_RATE_HZ // common
        )
    else:
        files = job.dealt[split][label]
        sound = recordings.read_recording(files[rng.integers(len(files))], _RATE_HZ)
        size = round(duration_s * _RATE_HZ)
        sound = sound[rng.integers(0, max(1, len(sound) - size + 1)) :][:size].copy()
    fade = np.minimum(1.0, np.arange(1, len(sound) + 1) / (0.01 * _RATE_HZ))
    return sound * fade * fade[::-1]


def _noise(num_samples, rng):
    """Background noise, RMS 0.1, with a slope that differs by clip and slow level changes."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hz = np.fft.rfftfreq(num_samples, 1 / _RATE_HZ)
    slope = rng.uniform(0.2, 0.6)  # of the amplitude, 0.5 halves the power
    noise = np.fft.irfft(spectrum / np.maximum(hz, 60.0) ** slope * (hz > 30.0), num_samples)
    seconds = np.arange(num_samples) / _RATE_HZ
    noise *= 1.0 + 0.4 * np.sin(
        2 * np.pi * rng.uniform(0.1, 0.5) * seconds + rng.uniform(0, 2 * np.pi)
    )
    return noise * (0.1 / np.sqrt(np.mean(noise**2)))


def _level(event, second):
    """Loudness of an event in one second of the clip, 0 - 1."""
    first = max(0, second * _RATE_HZ - event.start)
    part = event.sound[first : max(0, (second + 1) * _RATE_HZ - event.start)]
    if not len(part):
        return 0.0
    return float(min(1.0, np.sqrt(np.mean(part**2)) / 0.1))


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    if options.preset not in PRESETS:
        raise ValueError(f'preset {options.preset!r}: expected one of {", ".join(PRESETS)}')
    out, dealt = pathlib.Path(options.out), None
    classes: tuple[str, ...] = datasets.ACIVW_CLASSES
    origin = 'simulated sounds and frames'
    if options.sources:
        found = sound_folders.find_sounds(options.sources)
        classes, origin = found.classes, 'real recordings, simulated frames'
        dealt = deal(found)
    job = Job(out, options.seed, PRESETS[options.preset], len(classes), dealt)
    files = {split: recordings.names([parts])[0] for split, parts in (dealt or {}).items()}
    with takes.claimed(
        out, {'layout': 'tagging', 'seed': job.seed, 'preset': options.preset, 'recordings': files}
    ):
        datasets.write_description(
            out, datasets.DatasetInfo('tagging_simulated', classes, origin, num_locations=1)
        )
        labels = jobs.run_all(
            functools.partial(write_clip, job=job),
            job.pieces(),
            options.processes or jobs.default_processes(),
            'clip',
            start_method='fork',
        )
        write_lists(job, labels, classes)
    print(
        f'{job.preset.num_training} training and {job.preset.num_testing} test clips of '
        f'{job.preset.clip_s} s: {out}'
    )


if __name__ == '__main__':
    flags.DEFINE_string('out', None, 'The raw folder to write.', required=True)
    flags.DEFINE_string('preset', 'demo', f'Size: {", ".join(PRESETS)}.')
    flags.DEFINE_string('sources', None, 'Folder of real recordings, one folder per class.')
    flags.DEFINE_integer('seed', 0, 'Same seed, same bytes.', lower_bound=0)
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core.')
    app.run(errors.clean_errors(main))
