"""Training, validation and test lists of a records folder.

    python -m records.make_lists --root=DIR --num_seconds=10 --split=train_valid_test \\
        [--location=L] [--absolute]
    python -m records.make_lists --root=DIR --num_seconds=2 --by_video [--seed=42] [--absolute]

Writes <root>/<N>_seconds[_location_L]/lists/*.txt; see dualcam/data/records/record_lists.py for the
rule of AVIA, and
with --by_video, for ACIVW, records/video_lists.py.
"""

from absl import app, flags

from dualcam.cli import errors
from dualcam.data.records import record_lists
from records import video_lists


def main(_):
    """The command."""
    options = flags.FLAGS
    if options.by_video:
        if options.location or options['split'].present:
            raise ValueError(
                '--by_video makes training, validation and test lists of all videos; '
                'leave --split and --location out'
            )
        written = video_lists.write_video_lists(
            options.root, options.num_seconds, options.seed, options.absolute
        )
    else:
        if options['seed'].present:
            raise ValueError("--seed goes with --by_video; the other lists keep to the authors' 42")
        written = record_lists.write_lists(
            options.root, options.num_seconds, options.split, options.location, options.absolute
        )
    for path, count in written.items():
        print(f'{path}: {count} records, {count // options.num_seconds} sequences')


if __name__ == '__main__':
    flags.DEFINE_string('root', None, 'Folder with the records.', required=True)
    flags.DEFINE_integer('num_seconds', 10, 'Records in a sequence.', lower_bound=1)
    flags.DEFINE_enum('split', 'train_valid_test', list(record_lists.SPLITS), 'What to split into.')
    flags.DEFINE_integer('location', None, 'One scenario, from 1; default all.', lower_bound=1)
    flags.DEFINE_bool('by_video', False, 'ACIVW: no video in two lists.')
    flags.DEFINE_integer('seed', 42, 'With --by_video: which videos go where.', lower_bound=0)
    flags.DEFINE_bool('absolute', False, "Full paths, as the authors' programs need them.")
    app.run(errors.clean_errors(main))
