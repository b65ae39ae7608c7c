"""The folder of a run: run.json, its lock, and files that are written atomically."""

import contextlib
import dataclasses
import json
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam.data.sources import datasets
from dualcam.files import atomic, locking, text_files
from dualcam.training import checkpoints, hosts

METRICS_FILE = 'metrics.json'  # written last: marks the run as trained
_RUN_FILE = 'run.json'


@contextlib.contextmanager
def claimed(folder: pathlib.Path, kind: str, params: Any, data: Any) -> Iterator[bool]:
    """Locks a run's folder against other processes while it is trained.

    If another process is training this run, waits for it and then uses its result, or continues
    the training if that process was stopped. Any process can read a trained run.

    Args:
        folder: of the run, a `pathlib.Path`; it is created, with its run.json.
        kind: of its recipe.
        params: a frozen dataclass with `loop`: everything that determines the outcome, besides
            the data.
        data: has `info`, a `datasets.DatasetInfo`, and `described()`.

    Yields:
        Whether the run is already trained.

    Raises:
        ValueError: the folder belongs to a run with different parameters or data.
        OSError: the folder cannot be written.
    """
    made_with = _made_with(kind, params, data)
    _check_same(folder, made_with)
    if is_complete(folder):
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locking.held(folder / locking.LOCK_FILE, 'trains this run') as waited:
        _check_same(folder, made_with)  # another process may have been faster
        if waited and is_complete(folder):
            print(f'using the run that it trained: {folder}', file=sys.stderr, flush=True)
            yield True
            return
        for path in list(folder.rglob(f'.*{atomic.PARTIAL}*')):  # left by a killed process
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not (folder / _RUN_FILE).exists():
            write_json(
                folder / _RUN_FILE,
                made_with
                | {
                    'seed': params.loop.seed,
                    'commit': _commit(),
                    'versions': {
                        'python': platform.python_version(),
                        'tensorflow': tf.__version__,
                        'keras': keras.__version__,
                        'numpy': np.__version__,
                    },
                },
            )
        yield is_complete(folder)


@contextlib.contextmanager
def claimed_together(folder: pathlib.Path, kind: str, params: Any, data: Any) -> Iterator[bool]:
    """Like `claimed`, but in distributed training the chief claims the folder for all processes.

    Args, yields and raises are those of `claimed`. A process whose run differs from the chief's
    raises a `ValueError` too.
    """
    with contextlib.ExitStack() as claim:
        is_trained = False
        if hosts.is_chief():
            is_trained = claim.enter_context(claimed(folder, kind, params, data))
        if hosts.count() > 1:
            own = json.dumps(_made_with(kind, params, data), sort_keys=True)
            theirs = hosts.bytes_from_chief(own.encode())
            if own.encode() != theirs:
                other = [
                    key
                    for key, value in json.loads(own).items()
                    if json.loads(theirs).get(key) != value
                ]
                raise ValueError(
                    f'{folder}: the chief trains a run with other {", ".join(other)}; all '
                    'processes take the same flags and see the same files'
                )
        yield bool(hosts.from_chief(np.array(int(is_trained))))


def _made_with(kind, params, data):
    """The entries of run.json, except seed, commit and versions."""
    made_with = {
        'kind': kind,
        'params': dataclasses.asdict(params),
        'classes': list(data.info.classes),
        'origin': data.info.origin,
        **data.described(),
    }
    return json.loads(json.dumps(made_with))


def _check_same(folder, made_with):
    """Raises a `ValueError` if a folder contains another run."""
    path = folder / _RUN_FILE
    if not path.exists():
        return
    try:
        before = read(folder)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the run's folder") from error
    other = [key for key, value in made_with.items() if before.get(key) != value]
    if 'origin' in other and datasets.UNNAMED_ORIGINS.issuperset(
        (before.get('origin'), made_with['origin'])
    ):
        other.remove('origin')  # the same records, named later or by an earlier version
    if other:
        raise ValueError(
            f'{folder}: holds a run with other {", ".join(other)}; choose another '
            'folder or delete it'
        )


def read(folder: str | pathlib.Path) -> dict:
    """The content of a folder's run.json.

    Raises:
        OSError, ValueError, KeyError, TypeError: it is missing or invalid.
    """
    saved = dict(text_files.read_json(pathlib.Path(folder) / _RUN_FILE))
    # Early versions did not record the kind.
    return {'kind': _unstated_kind(saved['params'])} | saved


def _unstated_kind(params):
    for field, kind in (('video_network', 'correspondence'), ('hint_epochs', 'tagging')):
        if field in params:
            return kind
    return 'supervised' if params.get('imitation') is None else 'distillation'


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes JSON atomically."""
    atomic.write_text(path, json.dumps(value, indent=1) + '\n')


def is_complete(folder: pathlib.Path) -> bool:
    """Whether a run has been trained."""
    return (folder / METRICS_FILE).exists()


def metrics(history: list[dict], best: int, training: Any, validation: Any) -> dict:
    """The content of metrics.json.

    Args:
        history: from `loop.fit`.
        best: the chosen epoch, from 0.
        training, validation: the clips; validation may be None.
    """
    return {
        'best_epoch': best,
        'validation_accuracy': history[best].get('validation/accuracy'),
        'training_clips': len(training),
        'validation_clips': len(validation) if validation else 0,
        'history': history,
    }


def complete(folder: pathlib.Path, metrics: dict) -> None:
    """Marks a run as trained by writing its metrics.json."""
    write_json(folder / METRICS_FILE, metrics)


def restore_best(folder: pathlib.Path, model: keras.Model) -> None:
    """Restores the best weights of a run's folder.

    Raises:
        ValueError: the run has no such weights yet, or they are damaged.
    """
    checkpoints.restore_best(folder / 'checkpoints', tf.train.Checkpoint(model=model))


def _commit():
    """The commit of the checkout this runs from, or None."""
    try:
        return subprocess.run(
            ['git', 'rev-parse', 'HEAD'],
            check=True,
            capture_output=True,
            text=True,
            cwd=pathlib.Path(__file__).parent,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
