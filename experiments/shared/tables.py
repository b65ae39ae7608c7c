"""A table: runs in, accuracies beside the published ones out, as text, CSV, JSON and a chart."""

import csv
import dataclasses
import json
import pathlib

import matplotlib

from experiments.shared import runs

PUBLISHED = pathlib.Path(__file__).parent / 'published'


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table shows.

    Attributes:
        title: for people.
        file_name: of the results, without an ending.
        columns: function from a training setting to {column: `runs.Run`}.
        published: {column: (CSV in published/ with train and test, column there)}.
    """

    title: str
    file_name: str
    columns: object
    published: dict


@dataclasses.dataclass(frozen=True)
class Cell:
    """Scores of all seeds for one row and column; none where it was not measured."""

    train: str
    test: str
    column: str
    scores: tuple
    published: float | None

    @property
    def mean(self):
        """Accuracy, mean over the seeds; None where it was not measured."""
        if not self.scores:
            return None
        return sum(s.accuracy for s in self.scores) / len(self.scores)

    @property
    def deviation(self):
        """Sample standard deviation over the seeds; None for one."""
        if len(self.scores) < 2:
            return None
        squares = sum((s.accuracy - self.mean) ** 2 for s in self.scores)
        return (squares / (len(self.scores) - 1)) ** 0.5


def rows():
    """The papers' ten rows: (training setting, test)."""
    return [
        (train, test)
        for train in runs.SETTINGS
        for test in (runs.SCENARIOS if train != 'all' else ('all',))
    ]


def wanted(table, workshop):
    """What a table needs and the records allow.

    Args:
        table: a `Table`.
        workshop: a `runs.Workshop`.

    Returns:
        {training setting: {column: (`runs.Run`, tests)}}
    """
    return {
        train: {
            column: (one, [test for trained, test in rows() if trained == train])
            for column, one in table.columns(train).items()
            if workshop.can_train(one)
        }
        for train in runs.SETTINGS
    }


def fill(table, workshop, seeds):
    """Trains and tests all runs of a table that the records allow.

    Args:
        table: a `Table`.
        workshop: a `runs.Workshop`.
        seeds: whole numbers.

    Returns:
        `Cell`s in the order of the rows; those that the records do not allow have no scores.
    """
    published = _read_published(table)
    scores = {}
    for seed in seeds:
        for train, columns in wanted(table, workshop).items():
            for column, (one, tests) in columns.items():
                for test, score in workshop.scores(one, tests, seed).items():
                    scores.setdefault((train, test, column), []).append(score)
    return [
        Cell(
            train,
            test,
            column,
            tuple(scores.get((train, test, column), ())),
            published.get((train, test, column)),
        )
        for train, test in rows()
        for column in table.columns(train)
    ]


def write(table, cells, workshop, out):
    """Writes <out>/<file_name>.{md,csv,json,png}; returns the markdown."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    title = f'{table.title}. {workshop.note}'
    text = markdown(title, cells)
    (out / f'{table.file_name}.md').write_text(text, encoding='utf-8')
    with open(out / f'{table.file_name}.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            ['train', 'test', 'column', 'accuracy', 'std', 'seeds', 'clips', 'published']
        )
        for c in cells:
            writer.writerow(
                [
                    c.train,
                    c.test,
                    c.column,
                    number(c.mean),
                    number(c.deviation),
                    len(c.scores),
                    c.scores[0].num_clips if c.scores else '',
                    '' if c.published is None else c.published,
                ]
            )
    (out / f'{table.file_name}.json').write_text(
        json.dumps(
            {
                'title': title,
                'preset': workshop.preset.name,
                'records': workshop.store.digest,
                'classes': list(workshop.info.classes),
                'cells': [
                    dataclasses.asdict(c) | {'mean': c.mean, 'std': c.deviation} for c in cells
                ],
            },
            indent=1,
        )
        + '\n',
        encoding='utf-8',
    )
    chart(title, cells, out / f'{table.file_name}.png')
    return text


def markdown(title, cells):
    """The table for people: measured, clips and published, column by column."""
    columns = list(dict.fromkeys(c.column for c in cells))
    found = {(c.train, c.test, c.column): c for c in cells}
    lines = [
        f'# {title}',
        '',
        'Accuracy, (test clips), and in italics what the paper printed on AVIA.',
        '',
        '| train | test | ' + ' | '.join(columns) + ' |',
        '|---|---|' + '---|' * len(columns),
    ]
    for train, test in rows():
        line = [_measured(found[train, test, column]) for column in columns]
        lines.append(f'| {train} | {test} | ' + ' | '.join(line) + ' |')
    return '\n'.join(lines) + '\n'


def chart(title, cells, path):
    """A bar chart: measured bars, published values as marks."""
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    columns = list(dict.fromkeys(c.column for c in cells))
    width = 0.8 / len(columns)
    figure, axes = plt.subplots(figsize=(11, 4.5), layout='constrained')
    for i, column in enumerate(columns):
        own = [c for c in cells if c.column == column]
        places = [row + (i - (len(columns) - 1) / 2) * width for row in range(len(own))]
        axes.bar(
            places,
            [c.mean or 0.0 for c in own],
            width * 0.92,
            label=f'{column}, measured',
            yerr=[c.deviation or 0.0 for c in own] if own[0].deviation else None,
            capsize=2,
        )
        marks = [
            (p, c.published) for p, c in zip(places, own, strict=True) if c.published is not None
        ]
        if marks:
            axes.scatter(
                *zip(*marks, strict=True),
                marker='_',
                s=120,
                color='black',
                zorder=3,
                label='published on AVIA' if i == 0 else None,
            )
    short = {'all': 'all'} | {s: s[-1] for s in runs.SCENARIOS}
    axes.set_xticks(range(len(rows())), [f'{short[a]} → {short[b]}' for a, b in rows()])
    axes.set(xlabel='trained on → tested on', ylabel='accuracy', ylim=(0, 1))
    axes.set_title(title, fontsize=9, wrap=True)
    axes.grid(axis='y', alpha=0.3)
    figure.legend(loc='outside lower center', ncols=len(columns) + 1, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def number(value):
    """Four decimals; nothing for what was not measured."""
    return '' if value is None else f'{value:.4f}'


def _measured(cell):
    text = number(cell.mean)
    if cell.deviation is not None:
        text += f' ± {cell.deviation:.4f}'
    if cell.scores:
        text += f' ({cell.scores[0].num_clips})'
    return text if cell.published is None else f'{text} *{cell.published:.4f}*'


def _read_published(table):
    values = {}
    for column, (file_name, name) in table.published.items():
        with open(PUBLISHED / file_name, newline='', encoding='utf-8') as file:
            for line in csv.DictReader(file):
                if line[name]:
                    values[line['train'], line['test'], column] = float(line[name])
    return values
