"""Checkpoints of a run: the state after its last saved epoch, and the chosen weights.

    history.json      the curves up to that epoch
    latest/ckpt-N     state of model, optimizer and random number generators after epoch N; ckpt-0
                      is the initial state, in which the optimizer has nothing to save
    best/ckpt-N       the weights of the best epoch so far

`history.json` is replaced last, atomically, and determines how many epochs are saved: readers
ignore checkpoints of later epochs, and older checkpoints are removed only afterwards. So a process
may be killed at any instruction.
"""

import json
import math
import os
import pathlib
import re
import shutil

import keras
import tensorflow as tf

from dualcam.files import atomic, text_files

_HISTORY, _LATEST, _BEST = 'history.json', 'latest', 'best'
_INDEX = re.compile(r'ckpt-(\d+)\.index')
_OTHER_BYTES = 32 << 20  # curves, pictures and the report


class Progress:
    """Checkpoints of a run.

    Args:
        model: the network that is trained.
        optimizer: already built.
        folder: a `pathlib.Path`, the run's `checkpoints`.

    Attributes:
        kept: where the last saved state is, as text for messages.
    """

    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, folder: pathlib.Path
    ):
        # Keras does not save the random state of its dropout layers.
        random = [one for one in model.variables if one.name == 'seed_generator_state']
        self._state = tf.train.Checkpoint(model=model, optimizer=optimizer, random=random)
        self._initial = tf.train.Checkpoint(model=model, random=random)
        self._weights = tf.train.Checkpoint(model=model)
        self._folder = folder
        self.kept = 'nothing is kept yet'

    def restore(self) -> list[dict] | None:
        """Restores the state of model and optimizer after the last saved epoch.

        Returns:
            The curves up to it, a list; None if nothing was saved.

        Raises:
            ValueError: the checkpoint is damaged or belongs to another model; the message names it.
        """
        history = _history(self._folder)
        latest, best = (_newest(self._folder / name, len(history)) for name in (_LATEST, _BEST))
        if latest is None:
            return None
        _read(self._state_after(latest), self._folder / _LATEST, latest)
        # Those of epochs not in the history could be mistaken for the ones about to be written.
        _keep_only(self._folder / _LATEST, latest)
        _keep_only(self._folder / _BEST, best)
        self._note(latest)
        return history[:latest]

    def follow(self, number: int) -> None:
        """Restores the state that another process saved or restored after `number` epochs.

        Nothing is removed, since the folder belongs to that process.

        Raises:
            ValueError: it is missing or damaged.
        """
        _read(self._state_after(number), self._folder / _LATEST, number)
        self._note(number)

    def history(self) -> list[dict]:
        """The curves of the saved epochs, read from disk."""
        return _history(self._folder)

    def save(self, history: list[dict], keep: bool) -> None:
        """Saves the state after `len(history)` epochs; with `keep`, also the weights as the best.

        Raises:
            OSError: it cannot be written; earlier checkpoints are unchanged.
        """
        number = len(history)
        written = [(_LATEST, self._state_after(number))] + (
            [(_BEST, self._weights)] if keep else []
        )
        try:
            for name, checkpoint in written:
                (self._folder / name).mkdir(parents=True, exist_ok=True)
                checkpoint.write(str(_prefix(self._folder / name, number)))
                atomic.flush(self._folder / name, f'ckpt-{number}.')
            atomic.write_text(self._folder / _HISTORY, json.dumps(history))
        except (OSError, tf.errors.OpError) as error:
            raise OSError(
                f'{self._folder}: the state after epoch {number} cannot be written '
                f'({str(error).strip().splitlines()[0]}); {self.kept}. Free some space, then '
                'the same call resumes'
            ) from error
        self._note(number)
        for name, _ in written:
            _keep_only(self._folder / name, number)

    def check_room(self) -> None:
        """Briefly allocates the additional disk space that the run will need.

        Between epochs, that is a second state and two copies of the best weights; at the end, the
        exported network. Twice the size of a state covers it, as Adam has two numbers per weight.

        Raises:
            OSError: there is less space.
        """
        state = sum(
            math.prod(one.shape) * tf.as_dtype(one.dtype).size
            for part in (self._state.model, self._state.optimizer)
            for one in part.variables
        )
        needed = 2 * state + _OTHER_BYTES
        partial = atomic.partial_name(self._folder / 'room')
        try:
            with open(partial, 'wb') as file:
                os.posix_fallocate(file.fileno(), 0, needed)
        except OSError as error:
            raise OSError(
                f'{self._folder}: {needed / 2**20:.0f} MiB, which this run will need, '
                f'are not available ({error.strerror}); free some space, or choose another '
                'folder'
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def restore_best(self) -> None:
        """Restores the best weights."""
        restore_best(self._folder, self._weights)

    def _state_after(self, number):
        return self._state if number else self._initial

    def _note(self, number):
        when = f'after epoch {number}' if number else 'before the first epoch'
        self.kept = f'the state {when} is kept in {_prefix(self._folder / _LATEST, number)}'


def restore_best(folder: pathlib.Path, weights: tf.train.Checkpoint) -> None:
    """Restores the best weights of a run's `checkpoints`.

    Args:
        folder: the run's `checkpoints`.
        weights: a `tf.train.Checkpoint` of the model.

    Raises:
        ValueError: they are missing or damaged; the message names the folder.
    """
    number = _newest(folder / _BEST, len(_history(folder)))
    if number is None:
        raise ValueError(
            f'{folder}: no checkpoint of the best weights; the run has not got that far'
        )
    _read(weights, folder / _BEST, number)


def _history(folder):
    """The curves of the saved epochs; empty if there is no such file."""
    path = folder / _HISTORY
    try:
        return list(text_files.read_json(path)) if path.exists() else []
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the run's folder") from error


def _newest(folder, count):
    """The highest checkpoint number in a folder, up to `count`, or None."""
    if not folder.is_dir():
        return None
    numbers = [int(match.group(1)) for match in map(_INDEX.fullmatch, os.listdir(folder)) if match]
    return max((number for number in numbers if number <= count), default=None)


def _read(checkpoint, folder, number):
    prefix = _prefix(folder, number)
    try:
        checkpoint.read(str(prefix)).assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise ValueError(
            f'{prefix}: not a complete checkpoint of this network '
            f"({str(error).strip().splitlines()[0]}); delete the run's folder"
        ) from error


def _keep_only(folder, number):
    """Removes everything in a folder except one checkpoint; None removes all."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():  # left by an interrupted write
            shutil.rmtree(path)
        elif not path.name.startswith(f'ckpt-{number}.'):
            path.unlink()


def _prefix(folder, number):
    return folder / f'ckpt-{number}'
