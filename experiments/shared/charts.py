"""Charts of tables: bars or lines with intervals as error bars, published values as markers."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

from dualcam.files import atomic

if TYPE_CHECKING:
    from experiments.shared.results import Cell, Table

_DPI = 120
_MARKS = 'x+1'  # for additional numbers


def bars(table: 'Table', path: pathlib.Path) -> None:
    """Horizontal bars, grouped by row."""
    width = 0.8 / len(table.columns)
    inches = 1.6 + len(table.rows) * (0.2 + 0.17 * len(table.columns))
    figure, axes = _figure(table.title, (10, inches))
    for number, column in enumerate(table.columns):
        cells = [row.cell(column) for row in table.rows]
        places = np.arange(len(cells)) + (number - (len(table.columns) - 1) / 2) * width
        axes.barh(
            places,
            [cell.mean or 0.0 for cell in cells],
            width * 0.92,
            xerr=_errors(cells),
            color=f'C{number}',
            label=f'{column}, measured',
            capsize=2,
            error_kw={'linewidth': 0.8},
        )
        _marks(axes, 'published', [cell.beside.get('published') for cell in cells], places, '|')
    for number, (heading, column, key) in enumerate(table.beside):
        if key == 'published':
            continue
        values = [row.cell(column).beside.get(key) for row in table.rows]
        if column == table.columns[0]:
            _marks(axes, heading, values, np.arange(len(values)), _MARKS[number % len(_MARKS)])
    names = [row.label for row in table.rows]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel=', '.join(table.columns) if len(table.columns) < 3 else table.measure)
    axes.set_xlim(0, 1)
    axes.grid(axis='x', alpha=0.3)
    _save(figure, path)


def over_key(table: 'Table', path: pathlib.Path, key: str) -> None:
    """Lines of the first column over a numeric key; rows without it are horizontal lines."""
    figure, axes = _figure(table.title, (10, 6.5))
    column, place = table.columns[0], table.keys.index(key)
    groups: dict[str, list[tuple[float | None, Cell]]] = {}
    for row in table.rows:
        name = ', '.join(text for number, text in enumerate(row.shown) if number != place and text)
        groups.setdefault(name, []).append((row.key[place], row.cell(column)))
    for number, (name, cells) in enumerate(groups.items()):
        along = [(x, cell) for x, cell in cells if x is not None]
        levels = [cell.mean for x, cell in cells if x is None and cell.scores]
        for level in levels:
            axes.axhline(level, linestyle='--', color=f'C{number % 10}', label=f'{name}, measured')
        _line(axes, [x for x, _ in along], [cell for _, cell in along], name, number)
    axes.set(xlabel=key, ylabel=column, ylim=(0, 1))
    axes.grid(alpha=0.3)
    _save(figure, path)


def over_columns(table: 'Table', path: pathlib.Path) -> None:
    """One line per row over the columns."""
    figure, axes = _figure(table.title, (10, 6.5))
    for number, row in enumerate(table.rows):
        cells = [row.cell(column) for column in table.columns]
        _line(axes, list(range(len(cells))), cells, row.label, number)
    axes.set_xticks(range(len(table.columns)), table.columns)
    axes.set(ylabel=table.measure, ylim=(0, 1))
    axes.grid(alpha=0.3)
    _save(figure, path)


def _line(
    axes: Axes, places: Sequence[float], cells: 'Sequence[Cell]', name: str, number: int
) -> None:
    """Measured values as a line with intervals, published ones dotted."""
    colour = f'C{number % 10}'
    found = [(x, cell) for x, cell in zip(places, cells, strict=True) if cell.scores]
    if found:
        axes.errorbar(
            [x for x, _ in found],
            [cell.mean for _, cell in found],
            yerr=_errors([cell for _, cell in found]),
            fmt='o-',
            capsize=3,
            color=colour,
            label=f'{name}, measured',
        )
    printed = [
        (x, cell.beside['published'])
        for x, cell in zip(places, cells, strict=True)
        if 'published' in cell.beside
    ]
    if printed:
        axes.plot(
            *zip(*printed, strict=True),
            'x:',
            color=colour,
            alpha=0.5,
            label=f'{name}, published',
        )


def _errors(cells: 'Sequence[Cell]') -> list[list[float]]:
    """Distances to the lower and upper limits, [2, cells]; deviations if there is no test.

    Lists, as Matplotlib takes the number out of an array of one, which NumPy warns about.
    """
    errors = np.zeros((2, len(cells)))
    for number, cell in enumerate(cells):
        if cell.interval:
            errors[:, number] = cell.mean - cell.interval.low, cell.interval.high - cell.mean
        else:
            errors[:, number] = cell.deviation or 0.0
    return np.maximum(errors, 0.0).tolist()


def _marks(
    axes: Axes,
    label: str,
    values: Sequence[float | None],
    places: np.ndarray,
    marker: str,
) -> None:
    there = [(v, p) for v, p in zip(values, places, strict=True) if v is not None]
    if not there:
        return
    known = axes.get_legend_handles_labels()[1]
    axes.scatter(
        *zip(*there, strict=True),
        marker=marker,
        s=60,
        color='black',
        zorder=3,
        label=None if label in known else label,
    )


def _figure(title: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout='constrained')
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9, wrap=True)
    return figure, axes


def _save(figure: Figure, path: pathlib.Path) -> None:
    axes = figure.axes[0]
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc='outside lower center', ncols=3, fontsize=8)
    with atomic.writing_file(path, path.suffix) as partial:
        figure.savefig(partial, dpi=_DPI)
