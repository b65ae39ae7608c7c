"""A folder of sound to TFRecords, so that a big set is decoded and resampled once.

    python -m records.convert_sounds --input=DIR --out=DIR [--max_bad=0]

Takes what `dualcam.data.sounds` knows: class folders, ESC-10 and ESC-50, DCASE 2018 task 1A.
Writes OUT/<class>/<name>.tfrecord, one a file: GZIP, mono float32 at 22,050 Hz, one
`tf.train.Example` for each ten seconds or so; and OUT/sounds.csv with classes, folds and splits.
OUT then serves wherever a folder of sound does. Records that exist are left as they are, so that
a stopped conversion goes on where it stopped; --overwrite writes them anew.
"""

import dataclasses
import functools
import pathlib

from absl import app, flags

from dualcam.data import schema, sound_files, sounds
from records import jobs


def convert_sound(piece, overwrite=False):
    """Writes one sound's record.

    Args:
        piece: (`sounds.Sound`, path of its record).
        overwrite: write it though it exists.

    Returns:
        'written', 'there', or what is wrong with the file.
    """
    from records import writer  # TensorFlow is loaded by the processes that write

    sound, path = piece
    if path.exists() and not overwrite:
        return 'there'

    def examples():
        start = 0
        for block in filter(len, sound_files.read_blocks(sound.path)):
            yield sound_files.record_of(block, sound.label, start)
            start += len(block)
    try:
        writer.write_examples(path, examples())
    except sound_files.BadSound as error:
        return str(error)
    return 'written'


def convert(folder, out, max_bad=0, overwrite=False, processes=1):
    """Converts a folder; see the module's text.

    Returns:
        Counts of records written, there already, and messages about files left out.

    Raises:
        ValueError: no such data set, or more bad files than allowed; records of the others are
            kept.
    """
    found, out = sounds.find_sounds(folder), pathlib.Path(out)
    if pathlib.Path(found.root).resolve() == out.resolve():
        raise ValueError(f'--out={out}: is the folder that is read; choose another')
    root = pathlib.Path(found.root)
    places = []
    for sound in found.sounds:
        # The class first, and the suffix kept: a.wav and a.ogg are two sounds.
        name = pathlib.Path(sound.path).relative_to(root).name.replace('.', '_')
        places.append(pathlib.Path(found.classes[sound.label].replace(' ', '_'))
                      / f'{name}{schema.RECORD_SUFFIX}')
    if len(set(places)) != len(places):
        twice = next(p for p in places if places.count(p) > 1)
        raise ValueError(f'{root}: two files of one class would both become {twice}; rename one')
    results = jobs.run_all(functools.partial(convert_sound, overwrite=overwrite),
                           [(s, out / p) for s, p in zip(found.sounds, places, strict=True)],
                           processes, 'file')
    bad = [r for r in results if r not in ('written', 'there')]
    sound_files.check_bad(bad, max_bad)
    sounds.write_index(out, found.classes, [
        dataclasses.replace(sound, path=str(place))
        for sound, place, result in zip(found.sounds, places, results, strict=True)
        if result in ('written', 'there')])
    return results.count('written'), results.count('there'), bad


def main(_):
    """The command."""
    written, existing, bad = convert(
        flags.FLAGS.input, flags.FLAGS.out, flags.FLAGS.max_bad, flags.FLAGS.overwrite,
        flags.FLAGS.processes or jobs.default_processes())
    for message in bad:
        print('left out:', message)
    print(f'{written} records written, {existing} were there, {len(bad)} files left out: '
          f'{flags.FLAGS.out}')


if __name__ == '__main__':
    from records import command

    flags.DEFINE_string('input', None, 'Folder of sound.', required=True)
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_integer('max_bad', 0, 'Files that may be left out.', lower_bound=0)
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')
    app.run(command.clean_errors(main))
