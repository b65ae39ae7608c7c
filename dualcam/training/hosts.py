"""Distributed training: several processes, on one or more hosts, train one network.

All processes run the same command, each with its own number. They share each batch like several
devices of one process (`hardware.part_of`) and sum their gradients, so that their weights stay
equal. Process 0, the chief, owns the run's folder: only it validates, chooses, exports and writes,
while the others wait. It sends them its decisions and what it reads from disk by `from_chief`.

The backend is `tf.distribute.MultiWorkerMirroredStrategy` over gRPC: it starts the servers of the
processes, broadcasts the variables' initial values from the chief, reduces in rings, and detects
lost processes by its coordination service. `model.fit` and the tf.data service are not used: the
loop is this package's own, and the service's workers could not run its pipelines, which call back
into this process's Python code.

A process that loses another one exits with code `LOST`, since none can continue alone. When they
are started again, all of them restore the chief's last checkpoint.
"""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context  # `_tell` has no public equivalent

LOST = 75  # EX_TEMPFAIL of sysexits.h, "try again later": the same call resumes

_TOLD = 'an error of its own, '  # precedes the errors that `_tell` reports
_ADDRESS = re.compile(r'[^\s:/,]+:\d{1,5}')
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class LostPeer(OSError):
    """Another process of the training is gone, or cannot be reached."""

    exit_code = LOST


class FailedPeer(OSError):
    """Another process failed with an error of its own, which the same call would raise again."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a distributed training.

    Attributes:
        addresses: host:port of each; the first is the chief's.
        number: this process's position among them, from 0.
    """

    addresses: tuple[str, ...]
    number: int

    def __post_init__(self):
        for address in self.addresses:
            if not _ADDRESS.fullmatch(address) or not 0 < int(address.rpartition(':')[2]) < 65536:
                raise ValueError(f'worker {address!r}: expected host:port, as in node1:12345')
        if len(set(self.addresses)) < len(self.addresses):
            raise ValueError(f'workers {",".join(self.addresses)}: an address is there twice')
        if not 0 <= self.number < len(self.addresses):
            raise ValueError(
                f'worker {self.number}: expected 0 - {len(self.addresses) - 1}, the place of this '
                f'process in {",".join(self.addresses)}'
            )


@dataclasses.dataclass(frozen=True, eq=False)
class _Joined:
    cluster: Cluster
    strategy: tf.distribute.Strategy


_joined: _Joined | None = None  # set once per process, as in TensorFlow


def cluster(workers: Sequence[str], worker: int | None, tf_config: str | None) -> Cluster | None:
    """The processes named by a command's flags, or else by TF_CONFIG; None for a single process.

    Args:
        workers: host:port of each; empty if the flag is not given.
        worker: number of this process among them, or None.
        tf_config: the environment variable, JSON with a `task` and a `cluster` that has the jobs
            chief and worker, or one of them; None or empty if not set.

    Raises:
        ValueError: an address or a number is missing or invalid.
    """
    if workers:
        if worker is None:
            raise ValueError(
                f'--workers={",".join(workers)}: --worker=N must say which of them this process '
                'is, from 0'
            )
        found = Cluster(tuple(workers), worker)
    elif worker is not None:
        raise ValueError(f'--worker={worker}: goes with --workers=host:port,host:port')
    else:
        found = _of_tf_config(tf_config)
    return found if found and len(found.addresses) > 1 else None


def _of_tf_config(text):
    """A `Cluster`, or None if TF_CONFIG does not describe one."""
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs = dict(config.get('cluster') or {})
        if not jobs:
            return None
        kind, index = config['task']['type'], int(config['task']['index'])
        others = set(jobs) - {'chief', 'worker'}
        if others:
            raise ValueError(f'it has the jobs {", ".join(sorted(others))}')
        counted = {job: list(jobs.get(job, [])) for job in ('chief', 'worker')}
        if not 0 <= index < len(counted[kind]):
            raise ValueError(f'no {kind} {index} in its cluster')
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'TF_CONFIG: {error!r}; expected JSON with a cluster of chief and worker, and a task '
            'of type and index'
        ) from error
    number = index + (len(counted['chief']) if kind == 'worker' else 0)
    return Cluster((*counted['chief'], *counted['worker']), number)


def join(cluster: Cluster) -> None:
    """Joins the other processes; returns once all of them are connected.

    Must be called before TensorFlow computes anything. Each process uses one GPU, the first one
    visible to it, or else its CPU.

    Raises:
        ValueError: the port is in use, or TensorFlow is already initialised.
        LostPeer: the others did not connect, or one is already gone.
    """
    global _joined
    gpus = tf.config.list_physical_devices('GPU')[:1]
    implementations = tf.distribute.experimental.CommunicationImplementation
    try:
        tf.config.set_visible_devices(gpus, 'GPU')
        strategy = tf.distribute.MultiWorkerMirroredStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec({'worker': list(cluster.addresses)}),
                task_type='worker',
                task_id=cluster.number,
                num_accelerators={'GPU': len(gpus)},
                rpc_layer='grpc',
            ),
            tf.distribute.experimental.CommunicationOptions(
                implementation=implementations.AUTO if gpus else implementations.RING
            ),
        )
    except RuntimeError as error:
        raise ValueError(f'{cluster.addresses[cluster.number]}: {error}') from error
    except tf.errors.OpError as error:
        raise LostPeer(
            f'worker {cluster.number}, {cluster.addresses[cluster.number]}: did not meet the '
            f'others ({_reason(error)})'
        ) from error
    _joined = _Joined(cluster, strategy)


def strategy() -> tf.distribute.Strategy | None:
    """The strategy in which the processes build and train networks; None for a single process."""
    return _joined.strategy if _joined else None


def count() -> int:
    """The number of processes; 1 without distributed training."""
    return len(_joined.cluster.addresses) if _joined else 1


def number() -> int:
    """This process's number, from 0."""
    return _joined.cluster.number if _joined else 0


def is_chief() -> bool:
    """Whether this process writes the run's files; true for a single process."""
    return number() == 0


def from_chief(values: np.ndarray) -> np.ndarray:
    """Broadcasts the chief's values to every process; all of them must call it.

    Args:
        values: integers or floats; the other processes' only provide shape and type.

    Raises:
        LostPeer: a process is gone.
    """
    values = np.asarray(values)
    if _joined is None:
        return values
    own = values if is_chief() else np.zeros_like(values)
    with watched():
        # The others contribute zeros, so the sum is exact.
        return _joined.strategy.reduce('SUM', tf.identity(own), axis=None).numpy()


def bytes_from_chief(content: bytes = b'') -> bytes:
    """Likewise, bytes of any length; the other processes need not give any."""
    length = int(from_chief(np.array(len(content), np.int64)))
    own = np.zeros(length, np.uint8)
    if is_chief():
        own[:] = np.frombuffer(content, np.uint8)
    return from_chief(own.astype(np.int32)).astype(np.uint8).tobytes()


def wait() -> None:
    """A barrier: returns once every process has called it."""
    from_chief(np.zeros((), np.int32))


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Reports an error within to the others, which then raise `FailedPeer` instead of `LostPeer`.

    Without an error, waits until the others are done too. No distributed training may follow.
    """
    try:
        yield
    except (LostPeer, FailedPeer):
        raise
    except BaseException as error:
        if _joined is not None:
            _tell(error)
        raise
    wait()


@contextlib.contextmanager
def chief_first() -> Iterator[None]:
    """The chief runs the block first; the others then find the files that it wrote.

    Raises:
        LostPeer: a process is gone.
    """
    if not is_chief():
        wait()
    yield
    if is_chief():
        wait()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Converts TensorFlow's errors about other processes to `LostPeer` or `FailedPeer`."""
    try:
        yield
    except _GONE as error:
        if _joined is None:
            raise
        told = re.search(f'{_TOLD}(.*)', error.message or '')
        if told:
            raise FailedPeer(
                f'worker {number()} of {count()} ends, as another one has by {told.group(1)}'
            ) from error
        raise LostPeer(
            f'worker {number()} of {count()} has lost another one ({_reason(error)}); none '
            'can go on alone. The same call on all of them resumes after the last saved epoch'
        ) from error


def _reason(error):
    """TensorFlow's message of an error in one line, without its place in the graph."""
    text = error.message or type(error).__name__
    aborted = re.search(r'aborted by: *(.+)', text)
    if aborted:
        return aborted.group(1).strip()
    lines = [line.strip() for line in text.splitlines()]
    left_out = ('Graph execution error', 'Detected at node', '<stack traces')
    return next((line for line in lines if line and not line.startswith(left_out)), lines[0])


def _tell(error):
    """Reports an error of this process to all others."""
    text = ' '.join(f'{type(error).__name__}: {error}'.split())
    with contextlib.suppress(tf.errors.OpError):  # another process may have reported one first
        context.context().report_error_to_cluster(tf.errors.ABORTED, f'{_TOLD}{text}')
