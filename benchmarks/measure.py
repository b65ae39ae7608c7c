"""Shared by the benchmarks: table rows, and functions that time work alternately."""

import dataclasses
import importlib.util
import pathlib
import statistics
import time

RUNS = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        value: median of the runs; None if it could not be measured here.
        unit: of the value.
        reach: the target, in words; empty for none.
        authors: the authors' programs on a similar machine (2 processors), same unit, or None.
        peer: another program, measured alternately in the same process; empty for none.
        peer_value: its median in the same unit; None if it is not installed.
        spread: smallest and largest of the runs, or None.
    """

    name: str
    value: float | None
    unit: str
    reach: str = ''
    authors: float | None = None
    peer: str = ''
    peer_value: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def ratio(self):
        """Our value divided by the peer's; None without a peer."""
        if not self.peer_value or self.value is None:
            return None
        return self.value / self.peer_value


def rates(*works, runs=RUNS):
    """Rates of functions that are run alternately.

    Args:
        works: functions that do something and return how much; each is called once to warm up.
        runs: number of timed runs of each.

    Returns:
        A list of rates per second for each function.
    """
    found = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for rate, work in zip(found, works, strict=True):
            started = time.perf_counter()
            count = work()
            rate.append(count / (time.perf_counter() - started))
    return found


def row(name, unit, values, peer='', peer_values=None, **more):
    """A `Row` of the medians of lists of values."""
    return Row(
        name,
        statistics.median(values),
        unit,
        peer=peer,
        peer_value=statistics.median(peer_values) if peer_values else None,
        spread=(min(values), max(values)),
        **more,
    )


def compared(name, unit, work, peer, peer_work, **more):
    """A `Row` of our rate and a peer's, measured alternately; the peer may be None."""
    own, *others = rates(*filter(None, (work, peer_work)))
    return row(name, unit, own, peer, *others, **more)


def largest_mib():
    """Peak memory of this process, MiB.

    `getrusage` would include the process that it was forked from.
    """
    fields = pathlib.Path('/proc/self/status').read_text().split()
    return int(fields[fields.index('VmHWM:') + 1]) / 2**10


def is_installed(package):
    """Whether a peer can be imported."""
    return importlib.util.find_spec(package) is not None
