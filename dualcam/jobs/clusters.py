"""Many similar jobs on the workers of a Dask cluster.

Dask is imported only when there is a cluster to connect to. Workers run pieces of work and return
small results; the files that they write lie in a folder that all hosts share. A worker may die at
any moment and its pieces then run again elsewhere, so work must be repeatable.
"""

import collections
import contextlib
import logging
import os
import pathlib
import pickle
import platform
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from dualcam.files import atomic, path_types, progress_bars, text_files
from dualcam.jobs import workers

_Piece = TypeVar('_Piece')
_CONNECT_S = 10
_POLL_S = 2.0
_PATIENCE_S = 30.0  # without any worker, before a message says so
_AHEAD = 2  # pieces in flight per thread of a worker, so that none waits for the next
_RETRIES = 2  # for a piece whose file system or network failed


@contextlib.contextmanager
def connected(address: str | None, file: path_types.AnyPath | None) -> Iterator['Cluster | None']:
    """Connects to the cluster that flags ask for, whose workers have the versions of this process.

    Args:
        address: of its scheduler, tcp://HOST:PORT or tls://HOST:PORT; None or '' for none.
        file: written by the scheduler (--scheduler-file), instead of an address.

    Yields:
        A `Cluster`; None if neither is given.

    Raises:
        ValueError: no such address or file, Dask is not installed, or workers have other versions.
        OSError: no scheduler answers.
    """
    if not address and not file:
        yield None
        return
    if address and file:
        raise ValueError('pass one of --cluster and --cluster_file')
    place = address or _address_in(file)
    if not place.startswith(('tcp://', 'tls://')):
        raise ValueError(
            f'--cluster={place}: expected tcp://HOST:PORT or tls://HOST:PORT, as the scheduler '
            'prints it'
        )
    try:
        import distributed
    except ImportError as error:
        raise ValueError(
            '--cluster and --cluster_file need Dask: install dualcam[cluster], or dask[distributed]'
        ) from error
    # Errors here tell callers what they need; Dask logs dozens of lost workers and connections.
    for name in [one for one in logging.root.manager.loggerDict if one.startswith('distributed')]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(place, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(
            f'no Dask scheduler answers at {place} ({error}); start one with `dask scheduler`, '
            'or correct the address'
        ) from error
    try:
        cluster = Cluster(client, place)
        cluster.prepare()
        yield cluster
    finally:
        with contextlib.suppress(Exception):  # closing fails once the scheduler is gone
            client.close(timeout=_POLL_S)


def shared_path(path: Any, cluster: 'Cluster | None') -> Any:
    """A path that workers, which run in other folders, can open; unchanged without a cluster."""
    if cluster is None or path is None:
        return path
    return type(path)(os.path.abspath(path))


class Cluster:
    """The workers of a Dask scheduler.

    Args:
        client: a `distributed.Client`.
        place: address of its scheduler, for messages.
    """

    def __init__(self, client: Any, place: str):
        self._client, self.place = client, place
        self._asked_s, self._threads = float('-inf'), 0
        self._without_s: float | None = None  # since when there is no worker; 0 once that was said

    def prepare(self) -> None:
        """Makes the checkout importable on workers and compares their versions with ours.

        Workers that join later are compared when they get their first piece.

        Raises:
            ValueError: a worker has other versions, or does not find the packages.
            OSError: the scheduler was lost.
        """
        with self.noticing_loss():
            known = self._client.get_versions()
            hosts = {f'worker {where}': one for where, one in known['workers'].items()}
            hosts['the scheduler'] = known['scheduler']
            own = platform.python_version()
            for where, one in hosts.items():  # first: functions of another Python cannot be sent
                its = '.'.join(one['host']['python'].split('.')[:3])
                if its != own:
                    raise workers.unequal(where, {'Python': its}, {'Python': own})
            if workers.is_checkout():
                self._client.register_plugin(workers.path_plugin())
            # on_error: a worker that dies meanwhile should not stop the call.
            found = self._client.run(workers.probe(), on_error='ignore')
        for where, one in found.items():
            if one['versions'] != workers.versions():
                raise workers.unequal(f'worker {where}', one['versions'], workers.versions())
            if workers.is_checkout() and one['at'] != str(workers.ROOT):
                raise ValueError(
                    f'worker {where} has dualcam of {one["at"]}, this process of {workers.ROOT}; '
                    'restart it where it sees that folder'
                )

    def run(
        self,
        work: Callable[[_Piece], Any],
        pieces: Sequence[_Piece],
        name_of: Callable[[_Piece], str] = str,
        folder: path_types.AnyPath | None = None,
        apart: bool = False,
    ) -> Generator[tuple[int, Any], None, None]:
        """Runs `work(piece)` for every piece on the workers; the first error ends it.

        Pieces of a worker that died run again on others. Those whose workers died again and again
        run once more, each alone, after all others: this tells a piece that kills its worker from
        the pieces that happened to run beside it.

        Args:
            work: a picklable function; warnings that it prints are printed here.
            pieces: its arguments.
            name_of: names a piece in messages.
            folder: an existing one that each worker must share with this process.
            apart: whether pieces run in a process beside each worker, which is kept for all of
                them and in which TensorFlow has one thread: for work with networks, see `children`.

        Yields:
            (number of the piece, result), in the order in which they are done.

        Raises:
            ValueError: a worker does not see what this process writes to `folder`.
            OSError: the scheduler was lost; or pieces killed every worker that ran them, and all
                others are done.
        """
        with _marked(folder) as mark:
            yield from _Run(self, self._client, work, pieces, name_of, mark, apart).results()

    def num_threads(self) -> int:
        """The current number of threads of all workers."""
        return sum(self._client.nthreads().values())

    def max_in_flight(self) -> int:
        """How many pieces may be in flight; prints a line if there is no worker for long."""
        now = time.monotonic()
        if now - self._asked_s >= _POLL_S:
            self._asked_s, self._threads = now, self.num_threads()
            if self._threads:
                self._without_s = None
            elif self._without_s is None:
                self._without_s = now
            elif 0 < self._without_s < now - _PATIENCE_S:
                self._without_s = 0.0  # once
                progress_bars.write(f'waiting: no worker at {self.place}', sys.stderr)
        return max(_AHEAD, _AHEAD * self._threads)

    @contextlib.contextmanager
    def noticing_loss(self, state: Callable[[], str] = str) -> Iterator[None]:
        """Turns what Dask raises without its scheduler into a one-line `OSError`.

        Args:
            state: returns what was done so far, to be added to the line.
        """
        try:
            yield
        except (OSError, RuntimeError, *_cancellations()) as error:
            raise OSError(
                f'the scheduler at {self.place} was lost{state()}; start it and its workers again '
                'and call again, which resumes'
            ) from error


class _Run:
    """One call of `Cluster.run`."""

    def __init__(self, cluster, client, work, pieces, name_of, mark, apart):
        self._cluster, self._client, self._name_of = cluster, client, name_of
        self._work, self._pieces, self._mark, self._apart = work, pieces, mark, apart
        self._running: dict[Any, int] = {}  # {future: number of its piece}
        self._left = collections.deque(range(len(pieces)))
        self._suspects: collections.deque[int] = collections.deque()
        self._alone = False  # all but suspects are done, and these run one by one
        self._deadly: list[int] = []
        self._error: Exception | None = None
        self._num_done = 0

    def results(self):
        try:
            while self._submit():
                for future in self._done():
                    number = self._running.pop(future)
                    answer = self._answer(future, number)
                    if answer is not None:
                        self._num_done += 1
                        yield number, answer[0]
        finally:
            if self._running:
                with contextlib.suppress(Exception):
                    self._client.cancel(list(self._running), force=True)
        if self._error is not None:
            raise self._error
        if self._deadly:
            names = ', '.join(self._name_of(self._pieces[i]) for i in sorted(self._deadly))
            raise OSError(
                f'{names}: killed every worker that ran it, perhaps because memory ran out; the '
                f'other {self._num_done} of {len(self._pieces)} pieces are done'
            )

    def _submit(self):
        """Submits pieces while more may be in flight; returns whether any is."""
        if self._error is not None:  # running pieces may finish, so that their files are complete
            return bool(self._running)
        with self._noticing_loss():
            most = self._cluster.max_in_flight()
            while self._left and len(self._running) < most:
                self._start(self._left.popleft())
            self._alone |= not self._running
            if self._suspects and not self._running:
                self._start(self._suspects.popleft())
        return bool(self._running)

    def _start(self, number):
        import cloudpickle
        import dask.utils

        # As bytes: Dask would look for tasks of its own in lists and tuples.
        payload = cloudpickle.dumps((self._work, self._pieces[number]))
        future = self._client.submit(
            workers.task(),
            payload,
            workers.versions(),
            self._mark,
            self._apart,
            key=f'{dask.utils.funcname(self._work)}-{uuid.uuid4().hex}',  # as Dask shows it
            pure=False,
            retries=_RETRIES,
        )
        self._running[future] = number

    def _done(self):
        """Futures that are done; waits a moment for one."""
        import distributed

        with (
            self._noticing_loss(),
            self._client.as_current(),
            contextlib.suppress(distributed.TimeoutError),
        ):
            distributed.wait(list(self._running), _POLL_S, 'FIRST_COMPLETED')
        return [one for one in self._running if one.done()]

    def _answer(self, future, number):
        """(result,) of a piece; None if it has none, which is noted."""
        import distributed

        with self._noticing_loss():
            error = future.exception()
            if error is None:
                try:
                    answer = future.result()
                except distributed.KilledWorker as killed:  # its result was lost, then repeats died
                    error = killed
                else:
                    error, result, lines = (
                        pickle.loads(answer) if isinstance(answer, bytes) else answer
                    )
                    for line in lines:
                        progress_bars.write(line, sys.stderr)
                    if error is None:
                        return (result,)
            if isinstance(error, distributed.KilledWorker):
                (self._deadly if self._alone else self._suspects).append(number)
            else:
                self._error = self._error or error
            return None

    @contextlib.contextmanager
    def _noticing_loss(self):
        state = f' after {self._num_done} of {len(self._pieces)} pieces'
        try:
            with self._cluster.noticing_loss(lambda: state):
                yield
        except OSError:
            self._running = {}  # no scheduler is left to cancel them
            raise


@contextlib.contextmanager
def _marked(folder):
    """A new file in a folder, by which workers see that they share it."""
    if folder is None:
        yield None
        return
    mark = pathlib.Path(os.path.abspath(folder)) / f'.{uuid.uuid4().hex}{atomic.PARTIAL}'
    try:
        mark.touch()
    except OSError:  # a read-only folder: workers can only check that it exists
        yield f'{mark.parent}/.'
        return
    try:
        yield str(mark)
    finally:
        mark.unlink(missing_ok=True)


def _address_in(file):
    """The address in a scheduler's file."""
    try:
        return str(text_files.read_json(file)['address'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'--cluster_file={file}: no file of a scheduler ({error!r}); expected what '
            '`dask scheduler --scheduler-file` writes'
        ) from error


def _cancellations():
    """What futures raise when their scheduler is gone."""
    import asyncio
    import concurrent.futures

    return concurrent.futures.CancelledError, asyncio.CancelledError
