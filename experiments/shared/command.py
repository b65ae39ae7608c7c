"""What the commands here share: their flags, their seeds, and how they end."""

import os

from experiments.shared import provenance  # first of all: the wall time counts from here

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its start is chatty

from absl import app, flags, logging

NEEDS_VIDEO = 'it takes records with video (records.convert_avia --modalities=0,1,2)'


def run(spec):
    """Parses the flags, fills a `wacv2020.tables.Spec`, and prints where it was written."""

    def body(options, preset, seeds):
        from experiments.shared import parallel, runs
        from experiments.wacv2020 import tables

        workshop = open_workshop(
            options,
            preset,
            [one for setting in runs.SETTINGS for one in spec.columns(setting).values()],
        )
        left_out = [
            column for column, one in spec.columns('all').items() if not workshop.can_train(one)
        ]
        if left_out:
            print(f'Left blank: {", ".join(left_out)}; {NEEDS_VIDEO}')
        wanted = tables.wanted(spec, workshop)
        for seed in seeds:
            workshop.prepare_features(
                [pair for columns in wanted.values() for pair in columns.values()], seed
            )
        parallel.train_ahead(
            workshop,
            [
                [(one, tests, seed) for one, tests in wanted[setting].values()]
                for seed in seeds
                for setting in reversed(runs.SETTINGS)
            ],
            options.jobs,
        )
        rows = tables.fill(spec, workshop, seeds)
        made = tables.table(spec, rows, workshop.note, described(workshop))
        print('\n' + write(made, options, seeds, workshop.store.digest))
        print(f'{written(made, options)}; runs: {options.out}/runs; curves: make tensorboard')

    start(body)


def write(table, options, seeds, data, folder=None):
    """Writes a `results.Table` as the flags ask for; returns its Markdown.

    Args:
        table: what to write.
        options: the flags.
        seeds: of the runs.
        data: digest of the records or files.
        folder: where to; default the results' own.
    """
    from experiments.shared import results

    made = provenance.describe(seeds, data)
    return results.write(table, folder or options.out, made, options.publish)


def written(table, options, folder=None):
    """Where a table is, for the last line of a command."""
    text = f'written: {folder or options.out}/{table.name}.md, .csv, .json, .png'
    return text + (f', {options.publish}/{table.name}.json' if options.publish else '')


def described(workshop):
    """What the JSON of a table says of a `runs.Workshop`."""
    return {
        'preset': workshop.preset.name,
        'records': workshop.store.digest,
        'classes': list(workshop.info.classes),
    }


def chosen_preset(options, preset):
    """A preset of any kind, with the precision and devices that the flags ask for."""
    from experiments.wacv2020 import presets

    return presets.with_hardware(preset, options.precision, options.devices)


def open_workshop(options, preset, wanted):
    """The `runs.Workshop` of a command.

    Args:
        options: the flags.
        preset: a `presets.Preset`.
        wanted: all `runs.Run`s that will be asked for.
    """
    from experiments.shared import runs

    video = runs.VideoParams(options.backbone, options.bgr, options.batch_norm)
    workshop = runs.Workshop(
        options.records,
        options.out,
        preset,
        wanted,
        video,
        options.soundnet,
        options.profile,
        options.max_bad,
    )
    list_skipped(workshop.store)
    return workshop


def list_skipped(store):
    """Prints which records a store leaves out."""
    for message in store.skipped.values():
        print('left out:', message)


def start(body, records=True):
    """Parses the flags, with those that all commands share, and ends the program with `body`.

    Args:
        body: function of the flags, a `presets.Preset` and the list of seeds. Flags of its own
            are to be defined before.
        records: whether --records must be given.
    """
    import tensorflow as tf

    from dualcam.cli import errors
    from dualcam.training import hardware
    from experiments.wacv2020 import presets

    flags.DEFINE_string('records', None, 'Folder with the records.', required=records)
    flags.DEFINE_string('out', None, 'Where runs and results go.', required=True)
    flags.DEFINE_string('preset', 'demo', 'Size: paper, demo or smoke.')
    flags.DEFINE_string(
        'backbone',
        None,
        'Weights of ResNet-50 (.weights.h5), for teachers that see video; default untrained.',
    )
    flags.DEFINE_string(
        'soundnet',
        None,
        'Weights of SoundNet-5 (.weights.h5) that OurSoundNet starts from; default drawn.',
    )
    flags.DEFINE_bool('bgr', False, 'Feed video as the authors do, for weights they trained.')
    flags.DEFINE_enum(
        'batch_norm',
        'frozen',
        ['frozen', 'authors'],
        'Of ResNet-50 while its logits are trained; authors takes days.',
    )
    flags.DEFINE_integer(
        'max_bad',
        0,
        'Records, or files of sound, that cannot be read and may '
        'be left out (a record with its sequence); they are listed.',
        lower_bound=0,
    )
    flags.DEFINE_bool('profile', False, 'Trace ten steps of each new run for TensorBoard.')
    flags.DEFINE_integer(
        'jobs',
        None,
        'Runs of a table that are trained at a time; default one a '
        'processor, up to 4, and one with a GPU.',
        lower_bound=1,
    )
    flags.DEFINE_enum(
        'precision',
        'float32',
        hardware.PRECISIONS,
        'Of training; mixed ones suit GPUs, and processors with bfloat16.',
    )
    flags.DEFINE_integer('devices', 1, 'GPUs that share each batch.', lower_bound=1)
    flags.DEFINE_string('publish', None, 'Folder that the JSON of the table is copied to.')
    flags.DEFINE_list('seeds', ['0'], 'Seeds, as in 0,1,2; several give mean and deviation.')

    def main(_):
        logging.set_verbosity(logging.WARNING)
        # A new network is a new trace: TensorFlow takes a table's many networks for a mistake.
        tf.get_logger().setLevel('ERROR')
        options = flags.FLAGS
        try:
            seeds = list(dict.fromkeys(int(seed) for seed in options.seeds))
        except ValueError:
            seeds = []
        if not seeds or min(seeds) < 0:
            raise ValueError(
                f'--seeds={",".join(options.seeds)}: expected whole numbers from 0, as in 0,1,2'
            )
        if options.devices > 1:
            options.jobs = 1  # runs side by side would share them
        return body(options, chosen_preset(options, presets.preset_named(options.preset)), seeds)

    app.run(errors.clean_errors(main))
