"""A folder of audio files to TFRecords, so that a large set is decoded and resampled only once.

    python -m records.convert_sounds --input=DIR --out=DIR [--max_bad=0]

Reads the layouts of `dualcam.data.sources.sound_folders`: class folders, ESC-10 and ESC-50, DCASE
2018 task 1A. Writes one OUT/<class>/<name>.tfrecord per file (GZIP, mono float32 at 22,050 Hz, one
`tf.train.Example` for about every ten seconds), and OUT/sounds.csv with classes, folds and splits.
OUT can then be used wherever a folder of audio files can. Existing records are kept, so that an
interrupted conversion resumes; --overwrite rewrites them. OUT/manifest.jsonl lists them for
`records.verify`.
"""

import collections
import dataclasses
import hashlib
import pathlib
from collections.abc import Set

from absl import app, flags

from dualcam import jobs
from dualcam.data import schema
from dualcam.data.sources import folder_scan, sound_files, sound_folders
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath
from records import cluster_flags, conversion, manifest, writer

_LONGEST_NAME = 180  # bytes; file systems allow 255, and names of partial files are longer


def convert_sound(
    piece: tuple[sound_folders.Sound, str, manifest.Source], out: conversion.Output
) -> conversion.Written:
    """Writes one sound's record.

    Args:
        piece: (sound, path of its record below `out`, its source for the manifest).
        out: the `conversion.Output`.

    Returns:
        The record's entry, or a message about what is wrong with the file.
    """
    sound, path, source = piece

    def examples():
        start = 0
        for block in filter(len, sound_files.read_blocks(sound.path)):
            yield writer.sound_to_example(block, sound.label, start)
            start += len(block)

    if out.lacks(path):
        try:
            writer.write_examples(pathlib.Path(out.root) / path, examples())
        except sound_files.BadSound as error:
            return conversion.Written(message=str(error))
    return conversion.Written([out.finish(path, source)])


def convert(
    folder: AnyPath,
    out: AnyPath,
    max_bad: int = 0,
    overwrite: bool = False,
    processes: int = 1,
    only: Set[str] | None = None,
    left_out: list[folder_scan.LeftOut] | None = None,
    layout: str = 'auto',
    cluster: jobs.Cluster | None = None,
) -> tuple[int, int, list[str]]:
    """Converts a folder; see the module docstring.

    Args:
        folder: of audio files.
        out: root of the records.
        max_bad: number of bad files that may be left out.
        overwrite: rewrite existing records.
        processes: their number.
        only: paths of records below `out`; if given, only these are rewritten.
        left_out: list to which the folder's `folder_scan.LeftOut`s are added.
        layout: see `sound_folders.find_sounds`.
        cluster: its workers do the work instead of this machine's processes.

    Returns:
        Numbers of records written and of records that already existed, and messages about files
        that were left out.

    Raises:
        ValueError: the folder is not such a data set, or has more bad files than allowed; records
            of the others are kept.
        OSError: see `conversion.writing`.
    """
    folder, out = jobs.shared_path(folder, cluster), jobs.shared_path(out, cluster)
    found = sound_folders.find_sounds(folder, layout)
    if pathlib.Path(found.root).resolve() == pathlib.Path(out).resolve():
        raise ValueError(f'--out={out}: is the input folder; choose another')
    if left_out is not None:
        left_out += found.left_out
    sources = [pathlib.Path(sound.path).relative_to(found.root) for sound in found.sounds]
    names = [
        (sound.label, source.name) for sound, source in zip(found.sounds, sources, strict=True)
    ]
    repeated = {name for name, count in collections.Counter(names).items() if count > 1}
    places: list[str] = []
    planned: dict[str, manifest.Source] = {}
    for sound, source, name in zip(found.sounds, sources, names, strict=True):
        # If there are several folders, they are part of the name.
        own = '__'.join(source.parts) if name in repeated else source.name
        place = f'{_file_name(found.classes[sound.label])}/{_file_name(own)}{schema.RECORD_SUFFIX}'
        if place in planned:
            raise ValueError(
                f'{found.root}: two files of one class would both become {place}; rename one'
            )
        places.append(place)
        planned[place] = {'sound': text_files.escape_name(source.as_posix())}
    options = {} if layout == 'auto' else {'layout': layout}
    call = conversion.Call('convert_sounds', {'folder': folder}, options)
    with conversion.writing(
        out, {'layout': 'sounds'}, call, planned, overwrite, only, processes, cluster=cluster
    ) as task:
        pieces = [
            (sound, place, planned[place])
            for sound, place in zip(found.sounds, places, strict=True)
            if place in task.missing
        ]
        results = task.run(convert_sound, pieces, 'file', lambda piece: piece[0].path)
        bad = {
            place: written.message
            for (_, place, _), written in zip(pieces, results, strict=True)
            if written.message
        }
        sound_files.check_bad(list(bad.values()), max_bad)
        if only is None:
            sound_folders.write_index(
                out,
                found.classes,
                [
                    dataclasses.replace(sound, path=place)
                    for sound, place in zip(found.sounds, places, strict=True)
                    if place not in bad
                ],
            )
    count = len(task.missing)
    return count - len(bad), len(planned) - count, list(bad.values())


def _file_name(name):
    """A name for a record or its folder; keeps the suffix, as a.wav and a.ogg are two sounds."""
    name = text_files.printable_name(name).replace('.', '_').replace(' ', '_').replace('\\', '_')
    encoded = name.encode()
    if len(encoded) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f'{encoded[: _LONGEST_NAME - 17].decode(errors="ignore")}_{digest}'


def main(_: list[str]) -> None:
    """Runs the command."""
    left_out: list[folder_scan.LeftOut] = []
    with cluster_flags.connected() as cluster:
        written, existing, bad = convert(
            flags.FLAGS.input,
            flags.FLAGS.out,
            flags.FLAGS.max_bad,
            flags.FLAGS.overwrite,
            flags.FLAGS.processes or jobs.default_processes(),
            left_out=left_out,
            layout=flags.FLAGS.layout,
            cluster=cluster,
        )
    for message in (*left_out, *bad):
        print('left out:', message)
    count = len(bad) + sum(one.count for one in left_out)
    print(
        f'{written} records written, {existing} already existed, {count} files left out: '
        f'{flags.FLAGS.out}'
    )


if __name__ == '__main__':
    from dualcam.cli import errors

    flags.DEFINE_string('input', None, 'Folder of sound.', required=True)
    flags.DEFINE_string('out', None, 'Folder for the records.', required=True)
    flags.DEFINE_integer('max_bad', 0, 'Number of bad files that may be left out.', lower_bound=0)
    flags.DEFINE_enum(
        'layout',
        'auto',
        sound_folders.LAYOUTS,
        'folders: classes are the folders, whatever lists lie beside them.',
    )
    flags.DEFINE_bool('overwrite', False, 'Rewrite existing records.')
    flags.DEFINE_integer('processes', None, 'Number of processes; default one per core, up to 8.')
    cluster_flags.define()
    flags.adopt_module_key_flags(cluster_flags)  # for --help
    app.run(errors.clean_errors(main))
