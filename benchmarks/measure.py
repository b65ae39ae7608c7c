"""What the benchmarks share: a row of the table, and works that are timed by turns."""

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
        value: median of the runs; None where it could not be measured here.
        unit: of it.
        reach: what is aimed at, in words; empty where nothing is.
        authors: the authors' programs on such a machine (2 processors), in the same unit, or None.
        peer: another program, measured by turns in the same process; empty for none.
        peer_value: its median in the same unit; None where it is not installed.
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
        """How many times the peer's value ours is; None without one."""
        if not self.peer_value or self.value is None:
            return None
        return self.value / self.peer_value


def rates(*works, runs=RUNS):
    """Rates of works that are done by turns.

    Args:
        works: functions that do something and return how much; each is called once before.
        runs: of each.

    Returns:
        A list of rates a second for each work.
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
    """A `Row` of a work's rate beside a peer's, by turns; the peer may be None."""
    own, *others = rates(*filter(None, (work, peer_work)))
    return row(name, unit, own, peer, *others, **more)


def largest_mib():
    """The largest memory that this process has had, MiB.

    Not `getrusage`'s, which counts that of the process it was forked from.
    """
    fields = pathlib.Path('/proc/self/status').read_text().split()
    return int(fields[fields.index('VmHWM:') + 1]) / 2**10


def is_installed(package):
    """Whether a peer can be imported."""
    return importlib.util.find_spec(package) is not None
