"""Writes training, validation and test lists of a records folder.

    python -m records.make_lists --root=DIR --num_seconds=10 --split=train_valid_test \\
        [--location=L] [--absolute]
    python -m records.make_lists --root=DIR --num_seconds=5 --by_take [--seed=42] [--location=L] \\
        [--unseen_subjects=8,9] [--absolute]
    python -m records.make_lists --root=DIR --num_seconds=2 --by_video [--seed=42] [--absolute]

Writes <root>/<N>_seconds[_location_L]/lists/*.txt by one of three rules: the authors' for AVIA
(dualcam/data/records/record_lists.py); with --by_take, no take is in two lists and every class of
every scenario is in each (take_lists.py there), as the embedded AVIA's dataset.json specifies; with
--by_video, for ACIVW, records/video_lists.py.
"""

import dataclasses

from absl import app, flags

from dualcam.cli import errors
from dualcam.data.records import record_lists, take_lists
from dualcam.data.sources import datasets
from records import video_lists


def main(_: list[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    if options.by_take and options.by_video:
        raise ValueError('--by_take is for AVIA, --by_video for ACIVW; choose one')
    if options.unseen_subjects and not options.by_take:
        raise ValueError('--unseen_subjects needs --by_take')
    if options.by_take:
        if options['split'].present:
            raise ValueError('--by_take makes all lists; omit --split')
        written = take_lists.write_take_lists(
            options.root,
            options.num_seconds,
            _take_rule(options),
            options.location,
            options.seed,
            options.absolute,
        )
    elif options.by_video:
        if options.location or options['split'].present:
            raise ValueError(
                '--by_video makes training, validation and test lists of all videos; '
                'omit --split and --location'
            )
        written = video_lists.write_video_lists(
            options.root, options.num_seconds, options.seed, options.absolute
        )
    else:
        if options['seed'].present:
            raise ValueError(
                "--seed needs --by_take or --by_video; the other lists use the authors' 42"
            )
        written = record_lists.write_lists(
            options.root, options.num_seconds, options.split, options.location, options.absolute
        )
    for path, count in written.items():
        print(f'{path}: {count} records, {count // options.num_seconds} sequences')


def _take_rule(options):
    """The data set's `datasets.TakeRule`, with the requested subjects."""
    rule = datasets.read_description(options.root).take_rule or datasets.TakeRule()
    if options.unseen_subjects:
        try:
            unseen = tuple(int(number) for number in options.unseen_subjects)
        except ValueError:
            raise ValueError(
                f'--unseen_subjects={",".join(options.unseen_subjects)}: expected whole numbers'
            ) from None
        rule = dataclasses.replace(rule, unseen_subjects=unseen)
    return rule


if __name__ == '__main__':
    flags.DEFINE_string('root', None, 'Folder with the records.', required=True)
    flags.DEFINE_integer('num_seconds', 10, 'Records in a sequence.', lower_bound=1)
    flags.DEFINE_enum('split', 'train_valid_test', list(record_lists.SPLITS), 'Lists to make.')
    flags.DEFINE_integer('location', None, 'One scenario, from 1; default all.', lower_bound=1)
    flags.DEFINE_bool('by_take', False, 'AVIA: no take in two lists, each class in all lists.')
    flags.DEFINE_list('unseen_subjects', [], 'With --by_take: test-only subjects, from 1.')
    flags.DEFINE_bool('by_video', False, 'ACIVW: no video in two lists.')
    flags.DEFINE_integer(
        'seed', 42, 'With --by_take or --by_video: seed of the split.', lower_bound=0
    )
    flags.DEFINE_bool('absolute', False, "Write absolute paths, which the authors' programs need.")
    app.run(errors.clean_errors(main))
