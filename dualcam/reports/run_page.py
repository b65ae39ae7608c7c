"""A run as one self-contained page: report.html in its folder.

Reads what the run, its tests and its observers left there; pictures and sounds are embedded.
"""

import base64
import html
import json
import pathlib
from collections.abc import Mapping

from dualcam.evaluation import metrics
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from dualcam.reports import figures, overlays

FILE = 'report.html'
PICTURES = 'pictures'  # a folder of the run; file names are titles
EVENTS = 'events_{}.json'  # scores of a split's clips, of runs that tag
_WIDTH, _HEIGHT, _MARGIN = 460, 220, 36  # of a chart, pixels
_COLOURS = {'train': '#1f6fb4', 'validation': '#d9641e'}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em;
       color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #ddd }
table { border-collapse: collapse } td, th { padding: .15em .7em; text-align: left;
       border-bottom: 1px solid #eee; vertical-align: top }
th { white-space: nowrap }
pre { background: #f5f5f5; padding: .8em; overflow-x: auto }
figure { display: inline-block; margin: 0 1em 1.2em 0; width: 300px; vertical-align: top }
figure img { width: 300px; display: block } audio { width: 300px; height: 32px }
figcaption { font-size: .9em } .wrong { color: #b00020 } .chart text { font-size: 11px }
"""


def write(folder: AnyPath, scores: Mapping | None = None) -> pathlib.Path:
    """Writes report.html, atomically.

    Args:
        folder: of a run that has its run.json.
        scores: what metrics.json will hold, if it does not exist yet.

    Returns:
        Its path.
    """
    folder = pathlib.Path(folder)
    described, scores = _read(folder / 'run.json'), scores or _read(folder / 'metrics.json')
    classes, params = described['classes'], described['params']
    parts = [_head(folder, described, scores), '<h2>Curves</h2>', *_curves(scores['history'])]
    for path in (folder / 'answers.json', *sorted(folder.glob('test*.json'))):
        if path.exists():
            parts.append(_matrix(path, classes))
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
    parts += ['<h2>Parameters</h2>', _table(rows)]
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f'{html.escape(folder.name)}</title><link rel="icon" href="data:,"><style>{_STYLE}'
        f'</style></head>\n<body>{"".join(parts)}</body></html>\n'
    )
    atomic.write_text(folder / FILE, page)
    return folder / FILE


def _head(folder, described, scores):
    best = scores['history'][scores['best_epoch']]
    rows = {
        'network': described['params']['network'],
        'data': described['origin'],
        'classes': ', '.join(described['classes']),
        'training clips': scores['training_clips'],
        'validation clips': scores['validation_clips'] or 'none',
        'chosen epoch': f'{best["epoch"] + 1} of {len(scores["history"])}',
    }
    if scores['validation_accuracy'] is not None:
        rows['validation accuracy'] = f'{scores["validation_accuracy"]:.4f}'
    for path in sorted(folder.glob('test*.json')):
        saved = _read(path)
        rows[f'accuracy, {_name(path)}'] = f'{saved["accuracy"]:.4f} ({len(saved["labels"])} clips)'
    return f'<h1>{html.escape(folder.name)}</h1>{_table(rows)}'


def _curves(history):
    for title, key in (('loss', 'total'), ('accuracy', 'accuracy'), ('mAP', 'mAP')):
        series = {
            kind: [record[f'{kind}/{key}'] for record in history if f'{kind}/{key}' in record]
            for kind in _COLOURS
        }
        if any(series.values()):  # triplets have no accuracy
            yield _chart(title, {kind: values for kind, values in series.items() if values})


def _chart(title, series):
    """An SVG of one line a series over the epochs."""
    low = min(min(values) for values in series.values())
    high = max(max(values) for values in series.values())
    if title != 'loss':
        low, high = 0.0, 1.0
    length = max(map(len, series.values()))

    def place(epoch, value):
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * epoch / max(length - 1, 1)
        share = (value - low) / (high - low) if high > low else 0.5
        return f'{x:.1f},{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share:.1f}'

    lines = [
        f'<svg class="chart" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{title}"><text x="{_MARGIN}" y="16">{title}</text>'
        f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_WIDTH - 2 * _MARGIN}" '
        f'height="{_HEIGHT - 2 * _MARGIN}" fill="none" stroke="#ccc"/>'
    ]
    for value, y in ((high, _MARGIN + 4), (low, _HEIGHT - _MARGIN)):
        lines.append(f'<text x="{_MARGIN - 4}" y="{y}" text-anchor="end">{value:.3g}</text>')
    lines.append(
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 14}" text-anchor="end">epoch {length}</text>'
    )
    for number, (kind, values) in enumerate(series.items()):
        points = ' '.join(place(epoch, value) for epoch, value in enumerate(values))
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLOURS[kind]}" '
            f'stroke-width="2"/><text x="{_WIDTH - _MARGIN - 150 + 70 * number}" y="16" '
            f'fill="{_COLOURS[kind]}">{kind}</text>'
        )
    return ''.join(lines) + '</svg>'


def _matrix(path, classes):
    saved = _read(path)
    counts = metrics.confusion(saved['labels'], saved['answers'], len(classes))
    picture = overlays.png(figures.confusion_picture(counts, classes))
    return (
        f'<h2>Answers, {_name(path)}: accuracy {saved["accuracy"]:.4f}, '
        f'{len(saved["labels"])} clips</h2><img alt="confusion matrix" '
        f'src="{_data("image/png", picture)}">'
    )


def _events(folder):
    """Scores of runs that tag."""
    for path in sorted(folder.glob(EVENTS.format('*')), reverse=True):
        saved = _read(path)
        yield f'<h2>Events, {path.stem.removeprefix("events_")}: {saved["num_clips"]} clips</h2>'
        yield _table(
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
            f'<h2>{title.capitalize()}</h2><img alt="{title}" '
            f'src="{_data("image/png", path.read_bytes())}">'
        )


def _examples(folder):
    if not (folder / 'examples.json').exists():
        return
    yield '<h2>Examples from the validation clips</h2>'
    for entry in _read(folder / 'examples.json'):
        right = entry['answer'] == entry['class']
        said = ', '.join(f'{who}: {entry[who]}' for who in ('teacher', 'answer') if who in entry)
        parts = [
            f'<img alt="{key}" src="{_data("image/png", (folder / entry[key]).read_bytes())}">'
            for key in ('overlay', 'spectrogram')
            if key in entry
        ]
        if 'sound' in entry:
            sound = _data('audio/wav', (folder / entry['sound']).read_bytes())
            parts.append(f'<audio controls src="{sound}"></audio>')
        yield (
            f'<figure>{"".join(parts)}<figcaption><b>{html.escape(entry["class"])}</b><br>'
            f'<span class="{"right" if right else "wrong"}">{html.escape(said)}</span>'
            '</figcaption></figure>'
        )


def _serving(folder, params):
    name = params['network']
    return (
        '<h2>Use it</h2><pre>'
        + html.escape(
            f'dualcam classify --model={folder.name} --input FILES\n\n'
            f'docker run -p 8501:8501 -v "$PWD/{folder.name}/saved_model:/models/{name}" \\\n'
            f'    -e MODEL_NAME={name} tensorflow/serving\n'
            '{ printf \'{"signature_name": "serve_wav_bytes", "instances": [{"b64": "\'\n'
            "  base64 -w0 FILE.wav; printf '\"}]}'; } |"
            f' curl -d @- localhost:8501/v1/models/{name}:predict'
        )
        + '</pre>'
    )


def _table(rows):
    return (
        '<table>'
        + ''.join(
            f'<tr><th>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>'
            for key, value in rows.items()
        )
        + '</table>'
    )


def _flat(fields, before=''):
    """Nested dictionaries as one, keys joined by dots."""
    flat = {}
    for key, value in fields.items():
        if isinstance(value, dict):
            flat |= _flat(value, f'{before}{key}.')
        else:
            flat[before + key] = value
    return flat


def _name(path):
    return 'validation' if path.stem == 'answers' else path.stem.replace('_', ' ')


def _data(kind, content):
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def _read(path):
    return json.loads(path.read_text(encoding='utf-8'))
