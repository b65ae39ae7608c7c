"""Small runs of every regime, trained in processes that are killed, and what they leave.

`kill_training` is the command; this is what its processes load.
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

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its start is chatty

import keras
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tqdm import tqdm

from dualcam import models
from dualcam.data.clips import record_clips
from dualcam.data.stores import tagging_store
from dualcam.files import progress_bars
from dualcam.training import correspondence_run, loop, run, tagging_run
from dualcam.training.recipes import distillation, mutual
from tests.helpers import tagged_clips, toy_eccv

_CLIP_S = 1
_LABELS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)] * 2
_NUM_TRAINING = 9
_WRITES = ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir')
_RATE = 'clips_per_second'
_EPOCHS = 3


def _run_params(**changes):
    return run.RunParams(
        'hearnet', record_clips.ClipParams(2, 2, 1), loop.LoopParams(_EPOCHS, 4, 1e-3), **changes
    )


def _supervised(_, folder):
    run.train(
        _run_params(options=(('dropout', 0.5),)), toy_eccv.make_data(toy_eccv.make_store()), folder
    )


def _distilled(_, folder):
    store = toy_eccv.make_store()
    keras.utils.set_random_seed(2)
    seconds = record_clips.Clips(store, np.arange(len(store.paths))[:, None], 'acoustic')
    answers = distillation.answers(
        models.build('dualcamnet', 2, seconds=1),
        seconds,
        folder.with_name(f'{folder.name}-answers.npy'),
    )
    run.train(
        _run_params(imitation=0.5, temperature=2.0), toy_eccv.make_data(store), folder, answers
    )


def _pretext(_, folder):
    store = toy_eccv.make_store()
    sums = np.random.default_rng(1).random((len(store.paths), 128), np.float32)
    correspondence_run.train(
        correspondence_run.PretextParams(
            'hearnet_eccv',
            'resnet18_eccv',
            record_clips.ClipParams(2, 2, 1),
            loop.LoopParams(_EPOCHS, 6, 1e-3),
            alpha=0.5,
            all_epochs=1,
            video_options=(('num_frames', 1), ('width', 0.125)),
        ),
        toy_eccv.make_data(store),
        folder,
        sums,
    )


def _tagging(scratch, folder, network, method, **changes):
    paths = [str(path) for path in (scratch / 'records').rglob('*.tfrecord')]
    store = tagging_store.open_clips(paths, tagged_clips.INFO, scratch / 'cache')
    rows = np.arange(len(store.paths))
    seen = np.repeat(store.labels[:, None], _CLIP_S, axis=1)  # what frames would show
    data = tagging_run.TaggingData(
        store, rows[:_NUM_TRAINING], rows[_NUM_TRAINING:], {'visual': seen}, tagged_clips.INFO
    )
    tagging_run.train(
        tagging_run.TaggingParams(
            network,
            method,
            loop.LoopParams(_EPOCHS, 4, 3e-3),
            _CLIP_S,
            width=1 / 16,
            visual='made up',
            visual_size=seen.shape[-1],
            **changes,
        ),
        data,
        folder,
    )


def _mutual(scratch, folder):
    _tagging(scratch, folder, 'tagging_student', 'mutual', transfer=mutual.Transfer())


def _visual(scratch, folder):
    _tagging(scratch, folder, 'tagging_visual', 'alone')


# What a run of each regime trains: functions of the folder of records and that of the run.
REGIMES = {
    'supervised': _supervised,
    'distilled': _distilled,
    'pretext': _pretext,
    'mutual': _mutual,
    'visual': _visual,
}


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a process is killed: at its n-th write, from 1, or after a time; neither lets it end."""

    write: int | None = None
    after_s: float | None = None


class Killer:
    """Trains in child processes, and kills them.

    Args:
        scratch: folder for records and runs.
    """

    def __init__(self, scratch):
        self._scratch = pathlib.Path(scratch)
        tagged_clips.write_records(
            self._scratch / 'records', _LABELS, _CLIP_S, np.random.default_rng(0)
        )
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload([__name__])  # loads TensorFlow once

    def train(self, regime, name, kill=Kill()):
        """Trains a run in a process of its own; goes on where the last one was.

        Args:
            regime: one of `REGIMES`.
            name: of the run.
            kill: when the process is killed.

        Returns:
            (whether it came to its end, number of its writes, seconds it took).
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
        """What a run left: {what: digest}, all but rates."""
        return left(self._scratch / name)


def _train(scratch, regime, name, last_write, count):
    """The work of a child process."""
    # Sums of several threads may be rounded in another order: equal bits need one.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    progress_bars.hide()
    tqdm.set_lock(threading.RLock())  # its own one would outlive a killed process
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
    REGIMES[regime](scratch, folder)


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
            found[name] = None  # times and names of the process are in them
        else:
            content = path.read_bytes().replace(folder.name.encode(), b'')  # a report's title
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
    return {
        name: hashlib.sha256(np.asarray(reader.get_tensor(name)).tobytes()).hexdigest()
        for name in reader.get_variable_to_shape_map()
        if not name.startswith('_CHECKPOINT')
    }


def differences(found, wanted):
    """Names of what is not equal in two results of `left`."""
    return sorted(
        name
        for name in {*found, *wanted}
        if name not in found or name not in wanted or found[name] != wanted[name]
    )
