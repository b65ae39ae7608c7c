"""A common format for all results: tables written as Markdown, CSV, JSON and a chart.

A `Table` has rows with keys and a `Cell` per measured column. Tables of the three papers, folders
of sound files, grid searches and confusion matrices all use it and differ in data only. Every cell
of a test has an interval, see `uncertainty`.
"""

import csv
import dataclasses
import functools
import json
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.evaluation import uncertainty
from dualcam.files import atomic
from dualcam.reports import figures
from experiments.shared import charts

PUBLISHED = pathlib.Path(__file__).parents[1] / 'published'
PUBLISHED_KEY, PUBLISHED_STD_KEY = 'published', 'published_std'
# For each split, whether predictions are right, and the takes of the clips, [clips] each.
Outcome = Sequence[tuple[np.ndarray, Sequence[str]]]
HOW_SURE = (
    'Brackets: 95 % bootstrap intervals over takes and seeds; parentheses: test clips / takes'
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Measurements for one row and column; may be empty.

    Attributes:
        scores: one per seed, or per seed and split.
        parts: the tests behind them, see `uncertainty`; empty without a test, as for
            validation scores.
        clips: number of test clips, over all splits.
        beside: numbers to show with it, by heading, such as 'published' and 'published_std' of a
            paper.
    """

    scores: tuple[float, ...] = ()
    parts: tuple[uncertainty.Measure, ...] = dataclasses.field(default=(), compare=False)
    clips: int = 0
    beside: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean of the scores; None if not measured."""
        return float(np.mean(self.scores)) if self.scores else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the scores; None for fewer than two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @functools.cached_property
    def interval(self) -> uncertainty.Interval | None:
        """Interval of the mean; None without tests."""
        return uncertainty.interval(self.parts) if self.parts else None


def measured(
    parts: Sequence[uncertainty.Measure], clips: int, beside: Mapping[str, float] | None = None
) -> Cell:
    """The `Cell` for the mean of some tests."""
    scores = tuple(one for part in parts for one in uncertainty.scores_of(part))
    return Cell(scores, tuple(parts), clips, beside or {})


def of_tests(of_seeds: Sequence[Outcome], beside: Mapping[str, float] | None = None) -> Cell:
    """The `Cell` for the same tests with several seeds.

    Args:
        of_seeds: the `Outcome` of each seed; all with the same splits in the same order.
        beside: see `Cell`.
    """
    parts = [uncertainty.Accuracy(split) for split in zip(*of_seeds, strict=True)]
    return measured(parts, sum(len(takes) for _, takes in of_seeds[0]), beside)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        key: values of the table's keys, which identify the row in CSV and JSON.
        cells: {column: `Cell`}; a missing one is empty.
        names: the key's display names; empty for the key itself.
        note: a few words, such as the chosen k.
    """

    key: tuple[Any, ...]
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)
    names: tuple[str, ...] = ()
    note: str = ''

    @property
    def shown(self) -> tuple[str, ...]:
        """The key's display names."""
        return self.names or tuple(
            f'{part:g}' if isinstance(part, float) else '' if part is None else str(part)
            for part in self.key
        )

    @property
    def label(self) -> str:
        """The key as one string."""
        return ', '.join(filter(None, self.shown))

    def cell(self, column: str) -> Cell:
        """The column's cell."""
        return self.cells.get(column, Cell())


@dataclasses.dataclass(frozen=True)
class Table:
    """A table for `write`.

    Attributes:
        name: of the files, without extension.
        title: what it is and its data.
        explained: one line on the meaning of the numbers.
        keys: headings of the rows' keys.
        columns: headings of the cells.
        rows: its `Row`s.
        comparisons: paired differences, in JSON and CSV.
        in_words: comparisons shown as sentences under the table; None for all.
        measure: heading of the means in CSV.
        beside: (display heading, column, heading in `Cell.beside`) of additional columns on the
            right. Otherwise a column's published values are shown in its cells.
        above: paragraphs between explanation and table.
        below: paragraphs at the end, such as pictures.
        extra: additional entries of the JSON.
        chart: function of the table and a path; None draws nothing.
    """

    name: str
    title: str
    explained: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Sequence[Row]
    comparisons: Sequence[uncertainty.Comparison] = ()
    in_words: Sequence[uncertainty.Comparison] | None = None
    measure: str = 'accuracy'
    beside: Sequence[tuple[str, str, str]] = ()
    above: Sequence[str] = ()
    below: Sequence[str] = ()
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    chart: Callable[['Table', pathlib.Path], None] | None = charts.bars


def compare_rows(
    pairs: Iterable[tuple[Row, Row]],
    columns: Sequence[str],
    train: str,
    test: str,
    label: Callable[[Row], str] = lambda row: row.label,
) -> list[uncertainty.Comparison]:
    """Paired differences between rows, column by column, without unmeasured cells.

    Args:
        pairs: (a, b) for a - b.
        columns: in which to compare.
        train, test: names of the training and test data.
        label: name of a row.
    """
    return [
        uncertainty.compare(
            label(a), label(b), a.cell(column).parts, b.cell(column).parts, train, test, column
        )
        for a, b in pairs
        for column in columns
        if a.cell(column).parts and b.cell(column).parts
    ]


def write(
    table: Table,
    out: str | pathlib.Path,
    made: Mapping[str, Any] | None = None,
    publish: str | pathlib.Path | None = None,
    suffix: str = '',
) -> str:
    """Writes <out>/<name>.{md,csv,json,png}, and <name>_comparisons.csv if there are any.

    Args:
        table: what to write.
        out: folder.
        made: provenance for the JSON, see `provenance`.
        publish: another folder for a copy of the JSON.
        suffix: of the copy's name, such as '-data1', see `results_pages`.

    Returns:
        The Markdown.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(table)
    atomic.write_text(out / f'{table.name}.md', text)
    _write_csv(out / f'{table.name}.csv', *_cell_lines(table))
    if table.comparisons:
        fields = [field.name for field in dataclasses.fields(uncertainty.Comparison)]
        _write_csv(
            out / f'{table.name}_comparisons.csv',
            [*fields, 'words'],
            [[*dataclasses.astuple(one), str(one)] for one in table.comparisons],
        )
    path = out / f'{table.name}.json'
    atomic.write_text(path, json.dumps(as_json(table, made or {}), indent=1) + '\n')
    if publish is not None:
        pathlib.Path(publish).mkdir(parents=True, exist_ok=True)
        copy = pathlib.Path(publish) / f'{table.name}{suffix}.json'
        with atomic.writing_file(copy) as partial:
            shutil.copyfile(path, partial)
    if table.chart is not None:
        table.chart(table, out / f'{table.name}.png')
    return text


def markdown(table: Table) -> str:
    """The table in Markdown."""
    heads, rows = as_text(table)
    lines = [f'# {table.title}', '']
    for paragraph in (table.explained, *table.above):
        lines += [paragraph, '']
    lines += ['| ' + ' | '.join(heads) + ' |', '|---' * len(heads) + '|']
    lines += ['| ' + ' | '.join(row) + ' |' for row in rows]
    told = table.comparisons if table.in_words is None else table.in_words
    if told:
        lines += ['', 'Paired differences with 95 % bootstrap intervals over takes and seeds:', '']
        lines += [f'- {place_of(one)}: {one}.' for one in told]
    for paragraph in table.below:
        lines += ['', paragraph]
    return '\n'.join(lines) + '\n'


def as_text(table: Table) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of cells as displayed; published values in Markdown italics."""
    notes = any(row.note for row in table.rows)
    heads = [*table.keys, *table.columns, *(head for head, *_ in table.beside)]
    heads = [head.replace('_', ' ') for head in heads] + ['note'] * notes
    inside = PUBLISHED_KEY not in {key for *_, key in table.beside}
    rows = [
        [
            *row.shown,
            *(_text(row.cell(column), inside) for column in table.columns),
            *(_beside_text(row.cell(column), key) for _, column, key in table.beside),
            *[row.note] * notes,
        ]
        for row in table.rows
    ]
    return heads, rows


def as_json(table: Table, made: Mapping[str, Any]) -> dict[str, Any]:
    """Contents of the JSON file."""
    return {
        'title': table.title,
        **table.extra,
        'columns': list(table.columns),
        'cells': [
            dict(zip(table.keys, row.key, strict=True))
            | {
                'column': column,
                'label': row.label,
                'mean': cell.mean,
                'std': cell.deviation,
                **_sureness(cell),
                'clips': cell.clips,
                'scores': list(cell.scores),
                **cell.beside,
            }
            | ({'note': row.note} if row.note else {})
            for row in table.rows
            for column in table.columns
            for cell in [row.cell(column)]
        ],
        'comparisons': [dataclasses.asdict(one) | {'words': str(one)} for one in table.comparisons],
        'made': dict(made),
    }


def number(value: float | None) -> str:
    """Four decimals; empty if not measured."""
    return '' if value is None else f'{value:.4f}'


def write_counts(
    counts: np.ndarray,
    classes: Sequence[str],
    title: str,
    note: str,
    folder: str | pathlib.Path,
    name: str,
) -> None:
    """Writes <folder>/<name>.{png,csv}: a confusion matrix and each class's accuracy.

    Args:
        counts: [classes, classes]; the row is the true class.
        classes: names.
        title, note: of the picture.
        folder: where to write.
        name: of the files; characters other than letters, digits and hyphens become underscores.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stem = ''.join(c if c.isalnum() or c == '-' else '_' for c in name)
    with atomic.writing_file(folder / f'{stem}.png', '.png') as partial:
        figures.confusion_figure(counts, classes, title, note).savefig(partial, dpi=120)
    totals = counts.sum(axis=1)
    _write_csv(
        folder / f'{stem}.csv',
        ['true class', *classes, 'accuracy'],
        [
            [label, *row.tolist(), number(row[i] / totals[i] if totals[i] else None)]
            for i, (label, row) in enumerate(zip(classes, counts, strict=True))
        ],
    )


def read_published(file_name: str) -> list[dict[str, str]]:
    """Lines of a published table, {heading: text}."""
    with open(PUBLISHED / file_name, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _write_csv(path: pathlib.Path, head: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with (
        atomic.writing_file(path) as partial,
        open(partial, 'w', newline='', encoding='utf-8') as file,
    ):
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(lines)


def _cell_lines(table: Table) -> tuple[list[str], list[list[Any]]]:
    """Heading and lines of the CSV, one line per cell."""
    beside = list(
        dict.fromkeys(
            key for row in table.rows for cell in row.cells.values() for key in cell.beside
        )
    )
    notes = any(row.note for row in table.rows)
    head = [*table.keys, 'column', table.measure, 'std', 'low', 'high', 'seeds', 'clips', 'takes']
    lines = []
    for row in table.rows:
        for column in table.columns:
            cell = row.cell(column)
            sure = _sureness(cell)
            lines.append(
                [
                    *('' if part is None else part for part in row.key),
                    column,
                    *map(number, (cell.mean, cell.deviation, sure['low'], sure['high'])),
                    sure['seeds'],
                    cell.clips or '',
                    sure['takes'] or '',
                    *(cell.beside.get(key, '') for key in beside),
                    *[row.note] * notes,
                ]
            )
    return [*head, *beside, *['note'] * notes], lines


def _sureness(cell: Cell) -> dict[str, Any]:
    found = cell.interval
    return {
        'low': found.low if found else None,
        'high': found.high if found else None,
        'takes': found.takes if found else 0,
        'seeds': found.seeds if found else len(cell.scores),
    }


def _text(cell: Cell, with_published: bool) -> str:
    parts = [number(cell.mean)]
    if cell.deviation is not None:
        parts.append(f'± {cell.deviation:.4f}')
    if cell.interval:
        parts.append(f'[{cell.interval.low:.3f}, {cell.interval.high:.3f}]')
        parts.append(f'({cell.clips} / {cell.interval.takes})')
    if with_published:
        parts.append(_beside_text(cell, PUBLISHED_KEY))
    return ' '.join(filter(None, parts))


def _beside_text(cell: Cell, key: str) -> str:
    """In italics if published."""
    if key not in cell.beside:
        return ''
    text = number(cell.beside[key])
    if key == PUBLISHED_KEY and PUBLISHED_STD_KEY in cell.beside:
        text += f' ± {cell.beside[PUBLISHED_STD_KEY]:.4f}'
    return f'*{text}*' if key.startswith(PUBLISHED_KEY) else text


def place_of(one: uncertainty.Comparison) -> str:
    """Training data, test data and score of a comparison, as displayed."""
    if one.train == one.test == 'mean':
        return 'mean over the rows of seen subjects'
    return f'{one.train} → {one.test}, {one.column}'
