"""Writes the tables of docs/performance.md from docs/performance.json.

    make bench PEERS=1 PUBLISH=docs         # measures
    make results                            # python -m benchmarks.page

The tables stand between two comments, like the results of `experiments.results_pages`; the text
around them is left alone.
"""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from absl import app
from matplotlib import figure

from benchmarks import measure
from dualcam.cli import errors
from experiments import results_pages

DATA = pathlib.Path('docs') / 'performance.json'
PAGE = DATA.with_suffix('.md')
GROWTH_PICTURE = DATA.parent / 'pictures' / 'growth.svg'
PARTS = {
    'machine': "The machine's limits",
    'array': 'Arrays',
    'records': 'Records and loading',
    'networks': 'Training',
    'correspondence': 'Correspondence',
    'serving': 'Files and serving',
    'memory': 'Memory',
    'growth': 'Growth with size',
}


def block(content: Mapping[str, Any]) -> str:
    """All tables in Markdown, and which targets were missed.

    Args:
        content: of the JSON file: 'machine', 'commit', 'minutes', 'rows', which are
            `measure.Row`s with their 'part'.
    """
    parts = [fields['part'] for fields in content['rows']]
    rows = [_row(fields) for fields in content['rows']]
    sections = [
        f'Measured on {content["machine"]}, in {content["minutes"]} minutes, commit '
        f'{content["commit"]}. Medians of three runs, with the minimum and maximum in brackets.'
    ]
    for part, title in PARTS.items():
        own = [row for row, other in zip(rows, parts, strict=True) if other == part]
        fixed = [row for row in own if not row.over]
        if own:
            tables = [table(fixed)] if fixed else []
            if len(fixed) < len(own):
                tables.append(growth_table(curves(own)))
            sections.append('\n\n'.join([f'### {title}', *tables]))
    aimed = [row for row in rows if row.is_reached is not None]
    missed = [row for row in aimed if not row.is_reached]
    sections.append(
        f'### Targets\n\n{len(aimed) - len(missed)} of {len(aimed)} targets are reached.'
        + (' Missed:' if missed else '')
    )
    if missed:
        sections.append(
            '\n'.join(f'- {row.name}: {_measured(row)}, target {row.reach}' for row in missed)
        )
    return '\n\n'.join(sections) + '\n'


def _row(fields):
    return measure.Row(**{name: value for name, value in fields.items() if name != 'part'})


def table(rows: Sequence[measure.Row]) -> str:
    """Rows in Markdown, without columns that are empty in all of them."""
    columns = {
        'row': [row.name for row in rows],
        'measured': [_measured(row) for row in rows],
        'target': [row.reach for row in rows],
        "authors' programs": [_number(row.authors) for row in rows],
        'peer': [
            f'{row.peer}: {_number(row.peer_value)}' if row.peer_value else row.peer for row in rows
        ],
        'ratio to peer': [_joined(_number(row.ratio), _range(row.ratio_spread)) for row in rows],
    }
    used = {name: cells for name, cells in columns.items() if any(cells)}
    return '\n'.join(
        [
            results_pages.line(*used),
            results_pages.line(*('---' for _ in used)),
            *(results_pages.line(*cells) for cells in zip(*used.values(), strict=True)),
        ]
    )


_Curve = list[tuple[float, float]]  # (size, seconds), in ascending order


def curves(rows: Sequence[measure.Row]) -> Mapping[tuple[str, str], _Curve]:
    """{(name of the work, what grows): its curve}, of the rows of growth."""
    found: dict[tuple[str, str], _Curve] = {}
    for row in rows:
        if row.size is not None and row.value is not None:
            found.setdefault((row.name, row.over), []).append((row.size, row.value))
    return {key: sorted(curve) for key, curve in found.items()}


def exponent(curve: _Curve) -> float | None:
    """p if the time grows like size ** p from the last size but one to the last."""
    if len(curve) < 2:
        return None  # the others could not be measured
    (size, before), (larger, after) = curve[-2:]
    return math.log(after / before) / math.log(larger / size)


def growth_table(found: Mapping[tuple[str, str], _Curve]) -> str:
    """Curves in Markdown: seconds at each size, and the exponent at the end."""
    return '\n'.join(
        [
            results_pages.line('work', 'by', 'seconds at each size', 'exponent'),
            results_pages.line(*('---' for _ in range(4))),
            *(
                results_pages.line(
                    work,
                    over,
                    ', '.join(f'{size:,.0f}: {_number(seconds)}' for size, seconds in curve),
                    _number(exponent(curve)),
                )
                for (work, over), curve in found.items()
            ),
        ]
    )


def growth_figure(found: Mapping[tuple[str, str], _Curve]) -> figure.Figure:
    """Curves relative to their smallest sizes, both axes logarithmic, and a line of slope 1."""
    made = figure.Figure(figsize=(10, 5), layout='constrained')
    axes = made.add_subplot()
    largest = 1.0
    for number, ((work, over), curve) in enumerate(found.items()):
        sizes, times = (
            [value / column[0] for value in column] for column in zip(*curve, strict=True)
        )
        largest = max(largest, *sizes)
        label = f'{work}, by {over}: {_number(exponent(curve))}'
        axes.plot(sizes, times, 'os^D'[number % 4] + '-', label=label, color=f'C{number % 10}')
    axes.plot([1, largest], [1, largest], '--', color='0.5', label='proportional: 1')
    axes.set(xscale='log', yscale='log', xlabel='times as many', ylabel='times as long')
    axes.grid(alpha=0.3)
    made.legend(loc='outside right center', frameon=False, fontsize=8, title='exponent at the end')
    return made


def _measured(row):
    return _joined(_number(row.value), row.unit, _range(row.spread))


def _joined(*parts):
    return ' '.join(filter(None, parts))


def _range(spread):
    return f'({_number(spread[0])} - {_number(spread[1])})' if spread else ''


def _number(value):
    return '' if value is None else measure.number(value)


def renewed(root: str | pathlib.Path) -> str:
    """The page's new text.

    Args:
        root: of the checkout.

    Raises:
        ValueError: the page does not have its two comments.
    """
    path = pathlib.Path(root) / PAGE
    content = json.loads((pathlib.Path(root) / DATA).read_text(encoding='utf-8'))
    text = path.read_text(encoding='utf-8')
    return results_pages.renewed(text, block(content).rstrip('\n'), path)


def main(_: Sequence[str]) -> None:
    """Writes the page."""
    results_pages.write({results_pages.ROOT / PAGE: renewed(results_pages.ROOT)})
    content = json.loads((results_pages.ROOT / DATA).read_text(encoding='utf-8'))
    found = curves([_row(fields) for fields in content['rows']])
    if found:
        picture = results_pages.ROOT / GROWTH_PICTURE
        with matplotlib.rc_context({'svg.hashsalt': picture.name}):  # the same bytes every time
            growth_figure(found).savefig(picture, metadata={'Date': None})
        print(f'written: {picture}')


if __name__ == '__main__':
    app.run(errors.clean_errors(main))
