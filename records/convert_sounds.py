"""A folder of sound to TFRecords, so that a big set is decoded and resampled once.

    python -m records.convert_sounds --input=DIR --out=DIR [--max_bad=0]

Takes what `dualcam.data.sounds` knows: class folders, ESC-10 and ESC-50, DCASE 2018 task 1A.
Writes OUT/<class>/<name>.tfrecord, one a file: GZIP, mono float32 at 22,050 Hz, one
`tf.train.Example` for each ten seconds or so; and OUT/sounds.csv with classes, folds and splits.
OUT then serves wherever a folder of sound does. Records that exist are left as they are, so that
a stopped conversion goes on where it stopped; --overwrite writes them anew. OUT/manifest.jsonl
lists them, for `records.verify`.
"""

import dataclasses
import functools
import pathlib

from absl import app, flags

from dualcam.data import schema
from dualcam.data.sources import sound_files, sound_folders
from records import conversion, jobs


def convert_sound(piece, out):
    """Writes one sound's record.

    Args:
        piece: (`sounds.Sound`, path of its record below `out`, its source for the manifest).
        out: root of the records.

    Returns:
        What is wrong with the file, or None.
    """
    from records import writer  # TensorFlow is loaded by the processes that write

    sound, path, source = piece

    def examples():
        start = 0
        for block in filter(len, sound_files.read_blocks(sound.path)):
            yield sound_files.record_of(block, sound.label, start)
            start += len(block)

    try:
        writer.write_examples(pathlib.Path(out) / path, examples())
    except sound_files.BadSound as error:
        return str(error)
    conversion.finish(out, path, source)
    return None


def convert(folder, out, max_bad=0, overwrite=False, processes=1, only=None):
    """Converts a folder; see the module's text.

    Args:
        folder: of sound.
        out: root of the records.
        max_bad: files that may be left out.
        overwrite: write records anew that exist.
        processes: how many work at a time.
        only: paths of records below `out` to write anew; no others then.

    Returns:
        Counts of records written, there already, and messages about files left out.

    Raises:
        ValueError: no such data set, or more bad files than allowed; records of the others are
            kept.
        OSError: see `conversion.writing`.
    """
    found, out = sound_folders.find_sounds(folder), pathlib.Path(out)
    if pathlib.Path(found.root).resolve() == out.resolve():
        raise ValueError(f'--out={out}: is the folder that is read; choose another')
    places, planned = [], {}
    for sound in found.sounds:
        source = pathlib.Path(sound.path).relative_to(found.root)
        # The class first, and the suffix kept: a.wav and a.ogg are two sounds.
        place = (
            pathlib.PurePosixPath(found.classes[sound.label].replace(' ', '_'))
            / f'{source.name.replace(".", "_")}{schema.RECORD_SUFFIX}'
        ).as_posix()
        if place in planned:
            raise ValueError(
                f'{found.root}: two files of one class would both become {place}; rename one'
            )
        places.append(place)
        planned[place] = {'sound': source.as_posix()}
    call = conversion.Call('convert_sounds', {'folder': folder}, {})
    with conversion.writing(
        out, {'layout': 'sounds'}, call, planned, overwrite, only, processes
    ) as missing:
        pieces = [
            (sound, place, planned[place])
            for sound, place in zip(found.sounds, places, strict=True)
            if place in missing
        ]
        results = jobs.run_all(functools.partial(convert_sound, out=out), pieces, processes, 'file')
        bad = {
            place: message
            for (_, place, _), message in zip(pieces, results, strict=True)
            if message
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
    return len(missing) - len(bad), len(planned) - len(missing), list(bad.values())


def main(_):
    """The command."""
    written, existing, bad = convert(
        flags.FLAGS.input,
        flags.FLAGS.out,
        flags.FLAGS.max_bad,
        flags.FLAGS.overwrite,
        flags.FLAGS.processes or jobs.default_processes(),
    )
    for message in bad:
        print('left out:', message)
    print(
        f'{written} records written, {existing} were there, {len(bad)} files left out: '
        f'{flags.FLAGS.out}'
    )


if __name__ == '__main__':
    from dualcam.cli import errors

    flags.DEFINE_string('input', None, 'Folder of sound.', required=True)
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_integer('max_bad', 0, 'Files that may be left out.', lower_bound=0)
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')
    app.run(errors.clean_errors(main))
