"""A table with distributed training: the chief fills it, the other processes help to train.

The chief works through the table like a single process. Before it trains a run, it announces the
run to the others, which have opened the same workshops with the same flags and make the same call
of `run.train`. They test nothing and write nothing.
"""

import io
import pickle
from collections.abc import Iterator
from typing import Any

from dualcam.training import hosts


def follow(*opened: Any) -> bool:
    """In distributed training, makes every process but the chief train the runs it announces.

    Commands call it once their workshops are open, before anything is trained.

    Args:
        opened: every `workshops.Workshop` whose runs the command trains, of different sources.

    Returns:
        Whether this process has followed the chief to the end, so that nothing is left to do.
    """
    if hosts.is_chief():
        hosts.wait()  # the others open their workshops next, with the records that the chief packed
        return False
    kinds = {workshop.source.run_type: workshop for workshop in opened}
    for run, seed in _announced(kinds):
        kinds[type(run)].train(run, seed)
    return True


def wait_for_chief() -> None:
    """In every process but the chief, returns once the chief has reached `follow`."""
    if not hosts.is_chief():
        hosts.wait()


def announce(run: Any, seed: int) -> None:
    """Called before a run is trained; the chief announces it, other processes do nothing."""
    if hosts.is_chief() and hosts.count() > 1:
        hosts.bytes_from_chief(pickle.dumps((run, seed)))


def dismiss() -> None:
    """Called at the end; the chief tells the others that no more runs follow."""
    if hosts.is_chief() and hosts.count() > 1:
        hosts.bytes_from_chief(pickle.dumps(None))


def _announced(kinds) -> Iterator[tuple[Any, int]]:
    """Runs and seeds as the chief announces them, until it is done."""
    while (announced := _Announcement(hosts.bytes_from_chief(), kinds).load()) is not None:
        yield announced


class _Announcement(pickle.Unpickler):
    """Unpickles runs of the known types, and nothing else."""

    def __init__(self, content, kinds):
        super().__init__(io.BytesIO(content))
        self._kinds = {(kind.__module__, kind.__qualname__): kind for kind in kinds}

    def find_class(self, module, name):
        try:
            return self._kinds[module, name]
        except KeyError as error:
            raise pickle.UnpicklingError(f'{module}.{name} is no kind of run') from error
