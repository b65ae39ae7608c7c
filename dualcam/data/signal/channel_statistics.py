"""Per-channel statistics of the training set, computed in one pass.

The authors' program divides the sums by the wrong count, which makes its mean 1285 times too small
and its deviation wrong; minimum and maximum, the only ones that WACV 2020 uses, are correct. Here
all of them are correct.
"""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

_NAMES = ('min', 'max', 'sum', 'sum_squared', 'mean', 'std_dev')


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelStats:
    """Statistics of each channel, all [channels].

    Attributes:
        count: number of values per channel.
        min, max, sum, sum_squared: float64.
    """

    count: int
    min: np.ndarray
    max: np.ndarray
    sum: np.ndarray
    sum_squared: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """[channels] float64."""
        return self.sum / self.count

    @property
    def std_dev(self) -> np.ndarray:
        """[channels] float64, population standard deviation."""
        return np.sqrt(np.maximum(self.sum_squared / self.count - self.mean**2, 0.0))


def gather(batches: Iterable[npt.ArrayLike]) -> ChannelStats:
    """Statistics over all of `batches`.

    Args:
        batches: iterable of arrays [..., channels].

    Returns:
        `ChannelStats`.

    Raises:
        ValueError: there are no data, or a value is not finite.
    """
    stats = None
    for batch in batches:
        values = np.asarray(batch, np.float64)
        if not np.isfinite(values).all():
            raise ValueError('a value of the training set is not finite')
        part = ChannelStats(
            values.size // values.shape[-1],
            _reduced(np.minimum, values),
            _reduced(np.maximum, values),
            _reduced(np.add, values),
            _reduced(np.add, np.square(values)),
        )
        stats = part if stats is None else _merge(stats, part)
    if stats is None:
        raise ValueError('no data to compute statistics from')
    return stats


def save(folder: AnyPath, stats: ChannelStats) -> None:
    """Writes global_{min,max,sum,sum_squared,mean,std_dev}.npy, float32, as the authors did.

    The folder is written atomically; an existing one is replaced.
    """
    with atomic.writing_folder(pathlib.Path(folder)) as partial:
        for name in _NAMES:
            np.save(partial / f'global_{name}.npy', getattr(stats, name).astype(np.float32))


def load(folder: AnyPath, *names: str) -> tuple[np.ndarray, ...]:
    """Arrays written by `save`, by name: load(folder, 'mean', 'std_dev')."""
    return tuple(np.load(pathlib.Path(folder) / f'global_{name}.npy') for name in names)


def _reduced(ufunc, values):
    """A ufunc over all axes but the last. Over rows of more than one axis first, since it is slow
    for rows of few channels."""
    rows = values.reshape(-1, int(np.prod(values.shape[-2:])))
    return ufunc.reduce(ufunc.reduce(rows).reshape(-1, values.shape[-1]))


def _merge(a, b):
    return ChannelStats(
        a.count + b.count,
        np.minimum(a.min, b.min),
        np.maximum(a.max, b.max),
        a.sum + b.sum,
        a.sum_squared + b.sum_squared,
    )
