"""WACV 2020's Tables 1 - 3: accuracies of columns of runs, and their differences.

A row is a training setting and a test; ten rows are the paper's. The published accuracies on AVIA
are shown next to ours.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dualcam.evaluation import uncertainty
from experiments.shared import outcomes, results, workshops
from experiments.wacv2020 import runs

_EXPLAINED = 'Accuracy, mean ± deviation over the seeds. {}{}.'
_BESIDE = '; italics: published values on AVIA'


@dataclasses.dataclass(frozen=True)
class Spec:
    """Specification of a table.

    Attributes:
        title: display name.
        name: of the files, without extension.
        columns: function from a training setting to {column: `runs.Run`}.
        published: {column: (CSV in published/ with train and test, column there)}.
        pairs: columns that the paper compares: (a, b) for a - b.
    """

    title: str
    name: str
    columns: Callable[[str], dict[str, runs.Run]]
    published: Mapping[str, tuple[str, str]]
    pairs: Sequence[tuple[str, str]]


def row_keys(settings: Sequence[str] = runs.SETTINGS) -> list[tuple[str, str]]:
    """Rows (training setting, test): a scenario with each, all with all; the papers' ten."""
    scenarios = [setting for setting in settings if setting != 'all']
    return [
        (train, test) for train in settings for test in (scenarios if train != 'all' else ('all',))
    ]


def all_keys(workshop: workshops.Workshop) -> list[tuple[str, str]]:
    """The papers' rows, and a test on unseen subjects, if there are any."""
    source = workshop.source
    own = [(source.settings[-1], runs.UNSEEN_SUBJECTS)] if source.has_unseen_subjects else []
    return [*row_keys(source.settings), *own]


def student_spec(number: int, title: str, network: str, published: str) -> Spec:
    """A student's table: its teachers, and the student without and with them.

    Args:
        number: of the table.
        title: the student's display name.
        network: its name, see `models.build`.
        published: CSV of the student's own columns.
    """

    def columns(train_on: str) -> dict[str, runs.Run]:
        acoustic, video = (runs.Run(name, 'hard', train_on) for name in ('dualcamnet', 'resnet50'))
        return {
            'DualCamNet': acoustic,
            'ResNet-50': video,
            'G': runs.Run(network, 'G', train_on),
            'D': runs.Run(network, 'D', train_on, acoustic),
            'R': runs.Run(network, 'R', train_on, video),
        }

    return Spec(
        f'WACV 2020, Table {number}: {title}',
        f'table{number}',
        columns,
        {
            'DualCamNet': ('wacv2020_table1.csv', 'dualcamnet'),
            'ResNet-50': ('wacv2020_table1.csv', 'resnet50'),
            **{column: (published, column) for column in 'GDR'},
        },
        (
            ('D', 'G'),
            ('R', 'G'),
            ('D', 'R'),
            ('DualCamNet', 'D'),
            ('DualCamNet', 'G'),
            ('ResNet-50', 'R'),
            ('ResNet-50', 'G'),
        ),
    )


def wanted(
    spec: Spec, workshop: workshops.Workshop
) -> dict[str, dict[str, tuple[runs.Run, list[str]]]]:
    """The table's runs that the records allow: {training setting: {column: (`Run`, tests)}}."""
    source = workshop.source

    def tests(run):
        return [
            test
            for trained, test in all_keys(workshop)
            if trained == run.train_on
            and (test not in source.settings or source.can_train(_tested_on(run, test)))
        ]

    return {
        train: {
            column: (run, tests(run))
            for column, run in spec.columns(train).items()
            if source.can_train(run)
        }
        for train in source.settings
    }


def _tested_on(run, setting):
    """The run that would be trained on the data on which another one is tested."""
    return dataclasses.replace(run, train_on=setting)


def fill(spec: Spec, workshop: workshops.Workshop, seeds: Sequence[int]) -> list[results.Row]:
    """Trains and tests all runs of a table that the records allow.

    Args:
        spec: a `Spec`.
        workshop: a `workshops.Workshop`.
        seeds: of the runs.

    Returns:
        The rows of `all_keys`; cells that the records do not allow have no scores.
    """
    found: dict[tuple[str, str, str], list[outcomes.Tested]] = {}
    for seed in seeds:
        for train, columns in wanted(spec, workshop).items():
            for column, (run, tests) in columns.items():
                for test, tested in workshop.scores(run, tests, seed).items():
                    found.setdefault((train, test, column), []).append(tested)
    published = _read_published(spec) if workshop.source.is_like_avia else {}
    rows = []
    for train, test in all_keys(workshop):
        cells = {}
        for column in spec.columns(train):
            tested = found.get((train, test, column), [])
            beside = {}
            if (train, test, column) in published:
                beside[results.PUBLISHED_KEY] = published[train, test, column]
            cells[column] = results.Cell(beside=beside)
            if tested:
                cells[column] = results.of_tests(
                    [[(one.right, one.takes)] for one in tested], beside
                )
        rows.append(results.Row((train, test), cells))
    return rows


def compare(
    rows: Sequence[results.Row], pairs: Sequence[tuple[str, str]]
) -> list[uncertainty.Comparison]:
    """Differences of pairs of columns in each row, then of the mean of rows on seen subjects.

    Unmeasured rows are ignored. Pairs with a column that was not measured in some other row are
    left out.
    """
    found = []
    rows = [row for row in rows if any(cell.parts for cell in row.cells.values())]
    for a, b in pairs:
        cells = [(row, row.cell(a), row.cell(b)) for row in rows]
        if not cells or not all(one.parts and other.parts for _, one, other in cells):
            continue
        found += [
            uncertainty.compare(a, b, one.parts, other.parts, *row.key) for row, one, other in cells
        ]
        mean = [pair for pair in cells if pair[0].key[1] != runs.UNSEEN_SUBJECTS]
        parts_a = [part for _, one, _ in mean for part in one.parts]
        parts_b = [part for _, _, other in mean for part in other.parts]
        found.append(uncertainty.compare(a, b, parts_a, parts_b, 'mean', 'mean'))
    return found


def table(
    spec: Spec, rows: Sequence[results.Row], note: str, extra: Mapping[str, Any]
) -> results.Table:
    """The whole table; `note` describes the data."""
    comparisons = compare(rows, spec.pairs)
    beside = any(cell.beside for row in rows for cell in row.cells.values())
    return results.Table(
        spec.name,
        f'{spec.title}. {note}',
        _EXPLAINED.format(results.HOW_SURE, _BESIDE if beside else ''),
        ('train', 'test'),
        tuple(spec.columns('all')),
        rows,
        comparisons,
        [one for one in comparisons if one.train in ('all', 'mean')],
        extra=extra,
    )


def _read_published(spec: Spec) -> dict[tuple[str, str, str], float]:
    return {
        (line['train'], line['test'], column): float(line[name])
        for column, (file_name, name) in spec.published.items()
        for line in results.read_published(file_name)
        if line[name]
    }
