"""Training, validation and test lists of a records folder.

    python -m records.make_lists --root=DIR --num_seconds=10 --split=train_valid_test \\
        [--location=L] [--absolute]

Writes <root>/<N>_seconds[_location_L]/lists/*.txt; see records/lists.py for the rule.
"""

from absl import app, flags

from records import command, lists


def main(_):
    """The command."""
    options = flags.FLAGS
    written = lists.write_lists(options.root, options.num_seconds, options.split,
                                options.location, options.absolute)
    for path, count in written.items():
        print(f'{path}: {count} records, {count // options.num_seconds} sequences')


if __name__ == '__main__':
    flags.DEFINE_string('root', None, 'Folder with the records.', required=True)
    flags.DEFINE_integer('num_seconds', 10, 'Records in a sequence.', lower_bound=1)
    flags.DEFINE_enum('split', 'train_valid_test', list(lists.SPLITS), 'What to split into.')
    flags.DEFINE_integer('location', None, 'One scenario, from 1; default all.', lower_bound=1)
    flags.DEFINE_bool('absolute', False, 'Full paths, as the authors\' programs need them.')
    app.run(command.clean_errors(main))
