"""Weakly labelled clips to TFRecords (AAAI 2021): DCASE 2017 task 4, DCASE 2018 task 4.

    python -m records.convert_tagging --list=FILE --split=training --audio=DIR --frames=DIR \
        --out=DIR [--dataset=dcase2017|dcase2018] [--max_bad=0]

Once for each split; --videos=DIR instead of --frames decodes videos. The classes are those of
--dataset, or of a `dataset.json` beside the list. Writes OUT/<split>/<clip>.tfrecord, each with
ten seconds of sound at 32 kHz and a frame for each of them, and OUT/<split>.txt, the list of
them. A shorter clip is filled up with silence and its last frame, a longer one cut.

Clips without sound or frames, damaged, empty or silent ones, and those whose frames are not as
many as their seconds are left out, counted and listed in OUT/<split>_skipped.csv; more of them
than --max_bad are an error. So is, always, a list that names unknown labels. Records that exist
are left as they are, so that a stopped conversion goes on where it stopped; --overwrite writes
them anew. OUT/manifest.jsonl lists them, for `records.verify`.
"""

import csv
import functools
import io
import pathlib

import numpy as np
from absl import app, flags

from dualcam.data import schema
from dualcam.data.sources import datasets, sound_files, tagging_lists
from dualcam.files import atomic
from records import clip_files, conversion, jobs


def convert_clip(piece, out, clip_seconds):
    """Writes one clip's record.

    Args:
        piece: (`tagging.ListedClip`, its labels [classes], path of its sound, path of its frames,
            path of its record below `out`, its source for the manifest); the first two paths may
            be None.
        out: root of the records.
        clip_seconds: of a record.

    Returns:
        What is wrong with the clip, or None.
    """
    from dualcam.data.records import (
        tagging_records,  # TensorFlow is loaded by the processes that write
    )
    from records import writer

    clip, labels, audio, frames, path, source = piece
    try:
        for what, found in (('sound', audio), ('frames', frames)):
            if found is None:
                raise ValueError(f'no {what} of this clip')
        samples, jpegs = _aligned(audio, frames, clip_seconds)
    except ValueError as error:
        return str(error)
    writer.write_record(out / path, tagging_records.record_of(clip.name, samples, jpegs, labels))
    conversion.finish(out, path, source)
    return None


def convert(
    list_file,
    split,
    audio,
    out,
    frames=None,
    videos=None,
    dataset=None,
    clip_seconds=10,
    max_bad=0,
    overwrite=False,
    processes=1,
    only=None,
):
    """Converts the clips of a list; see the module's text.

    Args:
        list_file, split, audio, frames, videos, dataset: what the command's flags say.
        out: root of the records.
        clip_seconds: of a record.
        max_bad: clips that may be left out.
        overwrite: write records anew that exist.
        processes: how many work at a time.
        only: paths of records below `out` to write anew; no others then.

    Returns:
        Counts of records written, there already, and messages about clips left out.

    Raises:
        ValueError: the list is wrong, a folder is not what it should be, or more clips are bad
            than allowed; records of the others are kept.
        OSError: see `conversion.writing`.
    """
    if (frames is None) == (videos is None):
        raise ValueError('pass one of --frames and --videos')
    if clip_seconds < 1:
        raise ValueError(f'--clip_seconds={clip_seconds}: expected 1 or more')
    out, info = pathlib.Path(out), _described(list_file, dataset)
    listed = tagging_lists.read_list(list_file, info.classes)
    sound_of = clip_files.find_audio(audio)
    frames_of = (
        clip_files.find_videos(videos) if frames is None else clip_files.find_frame_folders(frames)
    )
    hot = tagging_lists.multi_hot([clip.labels for clip in listed], info.num_classes)
    records = [f'{split}/{clip.name}{schema.RECORD_SUFFIX}' for clip in listed]
    pieces = []
    for clip, labels, record in zip(listed, hot, records, strict=True):
        sound, pictures = (clip_files.file_of(found, clip.name) for found in (sound_of, frames_of))
        pieces.append(
            (
                clip,
                labels,
                sound,
                pictures,
                record,
                {
                    'row': clip.row,
                    'sound': _below(sound, audio),
                    'frames': _below(pictures, videos if frames is None else frames),
                },
            )
        )
    settings = {'layout': 'tagging', 'dataset': info.name, 'clip_seconds': clip_seconds}
    call = conversion.Call(
        'convert_tagging',
        {'list_file': list_file, 'audio': audio, 'frames': frames, 'videos': videos},
        {'split': split, 'dataset': dataset, 'clip_seconds': clip_seconds},
    )
    with conversion.writing(
        out, settings, call, {piece[-2]: piece[-1] for piece in pieces}, overwrite, only, processes
    ) as missing:
        datasets.write_description(out, info)
        pieces = [piece for piece in pieces if piece[-2] in missing]
        results = jobs.run_all(
            functools.partial(convert_clip, out=out, clip_seconds=clip_seconds),
            pieces,
            processes,
            'clip',
        )
        skipped = {
            record: (clip, message)
            for (clip, *_, record, _), message in zip(pieces, results, strict=True)
            if message
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
                ''.join(f'{record}\n' for record in records if record not in skipped),
            )
    return len(missing) - len(bad), len(records) - len(missing), bad


def _below(path, folder):
    """A path relative to its folder, with slashes; None stays."""
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
    """Samples int16 and JPEGs of a clip, both of exactly `clip_seconds`."""
    sound = sound_files.read_sound(audio, schema.CLIP_RATE_HZ)
    sound_s = len(sound) / schema.CLIP_RATE_HZ
    jpegs = clip_files.read_frames(frames)
    if abs(len(jpegs) - sound_s) > 1.0:  # one more or less is rounding
        raise ValueError(
            f'{frames}: {len(jpegs)} frames, but {audio} has {sound_s:.2f} s; expected one a second'
        )
    samples = np.zeros(clip_seconds * schema.CLIP_RATE_HZ, np.int16)
    part = sound[: len(samples)]
    samples[: len(part)] = np.clip(np.rint(part * schema.CLIP_PEAK), -32_768, 32_767)
    return samples, (jpegs + jpegs[-1:] * clip_seconds)[:clip_seconds]


def _table(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator='\n').writerows(rows)
    return file.getvalue()


def main(_):
    """The command."""
    options = flags.FLAGS
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
    )
    for message in bad:
        print('left out:', message)
    print(
        f'{written} records written, {existing} were there, {len(bad)} clips left out: '
        f'{options.out}'
    )


if __name__ == '__main__':
    from dualcam.cli import errors

    flags.DEFINE_string('list', None, "Tab-separated list of the split's clips.", required=True)
    flags.DEFINE_enum('split', None, tagging_lists.SPLITS, 'What the list is for.', required=True)
    flags.DEFINE_string('audio', None, "Folder with the clips' sound.", required=True)
    flags.DEFINE_string('frames', None, 'Folder with a folder of pictures a clip, one a second.')
    flags.DEFINE_string('videos', None, "Folder with the clips' videos.")
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_string(
        'dataset',
        None,
        f'Whose classes: {", ".join(tagging_lists.DATASETS)}; default '
        'those of dataset.json beside the list.',
    )
    flags.DEFINE_integer('clip_seconds', 10, 'Of a record.', lower_bound=1)
    flags.DEFINE_integer('max_bad', 0, 'Clips that may be left out.', lower_bound=0)
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')
    app.run(errors.clean_errors(main))
