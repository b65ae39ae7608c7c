"""AAAI 2021's tables: rows of the published CSV files, the runs for them, and our own rows.

A cell has the mean over seeds, each scored separately, and the score of their ensemble: the paper
averages the predictions of three seeds. Tables 2, 3 and 5 have gains: the mAP of a row minus that
of the same network on the same sound with plain backpropagation, next to the published gains. The
published numbers are for the paper's data sets and shown for comparison; ours are for the data
named in the title.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores, uncertainty
from dualcam.files import atomic
from experiments.aaai2021 import presets, runs
from experiments.shared import results, workshops

SETS = {'dcase2017': ('dcase17', 'DCASE 2017'), 'dcase2018': ('dcase18', 'DCASE 2018')}
_RANKED = {'mAP': 'mean_average_precision', 'mAUC': 'mean_auc'}
_COUNTED = {'precision': 'precision', 'recall': 'recall', 'F1': 'f1'}
_TITLES = {
    1: 'features',
    2: 'components of mutual learning',
    3: 'methods of learning from a teacher',
    4: 'pretrained acoustic features',
    5: 'students with additional acoustic features',
    6: 'events reported or missed',
}
_NAMES = {
    'standard_backpropagation': 'labels alone',
    'knowledge_distillation': 'knowledge distillation',
    'enhanced_feature': 'enhanced feature',
    'fitnets': 'FitNets',
    'deep_mutual_learning': 'deep mutual learning',
    'proposed_student': 'proposed student',
    'teacher': 'teacher alone, with frames (our upper bound)',
    'mutual_teacher': 'teacher of the proposed student, with frames',
    'mutual_learning': 'mutual learning',
    'without_mutual_learning': 'without mutual learning (a trained teacher)',
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
_PROPOSED = ('proposed_student', 'mutual_learning')  # its name in Tables 3 - 6, in Table 2
_WITHOUT = {
    'mutual_learning': (),
    'without_single_modal_transfer': ('single_modal',),
    'without_cross_modal_transfer': ('cross_modal',),
    'without_soft_labels': ('soft',),
}
_GAIN = 'gain'  # over plain backpropagation
_PLAIN = 'standard_backpropagation'
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
class Spec:
    """The run behind one line of a table.

    Attributes:
        key: in the published file, or our own name.
        run: the `presets.Run` that fills it, or None.
        published: {(column, set): number}, the sets as in `SETS`' values.
        plain: the run without a teacher, over which the row's gain is; None for no gain.
        plain_published: {(column, set): number} of it.
        test: name of the test, see `runs.Source`.
        note: a few words, if the row differs from its name.
    """

    key: str
    run: presets.Run | None
    published: Mapping[tuple[str, str], float]
    plain: presets.Run | None = None
    plain_published: Mapping[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    test: str = runs.TEST
    note: str = ''

    @property
    def wanted(self) -> list[tuple[presets.Run, str]]:
        """(run, test) of all its runs."""
        asked = [(self.run, self.test)] if self.run else []
        return [*asked, *([(self.plain, runs.TEST)] if self.run and self.plain else [])]

    @property
    def name(self) -> str:
        """Display name."""
        return _NAMES.get(self.key, self.key.replace('_', ' '))


def title(number: int) -> str:
    """A table's title."""
    return f'AAAI 2021, Table {number}: {_TITLES[number]}'


def columns(number: int) -> dict[str, str]:
    """{column: the `tagging.TaggingScores` attribute} of a table."""
    return _COUNTED if number == 6 else _RANKED


def specs(number: int, weights: runs.Weights) -> list[Spec]:
    """The lines of a table.

    Args:
        number: of the table.
        weights: lines that need missing weights have no run. Tables 2 - 6 use the best available
            visual features.
    """
    published = _read(number)
    fills = {key: run for key, run in _fills(number, weights).items() if weights.allow(run)}
    own = [key for key in fills if key not in published]
    plain = _plain(number, weights.visuals[0])
    plain_published = _read({2: 3, 3: 3, 5: 4}[number]) if plain else {}
    made = []
    for key in [*published, *own]:
        run, plain_key = plain.get(key, (None, ''))
        best = number == 6 and key == 'proposed_student'
        made.append(
            Spec(
                key,
                fills.get(key),
                published.get(key, {}),
                run,
                plain_published.get(plain_key, {}),
                runs.TEACHER_TEST if key == 'mutual_teacher' else runs.TEST,
                'uses log-mel only; the published one also VGGish (--vggish)'
                if best and not weights.vggish
                else '',
            )
        )
    return made


def _plain(number, visual):
    """{row: (the `Run` that its gain refers to, its published name)}; empty without gains."""
    if number in (2, 3):
        rows = [*_fills(number, runs.Weights()), *_read(number)]
        return dict.fromkeys(rows, (presets.methods(visual)[_PLAIN], _PLAIN))
    if number == 5:
        return {
            key: (presets.methods(visual, sound)[_PLAIN], key) for key, sound in _SOUNDS.items()
        }
    return {}


def _fills(number, weights):
    """{row: its `Run`}; unpublished rows come last."""
    visuals = weights.visuals
    visual = visuals[0]
    methods = presets.methods(visual)
    if number == 1:
        shown = {'fc2': 'vgg_4096', 'predictions': 'vgg_1000', 'frames': 'frames'}
        fills = {'logmel': methods[_PLAIN]}
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
        } | {
            'without_mutual_learning': dataclasses.replace(
                whole, method='taught', teacher=methods['teacher']
            ),
            'mutual_teacher': whole,
            _PLAIN: methods[_PLAIN],
        }
    if number == 3:
        return methods | {'mutual_teacher': methods['proposed_student']}
    if number in (4, 5):
        name = _PLAIN if number == 4 else 'proposed_student'
        fills = {key: presets.methods(visual, sound)[name] for key, sound in _SOUNDS.items()}
        return fills | ({'proposed_student': methods['proposed_student']} if number == 4 else {})
    best = presets.methods(visual, ('audio', 'vggish') if weights.vggish else ('audio',))
    return {'proposed_student': best['proposed_student'], _PLAIN: methods[_PLAIN]}


def _read(number):
    """{row: {(column, set): number}} of the published file."""
    found = {}
    for line in results.read_published(_FILES[number]):
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


def fill(
    lines: Sequence[Spec], number: int, workshop: workshops.Workshop, seeds: Sequence[int]
) -> tuple[list[results.Row], dict[str, dict[str, float | None]]]:
    """Trains and tests all missing runs.

    Args:
        lines: of the table.
        number: of the table.
        workshop: with the runs.
        seeds: of the runs.

    Returns:
        (the rows, {row's name: {class: average precision of the seeds' averaged predictions}} of
        measured rows).
    """
    rows, precisions, source = [], {}, workshop.source
    for line in lines:
        published = {}
        for (column, name), value in line.published.items():
            published.setdefault(column, {})[f'{results.PUBLISHED_KEY}_{name}'] = value
        cells = {column: results.Cell(beside=numbers) for column, numbers in published.items()}
        if line.run is not None:
            probabilities = _probabilities(workshop, line.run, line.test, seeds)
            together = source.judge(tagging_scores.ensemble(probabilities))
            precisions[line.name] = together.average_precision
            for column, attribute in columns(number).items():
                beside = published.get(column, {})
                if len(seeds) > 1:
                    beside = {'ensemble': getattr(together, attribute)} | beside
                test = uncertainty.Tagging(
                    source.labels, probabilities, column, tagging_scores.THRESHOLD
                )
                cells[column] = results.measured([test], len(source.labels), beside)
        if line.plain is not None:
            cells['mAP'] = _with_gain(cells['mAP'], line, workshop, seeds)
        rows.append(results.Row((line.key,), cells, (line.name,), line.note))
    return rows, precisions


def _probabilities(workshop, run, test, seeds):
    """Probabilities of the test clips' events, [seeds, clips, classes]."""
    return np.stack([workshop.scores(run, [test], seed)[test].probabilities for seed in seeds])


def _with_gain(cell, line, workshop, seeds):
    """The cell for mAP, with its measured and published gains."""
    gains = {
        f'{results.PUBLISHED_KEY}_{_GAIN}_{name}': value - line.plain_published[column, name]
        for (column, name), value in line.published.items()
        if column == 'mAP' and (column, name) in line.plain_published
    }
    if line.run is not None:
        plain = _probabilities(workshop, line.plain, runs.TEST, seeds)
        alone = [workshop.source.judge(one).mean_average_precision for one in plain]
        gains = {_GAIN: float(np.mean(cell.scores) - np.mean(alone))} | gains
    return dataclasses.replace(cell, beside={**cell.beside, **gains})


def pairs(rows: Sequence[results.Row]) -> list[tuple[results.Row, results.Row]]:
    """Pairs of rows that the paper compares: the proposed student and every other row.

    If all rows use one method (Tables 1 and 5): each row and the first one.
    """
    proposed = [row for row in rows if row.key[0] in _PROPOSED]
    if proposed:
        return [(proposed[0], row) for row in rows if row is not proposed[0]]
    return [(row, rows[0]) for row in rows[1:]]


def table(
    number: int,
    rows: Sequence[results.Row],
    info: datasets.DatasetInfo,
    note: str,
    explained: str,
    extra: Mapping[str, Any],
) -> results.Table:
    """The whole table.

    Args:
        number: of the table.
        rows: see `fill`.
        info: the data set, whose published numbers are shown; all, if it has none.
        note: describes the data.
        explained: meaning of the numbers.
        extra: additional entries of the JSON.
    """
    names = tuple(columns(number))
    return results.Table(
        f'aaai2021_table{number}',
        f'{title(number)}. {note}',
        explained,
        ('row',),
        names,
        rows,
        results.compare_rows(pairs(rows), names, info.name, info.name),
        measure='mean',
        beside=[(f'{name}, ensemble', name, 'ensemble') for name in names]
        + [
            (f'{shown}: {name}', name, f'{results.PUBLISHED_KEY}_{key}')
            for key, shown in _sets(info, number)
            for name in names
        ]
        + (_gain_columns(info, number) if number in (2, 3, 5) else []),
        extra=extra,
    )


def write_events(
    precisions: Mapping[str, Mapping[str, float | None]],
    classes: Sequence[str],
    note: str,
    path: pathlib.Path,
) -> None:
    """Figure 4: each event's average precision, method by method."""
    figure = tagging_scores.precision_figure(
        precisions, classes, 'AAAI 2021, Figure 4: average precision of each event', note
    )
    with atomic.writing_file(path, path.suffix) as partial:
        figure.savefig(partial, dpi=120)


def _gain_columns(info, number):
    shown = [('mAP, gain', 'mAP', _GAIN)]
    return shown + [
        (f'{name}: mAP, gain', 'mAP', f'{results.PUBLISHED_KEY}_{_GAIN}_{key}')
        for key, name in _sets(info, number)
    ]


def _sets(info, number):
    if number == 6:
        return [SETS['dcase2017']]
    return [SETS[info.name]] if info.name in SETS else list(SETS.values())
