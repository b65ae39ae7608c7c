"""A student's model card: training data, inputs and outputs, scores, and limits of use.

It is `assets/README.md` of a SavedModel, and README.md in the metadata of a `.tflite` file. It is
written with the export, and again once the run was validated or tested. The graph does not refer to
it: exports without a card, or with an edited one, load as well.

Its contents come from the export's own `metadata.json` and, if the SavedModel is in the
folder of a run, from the run's files.
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
    """Writes the current card of a SavedModel, replacing an existing one.

    Args:
        saved_model: folder of a version, see `saved_models.export`.
        scores: what the run's metrics.json will hold, if it does not exist yet.
    """
    atomic.write_text(pathlib.Path(saved_model) / 'assets' / FILE, compose(saved_model, scores))


def renew_of_run(folder: AnyPath, scores: Mapping[str, Any] | None = None) -> None:
    """`renew` for all of a run's exports, if any."""
    for assets in sorted(pathlib.Path(folder).glob('saved_model/*/assets')):
        renew(assets.parent, scores)


def of_saved_model(saved_model: AnyPath) -> str:
    """The card of a SavedModel; made now if it was exported without one."""
    path = pathlib.Path(saved_model) / 'assets' / FILE
    return path.read_text(encoding='utf-8') if path.exists() else compose(saved_model)


def of_tflite(saved_model: AnyPath, kind: str) -> str:
    """The card of a `.tflite` file of this kind, see `tflite.convert`."""
    return (
        f'{of_saved_model(saved_model)}\n## This file\n\n'
        f'A conversion to TFLite, {kind}; its signature is `window`. The scores above are those of '
        'the original SavedModel; the table `tflite.md`, which `dualcam tflite --test` writes, '
        'compares the two.\n'
    )


def compose(saved_model: AnyPath, scores: Mapping[str, Any] | None = None) -> str:
    """The current text of a card, in Markdown; see `renew`."""
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
        '## Training data',
        _items(_training(metadata, run, scores or {})),
        '## Inputs and outputs',
        _items(_inputs(metadata, run)),
        '## Classes',
        ', '.join(_line(name) for name in metadata['classes']),
        '## Scores',
        _items(scored) if scored else 'Unknown: it was exported without a run.',
        '## Limitations',
        _items(_limits(metadata)),
        '## Software',
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
    yield 'supervision', supervision
    yield 'seed', f'{run.get("seed")} (a single training; other seeds give other weights)'


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
        'outputs',
        (
            f'logits and probabilities, float32 [batch, {len(metadata["classes"])}], and embedding '
            f'(of the layer {metadata["embedding_layer"]})'
        ),
    )
    if 'threshold' in metadata:
        yield (
            'events',
            (
                'several per clip; those with a probability of at least '
                f'{metadata["threshold"]:g} are predicted'
            ),
        )
    if run.get('params', {}).get('band_limited'):
        yield 'band', 'trained on sound below 6.1 kHz; higher frequencies are filtered out'


def _scores(folder, scores):
    tests = saved_tests.of_run(folder)
    if scores.get('validation_accuracy') is not None and not any(
        test.name == 'validation' for test in tests
    ):
        yield 'accuracy, validation', f'{scores["validation_accuracy"]:.4f}'
    for test in tests:
        note = ''
        if test.name == 'validation':
            note = '; used to choose the epoch'
        if test.interval:
            note = f'; in brackets the 95 % bootstrap interval over takes{note}'
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
            f'scores hold for recordings like the training data ({metadata["trained_on"]}); '
            'test it on your own data before relying on it'
        ),
    )
    if 'threshold' not in metadata:
        yield (
            'other sounds',
            ('its probabilities add up to 1 over its classes; it cannot say "none of them"'),
        )
    yield 'localisation', 'one microphone gives no direction; the array teacher is not included'
    yield 'decisions about people, safety-critical alarms', 'not tested for either'


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
    """A value without line breaks, which would end a list item."""
    return ' '.join(str(value).split())


def _read(path):
    return json.loads(path.read_text(encoding='utf-8'))
