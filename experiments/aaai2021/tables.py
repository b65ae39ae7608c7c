"""AAAI 2021's tables: rows of the published CSV files, what fills them, and rows of our own.

A cell has the mean of the seeds, each judged by itself, and the score of their ensemble: the paper
averages the answers of three seeds. The published numbers are those of its data sets, and stand
beside for comparison; ours are of the data that the title names.
"""

import csv
import dataclasses
import json
import pathlib

import matplotlib

from dualcam.evaluation import tagging_scores
from experiments.aaai2021 import presets
from experiments.shared import results, tables

SETS = {'dcase2017': ('dcase17', 'DCASE 2017'), 'dcase2018': ('dcase18', 'DCASE 2018')}
_RANKED = {'mAP': 'mean_average_precision', 'mAUC': 'mean_auc'}
_COUNTED = {'precision': 'precision', 'recall': 'recall', 'F1': 'f1'}
_TITLES = {
    1: 'features',
    2: 'what mutual learning is made of',
    3: 'ways to learn from a teacher',
    4: 'pretrained acoustic features',
    5: 'students with further acoustic features',
    6: 'events told or missed',
}
_NAMES = {
    'standard_backpropagation': 'labels alone',
    'knowledge_distillation': 'knowledge distillation',
    'enhanced_feature': 'enhanced feature',
    'fitnets': 'FitNets',
    'deep_mutual_learning': 'deep mutual learning',
    'proposed_student': 'proposed student',
    'teacher': 'teacher, which sees too (our upper line)',
    'mutual_learning': 'mutual learning',
    'logmel': 'log-mel',
    'logmel+vgg_4096': 'log-mel and VGG-16 (4096)',
    'logmel+vgg_1000': 'log-mel and VGG-16 (1000)',
    'vgg_4096': 'VGG-16 (4096)',
    'vgg_1000': 'VGG-16 (1000)',
    'soundnet': 'SoundNet',
    'vggish': 'VGGish',
    'logmel+soundnet': 'log-mel and SoundNet',
    'logmel+vggish': 'log-mel and VGGish',
    'frames': 'frames',
    'logmel+frames': 'log-mel and frames',
}
_WITHOUT = {
    'mutual_learning': (),
    'without_mutual_learning': ('soft',),
    'without_single_modal_transfer': ('single_modal',),
    'without_cross_modal_transfer': ('cross_modal',),
}
_SOUNDS = {
    'logmel': ('audio',),
    'soundnet': ('soundnet',),
    'vggish': ('vggish',),
    'logmel+soundnet': ('audio', 'soundnet'),
    'logmel+vggish': ('audio', 'vggish'),
}
_FILES = {
    1: 'aaai2021_table1_features.csv',
    2: 'aaai2021_table2_ablation.csv',
    3: 'aaai2021_table3_transfer.csv',
    4: 'aaai2021_table4_pretrained.csv',
    5: 'aaai2021_table5_fusion.csv',
    6: 'aaai2021_table6_dcase17_f1.csv',
}


@dataclasses.dataclass(frozen=True)
class Row(results.Scored):
    """One line of a table.

    Attributes:
        key: in the published file, or a name of our own.
        run: the `aaai_presets.Run` that fills it, or None.
        published: {(column, set): number}, the sets as in `SETS`' values.
        scores: {column: one number a seed}; empty where nothing was measured.
        ensemble: {column: of the seeds' averaged answers}.
        precisions: {class: average precision of the ensemble}.
    """

    key: str
    run: object
    published: dict
    scores: dict = dataclasses.field(default_factory=dict)
    ensemble: dict = dataclasses.field(default_factory=dict)
    precisions: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        """For people."""
        return _NAMES.get(self.key, self.key.replace('_', ' '))


def title(number):
    """What a table is about."""
    return f'AAAI 2021, Table {number}: {_TITLES[number]}'


def columns(number):
    """{column: the `tagging.TaggingScores` attribute} of a table."""
    return _COUNTED if number == 6 else _RANKED


def rows(number, weights):
    """Rows of a table, without scores.

    Args:
        number: of the table.
        weights: an `aaai_runs.Weights`: rows that it does not allow have no run. Of what there
            is to see, Tables 2 - 6 take the best.
    """
    published = _read(number)
    fills = {key: run for key, run in _fills(number, weights.visuals).items() if weights.allow(run)}
    own = [key for key in fills if key not in published]
    return [Row(key, fills.get(key), published.get(key, {})) for key in [*published, *own]]


def _fills(number, visuals):
    """{row: the `Run` that fills it}; rows that are not published come last."""
    visual = visuals[0]
    methods = presets.methods(visual)
    if number == 1:
        shown = {'fc2': 'vgg_4096', 'predictions': 'vgg_1000', 'frames': 'frames'}
        fills = {'logmel': methods['standard_backpropagation']}
        for one in visuals:
            fills[shown[one]] = presets.Run('tagging_visual', visual=one)
            fills[f'logmel+{shown[one]}'] = presets.methods(one)['teacher']
        return fills
    if number == 2:
        whole = methods['proposed_student']
        return {
            key: dataclasses.replace(
                whole, terms=tuple(term for term in whole.terms if term not in left_out)
            )
            for key, left_out in _WITHOUT.items()
        } | {'standard_backpropagation': methods['standard_backpropagation']}
    if number == 3:
        return methods
    if number in (4, 5):
        name = 'standard_backpropagation' if number == 4 else 'proposed_student'
        fills = {key: presets.methods(visual, sound)[name] for key, sound in _SOUNDS.items()}
        return fills | ({'proposed_student': methods['proposed_student']} if number == 4 else {})
    return {key: methods[key] for key in ('proposed_student', 'standard_backpropagation')}


def _read(number):
    """{row: {(column, set): number}} of the published file."""
    found = {}
    with open(tables.PUBLISHED / _FILES[number], newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            key = (
                line.get('method')
                or line.get('strategy')
                or line.get('feature')
                or line['student_feature']
            )
            cells = found.setdefault(key, {})
            for column in columns(number):
                for name, _ in SETS.values():
                    if line.get('dataset') == name:
                        cells[column, name] = float(line[column])
                    elif f'{name}_{column}' in line:
                        cells[column, name] = float(line[f'{name}_{column}'])
                if number == 6:
                    cells[column, 'dcase17'] = float(line[column.lower()]) / 100.0
    return found


def fill(row, number, workshop, seeds):
    """Scores of a row; its runs are trained if need be."""
    if row.run is None:
        return
    answers = []
    for seed in seeds:
        found, probabilities = workshop.scores(row.run, seed)
        answers.append(probabilities)
        for column, attribute in columns(number).items():
            row.scores.setdefault(column, []).append(getattr(found, attribute))
    found = workshop.judge(tagging_scores.ensemble(answers))
    row.precisions.update(found.average_precision)
    if len(seeds) > 1:
        row.ensemble.update(
            {column: getattr(found, attribute) for column, attribute in columns(number).items()}
        )


def write(rows_, number, info, title_, explained, out):
    """Writes <out>/aaai2021_table<number>.{md,csv,json,png} and, of Tables 2 and 3, Figure 4's.

    Args:
        rows_: `Row`s.
        number: of the table.
        info: the data set, whose published numbers stand beside; all, where it has none.
        title_, explained: for people.
        out: folder.

    Returns:
        (the markdown, names of the files).
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names, sets = list(columns(number)), _sets(info, number)
    text = markdown(rows_, names, sets, title_, explained)
    stem = f'aaai2021_table{number}'
    (out / f'{stem}.md').write_text(text, encoding='utf-8')
    with open(out / f'{stem}.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                'row',
                'column',
                'mean',
                'std',
                'seeds',
                'ensemble',
                *(f'published_{name}' for name, _ in sets),
            ]
        )
        for row in rows_:
            for column in names:
                writer.writerow(
                    [
                        row.key,
                        column,
                        tables.number(row.mean(column)),
                        tables.number(row.deviation(column)),
                        len(row.scores.get(column, ())),
                        tables.number(row.ensemble.get(column)),
                        *(tables.number(row.published.get((column, name))) for name, _ in sets),
                    ]
                )
    (out / f'{stem}.json').write_text(
        json.dumps(
            {
                'title': title_,
                'rows': [
                    {
                        'row': row.key,
                        'scores': row.scores,
                        'ensemble': row.ensemble,
                        'average_precision': row.precisions,
                        'published': {
                            f'{name} {column}': value
                            for (column, name), value in row.published.items()
                        },
                    }
                    for row in rows_
                ],
            },
            indent=1,
        )
        + '\n',
        encoding='utf-8',
    )
    _chart(rows_, names[0] if number != 6 else names[-1], sets, title_, out / f'{stem}.png')
    files = [f'{stem}.md', '.csv', '.json', '.png']
    measured = {row.name: row.precisions for row in rows_ if row.precisions}
    if number in (2, 3) and measured:
        tagging_scores.precision_figure(
            measured,
            info.classes,
            'AAAI 2021, Figure 4: average precision of each event',
            title_.partition('. ')[2],
        ).savefig(out / f'{stem}_events.png', dpi=120)
        files.append(f'{stem}_events.png')
    return text, files


def markdown(rows_, names, sets, title_, explained):
    """The table for people."""
    heads = [
        *names,
        *(f'{name}, ensemble' for name in names),
        *(f'{shown}: {name}' for _, shown in sets for name in names),
    ]
    lines = [
        f'# {title_}',
        '',
        explained,
        '',
        '| | ' + ' | '.join(heads) + ' |',
        '|---|' + '---|' * len(heads),
    ]
    for row in rows_:
        cells = [
            tables.number(row.mean(name))
            + (f' ± {row.deviation(name):.4f}' if row.deviation(name) is not None else '')
            for name in names
        ]
        cells += [tables.number(row.ensemble.get(name)) for name in names]
        cells += [
            f'*{row.published[name, key]:.4f}*' if (name, key) in row.published else ''
            for key, _ in sets
            for name in names
        ]
        lines.append(f'| {row.name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _sets(info, number):
    if number == 6:
        return [SETS['dcase2017']]
    return [SETS[info.name]] if info.name in SETS else list(SETS.values())


def _chart(rows_, column, sets, title_, path):
    """Bars of what was measured, marks of what was published."""
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.5 * len(rows_)), layout='constrained')
    places = range(len(rows_))
    axes.barh(
        places,
        [row.mean(column) or 0.0 for row in rows_],
        0.6,
        label='mean of the seeds',
        xerr=[row.deviation(column) or 0.0 for row in rows_],
        capsize=3,
        color='C0',
    )
    marks = [('ensemble of the seeds', 'D', 'C1', [row.ensemble.get(column) for row in rows_])]
    marks += [
        (f'{shown}, published', symbol, '0.35', [row.published.get((column, key)) for row in rows_])
        for (key, shown), symbol in zip(sets, 'x+', strict=False)
    ]
    for label, symbol, colour, values in marks:
        there = [
            (value, place) for value, place in zip(values, places, strict=True) if value is not None
        ]
        if there:
            axes.scatter(
                *zip(*there, strict=True), marker=symbol, color=colour, zorder=3, label=label
            )
    axes.set_yticks(places, [row.name for row in rows_])
    axes.invert_yaxis()
    axes.set(xlabel=column, xlim=(0, 1))
    axes.set_title(title_, fontsize=9, wrap=True)
    axes.grid(axis='x', alpha=0.3)
    figure.legend(loc='outside lower center', ncols=4, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
