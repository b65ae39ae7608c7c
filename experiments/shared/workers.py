"""A table on several hosts: the chief fills it, the other processes train along with it.

The chief goes through the table as a single process does. Whenever a run has to be trained, it
announces it; the others, which have opened the same workshops with the same flags, make the same
call of `run.train`. They test nothing and write nothing.
"""

import io
import pickle
from collections.abc import Iterator
from typing import Any

from dualcam.training import hosts


def follow(*opened: Any) -> bool:
    """Where several processes train together, lets all but the chief train along with it.

    To be called by a command once its workshops are open and before anything is trained.

    Args:
        opened: every `workshops.Workshop` whose runs the command trains, of different sources.

    Returns:
        Whether this process has followed the chief to its end, so that nothing is left to do.
    """
    if hosts.is_chief():
        hosts.wait()  # the others open their workshops next, and find what the chief has packed
        return False
    kinds = {workshop.source.run_type: workshop for workshop in opened}
    for run, seed in _announced(kinds):
        kinds[type(run)].train(run, seed)
    return True


def wait_for_chief() -> None:
    """Returns, in all processes but the chief, once the chief is in `follow`."""
    if not hosts.is_chief():
        hosts.wait()


def announce(run: Any, seed: int) -> None:
    """The chief is about to train a run; nothing happens in a single process or in the others."""
    if hosts.is_chief() and hosts.count() > 1:
        hosts.bytes_from_chief(pickle.dumps((run, seed)))


def dismiss() -> None:
    """The chief has come to its end, and so have the others."""
    if hosts.is_chief() and hosts.count() > 1:
        hosts.bytes_from_chief(pickle.dumps(None))


def _announced(kinds) -> Iterator[tuple[Any, int]]:
    """Runs and seeds until the chief is done."""
    while (announced := _Announcement(hosts.bytes_from_chief(), kinds).load()) is not None:
        yield announced


class _Announcement(pickle.Unpickler):
    """Reads runs, and nothing else."""

    def __init__(self, content, kinds):
        super().__init__(io.BytesIO(content))
        self._kinds = {(kind.__module__, kind.__qualname__): kind for kind in kinds}

    def find_class(self, module, name):
        try:
            return self._kinds[module, name]
        except KeyError as error:
            raise pickle.UnpicklingError(f'{module}.{name} is no kind of run') from error
