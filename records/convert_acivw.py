"""ACIVW raw folders to one-second TFRecords (ECCV 2020).

    python -m records.convert_acivw --raw=DIR --out=DIR [--modalities=0,1,2] [--microphone=0]

Writes OUT/class_C/data_DDD/Data_NNN.tfrecord. The labels `classes` and `location` are the numbers C
and D of the folders. A record keeps one of the 128 channels; its video is resized so that the
shorter side is 224. Videos are cut into whole seconds; the remainder at the end is not used, and
the last line of output counts it. OUT/videos.json lists the videos' own names.

Existing records are kept, so that an interrupted conversion resumes; --overwrite rewrites them.
OUT/manifest.jsonl lists them for `records.verify`.
"""

import functools
import json
import pathlib
from collections.abc import Sequence, Set

from absl import app, flags

from dualcam import jobs
from dualcam.acoustics import microphones
from dualcam.data import schema
from dualcam.data.sources import datasets
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from records import acivw_layout, cluster_flags, conversion

VIDEOS_FILE = 'videos.json'


def plan(video: acivw_layout.RawVideo) -> list[conversion.Row]:
    """A video's records and the frames in each.

    Args:
        video: of the raw data set.

    Returns:
        [(record path below the records' root, [12 frame indices from 0])]
    """
    size = schema.FRAMES_PER_SECOND
    return [
        (
            conversion.record_path(video.name, second),
            list(range(second * size, (second + 1) * size)),
        )
        for second in range(video.num_frames // size)
    ]


def convert_video(
    piece: tuple[acivw_layout.RawVideo, list[conversion.Row]],
    out: conversion.Output,
    microphone: int = 0,
    compression_level: int = 1,
) -> conversion.Written:
    """Writes records of one video.

    Args:
        piece: (video, rows of its `plan`).
        out: the `conversion.Output`.
        microphone: the channel to keep, from 0.
        compression_level: of GZIP.

    Raises:
        ValueError: a raw file is damaged; the message names it. Earlier records are complete.
    """
    video, rows = piece

    def read(index):
        return {
            name: acivw_layout.read_frame(name, files[index], microphone)
            for name, files in video.files.items()
        }

    return conversion.write_seconds(
        video.name,
        {
            schema.ACIVW_KEYS['label']: video.label,
            schema.ACIVW_KEYS['group']: video.number,
        },
        rows,
        read,
        out,
        compression_level,
    )


def convert(
    raw: AnyPath,
    out: AnyPath,
    modalities: Sequence[schema.Modality],
    microphone: int = 0,
    check_time: bool = True,
    overwrite: bool = False,
    compression_level: int = 1,
    processes: int = 1,
    only: Set[str] | None = None,
    cluster: jobs.Cluster | None = None,
) -> tuple[int, int, int]:
    """Converts a whole raw data set; see the module docstring.

    Args:
        raw: folder with class_C/data_DDD.
        out: root of the records.
        modalities: `schema.Modality`s to keep.
        microphone: the channel to keep, from 0.
        check_time: compare frames with each `video_time.txt`, see `acivw_layout.find_videos`.
        overwrite: rewrite existing records.
        compression_level: of GZIP.
        processes: their number.
        only: paths below `out` of one video's records; if given, only these are rewritten.
        cluster: its workers do the work instead of this machine's processes.

    Returns:
        Numbers of records written, of records that already existed, and of unused frames at the
        ends of videos.

    Raises:
        ValueError: a folder or file is missing or damaged, a class has no name, or `out` has
            records with other settings.
        OSError: see `conversion.writing`.
    """
    if not 0 <= microphone < microphones.NUM_MICS:
        raise ValueError(f'--microphone={microphone}: expected 0 - {microphones.NUM_MICS - 1}')
    raw, out = jobs.shared_path(raw, cluster), jobs.shared_path(out, cluster)
    names = [m.name for m in modalities]
    videos = acivw_layout.find_videos(
        raw, names, check_time, str(pathlib.PurePosixPath(min(only)).parent) if only else None
    )
    described = (pathlib.Path(raw) / datasets.DESCRIPTION_FILE).exists()
    info = datasets.read_description(raw) if described else datasets.ACIVW
    if videos and videos[-1].label >= info.num_classes:
        raise ValueError(
            f'{pathlib.Path(raw) / videos[-1].name}: classes are class_0 - '
            f'class_{info.num_classes - 1} ({", ".join(info.classes)}); rename it, '
            f'or name the classes in {datasets.DESCRIPTION_FILE}'
        )
    plans = [plan(video) for video in videos]
    chosen = {'modalities': names, 'microphone': microphone}
    call = conversion.Call(
        'convert_acivw',
        {'raw': raw},
        chosen | {'check_time': check_time, 'compression_level': compression_level},
    )
    planned = {
        path: conversion.second_source(video.name, indices)
        for video, rows in zip(videos, plans, strict=True)
        for path, indices in rows
    }
    with conversion.writing(
        out,
        {'layout': 'acivw', **chosen},
        call,
        planned,
        overwrite,
        only,
        processes,
        cluster=cluster,
    ) as task:
        datasets.write_description(out, info)
        task.run(
            functools.partial(
                convert_video, microphone=microphone, compression_level=compression_level
            ),
            conversion.pieces(videos, plans, task.missing),
            'video',
            lambda piece: piece[0].name,
        )
        if only is None:
            _write_titles(pathlib.Path(out) / VIDEOS_FILE, videos)
    return (
        len(task.missing),
        len(planned) - len(task.missing),
        sum(v.num_frames % schema.FRAMES_PER_SECOND for v in videos),
    )


def _write_titles(path, videos):
    """Writes {folder: {title, seconds, records}} of all videos, atomically."""
    entries = {
        video.name: {'title': video.title, 'seconds': video.seconds, 'records': len(plan(video))}
        for video in videos
    }
    atomic.write_text(path, json.dumps(entries, indent=1) + '\n')


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    with cluster_flags.connected() as cluster:
        written, existing, left = convert(
            options.raw,
            microphone=options.microphone,
            check_time=options.check_time,
            cluster=cluster,
            **conversion.shared_options(),
        )
    print(
        f'{written} records written, {existing} already existed, {left} frames beyond whole '
        f'seconds not used: {options.out}'
    )


if __name__ == '__main__':
    from dualcam.cli import errors

    conversion.define_flags()
    flags.DEFINE_string('raw', None, 'Folder with class_C/data_DDD.', required=True)
    flags.DEFINE_integer('microphone', 0, 'Which of the 128 to keep, from 0.')
    flags.DEFINE_bool('check_time', True, 'Compare the frames with each video_time.txt.')
    flags.adopt_module_key_flags(cluster_flags)  # for --help
    app.run(errors.clean_errors(main))
