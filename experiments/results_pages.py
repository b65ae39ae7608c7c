"""Writes the README's results and docs/results.md from the tables' JSON files.

    make table2 PUBLISH=docs/results        # once for each table
    make results                            # python -m experiments.results_pages

Each file is written by `shared.results.write` and named after its table; a suffix identifies other
data: table2.json, table2-data1.json. The README has one line for each table in `_FRONT`: the
numbers that the paper is about, with their intervals and the published values; below, one sentence
or two per table on the difference that the paper claims. docs/results.md shows all rows. Both
blocks stand between two comments; the text around them is left alone. A table without a file has no
line: nothing is printed that was not measured.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app

from dualcam.cli import errors
from dualcam.evaluation import uncertainty
from dualcam.files import atomic

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = pathlib.Path('docs') / 'results'
START, END = '<!-- results: written by make results -->', '<!-- end of results -->'
NOTHING = f'Nothing has been measured yet: there is no file in `{RESULTS}/`.'

# The tables in order of appearance, and each one's command.
COMMANDS = {
    **{f'table{n}': f'make table{n}' for n in (1, 2, 3)},
    'table4': 'make table4 TARGET=...',
    'esc10': 'make esc10 SOUNDS=...',
    **{f'eccv2020_table{n}': 'make eccv' + (f' TABLE={n}' if n != 2 else '') for n in (2, 1, 3, 4)},
    **{f'aaai2021_table{n}': 'make aaai' + (f' TABLE={n}' if n != 3 else '') for n in range(1, 7)},
}


@dataclasses.dataclass(frozen=True)
class _Front:
    """What the README shows of a table.

    Attributes:
        shown: {what was measured: its display name}: a column of the row trained and tested on all,
            or the first values of a row's key, for the first column.
        claim: the pair that the paper compares: names in the comparison, or how those begin.
    """

    shown: Mapping[Any, str]
    claim: tuple[str, str]


_TAUGHT = _Front(
    {
        'DualCamNet': 'teacher (DualCamNet)',
        'G': 'student from labels alone (G)',
        'D': 'student from labels and the teacher (D)',
    },
    ('D', 'G'),
)
_TEACHERS = ('DualCamNet', 'ResNet-50', 'Temporal ResNet-50', 'AVNet')
_FRONT = {
    'table1': _Front({name: name for name in _TEACHERS}, ('DualCamNet', 'ResNet-50')),
    'table2': _TAUGHT,
    'table3': _TAUGHT,
    'table4': _Front(
        {(name,): name for name in ('HearNet fc1', 'OurSoundNet fc1', 'MFCC statistics')},
        ('HearNet fc1', 'MFCC statistics'),
    ),
    'esc10': _Front(
        {(name,): name for name in ('HearNet', 'OurSoundNet')}, ('HearNet', 'OurSoundNet')
    ),
    'eccv2020_table2': _Front(
        {
            ('hearnet', 'supervised'): 'HearNet from labels',
            ('hearnet', 'self-supervised', 0.0): 'without labels (alpha 0)',
            ('hearnet', 'self-supervised', 0.5): 'with a teacher, without labels (alpha 0.5)',
        },
        ('HearNet, self-supervised, alpha 0.5', 'HearNet, self-supervised, alpha 0'),
    ),
    'aaai2021_table3': _Front(
        {
            ('standard_backpropagation',): 'labels alone',
            ('proposed_student',): 'proposed student',
            ('mutual_teacher',): 'its teacher',
        },
        ('proposed student', 'labels alone'),
    ),
}
_ALL, _MEAN = 'all', 'mean'
_SETS = {'published': '', 'published_dcase17': 'DCASE 2017', 'published_dcase18': 'DCASE 2018'}
# A cell's own entries, as opposed to numbers shown beside it; see `results.as_json`.
_OWN = {
    'column',
    'label',
    'mean',
    'std',
    'low',
    'high',
    'takes',
    'seeds',
    'clips',
    'scores',
    'note',
}
_COMPARED = [field.name for field in dataclasses.fields(uncertainty.Comparison)]


@dataclasses.dataclass(frozen=True)
class Measured:
    """One table file.

    Attributes:
        name: of the file, without extension.
        content: of the file, see `results.as_json`.
    """

    name: str
    content: Mapping[str, Any]

    @property
    def table(self) -> str:
        """The table's name; the file's whole name for a table that is not in `COMMANDS`."""
        fits = [one for one in COMMANDS if re.match(rf'{one}($|[^a-z0-9])', self.name)]
        return max(fits, key=len, default=self.name)

    @property
    def variant(self) -> str:
        """Which data it was measured on, such as 'data1'; empty for the default."""
        return self.name[len(self.table) :].strip('-_. ')

    @property
    def data_seed(self) -> int | None:
        """Seed of the embedded data; None where the name states no seed."""
        found = re.fullmatch(r'(?:data)?[-_]?(?:seed)?[-_]?(\d+)', self.variant)
        return int(found[1]) if found else None if self.variant else 0

    @property
    def heading(self) -> str:
        """The title's first sentence."""
        return self.content['title'].partition('. ')[0]

    @property
    def cells(self) -> list[Mapping[str, Any]]:
        """All cells, including those that were not measured."""
        return self.content['cells']

    @property
    def comparisons(self) -> list[uncertainty.Comparison]:
        """Those shown as sentences: training on all and the mean of rows, where there are any."""
        found = [
            uncertainty.Comparison(**{name: one[name] for name in _COMPARED})
            for one in self.content['comparisons']
        ]
        if any(one.train == _MEAN for one in found):
            return [one for one in found if one.train in (_ALL, _MEAN)]
        return found

    def rows(self) -> list[tuple[dict[str, Any], dict[str, Mapping[str, Any]]]]:
        """(the row's key, {column: cell}) of all rows, in order."""
        found: dict[str, tuple[dict[str, Any], dict[str, Mapping[str, Any]]]] = {}
        for cell in self.cells:
            names = list(cell)
            key = {name: cell[name] for name in names[: names.index('column')]}
            found.setdefault(json.dumps(key), (key, {}))[1][cell['column']] = cell
        return list(found.values())


def read(folder: str | pathlib.Path) -> list[Measured]:
    """All files of a folder in page order; none if the folder does not exist.

    Raises:
        ValueError: a file was not written by a table's command.
    """
    found = []
    for path in pathlib.Path(folder).glob('*.json'):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            missing = {'title', 'columns', 'cells', 'comparisons', 'made'} - set(content)
        except (ValueError, TypeError) as error:
            raise ValueError(f'{path}: not JSON ({error})') from error
        if missing:
            raise ValueError(
                f"{path}: no {', '.join(sorted(missing))}; expected what a table's command "
                'writes with PUBLISH='
            )
        found.append(Measured(path.stem, content))
    order = list(COMMANDS)

    def place(one):
        at = order.index(one.table) if one.table in order else len(order)
        numbers = [int(n) if n.isdigit() else n for n in re.split(r'(\d+)', one.variant)]
        return at, one.table, numbers

    return sorted(found, key=place)


def front_block(found: Sequence[Measured]) -> str:
    """The README's block: one line per table, then what each says of its paper's claim."""
    shown = [one for one in found if one.table in _FRONT]
    if not shown:
        return NOTHING
    lines = [
        'Accuracy (mAP for audio tagging), with its 95 % bootstrap interval over takes and seeds '
        "in brackets. Published numbers were measured on the papers' own data.",
        '',
        '| table | network | here | published | takes / seeds |',
        '|---|---|---|---|---|',
    ]
    for one in shown:
        cells = _front_cells(one)
        sizes = dict.fromkeys(f'{cell["takes"]} / {cell["seeds"]}' for _, cell in cells)
        lines.append(
            line(
                f'{_title(one, found)}<br>{_command(one)}',
                '<br>'.join(name for name, _ in cells),
                '<br>'.join(number(cell) for _, cell in cells),
                '<br>'.join(_published(cell) for _, cell in cells),
                ', '.join(sizes),
            )
        )
    sentences = [
        f'- **{_title(one, found)}.** {" ".join(map(_sentence, claims))}'
        for one in shown
        for claims in [_claims(one)]
        if claims
    ]
    return '\n'.join([*lines, '', *sentences] if sentences else lines)


def whole_block(found: Sequence[Measured]) -> str:
    """The block of docs/results.md: each file's whole table."""
    if not found:
        return NOTHING
    return '\n\n'.join(_section(one, found) for one in found)


def renewed(text: str, block: str, path: str | pathlib.Path) -> str:
    """A page's text with its block replaced.

    Args:
        text: of the page.
        block: what goes between the two comments.
        path: of the page, for error messages.

    Raises:
        ValueError: the page does not have exactly these two comments, in this order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end or START in rest or END in before + after:
        raise ValueError(f'{path}: expected one {START} and, after it, one {END}')
    return f'{before}{START}\n\n{block}\n\n{END}{after}'


def pages(root: str | pathlib.Path) -> dict[pathlib.Path, str]:
    """{path: new text} of a checkout's README and docs/results.md."""
    root = pathlib.Path(root)
    found = read(root / RESULTS)
    blocks = {
        root / 'README.md': front_block(found),
        root / 'docs' / 'results.md': whole_block(found),
    }
    return {
        path: renewed(path.read_text(encoding='utf-8'), block, path)
        for path, block in blocks.items()
    }


def number(cell: Mapping[str, Any]) -> str:
    """Mean and interval; empty if not measured."""
    if cell['mean'] is None:
        return ''
    text = f'{cell["mean"]:.3f}'
    return text if cell['low'] is None else text + f' [{cell["low"]:.3f}, {cell["high"]:.3f}]'


def _front_cells(one):
    """(display name, cell) of everything the README shows that was measured."""
    found = {}
    for key, cells in one.rows():
        if set(key) == {'train', 'test'}:
            if key['train'] == key['test'] == _ALL:
                found |= cells
        else:
            found[tuple(key.values())] = cells[one.content['columns'][0]]
    picked = [
        (name, cell)
        for wanted, name in _FRONT[one.table].shown.items()
        for key, cell in found.items()
        if key == wanted or (isinstance(wanted, tuple) and key[: len(wanted)] == wanted)
    ]
    return [(name, cell) for name, cell in picked if cell['mean'] is not None]


def _sentence(claim):
    words, place = str(claim), _place(claim).removesuffix(': ')
    if claim.train == claim.test == _ALL:
        place = 'all → all'
    return f'{words[0].upper()}{words[1:]}{f" ({place})" if place else ""}.'


def _claims(one):
    """The comparisons that the README states: over the mean of rows and trained and tested on all,
    or else the first one; none if the pair was not measured."""
    wanted = _FRONT[one.table].claim
    fits = [
        each
        for each in one.comparisons
        if all(
            name == begins or name.startswith(f'{begins},')
            for name, begins in zip((each.a, each.b), wanted, strict=True)
        )
    ]
    first = one.content['columns'][0]
    fits.sort(key=lambda each: (each.train != _MEAN, each.column != first))
    if fits and fits[0].train == _MEAN:
        return [each for each in fits if each.train == each.test]
    return fits[:1]


def _section(one, found):
    keys = list(dict.fromkeys(name for key, _ in one.rows() for name in key))
    named = any('label' in cell for cell in one.cells) and set(keys) != {'train', 'test'}
    columns = one.content['columns']
    beside = [
        (column, name)
        for column in columns
        for name in dict.fromkeys(
            name
            for cell in one.cells
            if cell['column'] == column
            for name in list(cell)[list(cell).index('column') :]
            if name not in _OWN | {'published', 'published_std'}
        )
    ]
    notes = any('note' in cell for cell in one.cells)
    heads = ['row'] if named else keys
    heads = [*heads, *columns, *(f'{column}, {name}' for column, name in beside), *['note'] * notes]
    table = [
        line(*(head.replace('_', ' ') for head in heads)),
        '|---' * len(heads) + '|',
    ]
    for key, cells in one.rows():
        names = [_label(key, cells)] if named else [_shown(key[name]) for name in keys]
        table.append(
            line(
                *names,
                *(_whole(cells.get(column)) for column in columns),
                *(_beside(cells.get(column, {}), name) for column, name in beside),
                *[next((c['note'] for c in cells.values() if 'note' in c), '')] * notes,
            )
        )
    data = one.content['title'].partition('. ')[2]
    parts = [
        f'## {_title(one, found)}',
        f'{_command(one)}: {data or one.heading}. Mean ± deviation over seeds, [95 % interval] '
        '(test clips / takes), *published*; a blank was not measured.',
        '\n'.join(table),
    ]
    if one.comparisons:
        parts.append('\n'.join(f'- {_place(each)}{each}.' for each in one.comparisons))
    parts.append(_made(one))
    return '\n\n'.join(parts)


def _made(one):
    made = one.content['made']
    machine = made.get('machine') or {}
    versions = made.get('versions') or {}
    known = {
        'commit': made.get('commit'),
        'seeds': ', '.join(map(str, made.get('seeds') or [])),
        'data': made.get('data'),
        'machine': ', '.join(
            filter(
                None,
                [machine.get('cpu'), f'{machine["cores"]} cores' if 'cores' in machine else ''],
            )
        ),
        'TensorFlow': versions.get('tensorflow'),
        'date': made.get('date'),
        'minutes': f'{made["wall_s"] / 60:.0f}' if 'wall_s' in made else '',
    }
    said = '; '.join(f'{name} {value}' for name, value in known.items() if value)
    return f'[`{one.name}.json`](results/{one.name}.json): {said}.'


def _title(one, found):
    """The heading, and which data it is if the table has files of several."""
    others = [other for other in found if other.table == one.table and other is not one]
    parts = [one.heading]
    if one.content.get('preset') == 'smoke':
        parts.append('smoke preset')
    if one.table not in COMMANDS:
        parts.append(one.name)
    elif one.data_seed is None:
        parts.append(one.variant)
    elif one.data_seed or any(other.data_seed for other in others):
        parts.append(f'data of seed {one.data_seed}')
    return ', '.join(parts)


def _command(one):
    if one.table not in COMMANDS:
        return f'`{one.name}.json`'
    seed = f' DATA_SEED={one.data_seed}' if one.data_seed else ''
    return f'`{COMMANDS[one.table]}{seed}`'


def _label(key, cells):
    first = next(iter(cells.values()))
    return first.get('label') or ', '.join(
        _shown(part).replace('_', ' ') for part in key.values() if part is not None
    )


def _shown(part):
    return '' if part is None else f'{part:g}' if isinstance(part, float) else str(part)


def _whole(cell):
    """A cell of docs/results.md."""
    if cell is None:
        return ''
    parts = [number(cell)]
    if cell['std'] is not None:
        mean, _, rest = parts[0].partition(' ')
        parts = [f'{mean} ± {cell["std"]:.3f} {rest}'.strip()]
    if cell['low'] is not None:
        parts.append(f'({cell["clips"]} / {cell["takes"]})')
    return ' '.join(filter(None, [*parts, _beside(cell, 'published')]))


def _beside(cell, name):
    """A number shown beside the cell's own; in italics if published."""
    if not isinstance(cell.get(name), int | float):
        return ''
    digits = 4 if name.startswith('published') else 3  # papers print up to four
    text = f'{round(cell[name], digits) + 0.0:.{digits}f}'  # of a small loss, no "-0.000"
    if f'{name}_std' in cell:
        text += f' ± {cell[f"{name}_std"]:.{digits}f}'
    return f'*{text}*' if name.startswith('published') else text


def _published(cell):
    """All values that the paper printed for it."""
    return ', '.join(
        ' '.join(filter(None, [_beside(cell, name).strip('*'), data]))
        for name, data in _SETS.items()
        if name in cell
    )


def _place(one):
    """What a difference refers to; precedes its sentence."""
    if one.train == one.test == _MEAN:
        return 'mean over the rows of seen subjects: '
    if one.train == one.test:
        return '' if one.column == 'accuracy' else f'{one.column}: '
    return f'{one.train} → {one.test}, {one.column}: '.replace('_', ' ')


def line(*cells: str) -> str:
    """A table's row in Markdown."""
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def write(texts: Mapping[pathlib.Path, str]) -> None:
    """Writes this checkout's pages, {path: text}, and prints which have changed."""
    for path, text in texts.items():
        changed = text != path.read_text(encoding='utf-8')
        if changed:
            atomic.write_text(path, text)
        print(f'{path.relative_to(ROOT)}: {"written" if changed else "unchanged"}')


def main(_) -> None:
    """Writes both pages."""
    write(pages(ROOT))


if __name__ == '__main__':
    app.run(errors.clean_errors(main))
