"""dualcam classify: what sound files, or a microphone, are."""

import pathlib


def add(commands):
    """Adds it to the `dualcam` command."""
    parser = commands.add_parser(
        'classify',
        help='classes of sound files',
        description='Cuts each file (any format, rate and channels) into windows of the length '
        'that the student takes, and tells its most probable classes, or all events over a '
        'threshold where the network tags: a row a file, or a row a window with its time. On the '
        'screen, or as .csv or .jsonl, which a stopped job goes on with when called again with '
        '--skip_existing.',
    )
    parser.add_argument(
        '--model', required=True, help="a run's folder, a SavedModel or a .tflite file"
    )
    parser.add_argument(
        '--input',
        nargs='+',
        default=[],
        metavar='PATH',
        help='files, or folders with files in them and below',
    )
    parser.add_argument(
        '--record',
        type=float,
        metavar='SECONDS',
        help='listen to the microphone for so long instead (needs sounddevice)',
    )
    parser.add_argument('--out', help='file to write, .csv or .jsonl; default: the screen')
    parser.add_argument(
        '--top_k', type=int, help='classes in a row; default 3, and all of a network that tags'
    )
    parser.add_argument(
        '--threshold',
        type=float,
        metavar='SHARE',
        help='tell events from this probability on (networks that tag; default 0.25)',
    )
    parser.add_argument('--by_window', action='store_true', help='a row a window, with its time')
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
    parser.add_argument(
        '--skip_existing', action='store_true', help='add to --out the files that it lacks'
    )
    parser.set_defaults(run=_run)


def _run(options):
    # Not above: TensorFlow takes seconds to start, and --help does not need it.
    from dualcam.data.sources import sound_folders
    from dualcam.inference import batching, classification, students

    if bool(options.input) == (options.record is not None):
        raise ValueError('expected --input=PATH or --record=SECONDS')
    if options.top_k is not None and options.top_k < 1:
        raise ValueError(f'--top_k={options.top_k}: expected 1 or more')
    if options.threshold is not None and not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f'--threshold={options.threshold}: expected a probability, 0 to 1')
    if options.record is not None:
        return _listen(options)
    out = pathlib.Path(options.out) if options.out else None
    if out and out.suffix not in classification.FORMATS:
        raise ValueError(
            f'--out={out}: expected a name that ends in {" or ".join(classification.FORMATS)}'
        )
    if out and out.exists() and not options.skip_existing:
        raise ValueError(f'{out} exists; choose another --out, or --skip_existing to add to it')
    if options.skip_existing and not out:
        raise ValueError('--skip_existing needs --out=FILE')
    if options.batch_size < 1:
        raise ValueError(f'--batch_size={options.batch_size}: expected 1 or more')
    sets = [sound_folders.find_files(path) for path in options.input]
    listener = students.open_listener(options.model)
    batching.hop_samples(listener, options.hop_s)  # before anything is written
    params = classification.ClassifyParams(
        *_shown(options, listener),
        options.by_window,
        options.hop_s,
        options.batch_size,
        options.max_bad,
    )
    done = classification.take_up(out, listener, params) if out else set()
    paths = list(dict.fromkeys(sound.path for one in sets for sound in one.sounds))
    wanted = [path for path in paths if path not in done]
    skipped, firsts, rows = [], {}, 0
    with classification.table(out, listener, params) as write:
        for answers in classification.classify(listener, wanted, params, skipped):
            write(answers)
            rows += len(answers)
            firsts[answers[0].file] = next(iter(answers[0].classes), None)
    if out:
        classification.complete(out, listener, params)
    for message in skipped:
        print('left out:', message)
    if not options.by_window and listener.threshold is None:
        for one in sets:
            share, count = classification.accuracy(firsts, one, listener.classes)
            if count:
                print(f'accuracy over {count} files in folders with names of classes: {share:.4f}')
    print(
        f'{len(firsts)} files, {rows} rows by {listener.network}; {len(done)} were there, '
        f'{len(skipped)} left out: {out or "above"}'
    )


def _shown(options, listener):
    """(classes in a row, threshold)."""
    several = listener.threshold is not None
    if options.threshold is not None and not several:
        raise ValueError(
            f'--threshold={options.threshold}: {listener.network} tells one class of '
            'each sound; see --top_k'
        )
    return options.top_k or (len(listener.classes) if several else 3), options.threshold


def _listen(options):
    import numpy as np

    from dualcam.data.sources import sound_files
    from dualcam.inference import classification, microphone, students

    unused = [
        name for name in ('out', 'by_window', 'hop_s', 'skip_existing') if getattr(options, name)
    ]
    if unused:
        raise ValueError(
            f'--{unused[0]} does not go with --record, which shows a row a window on the screen'
        )
    listener = students.open_listener(options.model)
    params = classification.ClassifyParams(*_shown(options, listener))
    ask = listener.listen('logits')
    ask(np.ones((1, listener.clip_samples), np.float32))  # sets up, before sound comes in
    for start_s, window, lost in microphone.windows(
        options.record, listener.clip_samples, listener.sample_rate_hz
    ):
        shown = 'nothing to be heard'
        if sound_files.heard(window):
            shown = classification.in_words(
                *classification.told(listener, ask(window[None])[0], params)
            )
        lost = '  (some sound before it was lost)' if lost else ''
        print(f'{start_s:8.1f} - {start_s + listener.seconds:.1f} s  {shown}{lost}', flush=True)
