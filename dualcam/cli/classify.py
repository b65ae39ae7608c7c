"""dualcam classify: classifies sound files or a microphone's sound."""

import argparse
import os
import pathlib

from dualcam import startup
from dualcam.cli import examples, inputs

_EXAMPLES = (
    'dualcam classify --model=RUN --input clip.wav folder',
    'dualcam classify --model=RUN --input folder --out=predictions.csv --by_window --hop_s=1',
    'dualcam classify --model=RUN --record=30  # the microphone',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'classify',
        _EXAMPLES,
        help='classify sound files, or the sound of a microphone',
        description="Cuts each file (any format, rate and channels; videos' sound too) into "
        "windows of the student's length, and reports its most probable classes, or for a tagging "
        'network all events above a threshold: one row per file, or one row per window with its '
        'time. Prints them, or writes .csv or .jsonl; a stopped job adds the missing rows when '
        'called again with --skip_existing.',
    )
    parser.add_argument(
        '--model', required=True, help="a run's folder, a SavedModel or a .tflite file"
    )
    parser.add_argument(
        '--input',
        nargs='+',
        default=[],
        metavar='PATH',
        help='files, or folders, which are searched recursively',
    )
    parser.add_argument(
        '--record',
        type=float,
        metavar='SECONDS',
        help='record from the microphone for this long instead (needs sounddevice)',
    )
    parser.add_argument('--out', help='file to write, .csv or .jsonl; default: print')
    parser.add_argument(
        '--top_k', type=int, help='classes per row; default 3, for tagging networks all'
    )
    parser.add_argument(
        '--threshold',
        type=float,
        metavar='SHARE',
        help='report events of at least this probability (tagging networks; default 0.25)',
    )
    parser.add_argument(
        '--by_window', action='store_true', help='one row per window, with its time'
    )
    inputs.add_windows(parser)
    parser.add_argument(
        '--skip_existing', action='store_true', help='add files that are missing in --out'
    )
    inputs.add_layout(parser)
    inputs.add_cluster(parser)
    parser.set_defaults(run=_run)


def _run(options):
    _check(options)
    inputs.check_model(options.model)
    if options.record is not None:
        return _listen(options)
    out = pathlib.Path(options.out) if options.out else None
    sets = [inputs.find_files(path, options.layout) for path in options.input]
    paths, left_out = inputs.join(sets)
    # Imported late: TensorFlow takes seconds to start, and neither --help nor errors need it.
    startup.start_for(options.model)
    from dualcam import jobs
    from dualcam.inference import batching, classification, students

    listener = students.open_listener(options.model)
    batching.hop_samples(listener, options.hop_s)  # before anything is written
    top_k, threshold = _shown(options, listener)
    params = classification.ClassifyParams(
        top_k,
        threshold,
        options.by_window,
        options.hop_s,
        options.batch_size,
        options.max_bad,
    )
    done = classification.resume_table(out, listener, params) if out else set()
    # The same file may be given relative to another folder.
    done |= {os.path.abspath(path) for path in done}
    missing = [path for path in paths if not {path, os.path.abspath(path)} & done]
    for message in left_out:
        print('left out:', message)
    skipped, firsts, rows = [], {}, 0
    try:
        with (
            jobs.connected(options.cluster, options.cluster_file) as cluster,
            classification.table(out, listener, params) as write,
        ):
            for answers in classification.classify(listener, missing, params, skipped, cluster):
                write(answers)
                rows += len(answers)
                firsts[answers[0].file] = next(iter(answers[0].classes), None)
    finally:
        for message in skipped:
            print('left out:', message)
    if out:
        classification.complete(out, listener, params)
    if not options.by_window and listener.threshold is None:
        for one in sets:
            share, count = classification.accuracy(firsts, one, listener.classes)
            if count:
                print(f'accuracy on {count} files in folders named after classes: {share:.4f}')
    num_left_out = len(skipped) + sum(one.count for one in left_out)
    there = len(paths) - len(missing)
    print(
        f'{len(firsts)} files, {rows} rows by {listener.network}; {there} already existed, '
        f'{num_left_out} left out: {out or "above"}'
    )


def _check(options):
    """Raises a `ValueError` for options that are wrong by themselves."""
    if bool(options.input) == (options.record is not None):
        raise ValueError('expected --input=PATH or --record=SECONDS')
    if options.top_k is not None and options.top_k < 1:
        raise ValueError(f'--top_k={options.top_k}: expected 1 or more')
    if options.threshold is not None and not 0.0 <= options.threshold <= 1.0:
        raise ValueError(f'--threshold={options.threshold}: expected a probability, 0 to 1')
    if options.record is not None:
        names = ('out', 'by_window', 'hop_s', 'skip_existing', 'cluster', 'cluster_file')
        unused = [name for name in names if getattr(options, name)]
        if unused:
            raise ValueError(
                f'--{unused[0]} cannot be used with --record, which prints one row per window'
            )
        return
    out = pathlib.Path(options.out) if options.out else None
    if out and out.suffix not in inputs.TABLES:
        raise ValueError(f'--out={out}: expected a name that ends in {" or ".join(inputs.TABLES)}')
    if out and out.exists() and not options.skip_existing:
        raise ValueError(f'{out} exists; choose another --out, or --skip_existing to add to it')
    if options.skip_existing and not out:
        raise ValueError('--skip_existing needs --out=FILE')
    inputs.check_windows(options)


def _shown(options, listener):
    """(classes per row, threshold)."""
    several = listener.threshold is not None
    if options.threshold is not None and not several:
        raise ValueError(
            f'--threshold={options.threshold}: {listener.network} reports one class for '
            'each sound; see --top_k'
        )
    return options.top_k or (len(listener.classes) if several else 3), options.threshold


def _listen(options):
    startup.start_for(options.model)
    import numpy as np

    from dualcam.data.sources import sound_files
    from dualcam.inference import classification, microphone, students

    listener = students.open_listener(options.model)
    params = classification.ClassifyParams(*_shown(options, listener))
    ask = listener.listen('logits')
    ask(np.ones((1, listener.clip_samples), np.float32))  # initialises before sound comes in
    for start_s, window, lost in microphone.windows(
        options.record, listener.clip_samples, listener.sample_rate_hz
    ):
        shown = 'silence'
        if sound_files.heard(window):
            shown = classification.format_predictions(
                *classification.predictions(listener, ask(window[None])[0], params)
            )
        note = '  (some sound before it was lost)' if lost else ''
        print(f'{start_s:8.1f} - {start_s + listener.seconds:.1f} s  {shown}{note}', flush=True)
