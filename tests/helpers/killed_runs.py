"""Small runs of every regime, trained in processes that are killed, and their results.

`tests/proofs/kill_training.py` is the command; this is what its processes load.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tqdm import tqdm

from dualcam.files import progress_bars
from tests.helpers import small_runs

_WRITES = ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir')
_RATE = 'clips_per_second'


@dataclasses.dataclass(frozen=True)
class Kill:
    """When to kill a process: at its n-th write, from 1, or after a time; with neither, never."""

    write: int | None = None
    after_s: float | None = None


class Killer:
    """Trains in child processes, and kills them.

    Args:
        scratch: folder for records and runs.
    """

    def __init__(self, scratch):
        self._scratch = pathlib.Path(scratch)
        small_runs.write_records(self._scratch)
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload([__name__])  # loads TensorFlow once

    def train(self, regime, name, kill=Kill()):
        """Trains a run in a separate process; resumes where the last one stopped.

        Args:
            regime: one of `small_runs.REGIMES`.
            name: of the run.
            kill: when the process is killed.

        Returns:
            (whether it finished, number of its writes, seconds it took).
        """
        count = self._context.Value('q', 0, lock=False)
        process = self._context.Process(
            target=_train, args=(self._scratch, regime, name, kill.write, count)
        )
        started = time.perf_counter()
        process.start()
        process.join(kill.after_s)
        if process.is_alive():
            process.kill()
            process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f'{name}: the process ended with {process.exitcode}')
        return process.exitcode == 0, count.value, time.perf_counter() - started

    def left(self, name):
        """A run's results: {item: digest}, without rates."""
        return left(self._scratch / name)


def _train(scratch, regime, name, last_write, count):
    """The work of a child process."""
    # Sums over several threads may round differently: bit equality needs one thread.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    progress_bars.hide()
    tqdm.set_lock(threading.RLock())  # its default lock would outlive a killed process
    folder = scratch / name

    def audit(event, arguments):
        is_write = event in _WRITES or (
            event == 'open' and isinstance(arguments[1], str) and set(arguments[1]) & set('wax+')
        )
        if is_write and str(arguments[0]).startswith(str(folder)):
            count.value += 1
            if count.value == last_write:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    small_runs.REGIMES[regime](scratch, folder)


def left(folder):
    """Contents of a run's folder, see `Killer.left`."""
    found = {}
    for path in sorted(path for path in folder.rglob('*') if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith('events.'):
            found |= _events(path, pathlib.PurePath(name).parent, found)
        elif path.suffix == '.index':
            found |= {f'{name}: {key}': value for key, value in _variables(path).items()}
        elif path.name in ('history.json', 'metrics.json'):
            saved = json.loads(path.read_text())
            for record in saved if isinstance(saved, list) else saved['history']:
                del record[_RATE]
            found[name] = saved
        elif path.name == '.lock' or path.suffix == '.pb' or '.data-' in path.name:
            found[name] = None  # these contain times and process names
        else:
            content = path.read_bytes().replace(folder.name.encode(), b'')  # a report's title
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def _events(path, folder, others):
    """{'folder: tag, step': digest} of an event file; repeated names are numbered."""
    found = {}
    for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = event_pb2.Event.FromString(serialized)
        for value in event.summary.value:
            if value.tag == _RATE:
                continue
            key = f'{folder}: {value.tag}, {event.step}'
            while key in found or key in others:
                key += ', again'
            found[key] = hashlib.sha256(value.SerializeToString(deterministic=True)).hexdigest()
    return found


def _variables(index):
    """{name: digest} of a checkpoint."""
    reader = tf.train.load_checkpoint(str(index.with_suffix('')))
    return {
        name: hashlib.sha256(np.asarray(reader.get_tensor(name)).tobytes()).hexdigest()
        for name in reader.get_variable_to_shape_map()
        if not name.startswith('_CHECKPOINT')
    }


def differences(found, wanted):
    """Names of the items that differ between two results of `left`."""
    return sorted(
        name
        for name in {*found, *wanted}
        if name not in found or name not in wanted or found[name] != wanted[name]
    )
