"""AVIA raw folders to one-second TFRecords (WACV 2020, section 4).

    python -m records.convert_avia --matfiles=DIR --sync=DIR --out=DIR [--modalities=0,1,2]

Writes OUT/Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord with actions counted from 001.
A sequence shorter than --sequence_seconds starts over until it is full, a longer one is cut.
Records that exist are left as they are, so that a stopped conversion goes on where it stopped;
--overwrite writes them anew.
"""

import functools
import pathlib

from absl import app, flags

from dualcam.data import datasets, schema
from records import conversion, jobs, raw


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
    return [(conversion.record_path(folder, second),
             [frame % sequence.num_frames for frame in range(second * size, (second + 1) * size)])
            for second in range(sequence_seconds)]


def convert_sequence(sequence, out, sequence_seconds=30, overwrite=False, compression_level=1):
    """Writes the records of one sequence.

    Returns:
        How many were written and how many existed already.

    Raises:
        ValueError: a raw file is damaged; the message names it, records before it are whole.
    """
    labels = {'action': sequence.action, 'location': sequence.location - 1,
              'subject': sequence.subject - 1}

    def read(index):
        return {name: raw.read_frame(name, files[index])
                for name, files in sequence.files.items()}
    return conversion.write_seconds(sequence.name, labels, plan(sequence, out, sequence_seconds),
                                    read, overwrite, compression_level)


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
    conversion.claim(out, {'modalities': [m.name for m in modalities],
                           'sequence_seconds': sequence_seconds}, overwrite)
    description = pathlib.Path(next(iter(roots.values()))).parent / datasets.DESCRIPTION_FILE
    if description.exists():
        datasets.write_description(out, datasets.read_description(description.parent))
    work = functools.partial(convert_sequence, out=out, sequence_seconds=sequence_seconds,
                             overwrite=overwrite, compression_level=compression_level)
    counts = jobs.run_all(work, sequences, processes, 'sequence')
    return sum(w for w, _ in counts), sum(e for _, e in counts)


def main(_):
    """The command."""
    options = flags.FLAGS
    written, existing = convert(options.matfiles, options.sync,
                                sequence_seconds=options.sequence_seconds,
                                **conversion.shared_options())
    print(f'{written} records written, {existing} were there: {options.out}')


if __name__ == '__main__':
    from records import command

    conversion.define_flags()
    flags.DEFINE_string('matfiles', None, 'Folder with Location_LL/.../MFCC_Image/Data_I.mat.')
    flags.DEFINE_string('sync', None, 'Folder with Location_LL/.../audio and video.')
    flags.DEFINE_integer('sequence_seconds', 30, 'Records a sequence.', lower_bound=1)
    app.run(command.clean_errors(main))
