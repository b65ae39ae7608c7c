"""A grid search on the validation split: points in, validation scores out, best first.

Learning rate, temperature T and imitation lambda of a student (WACV 2020). Runs are found by their
content, like those of the tables, so a stopped search resumes, and a point with the preset's values
is the table's own run. Test splits are not used.
"""

import dataclasses
import itertools
import math
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from dualcam.evaluation import ties
from dualcam.training import loop
from experiments.shared import charts, results
from experiments.wacv2020 import runs

STUDENTS = ('hearnet', 'oursoundnet')
TEACHERS = {'G': None, 'D': 'dualcamnet', 'R': 'resnet50'}
_METRICS = {'accuracy': 'validation accuracy', 'loss': 'validation loss'}
_COLUMNS = {column: name for name, column in _METRICS.items()}


@dataclasses.dataclass(frozen=True)
class Point:
    """One setting of the grid; None for values that need a teacher, if there is none."""

    learning_rate: float
    temperature: float | None = None
    imitation: float | None = None

    @property
    def values(self):
        """{name: value} of the values that are set."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    def __str__(self):
        return ', '.join(
            f'{name.replace("_", " ")} {value:g}' for name, value in self.values.items()
        )


@dataclasses.dataclass(frozen=True)
class Result:
    """A point's scores.

    Attributes:
        point: the `Point`.
        validations: an `outcomes.Validation` per seed; empty if a loss was not finite.
        folders: names of the runs' folders, in the same order.
    """

    point: Point
    validations: tuple = ()
    folders: tuple = ()

    @property
    def accuracy(self):
        """Validation accuracy, mean over the seeds; None if a loss was not finite."""
        return self._mean('accuracy')

    @property
    def loss(self):
        """Validation cross-entropy with the labels, mean over the seeds."""
        return self._mean('loss')

    @property
    def deviation(self):
        """Sample standard deviation of the accuracy over the seeds; None for fewer than two."""
        if len(self.validations) < 2:
            return None
        squares = sum((v.accuracy - self.accuracy) ** 2 for v in self.validations)
        return (squares / (len(self.validations) - 1)) ** 0.5

    def _mean(self, name):
        if not self.validations:
            return None
        return sum(getattr(v, name) for v in self.validations) / len(self.validations)


@dataclasses.dataclass(frozen=True)
class Search:
    """What a grid is for: a student, its column and its training setting."""

    network: str
    column: str
    train_on: str

    def __post_init__(self):
        for name, wanted in (
            ('network', STUDENTS),
            ('column', tuple(TEACHERS)),
            ('train_on', runs.SETTINGS),
        ):
            if getattr(self, name) not in wanted:
                raise ValueError(
                    f'--{name}={getattr(self, name)}: expected one of {", ".join(wanted)}'
                )

    def run(self, point):
        """The `runs.Run` of a point; its teacher is the tables' one."""
        teacher = TEACHERS[self.column]
        teacher = teacher and runs.Run(teacher, 'hard', self.train_on)
        return runs.Run(
            self.network, self.column, self.train_on, teacher, tuple(point.values.items())
        )

    def folder(self, out):
        """Folder of the results."""
        return pathlib.Path(out) / 'grid' / f'{self.network}-{self.column}-{self.train_on}'


def read_numbers(flag, texts, low, high, low_is_in=False):
    """Numbers of a flag, without repetition, in order.

    Args:
        flag: its name, for messages.
        texts: the given values.
        low, high: the range, including `high`, and `low` if `low_is_in`.
        low_is_in: whether `low` is included.

    Raises:
        ValueError: nothing was given, or something other than numbers of that range.
    """
    where = f'from {low:g}' if low_is_in else f'above {low:g}'
    where += f' to {high:g}' if math.isfinite(high) else ''
    wanted = f'--{flag}={",".join(texts)}: expected numbers {where}, separated by commas'
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        raise ValueError(wanted) from None
    inside = [n >= low if low_is_in else n > low for n in numbers]
    if not numbers or not all(inside) or not all(math.isfinite(n) and n <= high for n in numbers):
        raise ValueError(wanted)
    return list(dict.fromkeys(numbers))


def points(column, learning_rates, temperatures, imitations):
    """All points of a column's grid: only learning rates if there is no teacher.

    At imitation 0 the temperature has no effect: there is one such point, with temperature 1.
    """
    if TEACHERS[column] is None:
        return [Point(rate) for rate in learning_rates]
    found = [
        Point(rate, temperature if imitation else 1.0, imitation)
        for rate, temperature, imitation in itertools.product(
            learning_rates, temperatures, imitations
        )
    ]
    return list(dict.fromkeys(found))


def fill(search, grid, workshop, seeds, out):
    """Trains and validates missing points; returns the `Result` of each, best first.

    TensorBoard's HParams page, in the folder of the search, grows with each run.
    """
    logs = search.folder(out) / 'tensorboard'
    shutil.rmtree(logs, ignore_errors=True)  # finished runs are written again below
    _write_config(logs, grid)
    found = []
    for number, point in enumerate(grid, 1):
        print(f'point {number} of {len(grid)}: {point}')
        run = search.run(point)
        try:
            validations = tuple(
                workshop.scores(run, [runs.VALIDATION], seed)[runs.VALIDATION] for seed in seeds
            )
        except loop.NotFinite as error:
            print(f'left out: {error}')
            found.append(Result(point))
            continue
        folders = tuple(workshop.folder(run, seed).name for seed in seeds)
        for folder, validation in zip(folders, validations, strict=True):
            _write_session(logs / folder, point, validation)
        found.append(Result(point, validations, folders))
    return ranked(found)


def ranked(found):
    """Sorted by validation accuracy, then validation loss; points without any come last.

    Among numbers that differ only by rounding, the first point's counts.
    """
    scored = [result for result in found if result.validations]
    if not scored:
        return found
    seeds = max(len(result.validations) for result in scored)
    # Means of equal counts are equal whichever seed was right; losses are float32.
    accuracies = ties.merged([-result.accuracy for result in scored], ties.tolerance(seeds))
    losses = ties.merged(
        [result.loss for result in scored],
        relative=ties.tolerance(seeds + loop.LOSS_TERMS, dtype=np.float32),
    )
    order = np.lexsort((losses, accuracies))  # stable
    return [
        *(scored[number] for number in order),
        *(result for result in found if not result.validations),
    ]


def table(
    search: Search, found: Sequence[Result], note: str, extra: Mapping[str, Any]
) -> results.Table:
    """The table of all points, best first, below the choice.

    Args:
        search: what the grid is for.
        found: from `fill`.
        note: describes the data.
        extra: additional entries of the JSON.
    """
    keys = ('rank', *(found[0].point.values))
    rows = []
    for rank, one in enumerate(found, 1):
        clips = one.validations[0].num_clips if one.validations else 0
        rows.append(
            results.Row(
                (rank, *one.point.values.values()),
                {
                    column: results.Cell(
                        tuple(getattr(v, name) for v in one.validations), clips=clips
                    )
                    for column, name in _COLUMNS.items()
                },
                note='' if one.validations else 'not finite',
            )
        )
    return results.Table(
        'grid',
        f'Grid search: {search.network}, column {search.column}, trained on {search.train_on}. '
        f'{note}',
        f'Chosen: {chosen(found)}.',
        keys,
        tuple(_COLUMNS),
        rows,
        measure='mean',
        above=(
            'On the validation split, mean ± deviation over the seeds, best first: by accuracy, '
            'then by cross-entropy with the labels. Test splits were not used.',
        ),
        extra=dataclasses.asdict(search)
        | {
            'choice': found[0].point.values if found[0].validations else None,
            'points': [
                one.point.values
                | {
                    'accuracy': one.accuracy,
                    'std': one.deviation,
                    'loss': one.loss,
                    'runs': [
                        {'folder': name, **dataclasses.asdict(v)}
                        for name, v in zip(one.folders, one.validations, strict=True)
                    ],
                }
                for one in found
            ],
        }
        | extra,
        chart=_chart,
    )


def _chart(table, path):
    """Charts accuracies only: losses have another scale."""
    charts.bars(dataclasses.replace(table, columns=tuple(_COLUMNS)[:1]), path)


def chosen(found):
    """A sentence on the best point and its scores."""
    best = found[0]
    if not best.validations:
        return 'nothing, as no point had finite losses; try lower learning rates'
    clips = best.validations[0].num_clips
    return (
        f'{best.point}: validation accuracy {best.accuracy:.4f}, loss {best.loss:.4f} '
        f'({clips} clip{"" if clips == 1 else "s"})'
    )


def _write_config(logs, grid):
    values = {name: sorted({p.values[name] for p in grid}) for name in grid[0].values}
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default():
        hparams.hparams_config(
            hparams=[hparams.HParam(name, hparams.Discrete(v)) for name, v in values.items()],
            metrics=[hparams.Metric(tag, display_name=tag) for tag in _METRICS.values()],
        )
    writer.close()


def _write_session(logs, point, validation):
    """Writes one run; the page groups a point's seeds, which have equal values."""
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default():
        hparams.hparams(point.values)
        for name, tag in _METRICS.items():
            tf.summary.scalar(tag, getattr(validation, name), step=0)
    writer.close()
