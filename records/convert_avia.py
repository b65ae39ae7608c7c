"""AVIA raw folders to one-second TFRecords (WACV 2020).

    python -m records.convert_avia --matfiles=DIR --sync=DIR --out=DIR [--modalities=0,1,2]

Writes OUT/Location_LL/Subject_SS/Action_AAA/Data_NNN.tfrecord with actions counted from 001.
A sequence shorter than --sequence_seconds is repeated to that length, a longer one is cut. Existing
records are kept, so that an interrupted conversion resumes; --overwrite rewrites them.
OUT/manifest.jsonl lists them for `records.verify`.

The data set's name, for the titles of tables, is read from dataset.json next to the raw folders;
AVIA itself has no such file, so pass --dataset=avia for it.
"""

import functools
import pathlib
import re
from collections.abc import Sequence, Set

from absl import app, flags

from dualcam import jobs
from dualcam.data import schema
from dualcam.data.sources import datasets
from dualcam.files.path_types import AnyPath
from records import avia_layout, cluster_flags, conversion


def plan(sequence: avia_layout.RawSequence, sequence_seconds: int) -> list[conversion.Row]:
    """A sequence's records and the frames in each.

    Args:
        sequence: of the raw data set.
        sequence_seconds: number of records per sequence.

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


def convert_sequence(
    piece: tuple[avia_layout.RawSequence, list[conversion.Row]],
    out: conversion.Output,
    compression_level: int = 1,
) -> conversion.Written:
    """Writes records of one sequence.

    Args:
        piece: (sequence, rows of its `plan`).
        out: the `conversion.Output`.
        compression_level: of GZIP.

    Raises:
        ValueError: a raw file is damaged; the message names it. Earlier records are complete.
    """
    sequence, rows = piece
    labels = {
        schema.AVIA_KEYS['label']: sequence.action,
        schema.AVIA_KEYS['group']: sequence.location - 1,
        schema.AVIA_KEYS['subject']: sequence.subject - 1,
    }

    def read(index):
        return {
            name: avia_layout.read_frame(name, files[index])
            for name, files in sequence.files.items()
        }

    return conversion.write_seconds(sequence.name, labels, rows, read, out, compression_level)


def convert(
    matfiles: AnyPath | None,
    sync: AnyPath | None,
    out: AnyPath,
    modalities: Sequence[schema.Modality],
    sequence_seconds: int = 30,
    overwrite: bool = False,
    compression_level: int = 1,
    processes: int = 1,
    only: Set[str] | None = None,
    changed: list[str] | None = None,
    dataset: str | None = None,
    cluster: jobs.Cluster | None = None,
) -> tuple[int, int]:
    """Converts a whole raw data set; see the module docstring.

    Args:
        matfiles: folder with the cepstra; may be None without modality 0.
        sync: folder with sound and video; may be None with modality 0 only.
        out: root of the records.
        modalities: `schema.Modality`s to keep.
        sequence_seconds: number of records per sequence.
        overwrite: rewrite existing records.
        compression_level: of GZIP.
        processes: their number.
        only: paths below `out` of one sequence's records; if given, only these are rewritten.
        changed: list to which messages about takes longer or shorter than a sequence are added.
        dataset: 'avia' if recordings without a dataset.json are AVIA's; None if unknown.
        cluster: its workers do the work instead of this machine's processes.

    Returns:
        Numbers of records written, and of records that already existed.

    Raises:
        ValueError: a folder or file is missing or damaged, or `out` has records with other
            settings.
        OSError: see `conversion.writing`.
    """
    matfiles, sync, out = (jobs.shared_path(path, cluster) for path in (matfiles, sync, out))
    roots: dict[str, AnyPath] = {}
    for modality in modalities:
        root = matfiles if modality is schema.ACOUSTIC else sync
        if not root:
            raise ValueError(
                f'modality {modality.number} ({modality.name}) needs --'
                f'{"matfiles" if modality is schema.ACOUSTIC else "sync"}'
            )
        roots[modality.name] = root
    if dataset not in (None, datasets.AVIA.name):
        raise ValueError(f'data set {dataset!r}: expected {datasets.AVIA.name!r}')
    if sequence_seconds < 1:
        raise ValueError(f'--sequence_seconds={sequence_seconds}: expected 1 or more')
    sequences = avia_layout.find_sequences(roots, _raw_name(only) if only else None)
    plans = [plan(sequence, sequence_seconds) for sequence in sequences]
    if changed is not None:
        changed += _changed_lengths(sequences, sequence_seconds)
    settings = {'modalities': [m.name for m in modalities], 'sequence_seconds': sequence_seconds}
    call = conversion.Call(
        'convert_avia',
        {'matfiles': matfiles, 'sync': sync},
        settings
        | {'compression_level': compression_level}
        | ({'dataset': dataset} if dataset else {}),
    )
    planned = {
        path: conversion.second_source(sequence.name, indices)
        for sequence, rows in zip(sequences, plans, strict=True)
        for path, indices in rows
    }
    with conversion.writing(
        out, settings, call, planned, overwrite, only, processes, cluster=cluster
    ) as task:
        description = pathlib.Path(next(iter(roots.values()))).parent / datasets.DESCRIPTION_FILE
        if description.exists():
            datasets.write_description(out, datasets.read_description(description.parent))
        elif dataset:
            datasets.write_description(out, datasets.AVIA)
        task.run(
            functools.partial(convert_sequence, compression_level=compression_level),
            conversion.pieces(sequences, plans, task.missing),
            'sequence',
            lambda piece: piece[0].name,
        )
    return len(task.missing), len(planned) - len(task.missing)


def _changed_lengths(sequences, sequence_seconds):
    """Messages about what happens to takes that are longer or shorter than a sequence."""
    wanted = sequence_seconds * schema.FRAMES_PER_SECOND
    counts = {
        f'longer than {sequence_seconds} s, cut': sum(one.num_frames > wanted for one in sequences),
        f'shorter than {sequence_seconds} s, repeated to fill it': sum(
            one.num_frames < wanted for one in sequences
        ),
    }
    return [f'{count} of {len(sequences)} takes {what}' for what, count in counts.items() if count]


def _raw_name(records):
    """The raw sequence that a sequence's records were made from."""
    place = re.match(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)/', min(records))
    if place is None:
        raise ValueError(f'{min(records)}: no raw sequence has a record of this name')
    location, subject, action = map(int, place.groups())
    return avia_layout.sequence_name(location, subject, action - 1)


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    changed: list[str] = []
    with cluster_flags.connected() as cluster:
        written, existing = convert(
            options.matfiles,
            options.sync,
            sequence_seconds=options.sequence_seconds,
            changed=changed,
            dataset=options.dataset,
            cluster=cluster,
            **conversion.shared_options(),
        )
    lengths = ''.join(f'; {text}' for text in changed)
    print(f'{written} records written, {existing} already existed{lengths}: {options.out}')


if __name__ == '__main__':
    from dualcam.cli import errors

    conversion.define_flags()
    flags.DEFINE_string('matfiles', None, 'Folder with Location_LL/.../MFCC_Image/Data_I.mat.')
    flags.DEFINE_string('sync', None, 'Folder with Location_LL/.../audio and video.')
    flags.DEFINE_integer('sequence_seconds', 30, 'Records per sequence.', lower_bound=1)
    flags.DEFINE_enum(
        'dataset', None, [datasets.AVIA.name], 'What recordings without a dataset.json are.'
    )
    flags.adopt_module_key_flags(cluster_flags)  # for --help
    app.run(errors.clean_errors(main))
