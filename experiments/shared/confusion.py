"""Confusion matrices: runs in, counts out, as pictures, CSV, and images in TensorBoard.

The runs are those of the tables. Where several seeds are asked for, a matrix holds the sum of
their counts: each test clip is counted once a seed, and the accuracy is the mean of theirs.
"""

import csv
import dataclasses
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from dualcam.evaluation import metrics
from dualcam.reports import figures

FOLDER = 'confusion'


@dataclasses.dataclass(frozen=True, eq=False)
class Matrix:
    """A counted confusion matrix.

    Attributes:
        title: for people.
        name: of its files, without an ending.
        counts: [classes, classes], rows are true classes; summed over the seeds.
        num_seeds: how many.
    """

    title: str
    name: str
    counts: np.ndarray
    num_seeds: int

    @property
    def accuracy(self):
        """Share of the clips on the diagonal."""
        return np.trace(self.counts) / self.counts.sum()

    @property
    def num_clips(self):
        """Clips of the test, whatever the number of seeds."""
        return self.counts.sum() // self.num_seeds


def name(run, test):
    """Name of a matrix's files, without an ending."""
    return f'{run.network}-{run.column}-{run.train_on}-test_{test}'


def fill(wanted, workshop, seeds):
    """Trains and tests what has not been, and counts.

    Args:
        wanted: (title, `runs.Run`, test) of each matrix.
        workshop: a `runs.Workshop`.
        seeds: of the runs.

    Returns:
        A list of `Matrix`, in the order of `wanted`. Each run's own matrix is in its folder's
        TensorBoard logs.
    """
    classes = workshop.info.classes
    made = []
    for title, run, test in wanted:
        title = f'{title}, trained on {run.train_on}, tested on {test}'
        counts = []
        for seed in seeds:
            labels, answers = workshop.answers(run, test, seed)
            counts.append(metrics.confusion(labels, answers, len(classes)))
            figure = figures.confusion_figure(
                counts[-1], classes, f'{title}, seed {seed}', workshop.note
            )
            _write_image(workshop.folder(run, seed) / 'tensorboard' / f'test_{test}', figure)
        made.append(Matrix(title, name(run, test), sum(counts), len(seeds)))
    return made


def write(matrices, workshop, out):
    """Writes <out>/confusion/: a .png and .csv a matrix, and confusion.md; returns its text."""
    folder = pathlib.Path(out) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    classes = workshop.info.classes
    for matrix in matrices:
        title = matrix.title
        if matrix.num_seeds > 1:
            title += f', sum of {matrix.num_seeds} seeds'
        figure = figures.confusion_figure(matrix.counts, classes, title, workshop.note)
        figure.savefig(folder / f'{matrix.name}.png', dpi=120)
        with open(folder / f'{matrix.name}.csv', 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(['true class', *classes])
            writer.writerows(
                [label, *row] for label, row in zip(classes, matrix.counts.tolist(), strict=True)
            )
    text = markdown(f'Confusion matrices. {workshop.note}', matrices)
    (folder / 'confusion.md').write_text(text, encoding='utf-8')
    return text


def markdown(title, matrices):
    """The list of the matrices, then their pictures."""
    lines = [
        f'# {title}',
        '',
        'Rows are true classes, columns answers; counts are summed over the seeds.',
        '',
        '| matrix | accuracy | test clips | seeds | files |',
        '|---|---|---|---|---|',
    ]
    lines += [
        f'| {m.title} | {m.accuracy:.4f} | {m.num_clips} | {m.num_seeds} | '
        f'[picture]({m.name}.png), [counts]({m.name}.csv) |'
        for m in matrices
    ]
    for m in matrices:
        lines += ['', f'![{m.title}]({m.name}.png)']
    return '\n'.join(lines) + '\n'


def _write_image(folder, figure):
    """An image summary in a folder of its own, instead of what an earlier call left there."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        tf.summary.image('confusion', figures.pixels(figure)[None], step=0)
    writer.close()
