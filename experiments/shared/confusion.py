"""Confusion matrices of runs, as pictures, CSV, and images in TensorBoard.

The runs are those of the tables. With several seeds, a matrix has the sum of their counts: each
test clip is counted once per seed, and the accuracy is the mean over seeds.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.evaluation import uncertainty
from dualcam.files import locking
from dualcam.reports import figures
from experiments.shared import results

FOLDER = 'confusion'


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """A counted confusion matrix.

    Attributes:
        title: display name.
        name: of its files, without extension.
        counts: [classes, classes], rows are true classes; summed over the seeds.
        test: the `uncertainty.Accuracy` of the same predictions.
    """

    title: str
    name: str
    counts: np.ndarray
    test: uncertainty.Accuracy

    @property
    def num_clips(self) -> int:
        """Number of clips in the test, independent of the number of seeds."""
        return int(self.counts.sum()) // self.test.num_seeds


def name(run, test):
    """Name of a matrix's files, without extension."""
    return f'{run.network}-{run.column}-{run.train_on}-test_{test}'


def fill(wanted, workshop, seeds):
    """Trains and tests missing runs, and counts.

    Args:
        wanted: (title, `runs.Run`, test) of each matrix.
        workshop: a `workshops.Workshop`.
        seeds: of the runs.

    Returns:
        A list of `Matrix`, in the order of `wanted`. Each run's own matrix is in its folder's
        TensorBoard logs.
    """
    classes = workshop.info.classes
    made = []
    for title, run, test in wanted:
        title = f'{title}, trained on {run.train_on}, tested on {test}'
        counts, tests = [], []
        for seed in seeds:
            tested = workshop.scores(run, [test], seed)[test]
            tests.append((tested.right, tested.takes))
            counts.append(tested.confusion(len(classes)))
            figure = figures.confusion_figure(
                counts[-1], classes, f'{title}, seed {seed}', workshop.note
            )
            _write_image(workshop.folder(run, seed) / 'tensorboard' / f'test_{test}', figure)
        made.append(Matrix(title, name(run, test), sum(counts), uncertainty.Accuracy(tests)))
    return made


def table(matrices: Sequence[Matrix], note: str, extra: Mapping[str, Any]) -> results.Table:
    """A list of the matrices with their accuracies, then their pictures."""
    rows = [
        results.Row(
            (one.name,),
            {'accuracy': results.measured([one.test], one.num_clips)},
            (one.title,),
            f'[picture]({one.name}.png), [counts]({one.name}.csv)',
        )
        for one in matrices
    ]
    return results.Table(
        'confusion',
        f'Confusion matrices. {note}',
        'Rows are true classes, columns predictions; counts are summed over the seeds. '
        f'{results.HOW_SURE}.',
        ('matrix',),
        ('accuracy',),
        rows,
        below=[f'![{one.title}]({one.name}.png)' for one in matrices],
        extra=extra,
    )


def write_matrices(
    matrices: Sequence[Matrix], classes: Sequence[str], note: str, folder: pathlib.Path
) -> None:
    """Writes a .png and a .csv for each matrix."""
    for one in matrices:
        title = one.title
        if one.test.num_seeds > 1:
            title += f', sum of {one.test.num_seeds} seeds'
        results.write_counts(one.counts, classes, title, note, folder, one.name)


def _write_image(folder, figure):
    """Writes an image summary to its own folder, replacing that of an earlier call."""
    with locking.held_folder(folder.parent, 'writes pictures'):
        _replace_image(folder, figure)


def _replace_image(folder, figure):
    shutil.rmtree(folder, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        tf.summary.image('confusion', figures.pixels(figure)[None], step=0)
    writer.close()
