"""Building blocks of the report pages: the page itself, tables, charts, matrices, players.

A page is one file: pictures and sounds are data: URIs, drawings are SVG in the page's own colours.
It fits a phone (anything wider than the screen scrolls in its own box) and follows the reader's
light or dark colour scheme.
"""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.reports import figures

_WIDTH, _HEIGHT = 460, 230  # of a chart, SVG units
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 38  # its margins
_DOTTED = 40  # up to this many epochs, points are drawn
_CELL, _FONT = 24, 12  # of a matrix
_LETTER = 7.2  # widest usual letter of a class name
_FITS = 18  # classes of a matrix that fit a phone without scrolling
_BAR, _SIDE = 22, 130  # height of a bar's line; the longest bar to either side
# In order of use; legible on light and dark backgrounds.
_COLOURS = ('--blue', '--orange', '--green', '--violet', '--red', '--brown')
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c222b; --faint: #5d6673;
  --line: #d7dce2; --panel: #f3f5f7; --blue: #1f6fb4; --orange: #c2560f; --green: #1d7a46;
  --violet: #7a4fc0; --red: #b3162f; --brown: #7a5a2b;
  --more: #1f6fb4; --less: #c2560f }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e4e8ed; --faint: #9aa4b0;
  --line: #39414b; --panel: #20262d; --blue: #62a9e6; --orange: #f0924c; --green: #5cc088;
  --violet: #b49af0; --red: #ff8094; --brown: #cfae78;
  --more: #2f7dc2; --less: #b9591b } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; color: var(--ink);
  background: var(--paper); padding: 1.2rem 1rem 3rem; overflow-wrap: anywhere }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem;
  border-bottom: 1px solid var(--line) } h3 { font-size: 1rem; margin: 1.4rem 0 .4rem }
p { max-width: 46rem } .faint, small { color: var(--faint) } a { color: var(--blue) }
.wide { overflow-x: auto; max-width: 100% }
table { border-collapse: collapse } td, th { padding: .2em .8em .2em 0; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: normal }
td { overflow-wrap: anywhere } .grid td, .grid th { white-space: nowrap }
pre { background: var(--panel); padding: .8em; overflow-x: auto }
img, svg { max-width: 100%; height: auto; vertical-align: top }
img.paper { background: #fff; padding: 4px; border-radius: 4px }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif } svg .dim { fill: var(--faint) }
svg .on { fill: #fff }
.row { display: flex; flex-wrap: wrap; gap: 1rem } .row > * { flex: 0 1 460px; min-width: 0 }
.clips { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)) }
figure { margin: 0; min-width: 0 } figure img { width: 100%; display: block; margin-bottom: 3px }
audio { width: 100%; height: 36px } figcaption { font-size: .92rem } .wrong { color: var(--red) }
.right { color: var(--green) }
"""
_HATCH = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="none" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" fill="var(--panel)"/>'
    '<line x1="0" y1="0" x2="0" y2="6" stroke="var(--line)" stroke-width="3"/></pattern>'
    '</defs></svg>'
)


def page(title: str, parts: Sequence[str]) -> str:
    """A complete page.

    Args:
        title: for the browser's tab.
        parts: of the body, HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escaped(title)}</title><link rel="icon" href="data:,">'
        f'<style>{_STYLE}</style></head>\n<body>{_HATCH}{"".join(parts)}</body></html>\n'
    )


def escaped(value: Any) -> str:
    """Text escaped for HTML."""
    return html.escape(str(value))


def table(rows: Mapping[Any, Any]) -> str:
    """A table of one heading and one value per row."""
    return (
        '<table>'
        + ''.join(
            f'<tr><th>{escaped(key)}</th><td>{escaped(value)}</td></tr>'
            for key, value in rows.items()
        )
        + '</table>'
    )


def grid(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with columns; a wide one scrolls in its own box."""
    cells = ''.join(f'<th>{escaped(head)}</th>' for head in heads)
    lines = ''.join(
        f'<tr>{"".join(f"<td>{escaped(cell)}</td>" for cell in row)}</tr>' for row in rows
    )
    return f'<div class="wide"><table class="grid"><tr>{cells}</tr>{lines}</table></div>'


def embedded(kind: str, content: bytes) -> str:
    """A data: URI."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def curve(history: Sequence[Mapping[str, float]], measure: str) -> list[float]:
    """A scalar's value of each epoch, for `chart`.

    Args:
        history: scalars of the epochs.
        measure: name of one; epochs without it, such as those that are not validated, are NaN.

    Returns:
        As many values as epochs; none if no epoch has it.
    """
    values = [one.get(measure, math.nan) for one in history]
    return [] if all(map(math.isnan, values)) else values


def chart(
    title: str,
    unit: str,
    series: Mapping[str, Sequence[float]],
    span: tuple[float, float] | None = None,
    chosen: int | None = None,
) -> str:
    """A line chart over epochs.

    Args:
        title, unit: of the values.
        series: {name: values of the epochs, from the first on; what is not finite is left out}.
        span: lowest and highest value of the axis; default those of the series.
        chosen: an epoch, from 0, to mark.
    """
    low, high = span or _span(series)
    length = max(map(len, series.values()))

    def across(epoch):
        inside = _WIDTH - _LEFT - _RIGHT
        return _LEFT + inside * (epoch / (length - 1) if length > 1 else 0.5)

    def up(value):
        inside = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - inside * (value - low) / (high - low)

    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'aria-label="{escaped(title)}"><text x="4" y="15">{escaped(title)}'
        f'<tspan class="dim">, {escaped(unit)}</tspan></text>'
    ]
    for value in _ticks(low, high):
        y = up(value)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="var(--line)"/><text class="dim" x="{_LEFT - 6}" y="{y + 4:.1f}" '
            f'text-anchor="end">{value:g}</text>'
        )
    for epoch in range(0, length, max(1, math.ceil(length / 10))):
        parts.append(
            f'<text class="dim" x="{across(epoch):.1f}" y="{_HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{epoch + 1}</text>'
        )
    parts.append(
        f'<text class="dim" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">epoch</text>'
    )
    if chosen is not None:
        x = across(chosen)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
            'stroke="var(--faint)" stroke-dasharray="3 3"/>'
            f'<text class="dim" x="{_LEFT}" y="{_HEIGHT - 6}">dashed: epoch {chosen + 1}, '
            'whose weights are used</text>'
        )
    for number, values in enumerate(series.values()):
        ink = f'var({_COLOURS[number % len(_COLOURS)]})'
        dashes = ' stroke-dasharray="6 3"' if number >= len(_COLOURS) else ''
        points = [
            f'{across(epoch):.1f},{up(value):.1f}'
            for epoch, value in enumerate(values)
            if math.isfinite(value)
        ]
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{ink}" '
            f'stroke-width="2"{dashes}/>'
        )
        for place in points if length <= _DOTTED else ():
            x, _, y = place.partition(',')
            parts.append(f'<circle cx="{x}" cy="{y}" r="2.2" fill="{ink}"/>')
    names = ' '.join(
        f'<span style="color:var({_COLOURS[number % len(_COLOURS)]});white-space:nowrap">'
        f'{"&#9473;" if number < len(_COLOURS) else "&#9477;"} {escaped(name)}</span>'
        for number, name in enumerate(series)
    )
    return f'<div>{"".join(parts)}</svg><div><small>{names}</small></div></div>'


def matrix(counts: np.ndarray, classes: Sequence[str]) -> str:
    """A confusion matrix, each cell shaded by its share of the row.

    The row of a class without clips is hatched rather than zero, as is the column of a class that
    is never predicted.

    Args:
        counts: [classes, classes]; the row is the true class.
        classes: names.
    """
    shares, totals = figures.row_shares(counts), counts.sum(axis=1)
    unasked, unsaid = totals == 0, counts.sum(axis=0) == 0
    cells = {
        (row, column): _Cell(str(counts[row, column]), shares[row, column])
        for row, column in np.ndindex(counts.shape)
        if not unasked[row] and not unsaid[column]
    }
    notes = [
        'no clips' if unasked[label] else f'{100 * shares[label, label]:.0f} %'
        for label in range(len(classes))
    ]
    return _grid('confusion matrix', cells, classes, notes, unasked, unsaid) + _legend(
        'Row: true class; column: prediction; number: clips; shade: share of the row. Right '
        'margin: share of the class predicted correctly.',
        unasked,
        unsaid,
    )


def difference(a: np.ndarray, b: np.ndarray, classes: Sequence[str]) -> str:
    """The difference of two confusion matrices: shares of each row, a - b, in points.

    Args:
        a, b: [classes, classes] counts, possibly of different numbers of clips.
        classes: names.
    """
    points = 100.0 * (figures.row_shares(a) - figures.row_shares(b))
    unasked = (a.sum(axis=1) == 0) | (b.sum(axis=1) == 0)
    unsaid = (a.sum(axis=0) == 0) & (b.sum(axis=0) == 0)
    cells = {}
    for row, column in np.ndindex(points.shape):
        if not unasked[row] and not unsaid[column]:
            shade = points[row, column] / 100.0
            cells[row, column] = _Cell(_signed(points[row, column]), shade)
    notes = [
        'no clips' if unasked[label] else _signed(points[label, label])
        for label in range(len(classes))
    ]
    return _grid('confusion difference', cells, classes, notes, unasked, unsaid) + _legend(
        'Row: true class; column: prediction; number: difference in share of the row, in '
        'percentage points; blue: more, orange: less. Right margin: that of the correct share.',
        unasked,
        unsaid,
    )


def bars(title: str, points: Mapping[str, float | None], longest: float = 1.0) -> str:
    """One bar per class, to the right or left of the middle line.

    Args:
        title: of the drawing.
        points: {class: difference in percentage points}; None, for a class without a score, is
            hatched.
        longest: points of the longest bar among all drawings in the same row.
    """
    known = [abs(value) for value in points.values() if value is not None]
    scale = _SIDE / max([*known, longest])
    left = math.ceil(max(map(len, points)) * _LETTER) + 8
    middle, width, height = left + _SIDE + 34, left + 2 * (_SIDE + 34), len(points) * _BAR + 4
    parts = [
        f'<figure data-difference="{escaped(title)}"><h4>{escaped(title)}</h4><div class="wide">'
        f'<svg class="bars" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{escaped(title)}">'
    ]
    for number, (name, value) in enumerate(points.items()):
        y = number * _BAR + 2
        parts.append(
            f'<text x="{left - 5}" y="{y + 15}" text-anchor="end"{_dim(value is None)}>'
            f'{escaped(name)}</text>'
        )
        if value is None:
            parts.append(
                f'<rect x="{middle - _SIDE}" y="{y + 2}" width="{2 * _SIDE}" height="{_BAR - 4}" '
                'fill="url(#none)"/>'
            )
            continue
        length, side = abs(value) * scale, 1 if value >= 0 else -1
        end = middle + side * (length + 4)
        parts.append(
            f'<rect x="{min(middle, middle + side * length):.1f}" y="{y + 2}" '
            f'width="{length:.1f}" height="{_BAR - 4}" '
            f'fill="var({"--more" if side > 0 else "--less"})"/>'
            f'<text data-at="{escaped(name)}" x="{end:.1f}" y="{y + 15}" '
            f'text-anchor="{"start" if side > 0 else "end"}">{_signed(value)}</text>'
        )
    parts.append(
        f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height}" stroke="var(--faint)"/>'
        '</svg></div>'
    )
    if len(known) < len(points):
        parts.append('<p class="faint"><small>Hatched: classes without a score.</small></p>')
    return ''.join(parts) + '</figure>'


def _signed(points):
    return f'{round(points):+d}' if round(points) else '0'


class _Cell:
    """A cell's text, and its shade from -1 to 1."""

    def __init__(self, text, shade):
        self.text, self.shade = text, float(shade)


def _grid(label, cells, classes, notes, unasked, unsaid):
    left = math.ceil(max(map(len, classes)) * _LETTER) + 8
    width, height = left + len(classes) * _CELL + 58, left + len(classes) * _CELL + 4
    shown_at = f'min-width:{0.75 * width:.0f}px' if len(classes) > _FITS else ''
    parts = [
        f'<div class="wide"><svg class="matrix" viewBox="0 0 {width} {height}" width="{width}" '
        f'style="{shown_at}" role="img" aria-label="{label}">'
    ]
    for number, name in enumerate(classes):
        place = left + (number + 0.5) * _CELL
        parts.append(
            f'<text x="{left - 5}" y="{place + 4}" text-anchor="end"'
            f'{_dim(unasked[number])}>{escaped(name)}</text>'
            f'<text transform="translate({place + 4} {left - 5}) rotate(-90)"'
            f'{_dim(unsaid[number])}>{escaped(name)}</text>'
            f'<text x="{left + len(classes) * _CELL + 6}" y="{place + 4}" class="dim">'
            f'{notes[number]}</text>'
        )
    for row, column in np.ndindex(len(classes), len(classes)):
        x, y = left + column * _CELL, left + row * _CELL
        cell = cells.get((row, column))
        if cell is None:
            fill = 'fill="url(#none)"'
        else:
            colour = '--more' if cell.shade >= 0 else '--less'
            fill = f'fill="var({colour})" fill-opacity="{abs(cell.shade):.3f}"'
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" {fill} stroke="var(--line)"/>'
        )
        if cell is not None:
            kind = 'on' if abs(cell.shade) > 0.5 else 'dim' if cell.text == '0' else ''
            size = {1: _FONT, 2: _FONT, 3: 10}.get(len(cell.text), 9)
            parts.append(
                f'<text class="{kind}" data-at="{row},{column}" x="{x + _CELL / 2:g}" '
                f'y="{y + _CELL / 2 + 4:g}" text-anchor="middle" style="font-size:{size}px">'
                f'{cell.text}</text>'
            )
    return ''.join(parts) + '</svg></div>'


def _legend(text, unasked, unsaid):
    if unasked.any() or unsaid.any():
        text += ' Hatched: classes without clips or never predicted.'
    return f'<p class="faint"><small>{text}</small></p>'


def _dim(is_dim):
    return ' class="dim"' if is_dim else ''


def _ticks(low, high):
    """Four or more round numbers within a span."""
    step = 10.0 ** math.floor(math.log10(high - low))
    step *= next(share for share in (1, 0.5, 0.25, 0.2, 0.1) if (high - low) / (step * share) >= 4)
    first = math.ceil(round(low / step, 6))
    return [round(n * step, 10) for n in range(first, math.floor(round(high / step, 6)) + 1)]


def _span(series):
    values = [value for one in series.values() for value in one if math.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)
