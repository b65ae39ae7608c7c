"""Rows with several scores, beside published ones, as text, CSV, JSON and a chart."""

import csv
import dataclasses
import json
import pathlib

import matplotlib
import numpy as np

from dualcam.reports import figures
from experiments.shared import tables


class Scored:
    """Something with `scores`, {column: list of numbers}."""

    def mean(self, column):
        """Mean accuracy of a column; None where it was not measured."""
        return float(np.mean(self.scores[column])) if self.scores.get(column) else None

    def deviation(self, column):
        """Sample deviation; None for fewer than two scores."""
        values = self.scores.get(column, ())
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclasses.dataclass(frozen=True)
class Row(Scored):
    """One line of a report.

    Attributes:
        name: of what was measured.
        trained_on: what its features were learned from; empty where nothing was.
        scores: {column: list of accuracies over splits and seeds}; a column that was not
            measured is missing.
        published: accuracy that a paper printed, or None.
        note: a few words, such as what k was.
    """

    name: str
    trained_on: str
    scores: dict
    published: float | None = None
    note: str = ''


def write(rows, columns, title, explained, out, file_name):
    """Writes <out>/<file_name>.{md,csv,json,png}.

    Args:
        rows: `Row`s.
        columns: names of the scores, in order.
        title: what it is and what it ran on.
        explained: one line for people: what the numbers are.
        out: folder.
        file_name: without an ending.

    Returns:
        The markdown.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, columns, title, explained)
    (out / f'{file_name}.md').write_text(text, encoding='utf-8')
    with open(out / f'{file_name}.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            ['row', 'trained_on', 'column', 'accuracy', 'std', 'scores', 'published', 'note']
        )
        for row in rows:
            for column in columns:
                writer.writerow(
                    [
                        row.name,
                        row.trained_on,
                        column,
                        tables.number(row.mean(column)),
                        tables.number(row.deviation(column)),
                        len(row.scores.get(column, ())),
                        '' if row.published is None else row.published,
                        row.note,
                    ]
                )
    (out / f'{file_name}.json').write_text(
        json.dumps(
            {
                'title': title,
                'columns': list(columns),
                'rows': [dataclasses.asdict(row) for row in rows],
            },
            indent=1,
        )
        + '\n',
        encoding='utf-8',
    )
    _chart(rows, columns, title, out / f'{file_name}.png')
    return text


def markdown(rows, columns, title, explained):
    """The report for people."""
    lines = [
        f'# {title}',
        '',
        explained,
        '',
        '| | learned from | ' + ' | '.join(columns) + ' | published | |',
        '|---|---|' + '---|' * len(columns) + '---|---|',
    ]
    for row in rows:
        cells = [
            tables.number(row.mean(column))
            + (f' ± {row.deviation(column):.4f}' if row.deviation(column) is not None else '')
            for column in columns
        ]
        lines.append(
            f'| {row.name} | {row.trained_on} | '
            + ' | '.join(cells)
            + f' | {tables.number(row.published)} | {row.note} |'
        )
    return '\n'.join(lines) + '\n'


def write_counts(counts, classes, title, note, folder, name):
    """Writes <folder>/<name>.{png,csv}: a confusion matrix and each class's accuracy.

    Args:
        counts: [classes, classes]; the row is the true class.
        classes: names.
        title, note: of the picture.
        folder: where to.
        name: of the files, in plain words.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ''.join(c if c.isalnum() else '_' for c in name.lower())
    figures.confusion_figure(counts, classes, title, note).savefig(
        path.with_suffix('.png'), dpi=120
    )
    with open(path.with_suffix('.csv'), 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['true class', *classes, 'accuracy'])
        for label, row in zip(classes, counts, strict=True):
            share = row[list(classes).index(label)] / row.sum() if row.sum() else None
            writer.writerow([label, *row.tolist(), tables.number(share)])


def read_published(file_name, key, value):
    """{key: number} of two columns of a published table."""
    with open(tables.PUBLISHED / file_name, newline='', encoding='utf-8') as file:
        return {line[key]: float(line[value]) for line in csv.DictReader(file) if line[value]}


def _chart(rows, columns, title, path):
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 0.9 + 0.55 * len(rows)), layout='constrained')
    height = 0.8 / len(columns)
    for i, column in enumerate(columns):
        places = [n + (i - (len(columns) - 1) / 2) * height for n in range(len(rows))]
        axes.barh(
            places,
            [row.mean(column) or 0.0 for row in rows],
            height * 0.92,
            label=column,
            xerr=[row.deviation(column) or 0.0 for row in rows],
            capsize=2,
            error_kw={'linewidth': 0.8},
        )
    marks = [(row.published, n) for n, row in enumerate(rows) if row.published is not None]
    if marks:
        axes.scatter(
            *zip(*marks, strict=True), marker='|', s=300, color='black', zorder=3, label='published'
        )
    names = [f'{row.name} ({row.trained_on})' if row.trained_on else row.name for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set(xlabel='accuracy', xlim=(0, 1))
    axes.set_title(title, fontsize=9, wrap=True)
    axes.grid(axis='x', alpha=0.3)
    figure.legend(loc='outside lower center', ncols=len(columns) + 1, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
