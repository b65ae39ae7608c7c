"""A run's report as one self-contained page: report.html in its folder.

Reads what the run, its tests and its observers wrote there; pictures and sounds are embedded.
"""

import json
import pathlib
import wave
from collections.abc import Mapping

from dualcam.evaluation import metrics, saved_tests
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from dualcam.reports import page_parts

FILE = 'report.html'
PICTURES = 'pictures'  # a folder of the run; file names are titles


def write(folder: AnyPath, scores: Mapping | None = None) -> pathlib.Path:
    """Writes report.html, atomically.

    Args:
        folder: of a run; contains its run.json.
        scores: what metrics.json will hold, if it does not exist yet.

    Returns:
        The page's path.
    """
    folder = pathlib.Path(folder)
    described, scores = _read(folder / 'run.json'), scores or _read(folder / 'metrics.json')
    classes, params = described['classes'], described['params']
    tests = saved_tests.of_run(folder)
    parts = [
        _head(folder, described, scores, tests),
        '<h2>Curves</h2><div class="row">',
        *_curves(scores, described.get('kind')),
        '</div>',
    ]
    if tests:
        parts += ['<h2>Predictions</h2><div class="row">', *_matrices(tests, classes), '</div>']
    parts += _events(folder)
    parts += _pictures(folder / PICTURES)
    parts += _examples(folder / 'examples')
    if (folder / 'saved_model').is_dir():
        parts.append(_serving(folder, params))
    rows = {
        **_flat(params),
        'seed': described.get('seed'),
        'commit': described.get('commit'),
        **{f'version of {name}': value for name, value in described.get('versions', {}).items()},
    }
    parts += ['<h2>Parameters</h2>', page_parts.table(rows)]
    page = page_parts.page(folder.name, parts)
    atomic.write_text(folder / FILE, page)
    return folder / FILE


def _head(folder, described, scores, tests):
    best = scores['history'][scores['best_epoch']]
    rows = {
        'network': described['params']['network'],
        'data': described['origin'],
        'classes': ', '.join(described['classes']),
        'training clips': scores['training_clips'],
        'validation clips': scores['validation_clips'] or 'none',
        'chosen epoch': f'{best["epoch"] + 1} of {len(scores["history"])}',
    }
    if scores['validation_accuracy'] is not None and 'validation' not in {t.name for t in tests}:
        rows['accuracy, validation'] = f'{scores["validation_accuracy"]:.4f}'
    rows |= {f'accuracy, {test.name}': test for test in tests}
    note = ''
    if any(test.interval for test in tests):
        note = (
            '<p class="faint"><small>Accuracy: fraction of the clips classified correctly; in '
            'brackets its 95 % bootstrap interval over takes, for these weights. The variation '
            'over seeds is in the tables.</small></p>'
        )
    return f'<h1>{page_parts.escaped(folder.name)}</h1>{page_parts.table(rows)}{note}'


def _curves(scores, kind):
    loss = 'all terms, no unit' if kind == 'correspondence' else 'all terms, nats per clip'
    for title, key, unit, span in (
        ('loss', 'total', loss, None),
        ('accuracy', 'accuracy', 'fraction of the clips', (0.0, 1.0)),
        ('mAP', 'mAP', 'mean average precision', (0.0, 1.0)),
    ):
        series = {
            split: page_parts.curve(scores['history'], name)
            for split in ('train', 'validation')
            for name in [f'{split}/{key}']
        }
        series = {split: values for split, values in series.items() if values}
        if series:  # triplets have no accuracy
            yield page_parts.chart(title, unit, series, span, scores['best_epoch'])


def _matrices(tests, classes):
    for test in tests:
        counts = metrics.confusion(test.labels, test.predictions, len(classes))
        yield (
            f'<section><h3>{page_parts.escaped(test.name.capitalize())}</h3>'
            f'<p>Accuracy {test}</p>{page_parts.matrix(counts, classes)}</section>'
        )


def _events(folder):
    """Scores of tagging runs."""
    for path in sorted(folder.glob(saved_tests.EVENTS.format('*')), reverse=True):
        saved = _read(path)
        yield f'<h2>Events, {path.stem.removeprefix("events_")}: {saved["num_clips"]} clips</h2>'
        yield page_parts.table(
            {
                'mean average precision': f'{saved["mean_average_precision"]:.4f}',
                'mean area under the ROC curve': f'{saved["mean_auc"]:.4f}',
                'precision, recall, F1': ', '.join(
                    f'{saved[key]:.4f}' for key in ('precision', 'recall', 'f1')
                )
                + ' (micro, at the threshold)',
                **{
                    f'average precision of {name}': 'none' if value is None else f'{value:.4f}'
                    for name, value in saved['average_precision'].items()
                },
            }
        )


def _pictures(folder):
    for path in sorted(folder.glob('*.png')):
        title = path.stem.replace('_', ' ')
        yield (
            f'<h2>{page_parts.escaped(title.capitalize())}</h2><img class="paper" '
            f'alt="{page_parts.escaped(title)}" '
            f'src="{page_parts.embedded("image/png", path.read_bytes())}">'
        )


def _examples(folder):
    if not (folder / 'examples.json').exists():
        return
    entries = _read(folder / 'examples.json')
    yield '<h2>Examples from the validation clips</h2><p class="faint">'
    if any('overlay' in entry for entry in entries):
        yield (
            'Picture: the video frame, if there is one, overlaid with the acoustic image (warm: '
            'loud, decibels above the median). '
        )
    lasting = next((_lasting(folder / entry['sound']) for entry in entries if 'sound' in entry), '')
    if lasting:
        yield f'Spectrogram: time to the right, {lasting}; in decibels.'
    yield '</p><div class="clips">'
    for entry in entries:
        right = entry['answer'] == entry['class']
        said = ', '.join(
            f'{name}: {entry[who]}'
            for who, name in (('teacher', 'teacher'), ('answer', 'prediction'))
            if who in entry
        )
        parts = [
            f'<img alt="{key}" '
            f'src="{page_parts.embedded("image/png", (folder / entry[key]).read_bytes())}">'
            for key in ('overlay', 'spectrogram')
            if key in entry
        ]
        if 'sound' in entry:
            sound = page_parts.embedded('audio/wav', (folder / entry['sound']).read_bytes())
            parts.append(f'<audio controls src="{sound}"></audio>')
        yield (
            f'<figure>{"".join(parts)}<figcaption><b>{page_parts.escaped(entry["class"])}</b><br>'
            f'<span class="{"right" if right else "wrong"}">{page_parts.escaped(said)}</span>'
            '</figcaption></figure>'
        )
    yield '</div>'


def _lasting(path):
    """Length of a sound and height of its spectrogram, with units."""
    with wave.open(str(path)) as sound:
        rate_hz, samples = sound.getframerate(), sound.getnframes()
    return f'{samples / rate_hz:g} s; frequency upwards, 0 - {rate_hz / 2000:g} kHz'


def _serving(folder, params):
    name = params['network']
    return (
        '<h2>How to use it</h2><pre>'
        + page_parts.escaped(
            f'dualcam classify --model={folder.name} --input FILES\n\n'
            f'docker run -p 8501:8501 -v "$PWD/{folder.name}/saved_model:/models/{name}" \\\n'
            f'    -e MODEL_NAME={name} tensorflow/serving\n'
            '{ printf \'{"signature_name": "serve_wav_bytes", "instances": [{"b64": "\'\n'
            "  base64 -w0 FILE.wav; printf '\"}]}'; } |"
            f' curl -d @- localhost:8501/v1/models/{name}:predict'
        )
        + '</pre>'
    )


def _flat(fields, before=''):
    """Flattens nested dictionaries; keys are joined by dots."""
    flat = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            flat |= _flat(value, f'{before}{key}.')
        else:
            flat[before + key] = value
    return flat


def _read(path):
    return json.loads(path.read_text(encoding='utf-8'))
