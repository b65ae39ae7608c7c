"""A student's model card: what it was trained on, takes and gives, how good it is, what not for.

`assets/README.md` of a SavedModel, and README.md among the metadata of a `.tflite` file. It is
written with the export, and again once the run has been validated or tested. The graph does not
refer to it: exports without a card, or with one that was edited, load as well.

What it says comes from the export's own `metadata.json` and, where the SavedModel lies in the
folder of a run, from what the run holds.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from dualcam.evaluation import saved_tests
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

FILE = 'README.md'
_SUPERVISION = {
    'supervised': 'labels',
    'distillation': "labels and a teacher's softened predictions",
    'correspondence': 'no labels: which sounds and images belong together',
    'tagging': 'labels, several events per clip',
}


def renew(saved_model: AnyPath, scores: Mapping[str, Any] | None = None) -> None:
    """Writes the card of a SavedModel as of now; an existing one is replaced.

    Args:
        saved_model: folder of a version, see `saved_models.export`.
        scores: what the run's metrics.json will hold, if it does not exist yet.
    """
    atomic.write_text(pathlib.Path(saved_model) / 'assets' / FILE, compose(saved_model, scores))


def renew_of_run(folder: AnyPath, scores: Mapping[str, Any] | None = None) -> None:
    """`renew` of all that a run exported; nothing where it exported nothing."""
    for assets in sorted(pathlib.Path(folder).glob('saved_model/*/assets')):
        renew(assets.parent, scores)


def of_saved_model(saved_model: AnyPath) -> str:
    """The card of a SavedModel; made now where it was exported without one."""
    path = pathlib.Path(saved_model) / 'assets' / FILE
    return path.read_text(encoding='utf-8') if path.exists() else compose(saved_model)


def of_tflite(saved_model: AnyPath, kind: str) -> str:
    """The card of a `.tflite` file of this kind, see `tflite.convert`."""
    return (
        f'{of_saved_model(saved_model)}\n## This file\n\n'
        f'A conversion to TFLite, {kind}; its signature is `window`. The scores above are those of '
        'the SavedModel that it was made from; the table `tflite.md`, which `dualcam tflite '
        '--test` writes, compares the two.\n'
    )


def compose(saved_model: AnyPath, scores: Mapping[str, Any] | None = None) -> str:
    """The text of a card, Markdown, from what is known now; see `renew`."""
    saved_model = pathlib.Path(saved_model).absolute()
    metadata = _read(saved_model / 'assets' / 'metadata.json')
    run, folder = {}, saved_model.parent.parent
    if saved_model.parent.name == 'saved_model' and (folder / 'run.json').exists():
        run = _read(folder / 'run.json')
        if scores is None and (folder / 'metrics.json').exists():
            scores = _read(folder / 'metrics.json')
    scored = list(_scores(folder, scores or {})) if run else []
    blocks = [
        f'# {_line(metadata["network"])}: a student of one microphone',
        '## Trained on',
        _items(_training(metadata, run, scores or {})),
        '## Takes and gives',
        _items(_inputs(metadata, run)),
        '## Classes',
        ', '.join(_line(name) for name in metadata['classes']),
        '## Scores',
        _items(scored) if scored else 'None are known: it was exported without a run.',
        '## Not for',
        _items(_limits(metadata)),
        '## Made with',
        _items(_versions(metadata, run)),
    ]
    return '\n\n'.join(blocks) + '\n'


def _training(metadata, run, scores):
    name = f'{metadata["data_set"]}: ' if metadata.get('data_set') else ''
    yield 'data', f'{name}{metadata["trained_on"]}'
    if not run:
        return
    for key in ('records', 'sounds', 'clips'):
        if isinstance(run.get(key), str):
            yield f'digest of the {key}', f'`{run[key]}`'
    for split, one in run.get('lists', {}).items():
        counted = ', '.join(f'{value} {unit}' for unit, value in one.items() if unit != 'sha256')
        yield f'list for {split}', f'{counted}, SHA-256 `{one["sha256"]}`'
    if 'training_clips' in scores:
        yield (
            'clips',
            f'{scores["training_clips"]} for training, '
            + (f'{scores["validation_clips"] or "none"} for validation'),
        )
    params = run['params']
    supervision = _SUPERVISION.get(run.get('kind', ''), run.get('kind', 'unknown'))
    if params.get('imitation') is not None:
        supervision += f' (imitation {params["imitation"]:g}, temperature ' + (
            f'{params["temperature"]:g})'
        )
    yield 'learned from', supervision
    yield 'seed', f'{run.get("seed")} (one training; other seeds give other weights)'


def _inputs(metadata, run):
    rate_hz = metadata['sample_rate_hz']
    samples = rate_hz * metadata['seconds']
    scale = 'full scale 1' if 'threshold' in metadata else 'any scale'
    yield (
        '`serving_default`',
        (
            f'waveform, float32 [batch, samples], one microphone at {rate_hz:,} Hz, {scale}, '
            '1 s or more; longer sounds are cut into windows'
        ),
    )
    yield '`serve_wav_bytes`', 'wav_bytes, string [batch]: WAV files of any rate'
    yield (
        '`window`',
        (f'waveform, float32 [batch, {samples}]: {metadata["seconds"]} s at {rate_hz:,} Hz'),
    )
    yield (
        'gives',
        (
            f'logits and probabilities, float32 [batch, {len(metadata["classes"])}], and embedding '
            f'(of the layer {metadata["embedding_layer"]})'
        ),
    )
    if 'threshold' in metadata:
        yield (
            'events',
            (
                'several per clip; predicted are those with a probability from '
                f'{metadata["threshold"]:g} on'
            ),
        )
    if run.get('params', {}).get('band_limited'):
        yield 'band', 'trained on sound below 6.1 kHz; what is above is filtered out'


def _scores(folder, scores):
    tests = saved_tests.of_run(folder)
    if scores.get('validation_accuracy') is not None and not any(
        test.name == 'validation' for test in tests
    ):
        yield 'accuracy, validation', f'{scores["validation_accuracy"]:.4f}'
    for test in tests:
        note = ''
        if test.name == 'validation':
            note = '; the epoch was chosen by it'
        if test.interval:
            note = f'; in brackets 95 % by bootstrap over takes{note}'
        yield f'accuracy, {test.name}', f'{test}{note}'
    for path in sorted(folder.glob(saved_tests.EVENTS.format('*')), reverse=True):
        saved = _read(path)
        split = path.stem.removeprefix('events_')
        yield (
            f'mean average precision, {split}',
            (
                f'{saved["mean_average_precision"]:.4f} ({saved["num_clips"]} clips); its '
                "interval is in the experiment's table"
            ),
        )


def _limits(metadata):
    yield (
        'other data',
        (
            f'scores hold for recordings like those it learned from ({metadata["trained_on"]}); '
            'test it on your own before you rely on it'
        ),
    )
    if 'threshold' not in metadata:
        yield (
            'other sounds',
            ('its probabilities add up to 1 over its classes; it cannot say "none of them"'),
        )
    yield 'where a sound is', 'one microphone has no direction; the array teacher is not in it'
    yield 'decisions about people, alarms that safety depends on', 'nothing of that was tested'


def _versions(metadata, run):
    made = metadata.get('versions', {})
    for name in ('dualcam', 'tensorflow', 'keras'):
        version = made.get(name) or run.get('versions', {}).get(name)
        if version:
            yield name, version
    if run.get('commit'):
        yield 'commit', f'`{run["commit"]}`'


def _items(pairs: Iterator[tuple[str, Any]] | list[tuple[str, Any]]) -> str:
    return '\n'.join(f'- {name}: {_line(value)}' for name, value in pairs)


def _line(value):
    """A value without line ends, which would end a list's item."""
    return ' '.join(str(value).split())


def _read(path):
    return json.loads(path.read_text(encoding='utf-8'))
