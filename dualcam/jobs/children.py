"""A process beside a worker of a cluster, in which pieces with networks run.

Dask runs pieces in a thread of the worker, beside threads of its own. Networks need a process of
their own: Keras draws seeds of initial weights from Python's global random numbers, which Dask's
threads use too, and loading TensorFlow in a thread stops the worker's messages for seconds. The
process is kept for all pieces of all jobs, so TensorFlow is loaded once. It ends with its worker,
and a worker ends with it, so that Dask counts a killed process as a killed worker.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

_POLL_S = 0.5
_COMMAND = 'import sys; from dualcam.jobs import children; children.serve(int(sys.argv[1]))'
_own: 'Child | None' = None  # of this worker


class Unwanted(Exception):
    """A piece whose result nobody waits for any longer."""


class Child:
    """A process that answers payloads one by one.

    Args:
        variables: its environment.
    """

    def __init__(self, variables: Mapping[str, str]):
        self._ours, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-c', _COMMAND, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=variables,
                pass_fds=[theirs.fileno()],
            )

    def call(self, payload: bytes, is_wanted: Callable[[], bool]) -> bytes:
        """What `workers.answer` returns for a payload in that process; its errors are raised here.

        The answer stays pickled: loading it could load TensorFlow into this process.

        Args:
            payload: see `workers.answer`.
            is_wanted: asked now and then whether anybody still waits for the result.

        Raises:
            EOFError: the process was killed.
            Unwanted: nobody waits; the process has been killed.
        """
        try:
            self._ours.send_bytes(payload)
            while not self._ours.poll(_POLL_S):
                if not is_wanted():
                    self.kill()
                    raise Unwanted
            error, result = pickle.loads(self._ours.recv_bytes())
        except (ConnectionError, EOFError) as lost:
            self.kill()
            raise EOFError('the process was killed') from lost
        if error is not None:
            raise error
        return result

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()
        self._ours.close()


def call(payload: bytes, variables: Mapping[str, str]) -> bytes:
    """What `workers.answer` returns for a payload in the child process of this worker, pickled.

    Args:
        payload: see `workers.answer`.
        variables: environment of the process, which the first call starts.
    """
    import distributed

    global _own
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def is_wanted():
        task = worker.state.tasks.get(key)
        is_closing = worker.status in (distributed.Status.closing, distributed.Status.closed)
        return task is not None and task.state != 'cancelled' and not is_closing

    if _own is None:
        _own = Child(variables)
    try:
        return _own.call(payload, is_wanted)
    except Unwanted:
        _own = None
        raise
    except EOFError:
        os.kill(os.getpid(), signal.SIGKILL)  # Dask counts how many workers a piece has killed
        raise


def serve(descriptor: int) -> None:
    """Answers the payloads that arrive; the main function of a child process.

    Args:
        descriptor: of its end of the pipe.
    """
    from dualcam.jobs import workers

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the worker, and so this process
    connection = multiprocessing.connection.Connection(descriptor)
    payloads: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive():
        with contextlib.suppress(EOFError, OSError):
            while True:
                payloads.put(connection.recv_bytes())
        os._exit(1)  # the worker is gone

    threading.Thread(target=receive, daemon=True).start()
    while True:
        payload = payloads.get()
        try:
            answer = pickle.dumps((None, pickle.dumps(workers.answer(payload))))
        except Exception as error:
            answer = pickle.dumps((workers.portable(error), None))
        connection.send_bytes(answer)
