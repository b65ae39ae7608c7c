"""dualcam tflite: converts a student for phones and small boards, and measures the effect."""

import argparse
import csv
import pathlib
import statistics
import time

from dualcam import startup
from dualcam.cli import examples, inputs
from dualcam.export import interface

_EXAMPLES = (
    'dualcam tflite --model=RUN --out=small --kinds=float32,float16',
    'dualcam tflite --model=RUN --out=small --examples folder --test other',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'tflite',
        _EXAMPLES,
        help='TFLite files of a student',
        description="Converts a run's SavedModel to OUT/<network>.<kind>.tflite, one file per "
        'kind, and writes a table that compares sizes, predictions and times with the original: '
        'tflite.md, .csv.',
    )
    parser.add_argument('--model', required=True, help="a run's folder, or a SavedModel")
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--kinds',
        help='kinds to write: float32, float16, int8; default all, int8 only with --examples',
    )
    parser.add_argument(
        '--examples',
        nargs='+',
        default=[],
        metavar='PATH',
        help='typical sounds to calibrate int8: lists of records '
        '(training.txt), or folders of sound files',
    )
    parser.add_argument('--num_examples', type=int, default=128, help='number of their windows')
    parser.add_argument(
        '--test',
        nargs='+',
        default=[],
        metavar='PATH',
        help='labelled sounds to measure accuracy on, in the same form',
    )
    parser.add_argument(
        '--root', help="folder of the records in lists; default two folders above a list's"
    )
    parser.set_defaults(run=_run)


def _run(options):
    kinds = _kinds(options)
    inputs.check_model(options.model)
    # Imported late: TensorFlow takes seconds to start, and neither --help nor errors need it. Keras
    # is not needed at all: a run's network is in its SavedModel.
    startup.start_without_keras()
    from dualcam.export import tflite
    from dualcam.inference import students

    saved_model, out = students.find_saved_model(options.model), pathlib.Path(options.out)
    original = students.open_listener(saved_model)
    windows = _windows(options.examples, original, options.num_examples, options.root)
    listeners = {'SavedModel': original}
    paths = {kind: out / f'{original.network}.{kind}{tflite.SUFFIX}' for kind in kinds}
    tflite.convert_all(saved_model, paths, windows)
    for kind, path in paths.items():
        listeners[f'TFLite {kind}'] = students.open_listener(path)
        print(f'written: {path}')
    rows = _compare(listeners, options.test, options.root)
    title = f'{original.network} in {len(rows)} forms' + (
        f'; tested on {", ".join(options.test)}' if options.test else ''
    )
    text = _markdown(title, rows)
    (out / 'tflite.md').write_text(text, encoding='utf-8')
    with open(out / 'tflite.csv', 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([rows[0].keys(), *(row.values() for row in rows)])
    print(f'\n{text}\nwritten: {out}/tflite.md, .csv')
    if not options.kinds and not options.examples:
        print('not written: int8, which needs --examples=PATH, typical sounds')


def _kinds(options):
    """The kinds to write; raises a `ValueError` for options that are wrong by themselves."""
    possible = [kind for kind in interface.TFLITE_KINDS if options.examples or kind != 'int8']
    kinds = options.kinds.split(',') if options.kinds else possible
    unknown = sorted(set(kinds) - set(interface.TFLITE_KINDS))
    if unknown:
        raise ValueError(
            f'--kinds={options.kinds}: {unknown[0]!r} is none of '
            f'{", ".join(interface.TFLITE_KINDS)}'
        )
    if options.num_examples < 1:
        raise ValueError(f'--num_examples={options.num_examples}: expected 1 or more')
    if 'int8' in kinds and not options.examples:
        raise ValueError('int8 needs --examples=PATH, typical sounds; or --kinds=float32,float16')
    return kinds


def _windows(places, listener, count, root):
    """Up to `count` windows, drawn evenly from all: [n, samples], or None without paths."""
    import numpy as np

    if not places:
        return None
    rng, held, seen = np.random.default_rng(0), [], 0
    for _, windows in _sounds(places, listener, root):
        for window in windows:
            seen += 1
            if len(held) < count:
                held.append(window)
            elif (place := rng.integers(seen)) < count:
                held[place] = window
    return np.stack(held)


def _sounds(places, listener, root):
    from dualcam.data.sources import labelled_sounds

    for place in places:
        yield from labelled_sounds.read_examples(
            place, listener.seconds, root, listener.sample_rate_hz, listener.threshold is not None
        )


def _compare(listeners, places, root):
    """A dictionary of cells for each form, all measured on the same windows."""
    import numpy as np

    asks = {name: listener.listen('logits') for name, listener in listeners.items()}
    times, shares = ({name: [] for name in listeners} for _ in range(2))
    original = next(iter(listeners.values()))
    for ask in asks.values():
        ask(np.ones((1, original.clip_samples), np.float32))  # the first call initialises
    labels = []
    for label, windows in _sounds(places, original, root):
        labels.append(label)
        for name, ask in asks.items():
            logits = []
            for window in windows:
                started = time.perf_counter()
                logits.append(ask(window[None])[0])
                times[name].append(time.perf_counter() - started)
            shares[name].append(original.probabilities(np.mean(logits, axis=0, dtype=np.float64)))
    rows, first = [], next(iter(shares.values()))
    differences = {
        name: f'{np.abs(np.subtract(found, first)).max():.1e}' if labels else ''
        for name, found in shares.items()
    }
    for name, listener in listeners.items():
        measure, score, count = _score(listener, labels, shares[name])
        rows.append(
            {
                'form': name,
                'MB': f'{_size(listener.source) / 1e6:.2f}',
                measure: f'{score:.4f}' if count else '',
                'sounds': count or '',
                'largest difference in probability': differences[name],
                'ms per window (median)': f'{1e3 * statistics.median(times[name]):.1f}'
                if labels
                else '',
            }
        )
    return rows


def _score(listener, labels, shares):
    """(name of the metric, its value, number of sounds)."""
    import numpy as np

    from dualcam.evaluation import tagging_scores

    if listener.threshold is None:
        right = [
            label == listener.classes[np.argmax(one)]
            for label, one in zip(labels, shares, strict=True)
            if label in listener.classes
        ]
        return 'accuracy', np.mean(right) if right else 0.0, len(right)
    # A sound in a class's folder has that event.
    events = [(label,) if isinstance(label, str) else label for label in labels]
    known = [
        row
        for row, names in enumerate(events)
        if names is not None and set(names) <= set(listener.classes)
    ]
    hot = np.array([[name in events[row] for name in listener.classes] for row in known])
    if not hot.any():
        return 'mAP', 0.0, 0
    return 'mAP', tagging_scores.mean_average_precision(hot, np.array(shares)[known]), len(known)


def _size(path):
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob('*') if p.is_file())


def _markdown(title, rows):
    lines = [
        f'# {title}',
        '',
        "Differences are relative to the SavedModel's outputs; a blank was "
        'not measured. Sizes include all files.',
        '',
        '| ' + ' | '.join(rows[0]) + ' |',
        '|' + '---|' * len(rows[0]),
    ]
    lines += ['| ' + ' | '.join(map(str, row.values())) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'
