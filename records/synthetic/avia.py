"""The embedded AVIA: 14 actions, subjects and scenarios, in AVIA's raw layout."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from dualcam.acoustics import microphones
from dualcam.data import schema
from dualcam.data.sources import datasets
from records import avia_layout, beamform
from records.synthetic import presets, recordings, scenes, sources, subjects, takes, video

MONAURAL_MIC = 0  # the one nearest to the camera


@dataclasses.dataclass(frozen=True)
class Job:
    """Settings common to all takes.

    Attributes:
        out: the raw folder.
        matfiles: folder for acoustic images, or None.
        keep_array: whether the 128 channels are written.
        seed: of everything.
        take_s, num_takes, num_subjects: see `presets.AviaPreset`.
        dealt: files of each take of each class (`recordings.deal`), or None for parametric
            sources.
        num_classes: of the actions or recordings, the first ones.
    """

    out: pathlib.Path
    matfiles: pathlib.Path | None
    keep_array: bool
    seed: int
    take_s: int
    num_takes: int
    num_subjects: int
    dealt: tuple[tuple[tuple[pathlib.Path, ...], ...], ...] | None
    num_classes: int = len(datasets.AVIA_CLASSES)

    def settings(self) -> dict[str, Any]:
        """Everything that the takes' bytes depend on, for JSON."""
        return {
            'seed': self.seed,
            'take_s': self.take_s,
            'num_takes': self.num_takes,
            'num_subjects': self.num_subjects,
            'recordings': recordings.names(self.dealt),
        }

    def pieces(self) -> list[tuple[int, int, int]]:
        """The folders of takes: (location from 1, subject from 1, action from 0)."""
        return [
            (location + 1, subject + 1, action)
            for location in range(len(scenes.SCENARIOS))
            for subject in range(self.num_subjects)
            for action in range(self.num_classes)
        ]

    def is_complete(self, piece: tuple[int, int, int]) -> bool:
        """Whether a folder's takes are written."""
        return (self.out / 'sync' / avia_layout.sequence_name(*piece) / 'complete').exists()

    def write(
        self, piece: tuple[int, int, int], mic_array: microphones.MicArray, beamformer: Any
    ) -> None:
        """Simulates a folder's takes and writes them consecutively."""
        first = 1
        for number in range(self.num_takes):
            take, person, rng = simulate_take(self, *piece, number, mic_array)
            write_take(take, piece, first, person, rng, self, beamformer)
            first += len(take.frames)
        (self.out / 'sync' / avia_layout.sequence_name(*piece) / 'complete').touch()


def num_units(preset: presets.AviaPreset) -> int:
    """Takes of a class, each from its own recordings."""
    return len(scenes.SCENARIOS) * preset.num_subjects * preset.num_takes


def simulate_take(
    job: Job,
    location: int,
    subject: int,
    action: int,
    number: int,
    mic_array: microphones.MicArray,
) -> tuple[scenes.Take, subjects.Subject, np.random.Generator]:
    """Simulates one take from its numbers: location and subject from 1, action and take from 0.

    Returns:
        A `scenes.Take`, the person, and the generator that drew it, for the video.
    """
    rng = np.random.default_rng([job.seed, location, subject, action, number])
    scenario = scenes.SCENARIOS[location - 1]
    person = subjects.subject(subject - 1, job.seed)
    if job.dealt is None:
        sound = sources.parametric_source(action, person, job.take_s, rng)
    else:
        unit = ((location - 1) * job.num_subjects + subject - 1) * job.num_takes + number
        sound = recordings.unit_sound(job.dealt[action][unit], job.take_s)
    others = takes.draw_others(scenario, job.take_s, job.seed, rng)
    home_m = scenes.subject_home(np.random.default_rng([job.seed, 9000, location, subject]))
    path_m = scenes.wander(home_m, action, len(sound) // schema.SAMPLES_PER_FRAME + 1, rng)
    take = scenes.record_take(scenario, sound, others, path_m, mic_array.positions_m, rng)
    return take, person, rng


def write_take(
    take: scenes.Take,
    sequence: tuple[int, int, int],
    first: int,
    person: subjects.Subject,
    rng: np.random.Generator,
    job: Job,
    beamformer: Any,
) -> None:
    """Writes a take's files, frames numbered from `first`."""
    location, _, action = sequence
    name = avia_layout.sequence_name(*sequence)
    sync = job.out / 'sync' / name
    (sync / 'audio').mkdir(parents=True, exist_ok=True)
    (sync / 'video').mkdir(parents=True, exist_ok=True)
    if job.keep_array:
        takes.write_channels(take.frames, job.out / 'array' / name / 'audio', first)
    if job.matfiles:
        images = beamform.recording_to_cepstra(take.frames, beamformer)
        for i, image in enumerate(images, first):
            beamform.write_mat(beamform.mat_path(job.matfiles, name, i), image)
    pictures = video.draw_frames(action, person, location - 1, take.path_m, take.levels, rng)
    for i, (frame, picture) in enumerate(zip(take.frames, pictures, strict=True), first):
        np.save(sync / 'audio' / f'A_{i:06d}.npy', frame[MONAURAL_MIC : MONAURAL_MIC + 1])
        (sync / 'video' / f'I_{i:06d}.jpeg').write_bytes(video.encode_jpeg(picture))
