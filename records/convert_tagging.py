"""Weakly labelled clips to TFRecords (AAAI 2021): DCASE 2017 task 4, DCASE 2018 task 4.

    python -m records.convert_tagging --list=FILE --split=training --audio=DIR --frames=DIR \
        --out=DIR [--dataset=dcase2017|dcase2018] [--max_bad=0]

Run it once per split; --videos=DIR instead of --frames decodes videos. The classes are those of
--dataset, or of a `dataset.json` next to the list. Writes OUT/<split>/<clip>.tfrecord, each with
ten seconds of sound at 32 kHz and one frame per second, and their list, OUT/<split>.txt. Shorter
clips are padded with silence and their last frame, longer ones are cut.

Clips without sound or frames, damaged, empty or silent ones, and those whose number of frames does
not match their length are left out, counted and listed in OUT/<split>_skipped.csv; more of them
than --max_bad are an error. Unknown labels in the list are always an error. Existing records are
kept, so that an interrupted conversion resumes; --overwrite rewrites them. OUT/manifest.jsonl lists
them for `records.verify`.
"""

import csv
import dataclasses
import functools
import io
import pathlib
from collections.abc import Set

import numpy as np
from absl import app, flags

from dualcam import jobs
from dualcam.data import schema
from dualcam.data.sources import datasets, folder_scan, sound_files, tagging_lists
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from records import clip_files, cluster_flags, conversion, manifest, writer


@dataclasses.dataclass(frozen=True)
class Piece:
    """One clip to convert.

    Attributes:
        clip: its entry in the list.
        labels: [classes], ones and zeros.
        sound: its audio file, or None if there is none.
        frames: the folder of its pictures, or its video, or None if there is neither.
        record: path of its record below the root.
        source: of its record, for the manifest.
    """

    clip: tagging_lists.ListedClip
    labels: np.ndarray
    sound: pathlib.Path | None
    frames: pathlib.Path | None
    record: str
    source: manifest.Source


def convert_clip(piece: Piece, out: conversion.Output, clip_seconds: int) -> conversion.Written:
    """Writes one clip's record.

    Args:
        piece: the clip.
        out: the `conversion.Output`.
        clip_seconds: length of a record.

    Returns:
        The record's entry, or a message about what is wrong with the clip.
    """
    if piece.sound is None or piece.frames is None:
        lacking = 'sound' if piece.sound is None else 'frames'
        return conversion.Written(message=f'no {lacking} of this clip')
    if out.lacks(piece.record):
        try:
            samples, jpegs = _aligned(piece.sound, piece.frames, clip_seconds)
        except ValueError as error:
            return conversion.Written(message=str(error))
        example = writer.clip_to_example(piece.clip.name, samples, jpegs, piece.labels)
        writer.write_record(pathlib.Path(out.root) / piece.record, example)
    return conversion.Written([out.finish(piece.record, piece.source)])


def convert(
    list_file: AnyPath,
    split: str,
    audio: AnyPath,
    out: AnyPath,
    frames: AnyPath | None = None,
    videos: AnyPath | None = None,
    dataset: str | None = None,
    clip_seconds: int = 10,
    max_bad: int = 0,
    overwrite: bool = False,
    processes: int = 1,
    only: Set[str] | None = None,
    left_out: list[folder_scan.LeftOut] | None = None,
    cluster: jobs.Cluster | None = None,
) -> tuple[int, int, list[str]]:
    """Converts the clips of a list; see the module docstring.

    Args:
        list_file, split, audio, frames, videos, dataset: like the command's flags.
        out: root of the records.
        clip_seconds: length of a record.
        max_bad: number of bad clips that may be left out.
        overwrite: rewrite existing records.
        processes: their number.
        only: paths of records below `out`; if given, only these are rewritten.
        left_out: list to which files in `audio` that no row names are added.
        cluster: its workers do the work instead of this machine's processes.

    Returns:
        Numbers of records written and of records that already existed, and messages about clips
        that were left out.

    Raises:
        ValueError: the list is invalid, a folder lacks files, or more clips are bad than allowed;
            records of the others are kept.
        OSError: see `conversion.writing`.
    """
    if (frames is None) == (videos is None):
        raise ValueError('pass one of --frames and --videos')
    if clip_seconds < 1:
        raise ValueError(f'--clip_seconds={clip_seconds}: expected 1 or more')
    audio, frames, videos, out = (
        jobs.shared_path(path, cluster) for path in (audio, frames, videos, out)
    )
    out, info = pathlib.Path(out), _described(list_file, dataset)
    listed = tagging_lists.read_list(list_file, info.classes)
    sound_of = clip_files.find_audio(audio)
    pieces = _find_pieces(listed, sound_of, split, info, audio, frames, videos)
    if left_out is not None:
        names = [clip.name for clip in listed]
        left_out += clip_files.unlisted(audio, sound_of, names, pathlib.Path(list_file).name)
    settings = {'layout': 'tagging', 'dataset': info.name, 'clip_seconds': clip_seconds}
    call = conversion.Call(
        'convert_tagging',
        {'list_file': list_file, 'audio': audio, 'frames': frames, 'videos': videos},
        {'split': split, 'dataset': dataset, 'clip_seconds': clip_seconds},
    )
    with conversion.writing(
        out,
        settings,
        call,
        {piece.record: piece.source for piece in pieces},
        overwrite,
        only,
        processes,
        cluster=cluster,
    ) as task:
        datasets.write_description(out, info)
        chosen = [piece for piece in pieces if piece.record in task.missing]
        results = task.run(
            functools.partial(convert_clip, clip_seconds=clip_seconds),
            chosen,
            'clip',
            lambda piece: piece.clip.name,
        )
        skipped = {
            piece.record: (piece.clip, written.message)
            for piece, written in zip(chosen, results, strict=True)
            if written.message
        }
        bad = [f'row {clip.row}, {clip.name}: {message}' for clip, message in skipped.values()]
        if only is None:
            atomic.write_text(
                out / f'{split}_skipped.csv',
                _table(
                    [['row', 'clip', 'reason']]
                    + [[clip.row, clip.name, message] for clip, message in skipped.values()]
                ),
            )
        sound_files.check_bad([f'{list_file}, {message}' for message in bad], max_bad)
        if only is None:
            atomic.write_text(
                out / f'{split}.txt',
                ''.join(f'{piece.record}\n' for piece in pieces if piece.record not in skipped),
            )
    return len(task.missing) - len(bad), len(pieces) - len(task.missing), bad


def _find_pieces(listed, sound_of, split, info, audio, frames, videos):
    """The `Piece`s of a list, with the files that belong to each."""
    if frames is None:
        frames_of = clip_files.find_videos(videos)
    else:
        frames_of = clip_files.find_frame_folders(frames)
    hot = tagging_lists.multi_hot([clip.labels for clip in listed], info.num_classes)
    pieces = []
    for clip, labels in zip(listed, hot, strict=True):
        sound, pictures = (clip_files.file_of(found, clip.name) for found in (sound_of, frames_of))
        source = {
            'row': clip.row,
            'sound': _below(sound, audio),
            'frames': _below(pictures, videos if frames is None else frames),
        }
        record = f'{split}/{clip.name}{schema.RECORD_SUFFIX}'
        pieces.append(Piece(clip, labels, sound, pictures, record, source))
    return pieces


def _below(path, folder):
    """A path relative to its folder, with slashes; None for None."""
    return path and path.relative_to(folder).as_posix()


def _described(list_file, dataset):
    """The `datasets.DatasetInfo` of a list."""
    if dataset is not None:
        if dataset not in tagging_lists.DATASETS:
            raise ValueError(
                f'--dataset={dataset}: expected one of {", ".join(tagging_lists.DATASETS)}'
            )
        return tagging_lists.DATASETS[dataset]
    folder = pathlib.Path(list_file).resolve().parent
    if not (folder / datasets.DESCRIPTION_FILE).exists():
        raise ValueError(
            f'{folder}: no {datasets.DESCRIPTION_FILE} that names the classes; pass '
            f'--dataset={" or --dataset=".join(tagging_lists.DATASETS)}'
        )
    return datasets.read_description(folder)


def _aligned(audio, frames, clip_seconds):
    """A clip's int16 samples and JPEGs, both exactly `clip_seconds` long."""
    sound = sound_files.read_sound(audio, schema.CLIP_RATE_HZ)
    sound_s = len(sound) / schema.CLIP_RATE_HZ
    jpegs = clip_files.read_frames(frames)
    if abs(len(jpegs) - sound_s) > 1.0:  # a difference of one may be rounding
        raise ValueError(
            f'{frames}: {len(jpegs)} frames, but {audio} has {sound_s:.2f} s; expected one '
            'frame per second'
        )
    samples = np.zeros(clip_seconds * schema.CLIP_RATE_HZ, np.int16)
    part = sound[: len(samples)]
    samples[: len(part)] = np.clip(np.rint(part * schema.CLIP_PEAK), -32_768, 32_767)
    return samples, (jpegs + jpegs[-1:] * clip_seconds)[:clip_seconds]


def _table(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator='\n').writerows(rows)
    return file.getvalue()


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    left_out: list[folder_scan.LeftOut] = []
    with cluster_flags.connected() as cluster:
        written, existing, bad = convert(
            options.list,
            options.split,
            options.audio,
            options.out,
            options.frames,
            options.videos,
            options.dataset,
            options.clip_seconds,
            options.max_bad,
            options.overwrite,
            options.processes or jobs.default_processes(),
            left_out=left_out,
            cluster=cluster,
        )
    for message in (*left_out, *bad):
        print('left out:', message)
    others = sum(one.count for one in left_out)
    print(
        f'{written} records written, {existing} already existed, {len(bad)} clips left out'
        f'{f", {others} files of no row" if others else ""}: {options.out}'
    )


if __name__ == '__main__':
    from dualcam.cli import errors

    flags.DEFINE_string('list', None, "Tab-separated list of the split's clips.", required=True)
    flags.DEFINE_enum('split', None, tagging_lists.SPLITS, 'Split of the list.', required=True)
    flags.DEFINE_string('audio', None, "Folder with the clips' sound.", required=True)
    flags.DEFINE_string('frames', None, 'One folder of pictures per clip, one per second.')
    flags.DEFINE_string('videos', None, "Folder with the clips' videos.")
    flags.DEFINE_string('out', None, 'Folder for the records.', required=True)
    flags.DEFINE_string(
        'dataset',
        None,
        f'Whose classes: {", ".join(tagging_lists.DATASETS)}; default '
        'those of dataset.json beside the list.',
    )
    flags.DEFINE_integer('clip_seconds', 10, 'Length of a record.', lower_bound=1)
    flags.DEFINE_integer('max_bad', 0, 'Number of bad clips that may be left out.', lower_bound=0)
    flags.DEFINE_bool('overwrite', False, 'Rewrite existing records.')
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core, up to 8.')
    cluster_flags.define()
    flags.adopt_module_key_flags(cluster_flags)  # for --help
    app.run(errors.clean_errors(main))
