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
_HEARD, _SEEN = 'complete', 'complete_video'  # written once a folder's files are


@dataclasses.dataclass(frozen=True)
class Job:
    """Settings common to all takes.

    Attributes:
        out: the raw folder.
        matfiles: folder for acoustic images, or None.
        keep_array: whether the 128 channels are written.
        video: whether video is drawn; a later call with it only draws what is missing.
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
    video: bool = True

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
        """Whether a folder's takes are written, with video if wanted."""
        return self._has(piece, _HEARD) and (not self.video or self._has(piece, _SEEN))

    def write(
        self, piece: tuple[int, int, int], mic_array: microphones.MicArray, beamformer: Any
    ) -> None:
        """Simulates a folder's takes and writes them consecutively; leaves out what exists."""
        unheard, unseen = not self._has(piece, _HEARD), self.video and not self._has(piece, _SEEN)
        for number in range(self.num_takes):
            staged = stage_take(self, *piece, number)
            first = 1 + number * self.take_s * schema.FRAMES_PER_SECOND
            if unheard:
                write_sound(record_take(staged, mic_array), piece, first, self, beamformer)
            if unseen:
                write_video(staged, piece, first, self)
        if unheard:
            (self._folder(piece) / _HEARD).touch()
        if unseen:
            (self._folder(piece) / _SEEN).touch()

    def _folder(self, piece):
        return self.out / 'sync' / avia_layout.sequence_name(*piece)

    def _has(self, piece, marker):
        return (self._folder(piece) / marker).exists()


@dataclasses.dataclass(frozen=True, eq=False)
class Staged:
    """A take before it is recorded.

    Attributes:
        scenario: its surroundings.
        person: who acts.
        sound: [samples] the dry sound.
        others: dry sounds of the people at the sides.
        path_m: [frames + 1, 3] position of the sound.
        rng: draws everything else that is heard.
        video_rng: draws what is seen.
    """

    scenario: scenes.Scenario
    person: subjects.Subject
    sound: np.ndarray
    others: list[np.ndarray]
    path_m: np.ndarray
    rng: np.random.Generator
    video_rng: np.random.Generator


def num_units(preset: presets.AviaPreset) -> int:
    """Takes of a class, each from its own recordings."""
    return len(scenes.SCENARIOS) * preset.num_subjects * preset.num_takes


def stage_take(job: Job, location: int, subject: int, action: int, number: int) -> Staged:
    """Draws a take from its numbers: location and subject from 1, action and take from 0."""
    numbers = [job.seed, location, subject, action, number]
    rng = np.random.default_rng(numbers)
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
    # Its own, so that video can be drawn without simulating the microphones.
    video_rng = np.random.default_rng([*numbers, 1])
    return Staged(scenario, person, sound, others, path_m, rng, video_rng)


def record_take(staged: Staged, mic_array: microphones.MicArray) -> scenes.Take:
    """Simulates the microphones."""
    return scenes.record_take(
        staged.scenario,
        staged.sound,
        staged.others,
        staged.path_m,
        mic_array.positions_m,
        staged.rng,
    )


def write_sound(
    take: scenes.Take, sequence: tuple[int, int, int], first: int, job: Job, beamformer: Any
) -> None:
    """Writes a take's sound and acoustic images, frames numbered from `first`."""
    name = avia_layout.sequence_name(*sequence)
    audio = job.out / 'sync' / name / 'audio'
    audio.mkdir(parents=True, exist_ok=True)
    if job.keep_array:
        takes.write_channels(take.frames, job.out / 'array' / name / 'audio', first)
    if job.matfiles:
        images = beamform.recording_to_cepstra(take.frames, beamformer)
        for i, image in enumerate(images, first):
            beamform.write_mat(beamform.mat_path(job.matfiles, name, i), image)
    for i, frame in enumerate(take.frames, first):
        np.save(audio / f'A_{i:06d}.npy', frame[MONAURAL_MIC : MONAURAL_MIC + 1])


def write_video(staged: Staged, sequence: tuple[int, int, int], first: int, job: Job) -> None:
    """Draws a take, frames numbered from `first`."""
    location, _, action = sequence
    folder = job.out / 'sync' / avia_layout.sequence_name(*sequence) / 'video'
    folder.mkdir(parents=True, exist_ok=True)
    pictures = video.draw_frames(
        action,
        staged.person,
        location - 1,
        staged.path_m[:-1],
        scenes.levels(staged.sound),
        staged.video_rng,
    )
    for i, picture in enumerate(pictures, first):
        (folder / f'I_{i:06d}.jpeg').write_bytes(video.encode_jpeg(picture))
