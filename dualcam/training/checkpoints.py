"""What a run goes on from: the state after its last whole epoch, and the weights that count.

    history.json      the curves of the whole epochs
    latest/ckpt-N     model, optimizer and random numbers' state after epoch N; ckpt-0 is what the
                      run began with
    best/ckpt-N       weights alone, of the best epoch so far

`history.json` is replaced after the others, in one piece, and says how many epochs there are: what
was written for later ones is not there for who reads, and what went before is removed only then.
So a process may be killed at any instruction.
"""

import json
import os
import re
import shutil

import tensorflow as tf

from dualcam.files import atomic, text_files

_HISTORY, _LATEST, _BEST = 'history.json', 'latest', 'best'
_INDEX = re.compile(r'ckpt-(\d+)\.index')
_OTHER_BYTES = 32 << 20  # curves, pictures and the report


class Progress:
    """Checkpoints of a run.

    Args:
        model: what learns.
        optimizer: built.
        folder: a `pathlib.Path`, the run's `checkpoints`.

    Attributes:
        kept: where the last whole epoch's state is, in words.
    """

    def __init__(self, model, optimizer, folder):
        # Keras leaves out where its dropout is in its random numbers.
        self._state = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            random=[one for one in model.variables if one.name == 'seed_generator_state'],
        )
        self._weights = tf.train.Checkpoint(model=model)
        self._folder = folder
        self.kept = 'nothing is kept yet'

    def restore(self):
        """Brings model and optimizer to the last whole epoch.

        Returns:
            The curves up to it, a list; None where nothing was kept.

        Raises:
            ValueError: the checkpoint is damaged, or another model's; it is named.
        """
        history = _history(self._folder)
        latest, best = (_newest(self._folder / name, len(history)) for name in (_LATEST, _BEST))
        if latest is None:
            return None
        _read(self._state, self._folder / _LATEST, latest)
        # Of epochs that do not count: they might pass for what will be written in their place.
        _keep_only(self._folder / _LATEST, latest)
        _keep_only(self._folder / _BEST, best)
        self._say(latest)
        return history[:latest]

    def save(self, history, keep):
        """Keeps the state after `len(history)` epochs, and the weights to `keep` as the best.

        Raises:
            OSError: it cannot be written; what was kept before is as it was.
        """
        number = len(history)
        written = [(_LATEST, self._state)] + ([(_BEST, self._weights)] if keep else [])
        try:
            for name, checkpoint in written:
                (self._folder / name).mkdir(parents=True, exist_ok=True)
                checkpoint.write(str(_prefix(self._folder / name, number)))
                atomic.flush(self._folder / name, f'ckpt-{number}.')
            atomic.write_text(self._folder / _HISTORY, json.dumps(history))
        except (OSError, tf.errors.OpError) as error:
            raise OSError(
                f'{self._folder}: the state after epoch {number} cannot be written '
                f'({str(error).strip().splitlines()[0]}); {self.kept}. Make room, then '
                'the same call goes on'
            ) from error
        self._say(number)
        for name, _ in written:
            _keep_only(self._folder / name, number)

    def check_room(self):
        """Takes, for a moment, the room that the run will need beyond what it has kept.

        For the time between two epochs that is a second state and, of the best weights, two;
        and at the end those of the exported network: twice a state, in which Adam has two
        numbers beside each weight.

        Raises:
            OSError: there is less.
        """
        state = sum(path.stat().st_size for path in (self._folder / _LATEST).iterdir())
        needed = 2 * state + _OTHER_BYTES
        partial = self._folder / f'.room.{os.getpid()}.partial'
        try:
            with open(partial, 'wb') as file:
                os.posix_fallocate(file.fileno(), 0, needed)
        except OSError as error:
            raise OSError(
                f'{self._folder}: {needed / 2**20:.0f} MiB, which this run will need, '
                f'are not to be had ({error.strerror}); make room, or choose another '
                'folder'
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def restore_best(self):
        """Brings the model to its best weights."""
        restore_best(self._folder, self._weights)

    def _say(self, number):
        when = f'after epoch {number}' if number else 'before the first epoch'
        self.kept = f'the state {when} is kept in {_prefix(self._folder / _LATEST, number)}'


def restore_best(folder, weights):
    """Brings a `tf.train.Checkpoint` of a model to the best weights of a run's `checkpoints`.

    Raises:
        ValueError: there are none, or they are damaged; the folder is named.
    """
    number = _newest(folder / _BEST, len(_history(folder)))
    if number is None:
        raise ValueError(
            f'{folder}: no checkpoint of the best weights; the run has not come far enough'
        )
    _read(weights, folder / _BEST, number)


def _history(folder):
    """The curves of the epochs that count; none where there is no such file."""
    path = folder / _HISTORY
    try:
        return list(text_files.read_json(path)) if path.exists() else []
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the run's folder") from error


def _newest(folder, count):
    """The highest number of a checkpoint in a folder that is not above `count`, or None."""
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
            f'{prefix}: not a whole checkpoint of this network '
            f"({str(error).strip().splitlines()[0]}); delete the run's folder"
        ) from error


def _keep_only(folder, number):
    """Removes all of a folder but one checkpoint; None removes all."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():  # of a write that was cut off
            shutil.rmtree(path)
        elif not path.name.startswith(f'ckpt-{number}.'):
            path.unlink()


def _prefix(folder, number):
    return folder / f'ckpt-{number}'
