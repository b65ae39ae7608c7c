"""Uncertainty of scores: bootstrap intervals over takes and seeds, and paired differences.

Clips of one take share the person, the place and the sound, so they are not independent: whole
takes are resampled with replacement, and so are the seeds of the training runs. Every seed is
tested on the same takes, hence both are drawn independently of each other (the bootstrap of crossed
factors: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007). Limits are
percentiles of the resampled scores.

The draws only depend on the takes and the number of seeds. Two scores of the same takes and seeds
are therefore resampled identically, and the percentiles of their difference are those of paired
data: whatever makes a take hard for both columns cancels out.

What the intervals do not cover: with three seeds the spread between trainings is itself poorly
known. In simulations of 100 takes and 3 seeds, intervals contain the true value in 95 % of the
cases if takes dominate the error, and in 78 % if only seeds matter. More seeds help; more takes do
not.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dualcam.evaluation import ties

RESAMPLES = 9_999
_SMALL_BYTES = 20 << 20  # of draws, of which more are kept
LEVEL = 0.95
# Two-sided at 5 %: five takes all point the same way by chance in 2 / 2**5 = 6 % of cases.
MIN_TAKES = 6
_SEED = 0
_CHUNK = 512  # resamples at a time
# Scores are float64 sums over fewer clips, classes, seeds and tests than this.
_ROUNDING = ties.tolerance(1_000_000)


class Measure(Protocol):
    """The scores of one test, one per seed, as a function of its takes.

    Attributes:
        takes: sorted names of the takes, each once.
        num_seeds: number of training runs tested.
    """

    takes: tuple[str, ...]
    num_seeds: int

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """Scores of resampled takes.

        Args:
            counts: [resamples, takes], number of times each take was drawn.

        Returns:
            [resamples, seeds]; NaN for undefined scores.
        """


class Accuracy:
    """Fraction of the clips that are right.

    Args:
        tests: for each seed, whether its predictions are right, [clips], and the names of the
            clips' takes, [clips]. Seeds may be tested on different clips.
    """

    def __init__(self, tests: Sequence[tuple[np.ndarray, Sequence[str]]]):
        names = sorted({take for _, takes in tests for take in takes})
        place = {name: number for number, name in enumerate(names)}
        # Integers below 2**24 are exact in float32, and products take half the time.
        self._right, self._clips = np.zeros((2, len(names), len(tests)), np.float32)
        for seed, (right, takes) in enumerate(tests):
            if len(right) != len(takes) or not len(right):
                raise ValueError(
                    f'{len(right)} clips and the takes of {len(takes)}; expected one per clip, '
                    'and at least one'
                )
            index = [place[take] for take in takes]
            np.add.at(self._right[:, seed], index, np.asarray(right, np.float32))
            np.add.at(self._clips[:, seed], index, 1.0)
        self.takes, self.num_seeds = tuple(names), len(tests)

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """See `Measure`."""
        right, clips = (counts @ part for part in (self._right, self._clips))
        return _divided(right.astype(np.float64), clips)


class Tagging:
    """A score for clips with several labels each; every clip is its own take.

    Args:
        labels: [clips, classes], 0 or 1.
        probabilities: [seeds, clips, classes].
        kind: 'mAP' or 'mAUC', means over classes; or 'precision', 'recall' or 'F1', all classes
            together at a threshold.
        threshold: for the latter.
    """

    def __init__(
        self, labels: np.ndarray, probabilities: np.ndarray, kind: str, threshold: float = 0.25
    ):
        self._labels = np.asarray(labels, bool)
        self._probabilities = np.asarray(probabilities)
        self._kind, self._threshold = kind, threshold
        self.num_seeds = len(self._probabilities)
        self.takes = tuple(f'{clip:07d}' for clip in range(len(self._labels)))

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """See `Measure`."""
        parts = [
            [self._score(chunk, one) for one in self._probabilities]
            for chunk in np.array_split(counts, -(-len(counts) // _CHUNK))
        ]
        return np.concatenate([np.stack(part, axis=1) for part in parts])

    def _score(self, counts: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        if self._kind in ('mAP', 'mAUC'):
            score = _average_precision if self._kind == 'mAP' else _area_under_roc
            classes = np.stack(
                [
                    score(counts, self._labels[:, c], probabilities[:, c])
                    for c in range(self._labels.shape[1])
                ]
            )  # [classes, resamples]
            there = np.isfinite(classes)
            return _divided(np.where(there, classes, 0.0).sum(axis=0), there.sum(axis=0))
        reported = probabilities >= self._threshold
        hits, reports, held = (
            counts @ part.sum(axis=1) for part in (reported & self._labels, reported, self._labels)
        )
        if self._kind == 'precision':
            return np.nan_to_num(_divided(hits, reports))
        if self._kind == 'recall':
            return np.nan_to_num(_divided(hits, held))
        return np.nan_to_num(_divided(2.0 * hits, reports + held))


@dataclasses.dataclass(frozen=True)
class Interval:
    """A 95 % interval of a score or of a difference.

    Attributes:
        low, high: its limits; all possible values if there are fewer than `MIN_TAKES` takes.
        takes, seeds: number of different ones behind it.
    """

    low: float
    high: float
    takes: int
    seeds: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A paired difference of two columns, a - b, as a fraction.

    Attributes:
        a, b: the columns, or rows, that are compared.
        train, test: the training and test sets; both 'mean' for the mean over all rows of a
            paper's table.
        column: the score, such as 'accuracy'.
        difference: of the scores.
        low, high: its 95 % interval.
        takes, seeds: number of different ones behind it.
    """

    a: str
    b: str
    train: str
    test: str
    column: str
    difference: float
    low: float
    high: float
    takes: int
    seeds: int

    def __str__(self) -> str:
        difference, low, high = (100.0 * value for value in (self.difference, self.low, self.high))
        takes, seeds = _counted(self.takes, 'take'), _counted(self.seeds, 'seed')
        if self.low > _ROUNDING:
            return f'{self.a} is better than {self.b} by {difference:.1f} points ' + (
                f'[{low:.1f}, {high:.1f}]'
            )
        if self.high < -_ROUNDING:
            return f'{self.a} is worse than {self.b} by {-difference:.1f} points ' + (
                f'[{-high:.1f}, {-low:.1f}]'
            )
        return (
            f'{self.a} versus {self.b} is inconclusive with {takes} and {seeds}: '
            f'{difference:+.1f} points [{low:+.1f}, {high:+.1f}]'
        )


def interval(parts: Sequence[Measure], resamples: int = RESAMPLES) -> Interval:
    """Interval of a score.

    Args:
        parts: the score is the mean of these tests' scores; usually there is one.
        resamples: number of resamples.

    Returns:
        An `Interval` within 0 and 1.
    """
    takes, seeds = _sizes(parts)
    if min(len(part.takes) for part in parts) < MIN_TAKES:
        return Interval(0.0, 1.0, takes, seeds)
    return Interval(*_limits(_resampled(tuple(parts), resamples)), takes, seeds)


def compare(
    a: str,
    b: str,
    parts_a: Sequence[Measure],
    parts_b: Sequence[Measure],
    train: str,
    test: str,
    column: str = 'accuracy',
    resamples: int = RESAMPLES,
) -> Comparison:
    """The paired difference of two scores.

    Args:
        a, b: their names.
        parts_a, parts_b: see `interval`; the same takes and seeds in the same order. An untrained
            method has one seed, and is compared with any number.
        train, test, column: see `Comparison`.
        resamples: number of resamples.

    Raises:
        ValueError: takes or seeds of the two differ.
    """
    for one, other in zip(parts_a, parts_b, strict=True):
        if one.takes != other.takes or (
            one.num_seeds != other.num_seeds and 1 not in (one.num_seeds, other.num_seeds)
        ):
            raise ValueError(
                f'{a}: {len(one.takes)} takes, {one.num_seeds} seeds; {b}: {len(other.takes)} '
                f'takes, {other.num_seeds} seeds; expected the same ones'
            )
    takes, seeds = map(max, zip(_sizes(parts_a), _sizes(parts_b), strict=True))
    difference, low, high = score(parts_a) - score(parts_b), -1.0, 1.0
    if min(len(part.takes) for part in parts_a) >= MIN_TAKES:
        low, high = _limits(
            _resampled(tuple(parts_a), resamples) - _resampled(tuple(parts_b), resamples)
        )
    return Comparison(a, b, train, test, column, difference, low, high, takes, seeds)


def score(parts: Sequence[Measure]) -> float:
    """Mean over tests and seeds, without resampling."""
    return float(np.mean([scores_of(part) for part in parts]))


def scores_of(part: Measure) -> list[float]:
    """Score of each seed, without resampling."""
    return part.scores(np.ones((1, len(part.takes))))[0].tolist()


@functools.lru_cache(maxsize=256)
def _resampled(parts: tuple[Measure, ...], resamples: int) -> np.ndarray:
    """The parts' mean in each resample, [resamples]."""
    names = sorted({take for part in parts for take in part.takes})
    inside = [set(part.takes) for part in parts]
    # Takes in the same parts form a stratum: each part keeps its size.
    strata: dict[tuple[bool, ...], list[int]] = {}
    for number, name in enumerate(names):
        strata.setdefault(tuple(name in part for part in inside), []).append(number)
    counts = _take_counts(
        tuple(tuple(stratum) for stratum in strata.values()), _digest(names), resamples
    )
    shares = _seed_shares(parts[0].num_seeds, resamples)
    place = {name: number for number, name in enumerate(names)}
    total = np.zeros(resamples)
    for part in parts:
        scores = part.scores(counts[:, [place[take] for take in part.takes]])
        total += (shares * scores).sum(axis=1)
    return total / len(parts)


def _take_counts(strata: tuple[tuple[int, ...], ...], digest: int, resamples: int) -> np.ndarray:
    """Draws of each take, [resamples, takes] float32; each stratum keeps its size."""
    is_small = 4 * resamples * sum(map(len, strata)) <= _SMALL_BYTES
    return (_draw_small if is_small else _draw_large)(strata, digest, resamples)


def _draw(strata, digest, resamples):
    rng = np.random.default_rng([_SEED, 1, digest])
    counts = np.zeros((resamples, sum(map(len, strata))), np.float32)
    for stratum in strata:
        size = len(stratum)
        counts[:, list(stratum)] = rng.multinomial(size, np.full(size, 1.0 / size), resamples)
    return counts


# A process that tests many runs has the same few tests for each.
_draw_small = functools.lru_cache(maxsize=16)(_draw)
_draw_large = functools.lru_cache(maxsize=2)(_draw)


@functools.lru_cache(maxsize=4)
def _seed_shares(num_seeds: int, resamples: int) -> np.ndarray:
    """Each seed's share of the draws, [resamples, seeds]."""
    rng = np.random.default_rng([_SEED, 2, num_seeds])
    return rng.multinomial(num_seeds, np.full(num_seeds, 1.0 / num_seeds), resamples) / num_seeds


def _limits(values: np.ndarray) -> tuple[float, float]:
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.nanpercentile(values, [tail, 100.0 - tail])
    return float(low), float(high)


def _sizes(parts: Sequence[Measure]) -> tuple[int, int]:
    seeds = {part.num_seeds for part in parts}
    if len(seeds) != 1:
        raise ValueError(f'tests of {sorted(seeds)} seeds; expected the same number in all')
    return len({take for part in parts for take in part.takes}), seeds.pop()


def _digest(names: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256('\n'.join(names).encode()).digest()[:4], 'big')


def _average_precision(counts: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Per resample, like `sklearn.metrics.average_precision_score` with weights; NaN without
    positives."""
    hits, drawn = _along_ranking(counts, labels, scores)
    positives = hits[:, -1]
    precisions = _divided(hits, drawn, 0.0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    return _divided((gained * precisions).sum(axis=1), positives)


def _area_under_roc(counts: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Per resample; equal scores count as half. NaN without positives or negatives."""
    hits, drawn = _along_ranking(counts, labels, scores)
    misses = drawn - hits
    before = np.concatenate([np.zeros((len(hits), 1)), hits[:, :-1]], axis=1)
    area = (np.diff(misses, axis=1, prepend=0.0) * (before + hits) / 2.0).sum(axis=1)
    return _divided(area, hits[:, -1] * misses[:, -1])


def _along_ranking(
    counts: np.ndarray, labels: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative positives, and clips, down to each distinct score: [resamples, scores] each."""
    scores = ties.merged_predictions(scores)  # as `tagging_scores` ranks them
    order = np.argsort(-scores, kind='stable')
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    drawn = counts[:, order]
    hits = np.cumsum(drawn * labels[order], axis=1)[:, ends]
    return hits, np.cumsum(drawn, axis=1)[:, ends]


def _divided(values: np.ndarray, by: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.divide(values, by, out=np.full(np.shape(values), otherwise), where=by > 0)


def _counted(number: int, word: str) -> str:
    return f'{number} {word}{"" if number == 1 else "s"}'
