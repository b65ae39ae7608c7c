"""ECCV 2020's tables: rows of the published CSV files, filled as far as a preset goes.

A row says whose features are judged, and how they were learned; a cell has a score for each seed,
beside the printed mean and deviation. Below stand rows of our own: what chance, or a network that
learned nothing, would give.
"""

import csv
import dataclasses
import json
import pathlib

import matplotlib

from experiments.eccv2020 import features
from experiments.shared import results, tables

SELF, SUPERVISED, OWN = 'self-supervised', 'supervised', 'our baseline'

# Features of a row in the published files: (network, whose part of a pair, name for people).
ROWS = {
    'l3_audio': ('l3_audio', features.SOUND, 'L3-Net, audio'),
    'l3_vision': ('l3_audio', features.VISION, 'L3-Net, vision'),
    'hearnet': ('hearnet_eccv', features.SOUND, 'HearNet'),
    'hearnet_transfer': ('hearnet_eccv', features.SOUND, 'HearNet taught by DualCamNet'),
    'resnet18': ('resnet18_eccv', features.VISION, 'ResNet-18'),
    'dualcamnet': ('dualcamnet_eccv', features.SOUND, 'DualCamNet'),
    'audio_visual_hearnet': ('hearnet_eccv', features.BOTH, 'HearNet and ResNet-18'),
    'audio_visual_dualcamnet': ('dualcamnet_eccv', features.BOTH, 'DualCamNet and ResNet-18'),
}
_FAMILY = {
    'l3_audio': 'l3',
    'l3_vision': 'l3',
    'hearnet_eccv': 'hearnet',
    'resnet18_eccv': 'resnet18',
    'dualcamnet_eccv': 'dualcamnet',
}


@dataclasses.dataclass(frozen=True)
class Row(results.Scored):
    """One line of a table.

    Attributes:
        key: of `ROWS`, or a name for people.
        training: `SELF`, `SUPERVISED` or `OWN`.
        alpha: share of the transfer, or None.
        published: {column: (mean, deviation or None)}.
        scores: {column: one number a seed}; empty where nothing was measured.
    """

    key: str
    training: str
    alpha: float | None
    published: dict
    scores: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        """For people."""
        return ROWS[self.key][2] if self.key in ROWS else self.key


def read_rows(file_name, columns, unit=1.0):
    """Rows of a published file, without scores.

    Args:
        file_name: in published/, with features, training and alpha.
        columns: {our column: (its column of means, its column of deviations)}.
        unit: what its numbers are shares of: 100 for percentages.
    """
    with open(tables.PUBLISHED / file_name, newline='', encoding='utf-8') as file:
        lines = list(csv.DictReader(file))
    return [
        Row(
            line.get('features') or line['model'],
            line.get('training') or SELF,
            float(line['alpha']) if line.get('alpha') else None,
            {
                ours: (float(line[mean]) / unit, float(line[std]) / unit if line[std] else None)
                for ours, (mean, std) in columns.items()
            },
        )
        for line in lines
    ]


def is_wanted(row, preset):
    """Whether a preset fills a row."""
    return (
        row.key in ROWS
        and _FAMILY[ROWS[row.key][0]] in preset.networks
        and (row.alpha is None or row.alpha in preset.alphas)
    )


def extractor(row, workshop, seed):
    """The `eccv_features` of a row; its networks are trained if need be."""
    network = ROWS[row.key][0]
    if row.training == SELF:
        return workshop.pretext(network, seed, row.alpha or 0.0)
    if row.key == 'l3_vision':
        network = 'l3_vision'
    return workshop.supervised(network, seed, row.key == 'hearnet_transfer')


def write(rows, columns, title, explained, out, file_name):
    """Writes <out>/<file_name>.{md,csv,json,png}; returns the markdown."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, columns, title, explained)
    (out / f'{file_name}.md').write_text(text, encoding='utf-8')
    with open(out / f'{file_name}.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                'features',
                'training',
                'alpha',
                'column',
                'mean',
                'std',
                'seeds',
                'published',
                'published_std',
            ]
        )
        for row in rows:
            for column in columns:
                mean, deviation = row.published.get(column, (None, None))
                writer.writerow(
                    [
                        row.key,
                        row.training,
                        '' if row.alpha is None else row.alpha,
                        column,
                        tables.number(row.mean(column)),
                        tables.number(row.deviation(column)),
                        len(row.scores.get(column, ())),
                        *('' if value is None else value for value in (mean, deviation)),
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
    if any(row.alpha is not None for row in rows):
        _alpha_chart(rows, columns[0], title, out / f'{file_name}.png')
    else:
        _rank_chart(rows, columns, title, out / f'{file_name}.png')
    return text


def markdown(rows, columns, title, explained):
    """The table for people: measured and, in italics, published."""
    lines = [
        f'# {title}',
        '',
        explained,
        '',
        '| features | learned | alpha | ' + ' | '.join(columns) + ' |',
        '|---|---|---|' + '---|' * len(columns),
    ]
    for row in rows:
        alpha = '' if row.alpha is None else f'{row.alpha:g}'
        lines.append(
            f'| {row.name} | {row.training} | {alpha} | '
            + ' | '.join(_cell(row, column) for column in columns)
            + ' |'
        )
    return '\n'.join(lines) + '\n'


def _cell(row, column):
    text = tables.number(row.mean(column))
    if row.deviation(column) is not None:
        text += f' ± {row.deviation(column):.4f}'
    mean, deviation = row.published.get(column, (None, None))
    if mean is not None:
        text += f' *{mean:.4f}' + ('' if deviation is None else f' ± {deviation:.4f}') + '*'
    return text.strip()


def _alpha_chart(rows, column, title, path):
    """Accuracy over alpha: lines for features learned without labels, the others as levels."""
    figure, axes = _figure(title)
    colours = matplotlib.colormaps['tab10'].colors
    for number, key in enumerate(dict.fromkeys(row.key for row in rows)):
        for training, dash in ((SELF, '-'), (SUPERVISED, '--'), (OWN, ':')):
            own = [row for row in rows if (row.key, row.training) == (key, training)]
            along = [row for row in own if row.alpha is not None]
            name = f'{own[0].name}, {training}' if own else ''
            for kind, values in (
                ('measured', [(row.alpha, row.mean(column), row.deviation(column)) for row in own]),
                (
                    'published',
                    [(row.alpha, *row.published.get(column, (None, None))) for row in own],
                ),
            ):
                values = [(a, mean, std or 0.0) for a, mean, std in values if mean is not None]
                if not values or (kind == 'published' and not along):
                    continue
                style = {
                    'color': colours[number % 10],
                    'alpha': 1.0 if kind == 'measured' else 0.35,
                }
                if along:
                    axes.errorbar(
                        *zip(*values, strict=True),
                        marker='o',
                        capsize=3,
                        linestyle=dash,
                        label=f'{name}, {kind}',
                        **style,
                    )
                else:
                    axes.axhline(values[0][1], linestyle=dash, label=f'{name}, {kind}', **style)
    axes.set(xlabel='alpha, share of the transfer', ylabel=column, ylim=(0, 1))
    _save(figure, path)


def _rank_chart(rows, columns, title, path):
    figure, axes = _figure(title)
    for number, row in enumerate(rows):
        colour = matplotlib.colormaps['tab10'].colors[number % 10]
        for kind, values in (
            ('measured', [row.mean(column) for column in columns]),
            ('published', [row.published.get(column, (None,))[0] for column in columns]),
        ):
            if values[0] is not None:
                axes.plot(
                    range(len(columns)),
                    values,
                    'o-' if kind == 'measured' else 'x:',
                    color=colour,
                    label=f'{row.name}, {kind}',
                )
    axes.set_xticks(range(len(columns)), columns)
    axes.set(ylabel='share of sounds that find their class', ylim=(0, 1))
    _save(figure, path)


def _figure(title):
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 6.5), layout='constrained')
    axes.set_title(title, fontsize=9, wrap=True)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure, path):
    import matplotlib.pyplot as plt

    figure.legend(loc='outside lower center', ncols=2, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
