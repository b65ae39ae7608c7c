"""The embedded ACIVW: 10 classes, each video in its own place, in ACIVW's raw layout.

The camera is AVIA's at half its resolution, 240 x 320, to save disk: a BMP is not compressed.
Acoustic images are stored upside down and mirrored, as in that layout (`acivw_layout`).
"""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from dualcam.acoustics import microphones
from dualcam.data import schema
from dualcam.data.signal import acoustic_images
from dualcam.data.sources import datasets
from records import acivw_layout, beamform
from records.synthetic import acivw_scenes, acivw_sources, acivw_video, recordings, scenes, takes


@dataclasses.dataclass(frozen=True)
class Job:
    """Settings common to all videos.

    Attributes:
        out: the raw folder.
        seed: of everything.
        take_s: length of a video.
        num_videos: of each class.
        dealt: files of each video of each class (`recordings.deal`), or None for parametric
            sources.
        num_classes: of the machines or recordings, the first ones.
    """

    out: pathlib.Path
    seed: int
    take_s: int
    num_videos: int
    dealt: tuple[tuple[tuple[pathlib.Path, ...], ...], ...] | None
    num_classes: int = len(datasets.ACIVW_CLASSES)

    def settings(self) -> dict[str, Any]:
        """Everything that the videos' bytes depend on, for JSON."""
        return {
            'layout': 'acivw',
            'seed': self.seed,
            'take_s': self.take_s,
            'num_videos': self.num_videos,
            'recordings': recordings.names(self.dealt),
        }

    def pieces(self) -> list[tuple[int, int]]:
        """The videos: (class, number), both from 0."""
        return [
            (label, number)
            for label in range(self.num_classes)
            for number in range(self.num_videos)
        ]

    def is_complete(self, piece: tuple[int, int]) -> bool:
        """Whether a video is written."""
        return (self.out / acivw_layout.video_name(*piece) / acivw_layout.TIME_FILE).exists()

    def write(
        self, piece: tuple[int, int], mic_array: microphones.MicArray, beamformer: Any
    ) -> None:
        """Simulates a video and writes it."""
        take, place, rng = simulate_video(self, *piece, mic_array)
        write_video(take, place, piece, rng, self, beamformer)


def simulate_video(
    job: Job, label: int, number: int, mic_array: microphones.MicArray
) -> tuple[scenes.Take, acivw_scenes.Place, np.random.Generator]:
    """Simulates the array's recording of one video, from its numbers alone.

    Returns:
        A `scenes.Take`, its `acivw_scenes.Place`, and the generator that drew them, for the
        pictures.
    """
    rng = np.random.default_rng([job.seed, label, number])
    place = acivw_scenes.draw_place(label, job.take_s * schema.FRAMES_PER_SECOND, rng)
    if job.dealt is None:
        sound = acivw_sources.acivw_source(label, job.take_s, rng)
    else:
        sound = recordings.unit_sound(job.dealt[label][number], job.take_s)
    others = takes.draw_others(place.scenario, job.take_s, job.seed, rng)
    take = scenes.record_take(
        place.scenario, sound * place.gain, others, place.path_m, mic_array.positions_m, rng
    )
    return take, place, rng


def write_video(
    take: scenes.Take,
    place: acivw_scenes.Place,
    piece: tuple[int, int],
    rng: np.random.Generator,
    job: Job,
    beamformer: Any,
) -> None:
    """Writes a video's files; the last one, its time file, marks it as complete."""
    name = acivw_layout.video_name(*piece)
    folder = job.out / name
    takes.write_channels(take.frames, folder / 'audio')
    images = beamform.recording_to_cepstra(take.frames, beamformer)
    for i, image in enumerate(images, 1):
        beamform.write_mat(
            beamform.mat_path(job.out, name, i), np.ascontiguousarray(acoustic_images.flip(image))
        )
    (folder / 'video').mkdir(exist_ok=True)
    pictures = acivw_video.render_frames(piece[0], place.indoors, take.path_m, take.levels, rng)
    for i, picture in enumerate(pictures, 1):
        Image.fromarray(picture).save(folder / 'video' / f'I_{i:06d}.bmp')
    partial = folder / f'.{acivw_layout.TIME_FILE}.partial'
    partial.write_text(f'simulated_{piece[0]}_{piece[1]:03d}.avi: {job.take_s}\n', encoding='utf-8')
    os.replace(partial, folder / acivw_layout.TIME_FILE)
