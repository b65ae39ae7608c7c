"""The folder of a run: what it was made with, and files that are there whole or not at all."""

import contextlib
import dataclasses
import json
import pathlib
import platform
import shutil
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from dualcam.data.signal import frontends
from dualcam.files import atomic, locking, text_files
from dualcam.reports import run_page
from dualcam.training import checkpoints

METRICS_FILE = 'metrics.json'  # written last: it says that the run is trained
_RUN_FILE = 'run.json'
_LOCK_FILE = '.lock'  # stays; what counts is who has it locked


@contextlib.contextmanager
def claimed(folder, params, data):
    """Keeps other processes out of a run's folder while it is trained.

    Where another process trains this run, waits for it and then uses what it trained, or
    continues the training if that process was stopped. A trained run is anybody's to read.

    Args:
        folder: of the run, a `pathlib.Path`; it is made, with its run.json.
        params: a frozen dataclass with `loop`, all that decides the outcome next to the data.
        data: has `info`, a `datasets.DatasetInfo`, and `described()`.

    Yields:
        Whether the run is trained already.

    Raises:
        ValueError: the folder belongs to a run with other parameters or data.
        OSError: the folder cannot be written.
    """
    made_with = {
        'params': dataclasses.asdict(params),
        'classes': list(data.info.classes),
        'origin': data.info.origin,
        **data.described(),
    }
    made_with = json.loads(json.dumps(made_with))
    _check_same(folder, made_with)
    if is_complete(folder):
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locking.held(folder / _LOCK_FILE, 'trains this run') as waited:
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


def _check_same(folder, made_with):
    """A `ValueError` where a folder holds another run."""
    path = folder / _RUN_FILE
    if not path.exists():
        return
    try:
        before = dict(text_files.read_json(path))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the run's folder") from error
    other = [key for key, value in made_with.items() if before.get(key) != value]
    if other:
        raise ValueError(
            f'{folder}: holds a run with other {", ".join(other)}; choose another '
            'folder or delete it'
        )


def saved_params(folder):
    """Parameters as the run.json of a folder has them; {} where there is none."""
    try:
        saved = text_files.read_json(pathlib.Path(folder) / _RUN_FILE)
        return dict(saved['params'])
    except (OSError, KeyError, ValueError, TypeError):
        return {}


def read(folder, params_from_json, version=frontends.VERSION):
    """Parameters and class names of a run's folder.

    Args:
        folder: of the run.
        params_from_json: makes the parameters of what `run.json` holds of them.
        version: of the front end that this code has.

    Returns:
        (parameters, names of the classes).

    Raises:
        ValueError: there is no such run, or another version of dualcam made it.
    """
    try:
        saved = text_files.read_json(pathlib.Path(folder) / _RUN_FILE)
        its_version = saved['params'].get('frontend_version', 1)
        if its_version != version:
            raise ValueError(
                f'its network was trained on the input of version {its_version} of the front end, '
                f'this is version {version}; train it again'
            )
        return params_from_json(saved['params']), tuple(saved['classes'])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f'{folder}: not the folder of a run, or of one that another version of '
            f'dualcam made ({error!r})'
        ) from error


def write_json(path, value):
    """Writes JSON, whole or not at all."""
    atomic.write_text(path, json.dumps(value, indent=1) + '\n')


def is_complete(folder):
    """Whether a run has been trained; a report that is missing is written."""
    if not (folder / METRICS_FILE).exists():
        return False
    if not (folder / run_page.FILE).exists():
        run_page.write(folder)
    return True


def complete(folder, history, best, training, validation):
    """Notes that a run has been trained, and writes its report.

    Args:
        folder: of the run.
        history: what `loop.fit` gives.
        best: the chosen epoch, from 0.
        training, validation: the clips; validation may be None.
    """
    write_json(
        folder / METRICS_FILE,
        {
            'best_epoch': best,
            'validation_accuracy': history[best].get('validation/accuracy'),
            'training_clips': len(training),
            'validation_clips': len(validation) if validation else 0,
            'history': history,
        },
    )
    run_page.write(folder)


def restore_best(folder, model):
    """Brings a model to the best weights of a run's folder.

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
