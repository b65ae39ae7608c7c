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
        ratio_spread: likewise of the ratios of our runs to the peer's runs beside them.
        over: in a row of growth, whose value is a time: what grows, such as 'microphones'.
        size: in such a row, how many there are.
    """

    name: str
    value: float | None
    unit: str
    reach: str = ''
    authors: float | None = None
    peer: str = ''
    peer_value: float | None = None
    spread: tuple[float, float] | None = None
    ratio_spread: tuple[float, float] | None = None
    over: str = ''
    size: float | None = None

    @property
    def ratio(self):
        """Our value divided by the peer's; None without a peer."""
        if not self.peer_value or self.value is None:
            return None
        return self.value / self.peer_value

    @property
    def is_reached(self):
        """Whether the value, as it is printed, is at its target; None without one.

        Targets are `80` (or more), `below 12`, `at most 0` and `5 times its peer` (or more).
        """
        if not self.reach or self.value is None:
            return None
        words, value = self.reach.replace(',', ''), float(number(self.value).replace(',', ''))
        if words.startswith('below '):
            return value < float(words.removeprefix('below '))
        if words.startswith('at most '):
            return value <= float(words.removeprefix('at most '))
        if words.endswith(' times its peer'):
            wanted = float(words.removesuffix(' times its peer'))
            return None if self.ratio is None else self.ratio >= wanted
        return value >= float(words)


def number(value):
    """A number as it is printed: three digits, or all before the point."""
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:,.0f}'


def rates(*works, runs=RUNS, warm_up=True):
    """Rates of functions that are run alternately.

    Args:
        works: functions that do something and return how much.
        runs: number of timed runs of each.
        warm_up: call each once before.

    Returns:
        A list of rates per second for each function.
    """
    found = [[] for _ in works]
    for work in works if warm_up else ():
        work()
    for _ in range(runs):
        for rate, work in zip(found, works, strict=True):
            started = time.perf_counter()
            count = work()
            rate.append(count / (time.perf_counter() - started))
    return found


def growth(name, over, sizes, make, runs=RUNS):
    """Rows of the time that work takes by its size.

    Args:
        name: of the work.
        over: what the sizes count.
        sizes: in ascending order.
        make: function of a size that returns the work, a function without arguments.
        runs: number of timed runs of each size, after one that is not timed; 0 times the first.
    """
    for size in sizes:
        work, times = make(size), []
        for attempt in range(runs + 1):
            started = time.perf_counter()
            work()
            if attempt or not runs:
                times.append(time.perf_counter() - started)
        yield row(name, 's', times, over=over, size=size)


def matrix_rates():
    """GFLOP/s of products of 2,048 x 2,048 floats, some runs: what this machine can do at best."""
    import tensorflow as tf

    square = tf.random.normal((2048, 2048))

    def multiply():
        product = square
        for _ in range(5):
            product = tf.matmul(square, square)
        product.numpy()
        return 5 * 2 * 2048**3 / 1e9

    (found,) = rates(multiply)
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
        ratio_spread=_ratio_spread(values, peer_values),
        **more,
    )


def _ratio_spread(values, peer_values):
    if not peer_values or len(values) != len(peer_values):
        return None
    ratios = [own / other for own, other in zip(values, peer_values, strict=True)]
    return min(ratios), max(ratios)


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
