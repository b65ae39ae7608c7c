"""The folder of a run: what it was made with, its lock, and files that are written atomically."""

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

METRICS_FILE = 'metrics.json'  # written last: the run is then trained
_RUN_FILE = 'run.json'


@contextlib.contextmanager
def claimed(folder: pathlib.Path, kind: str, params: Any, data: Any) -> Iterator[bool]:
    """Keeps other processes out of a run's folder while it is trained.

    Where another process trains this run, waits for it and then uses what it trained, or
    continues the training if that process was stopped. A trained run can be read by any process.

    Args:
        folder: of the run, a `pathlib.Path`; it is created, with its run.json.
        kind: of its recipe.
        params: a frozen dataclass with `loop`, all that decides the outcome next to the data.
        data: has `info`, a `datasets.DatasetInfo`, and `described()`.

    Yields:
        Whether the run is trained already.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data.
        OSError: the folder cannot be written.
    """
    made_with = _made_with(kind, params, data)
    _check_same(folder, made_with)
    if is_complete(folder):
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locking.held(folder / locking.LOCK_FILE, 'trains this run') as waited:
        _check_same(folder, made_with)  # another process may have been quicker
        if waited and is_complete(folder):
            print(f'using the run that it trained: {folder}', file=sys.stderr, flush=True)
            yield True
            return
        for path in list(folder.rglob(f'.*{atomic.PARTIAL}*')):  # of a killed process
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
    """`claimed` by the chief of the processes that train together, for all of them.

    Args, yields, raises: as of `claimed`. A process whose run is another than the chief's has a
    `ValueError` as well.
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
    """What run.json states of a run, apart from versions."""
    made_with = {
        'kind': kind,
        'params': dataclasses.asdict(params),
        'classes': list(data.info.classes),
        'origin': data.info.origin,
        **data.described(),
    }
    return json.loads(json.dumps(made_with))


def _check_same(folder, made_with):
    """A `ValueError` if a folder holds another run."""
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
        other.remove('origin')  # the same records, named since, or by an earlier version
    if other:
        raise ValueError(
            f'{folder}: holds a run with other {", ".join(other)}; choose another '
            'folder or delete it'
        )


def read(folder: str | pathlib.Path) -> dict:
    """What the run.json of a folder holds.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it is not one.
    """
    saved = dict(text_files.read_json(pathlib.Path(folder) / _RUN_FILE))
    # The first runs did not state their kind.
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
    """What metrics.json holds.

    Args:
        history: what `loop.fit` gives.
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
    """Notes that a run has been trained."""
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
