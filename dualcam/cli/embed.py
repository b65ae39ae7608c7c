"""dualcam embed: writes a student's features for a folder of sound files."""

import argparse
import pathlib

from dualcam import startup
from dualcam.cli import examples, inputs

_EXAMPLES = (
    'dualcam embed --model=RUN --input=folder --out=features.npz',
    'dualcam embed --model=RUN --input=folder --out=features.npz --layer=conv4 --hop_s=0.5',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'embed',
        _EXAMPLES,
        help='features of sound files',
        description="Cuts each file into windows of the student's length, runs the student on "
        "them, and writes an .npz with files, labels, classes, features [files, n] (the windows' "
        'mean), window_features, window_file and window_s. A stopped job resumes when called '
        'again.',
    )
    parser.add_argument('--model', required=True, help="a run's folder, or a SavedModel")
    parser.add_argument('--input', required=True, help='a folder of sound files, or one file')
    parser.add_argument('--out', required=True, help='file to write, .npz')
    parser.add_argument(
        '--layer',
        default='embedding',
        help="embedding (fc1), logits; of a run's folder also conv1, conv4 ...: "
        "averaged over a window's time steps",
    )
    inputs.add_windows(parser)
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace an existing file; start over if a job was stopped',
    )
    inputs.add_layout(parser)
    inputs.add_cluster(parser)
    parser.set_defaults(run=_run)


def _run(options):
    out = pathlib.Path(options.out)
    if out.suffix != '.npz':
        raise ValueError(f'--out={out}: expected a name that ends in .npz')
    if out.exists() and not options.overwrite:
        raise ValueError(f'{out} exists; choose another --out, or --overwrite')
    inputs.check_windows(options)
    inputs.check_model(options.model)
    sound_set = inputs.find_files(options.input, options.layout)
    # Imported late: TensorFlow takes seconds to start, and neither --help nor errors need it.
    startup.start_for(options.model)
    from dualcam import jobs
    from dualcam.inference import embeddings, students

    listener = students.open_listener(options.model)
    for one in sound_set.left_out:
        print('left out:', one)
    params = embeddings.EmbedParams(
        options.layer, options.hop_s, options.batch_size, options.max_bad
    )
    with jobs.connected(options.cluster, options.cluster_file) as cluster:
        made = embeddings.embed(
            listener,
            sound_set,
            params,
            out.with_name(f'.{out.name}.parts'),
            restart=options.overwrite,
            cluster=cluster,
        )
    embeddings.save(out, made, options.layer, listener.source)
    for message in made.skipped:
        print('left out:', message)
    print(
        f'{len(made.files)} files, {len(made.windows)} windows of {listener.seconds} s, '
        f'{made.windows.shape[1]} features by {listener.network} {options.layer}; '
        f'{len(made.skipped) + sound_set.num_left_out} files left out: {out}'
    )
