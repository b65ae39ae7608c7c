"""AVIA raw folders to one-second TFRecords (WACV 2020, section 4).

    python -m records.convert_avia --matfiles=DIR --sync=DIR --out=DIR [--modalities=0,1,2]

Writes OUT/Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord with actions counted from 001.
A sequence shorter than --sequence_seconds starts over until it is full, a longer one is cut.
Records that exist are left as they are, so that a stopped conversion goes on where it stopped;
--overwrite writes them anew.
"""

import functools
import json
import pathlib

from absl import app, flags

from dualcam.data import datasets, schema
from records import jobs, raw

CONVERSION_FILE = 'conversion.json'


def plan(sequence, out, sequence_seconds):
    """Paths of a sequence's records and the frames that each holds.

    Args:
        sequence: a `raw.RawSequence`.
        out: root of the records.
        sequence_seconds: records to make of it.

    Returns:
        [(record path, [12 frame indices from 0])]
    """
    folder = pathlib.Path(out) / (f'Location_{sequence.location:02d}/'
                                  f'Subject_{sequence.subject:02d}/'
                                  f'Action_{sequence.action + 1:03d}')
    size = schema.FRAMES_PER_SECOND
    return [(folder / f'Data_{second + 1:03d}{schema.RECORD_SUFFIX}',
             [frame % sequence.num_frames for frame in range(second * size, (second + 1) * size)])
            for second in range(sequence_seconds)]


def convert_sequence(sequence, out, sequence_seconds=30, overwrite=False, compression_level=1):
    """Writes the records of one sequence.

    Returns:
        How many were written and how many existed already.

    Raises:
        ValueError: a raw file is damaged; the message names it, records before it are whole.
    """
    from records import writer  # TensorFlow is loaded by the processes that write

    labels = {'action': sequence.action, 'location': sequence.location - 1,
              'subject': sequence.subject - 1}
    written = existing = 0
    for path, indices in plan(sequence, out, sequence_seconds):
        if path.exists() and not overwrite:
            existing += 1
            continue
        frames = {name: [raw.read_frame(name, files[i]) for i in indices]
                  for name, files in sequence.files.items()}
        try:
            example = writer.second_to_example(labels, frames)
        except ValueError as error:
            raise ValueError(f'{sequence.name}, second {path.stem}: {error}') from error
        writer.write_record(path, example, compression_level)
        written += 1
    return written, existing


def convert(matfiles, sync, out, modalities, sequence_seconds=30, overwrite=False,
            compression_level=1, processes=1):
    """Converts a whole raw data set; see the module's text.

    Args:
        matfiles: folder with the cepstra; not needed without modality 0.
        sync: folder with sound and video; not needed with modality 0 alone.
        out: root of the records.
        modalities: `schema.Modality`s to keep.
        sequence_seconds: records a sequence.
        overwrite: write records anew that exist.
        compression_level: of GZIP.
        processes: how many work at a time.

    Returns:
        How many records were written and how many existed already.

    Raises:
        ValueError: a folder or file is missing or damaged, or `out` holds records of other
            settings.
    """
    roots = {m.name: matfiles if m is schema.ACOUSTIC else sync for m in modalities}
    for name, root in roots.items():
        if not root:
            raise ValueError(f'modality {schema.MODALITIES[name].number} ({name}) needs --'
                             f'{"matfiles" if name == "acoustic" else "sync"}')
    if sequence_seconds < 1:
        raise ValueError(f'--sequence_seconds={sequence_seconds}: expected 1 or more')
    sequences = raw.find_sequences(roots)
    out = pathlib.Path(out)
    _claim(out, {'modalities': [m.name for m in modalities],
                 'sequence_seconds': sequence_seconds}, overwrite)
    description = pathlib.Path(next(iter(roots.values()))).parent / datasets.DESCRIPTION_FILE
    if description.exists():
        datasets.write_description(out, datasets.read_description(description.parent))
    work = functools.partial(convert_sequence, out=out, sequence_seconds=sequence_seconds,
                             overwrite=overwrite, compression_level=compression_level)
    counts = jobs.run_all(work, sequences, processes, 'sequence')
    return sum(w for w, _ in counts), sum(e for _, e in counts)


def _claim(out, settings, overwrite):
    """Notes what the records of `out` are made with; refuses to mix two kinds."""
    path = out / CONVERSION_FILE
    if path.exists() and not overwrite:
        before = json.loads(path.read_text(encoding='utf-8'))
        if before != settings:
            raise ValueError(f'{out}: holds records made with {before}, not {settings}; choose '
                             'another --out, or --overwrite')
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings) + '\n', encoding='utf-8')


def main(_):
    """The command."""
    wanted = schema.modalities_by_number(int(n) for n in flags.FLAGS.modalities)
    written, existing = convert(
        flags.FLAGS.matfiles, flags.FLAGS.sync, flags.FLAGS.out, wanted,
        flags.FLAGS.sequence_seconds, flags.FLAGS.overwrite, flags.FLAGS.compression_level,
        flags.FLAGS.processes or jobs.default_processes())
    print(f'{written} records written, {existing} were there: {flags.FLAGS.out}')


if __name__ == '__main__':
    from records import command

    flags.DEFINE_string('matfiles', None, 'Folder with Location_LL/.../MFCC_Image/Data_I.mat.')
    flags.DEFINE_string('sync', None, 'Folder with Location_LL/.../audio and video.')
    flags.DEFINE_string('out', None, 'Where the records go.', required=True)
    flags.DEFINE_list('modalities', ['0', '1', '2'], '0 acoustic images, 1 audio, 2 video.')
    flags.DEFINE_integer('sequence_seconds', 30, 'Records a sequence.', lower_bound=1)
    flags.DEFINE_bool('overwrite', False, 'Write records anew that exist.')
    flags.DEFINE_integer('compression_level', 1, 'Of GZIP.', lower_bound=1, upper_bound=9)
    flags.DEFINE_integer('processes', None, 'How many work at a time; default one a processor.')
    app.run(command.clean_errors(main))
