"""Code shared by all commands: flags, seeds, and final output."""

import os
from collections.abc import Callable, Mapping, Sequence

from experiments.shared import provenance  # first: the wall time is measured from here

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow, whose startup is verbose

from absl import app, flags, logging

from dualcam import startup
from dualcam.cli import errors
from dualcam.files import progress_bars
from dualcam.training import precisions
from records import cluster_flags

SEEDS = {'paper': (0, 1, 2), 'demo': (0, 1, 2), 'smoke': (0,)}
NEEDS_VIDEO = 'this needs records with video (records.convert_avia --modalities=0,1,2)'


def run(table, soundnet=False):
    """Parses the flags, fills and writes a table, and prints its location.

    Args:
        table: function that returns a `wacv2020.tables.Spec`, called after the flags are parsed:
            it loads TensorFlow, which help and errors in flags do without.
        soundnet: whether the table includes OurSoundNet.
    """

    def body(options, preset, seeds, cluster):
        from dualcam.data.records import record_lists
        from dualcam.data.sources import datasets
        from experiments.shared import comparison_pages, parallel, workers
        from experiments.wacv2020 import comparison, runs, tables

        spec = table()
        places = record_lists.locations(options.records)
        settings = runs.settings_of(datasets.read_description(options.records), places)

        workshop = open_workshop(
            options,
            preset,
            [one for setting in settings for one in spec.columns(setting).values()],
        )
        left_out = [
            column
            for column, one in spec.columns('all').items()
            if not workshop.source.can_train(one)
        ]
        if left_out:
            print(f'Left blank: {", ".join(left_out)}; {NEEDS_VIDEO}')
        blank = workshop.source.blank_settings
        if blank:
            print(f'Rows left blank: there are no records of {", ".join(blank)}')
        wanted = tables.wanted(spec, workshop)
        for seed in seeds:
            workshop.source.prepare_features(
                workshop, [pair for columns in wanted.values() for pair in columns.values()], seed
            )
        if workers.follow(workshop):
            return
        largest_first = [
            (one, tuple(tests))
            for setting in reversed(settings)
            for one, tests in wanted[setting].values()
        ]
        pieces = parallel.by_teacher(largest_first, seeds)
        parallel.train_ahead(workshop, pieces, options.jobs, cluster)
        rows = tables.fill(spec, workshop, seeds)
        made = tables.table(spec, rows, workshop.note, described(workshop))
        print('\n' + write(made, options, seeds, workshop.store.digest))
        page = comparison_pages.write(made, comparison.gather(spec, workshop, seeds), options.out)
        print(f'{written(made, options)}; comparison of the runs: {page}')
        print(f'runs: {options.out}/runs; curves: make tensorboard')

    start(body, video=True, soundnet=soundnet, jobs=True, on_cluster=True, networks=True)


def write(table, options, seeds, data, folder=None):
    """Writes a `results.Table` according to the flags; returns its Markdown.

    Args:
        table: the table to write.
        options: the flags.
        seeds: of the runs.
        data: digest of the records or files.
        folder: where to write; default the folder of the results.
    """
    from experiments.shared import results

    made = provenance.describe(seeds, data)
    return results.write(
        table, folder or options.out, made, options.publish, options.publish_suffix
    )


def written(table, options, folder=None):
    """Location of a table, for the last line of a command."""
    text = f'written: {folder or options.out}/{table.name}.md, .csv, .json, .png'
    if not options.publish:
        return text
    return f'{text}, {options.publish}/{table.name}{options.publish_suffix}.json'


def described(workshop):
    """A table's JSON entries for a `workshops.Workshop`."""
    return {
        'preset': workshop.source.preset.name,
        'records': workshop.store.digest,
        'classes': list(workshop.info.classes),
    }


def chosen_preset(options, preset):
    """A preset of any kind, with the precision and devices from the flags.

    Raises:
        ValueError: this machine does not support the precision.
    """
    from dualcam.training import hardware
    from experiments.wacv2020 import presets

    hardware.check_machine(options.precision)
    return presets.with_hardware(preset, options.precision, options.devices)


def open_workshop(options, preset, wanted):
    """The workshop of a command, for `wacv2020.runs.Source`.

    Args:
        options: the flags; missing ones have their defaults.
        preset: a `presets.Preset`.
        wanted: all `runs.Run`s that will be requested.
    """
    from experiments.wacv2020 import runs

    video = runs.VideoParams()
    if 'backbone' in options:
        video = runs.VideoParams(options.backbone, options.bgr, options.batch_norm)
    workshop = runs.open_workshop(
        options.records,
        options.out,
        preset,
        wanted,
        video,
        options.soundnet if 'soundnet' in options else None,
        options.profile,
        options.max_bad,
    )
    list_skipped(workshop.store)
    return workshop


def list_skipped(store):
    """Prints which records a store skips."""
    for message in store.skipped.values():
        print('left out:', message)


def start(
    body: Callable[..., None],
    *,
    records: bool = True,
    video: bool = False,
    soundnet: bool = False,
    jobs: bool = False,
    on_cluster: bool = False,
    networks: bool = False,
    seeds: Mapping[str, Sequence[int]] = SEEDS,
) -> None:
    """Parses the flags, runs `body` and exits.

    Each command defines only the flags that it uses; absl rejects all others.

    Args:
        body: function of the flags, a `presets.Preset` and the list of seeds; with `on_cluster`,
            also of a `jobs.Cluster` or None. A command with flags of its own defines them before.
        records: whether --records is required.
        video: whether there are networks on video with ResNet-50.
        soundnet: whether OurSoundNet is trained or evaluated.
        jobs: whether runs can be trained concurrently.
        on_cluster: whether the workers of a Dask cluster can train runs.
        networks: whether the preset's networks take additional arguments.
        seeds: {preset: default of --seeds}.
    """
    flags.DEFINE_string('records', None, 'Folder with the records.', required=records)
    flags.DEFINE_string('out', None, 'Folder for runs and results.', required=True)
    flags.DEFINE_string('preset', 'demo', 'Size: paper, demo or smoke.')
    if video:
        flags.DEFINE_string(
            'backbone', None, 'Weights of ResNet-50 (.weights.h5); default randomly initialised.'
        )
        flags.DEFINE_bool('bgr', False, "Video in the authors' BGR order, for their weights.")
        flags.DEFINE_enum(
            'batch_norm',
            'frozen',
            ['frozen', 'authors'],
            'Of ResNet-50 while its logits are trained; "authors" takes days.',
        )
    if soundnet:
        flags.DEFINE_string(
            'soundnet',
            None,
            'Weights of SoundNet-5 (.weights.h5) to initialise OurSoundNet; default randomly '
            'initialised.',
        )
    flags.DEFINE_integer(
        'max_bad',
        0,
        'Number of unreadable records (with their sequence) or sound files that may be left out; '
        'they are listed.',
        lower_bound=0,
    )
    flags.DEFINE_bool('profile', False, 'Trace ten steps of each new run for TensorBoard.')
    if jobs:
        flags.DEFINE_integer(
            'jobs',
            None,
            'Runs trained at the same time; default one per core, up to 4, and one with a GPU.',
            lower_bound=1,
        )
    if on_cluster:
        cluster_flags.define()
    if networks:
        flags.DEFINE_list(
            'network_options',
            [],
            'Arguments of networks, such as dualcamnet.batch_norm=true,hearnet.dropout=0.5.',
        )
    flags.DEFINE_enum(
        'precision',
        'float32',
        precisions.PRECISIONS,
        'Of training; mixed ones suit GPUs, and processors with bfloat16.',
    )
    flags.DEFINE_integer('devices', 1, 'GPUs that share each batch.', lower_bound=1)
    flags.DEFINE_list(
        'workers',
        [],
        'host:port of each process that trains together with this one, the same list for all; '
        'default TF_CONFIG, or this process alone.',
    )
    flags.DEFINE_integer(
        'worker', None, 'Which of --workers this process is, from 0, the chief.', lower_bound=0
    )
    flags.DEFINE_string('publish', None, 'Folder that the JSON of the table is copied to.')
    flags.DEFINE_string(
        'publish_suffix', '', "After the table's name in that copy; tells other data apart: -data1."
    )
    defaults = '; '.join(
        f'{",".join(map(str, of_preset))} with {name}' for name, of_preset in seeds.items()
    )
    flags.DEFINE_list('seeds', None, f'Seeds of the runs, as in 0,1,2; default {defaults}.')

    def main(_):
        options = flags.FLAGS
        chosen = list(seeds.get(options.preset, seeds['paper']))
        if options.seeds is not None:
            chosen = read_seeds(options.seeds)

        startup.start_with_keras()  # which takes seconds, and what follows needs TensorFlow
        import tensorflow as tf

        from dualcam.training import hosts
        from experiments.shared import workers
        from experiments.wacv2020 import presets

        logging.set_verbosity(logging.WARNING)
        # A table traces many networks, which TensorFlow would warn about.
        tf.get_logger().setLevel('ERROR')
        _join(options)
        preset = presets.preset_named(options.preset)
        if networks:
            preset = presets.with_network_options(preset, options.network_options)
        if jobs and options.devices > 1:
            options.jobs = 1  # concurrent runs would share them
        with hosts.ending():
            workers.wait_for_chief()
            preset = chosen_preset(options, preset)
            if on_cluster:
                with cluster_flags.connected() as cluster:
                    code = body(options, preset, chosen, cluster)
            else:
                code = body(options, preset, chosen)
            workers.dismiss()
        return code

    app.run(errors.clean_errors(main))


def _join(options):
    """Joins the other processes of a distributed training named by the flags or TF_CONFIG."""
    from dualcam.training import hosts

    cluster = hosts.cluster(options.workers, options.worker, os.environ.get('TF_CONFIG'))
    if cluster is None:
        return
    if ('cluster' in options and options.cluster) or (
        'cluster_file' in options and options.cluster_file
    ):
        raise ValueError(
            'pass either --cluster, whose workers train one run each, or --workers, which train '
            'every run together'
        )
    count = len(cluster.addresses)
    if options.devices not in (1, count):
        raise ValueError(
            f'--devices={options.devices}: {count} processes have one each; start one per GPU'
        )
    print(f'worker {cluster.number} of {count} waits for the others', flush=True)
    hosts.join(cluster)
    options.devices = count
    if not hosts.is_chief():
        progress_bars.hide()


def read_seeds(texts: Sequence[str]) -> list[int]:
    """The flag's seeds in order, without duplicates; raises a `ValueError` unless whole numbers."""
    try:
        found = list(dict.fromkeys(int(text) for text in texts))
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise ValueError(f'--seeds={",".join(texts)}: expected whole numbers from 0, as in 0,1,2')
    return found
