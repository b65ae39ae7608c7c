"""dualcam embed: a student's features of a folder of sound, to a file."""

import pathlib


def add(commands):
    """Adds it to the `dualcam` command."""
    parser = commands.add_parser(
        'embed',
        help='features of sound files',
        description='Cuts each file into windows of the length that the student takes, asks it, '
        "and writes an .npz with files, labels, classes, features [files, n] (the windows' "
        'mean), window_features, window_file and window_s. A stopped job goes on when called '
        'again.',
    )
    parser.add_argument('--model', required=True, help="a run's folder, or a SavedModel")
    parser.add_argument('--input', required=True, help='a folder of sound, or one file')
    parser.add_argument('--out', required=True, help='file to write, .npz')
    parser.add_argument(
        '--layer',
        default='embedding',
        help="embedding (fc1), logits; of a run's folder also conv1, conv4 ...: "
        "averaged over a window's time steps",
    )
    parser.add_argument(
        '--hop_s', type=float, help="seconds from window to window; default a window's length"
    )
    parser.add_argument('--batch_size', type=int, default=32, help='windows asked at a time')
    parser.add_argument(
        '--max_bad',
        type=int,
        default=0,
        help='files that may be left out: silent, damaged, not sound',
    )
    parser.add_argument('--overwrite', action='store_true', help='write over an existing file')
    parser.set_defaults(run=_run)


def _run(options):
    # Not above: TensorFlow takes seconds to start, and --help does not need it.
    from dualcam.data.sources import sound_folders
    from dualcam.inference import embeddings, students

    out = pathlib.Path(options.out)
    if out.suffix != '.npz':
        raise ValueError(f'--out={out}: expected a name that ends in .npz')
    if out.exists() and not options.overwrite:
        raise ValueError(f'{out} exists; choose another --out, or --overwrite')
    sound_set = sound_folders.find_files(options.input)
    listener = students.open_listener(options.model)
    made = embeddings.embed(
        listener,
        sound_set,
        embeddings.EmbedParams(options.layer, options.hop_s, options.batch_size, options.max_bad),
        out.with_name(f'.{out.name}.parts'),
    )
    embeddings.save(out, made, options.layer, listener.source)
    for message in made.skipped:
        print('left out:', message)
    print(
        f'{len(made.files)} files, {len(made.windows)} windows of {listener.seconds} s, '
        f'{made.windows.shape[1]} features by {listener.network} {options.layer}; '
        f'{len(made.skipped)} files left out: {out}'
    )
