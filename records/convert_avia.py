"""AVIA raw folders to one-second TFRecords (WACV 2020, section 4).

    python -m records.convert_avia --matfiles=DIR --sync=DIR --out=DIR [--modalities=0,1,2]

Writes OUT/Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord with actions counted from 001.
A sequence shorter than --sequence_seconds starts over until it is full, a longer one is cut.
Records that exist are left as they are, so that a stopped conversion goes on where it stopped;
--overwrite writes them anew. OUT/manifest.jsonl lists them, for `records.verify`.
"""

import functools
import pathlib
import re

from absl import app, flags

from dualcam.data import schema
from dualcam.data.sources import datasets
from records import avia_layout, conversion, jobs


def plan(sequence, sequence_seconds):
    """A sequence's records and the frames that each holds.

    Args:
        sequence: a `avia_layout.RawSequence`.
        sequence_seconds: records to make of it.

    Returns:
        [(record path below the records' root, [12 frame indices from 0])]
    """
    folder = avia_layout.sequence_name(sequence.location, sequence.subject, sequence.action + 1)
    size = schema.FRAMES_PER_SECOND
    return [
        (
            conversion.record_path(folder, second),
            [frame % sequence.num_frames for frame in range(second * size, (second + 1) * size)],
        )
        for second in range(sequence_seconds)
    ]


def convert_sequence(piece, out, compression_level=1):
    """Writes records of one sequence.

    Args:
        piece: (`avia_layout.RawSequence`, rows of its `plan`).
        out: root of the records.
        compression_level: of GZIP.

    Raises:
        ValueError: a raw file is damaged; the message names it, records before it are whole.
    """
    sequence, rows = piece
    labels = {
        'action': sequence.action,
        'location': sequence.location - 1,
        'subject': sequence.subject - 1,
    }

    def read(index):
        return {
            name: avia_layout.read_frame(name, files[index])
            for name, files in sequence.files.items()
        }

    conversion.write_seconds(sequence.name, labels, rows, read, out, compression_level)


def convert(
    matfiles,
    sync,
    out,
    modalities,
    sequence_seconds=30,
    overwrite=False,
    compression_level=1,
    processes=1,
    only=None,
):
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
        only: paths of records below `out`, of one sequence, to write anew; no others then.

    Returns:
        How many records were written and how many existed already.

    Raises:
        ValueError: a folder or file is missing or damaged, or `out` holds records of other
            settings.
        OSError: see `conversion.writing`.
    """
    roots = {m.name: matfiles if m is schema.ACOUSTIC else sync for m in modalities}
    for name, root in roots.items():
        if not root:
            raise ValueError(
                f'modality {schema.MODALITIES[name].number} ({name}) needs --'
                f'{"matfiles" if name == "acoustic" else "sync"}'
            )
    if sequence_seconds < 1:
        raise ValueError(f'--sequence_seconds={sequence_seconds}: expected 1 or more')
    sequences = avia_layout.find_sequences(roots, only and _raw_name(only))
    plans = [plan(sequence, sequence_seconds) for sequence in sequences]
    settings = {'modalities': [m.name for m in modalities], 'sequence_seconds': sequence_seconds}
    call = conversion.Call(
        'convert_avia',
        {'matfiles': matfiles, 'sync': sync},
        settings | {'compression_level': compression_level},
    )
    planned = {
        path: conversion.second_source(sequence.name, indices)
        for sequence, rows in zip(sequences, plans, strict=True)
        for path, indices in rows
    }
    with conversion.writing(out, settings, call, planned, overwrite, only, processes) as missing:
        description = pathlib.Path(next(iter(roots.values()))).parent / datasets.DESCRIPTION_FILE
        if description.exists():
            datasets.write_description(out, datasets.read_description(description.parent))
        jobs.run_all(
            functools.partial(convert_sequence, out=out, compression_level=compression_level),
            conversion.pieces(sequences, plans, missing),
            processes,
            'sequence',
        )
    return len(missing), len(planned) - len(missing)


def _raw_name(records):
    """The raw sequence that records of one sequence are made of."""
    place = re.match(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)/', min(records))
    if place is None:
        raise ValueError(f'{min(records)}: no raw sequence has such a record')
    location, subject, action = map(int, place.groups())
    return avia_layout.sequence_name(location, subject, action - 1)


def main(_):
    """The command."""
    options = flags.FLAGS
    written, existing = convert(
        options.matfiles,
        options.sync,
        sequence_seconds=options.sequence_seconds,
        **conversion.shared_options(),
    )
    print(f'{written} records written, {existing} were there: {options.out}')


if __name__ == '__main__':
    from dualcam.cli import errors

    conversion.define_flags()
    flags.DEFINE_string('matfiles', None, 'Folder with Location_LL/.../MFCC_Image/Data_I.mat.')
    flags.DEFINE_string('sync', None, 'Folder with Location_LL/.../audio and video.')
    flags.DEFINE_integer('sequence_seconds', 30, 'Records a sequence.', lower_bound=1)
    app.run(errors.clean_errors(main))
