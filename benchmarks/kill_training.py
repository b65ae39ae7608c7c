"""Training killed with SIGKILL again and again: does it end as a run that was never stopped?

    python benchmarks/kill_training.py --kills=50

A small run that tags (validation, board, export, report) is trained once undisturbed. Then others
like it are killed, started again and killed again, until they end; every other kill comes at a
write below the run's folder, which the seed chooses, the rest after a time, which it chooses too.
What each leaves must be equal bit for bit: weights, optimizer, curves, TensorBoard's events,
answers, exported student, and no file more or less. Only rates (clips/s) may differ.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))     # run from the checkout
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')     # before TensorFlow: its start is chatty
# Sums of several threads may be rounded in another order: equal bits need one.
os.environ['TF_NUM_INTRAOP_THREADS'] = os.environ['TF_NUM_INTEROP_THREADS'] = '1'

import numpy as np
import tensorflow as tf
from absl import app, flags
from tensorboard.compat.proto import event_pb2
from tqdm import tqdm

from dualcam import progress
from dualcam.data import tagging_store
from dualcam.training import loop, tagging_run
from tests import tagged_clips

_CLIP_S = 1
_LABELS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)] * 2
_NUM_TRAINING = 9
_WRITES = ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir')
_RATE = 'clips_per_second'


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a process is killed: at its n-th write, from 1, or after a time; neither lets it end."""
    write: int | None = None
    after_s: float | None = None


class Killer:
    """Trains in child processes, and kills them.

    Args:
        scratch: folder for records and runs.
        network: that learns; 'tagging_audio' is exported, 'tagging_visual' is quick.
        epochs: of each run.
    """

    def __init__(self, scratch, network='tagging_audio', epochs=3):
        self._scratch, self._network, self._epochs = pathlib.Path(scratch), network, epochs
        tagged_clips.write_records(self._scratch / 'records', _LABELS, _CLIP_S,
                                   np.random.default_rng(0))
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload([__name__])      # TensorFlow is loaded once

    def train(self, name, kill=Kill()):
        """Trains a run in a process of its own; goes on where the last one was.

        Returns:
            (whether it came to its end, number of its writes, seconds it took).
        """
        count = self._context.Value('q', 0, lock=False)
        process = self._context.Process(
            target=_train, args=(
                self._scratch, name, self._network, self._epochs, kill.write, count))
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
        """What a run left: {what: digest}, all but rates."""
        return left(self._scratch / name)


def _train(scratch, name, network, epochs, last_write, count):
    """The work of a child process."""
    progress.hide()
    tqdm.set_lock(threading.RLock())             # its own one would outlive a killed process
    folder = scratch / name

    def audit(event, arguments):
        is_write = event in _WRITES or (event == 'open' and isinstance(arguments[1], str)
                                        and set(arguments[1]) & set('wax+'))
        if is_write and str(arguments[0]).startswith(str(folder)):
            count.value += 1
            if count.value == last_write:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(audit)
    paths = [str(path) for path in (scratch / 'records').rglob('*.tfrecord')]
    store = tagging_store.open_clips(paths, tagged_clips.INFO, scratch / 'cache')
    rows = np.arange(len(store.paths))
    seen = np.repeat(store.labels[:, None], _CLIP_S, axis=1)            # what frames would show
    data = tagging_run.TaggingData(store, rows[:_NUM_TRAINING], rows[_NUM_TRAINING:],
                                   {'visual': seen}, tagged_clips.INFO)
    tagging_run.train(tagging_run.TaggingParams(
        network, 'alone', loop.LoopParams(epochs, 4, 3e-3), _CLIP_S, width=1 / 16,
        visual_size=seen.shape[-1]), data, folder)


def left(folder):
    """What a run's folder holds, see `Killer.left`."""
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
            found[name] = None           # times and names of the process are in them
        else:
            content = path.read_bytes().replace(folder.name.encode(), b'')     # a report's title
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def _events(path, folder, others):
    """{'folder: tag, step': digest} of an event file; a second one of a name counts up."""
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
    return {name: hashlib.sha256(np.asarray(reader.get_tensor(name)).tobytes()).hexdigest()
            for name in reader.get_variable_to_shape_map() if not name.startswith('_CHECKPOINT')}


def differences(found, wanted):
    """Names of what is not equal in two results of `left`."""
    return sorted(name for name in {*found, *wanted}
                  if name not in found or name not in wanted or found[name] != wanted[name])


def main(_):
    """The command."""
    options, rng = flags.FLAGS, np.random.default_rng(flags.FLAGS.seed)
    with tempfile.TemporaryDirectory() as scratch:
        killer = Killer(scratch)
        _, writes, seconds = killer.train('whole')
        wanted = killer.left('whole')
        print(f'undisturbed: {writes} writes, {seconds:.1f} s, {len(wanted)} results')
        kills, runs, unequal = 0, 0, 0
        while kills < options.kills:
            name, ended = f'killed_{runs:03d}', False
            while not ended:
                kill = Kill()
                if kills < options.kills:
                    kill = Kill(int(rng.integers(1, writes + 1))) if kills % 2 == 0 else Kill(
                        after_s=float(rng.uniform(0, seconds)))
                ended, *_ = killer.train(name, kill)
                kills += not ended
            runs += 1
            different = differences(killer.left(name), wanted)
            unequal += bool(different)
            print(f'{name}: {kills} kills so far; ' + (
                f'DIFFERENT: {different[:5]}' if different else 'equal'), flush=True)
    print(f'{kills} kills, {runs} runs, {unequal} not equal to the undisturbed one')
    return int(unequal > 0)


if __name__ == '__main__':
    flags.DEFINE_integer('kills', 50, 'How many processes are killed.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Chooses when.')
    app.run(main)
