"""Writes the tables of docs/performance.md from docs/performance.json.

    make bench PEERS=1 PUBLISH=docs         # measures
    make results                            # python -m benchmarks.page

The tables stand between two comments, like the results of `experiments.results_pages`; the text
around them is left alone.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app

from benchmarks import measure
from dualcam.cli import errors
from experiments import results_pages

DATA = pathlib.Path('docs') / 'performance.json'
PAGE = DATA.with_suffix('.md')
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
    fields = [{**row} for row in content['rows']]
    parts = [row.pop('part') for row in fields]
    rows = [measure.Row(**row) for row in fields]
    sections = [
        f'Measured on {content["machine"]}, in {content["minutes"]} minutes, commit '
        f'{content["commit"]}. Medians of three runs, with the minimum and maximum in brackets.'
    ]
    for part, title in PARTS.items():
        own = [row for row, other in zip(rows, parts, strict=True) if other == part]
        if own:
            sections.append(f'### {title}\n\n{table(own)}')
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


def _measured(row):
    return _joined(_number(row.value), row.unit, _range(row.spread))


def _joined(*parts):
    return ' '.join(filter(None, parts))


def _range(spread):
    return f'({_number(spread[0])} - {_number(spread[1])})' if spread else ''


def _number(value):
    return '' if value is None else f'{value:.3g}' if abs(value) < 1000 else f'{value:,.0f}'


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


if __name__ == '__main__':
    app.run(errors.clean_errors(main))
