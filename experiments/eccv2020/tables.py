"""ECCV 2020's tables: rows of the published CSV files, filled as far as a preset allows.

A row states which features are evaluated, and how they were learned; a cell has a score per seed
and the published mean and deviation. Our own rows follow: scores of chance, or of an untrained
network.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.eccv2020 import features, presets, runs
from experiments.shared import results

if TYPE_CHECKING:
    from experiments.eccv2020 import targets

Line = tuple[str, str, float | None]  # identifies a line of a table
SELF, SUPERVISED, OWN = 'self-supervised', 'supervised', 'our baseline'
_UNTRAINED = 'HearNet, untrained'

# Features of a row in the published files: (network, part of a pair, display name).
ROWS = {
    'l3_audio': ('l3_audio', features.SOUND, 'L3-Net, audio'),
    'l3_vision': ('l3_audio', features.VISION, 'L3-Net, vision'),
    'hearnet': ('hearnet_eccv', features.SOUND, 'HearNet'),
    'hearnet_transfer': ('hearnet_eccv', features.SOUND, 'HearNet with DualCamNet as teacher'),
    'resnet18': ('resnet18_eccv', features.VISION, 'ResNet-18'),
    'dualcamnet': ('dualcamnet_eccv', features.SOUND, 'DualCamNet'),
    'audio_visual_hearnet': ('hearnet_eccv', features.BOTH, 'HearNet and ResNet-18'),
    'audio_visual_dualcamnet': ('dualcamnet_eccv', features.BOTH, 'DualCamNet and ResNet-18'),
    'l3_correspondence': ('l3_audio', features.PAIRS, 'L3-Net, correspondence of sound and frames'),
}
_FAMILY = {
    'l3_audio': 'l3',
    'l3_vision': 'l3',
    'hearnet_eccv': 'hearnet',
    'resnet18_eccv': 'resnet18',
    'dualcamnet_eccv': 'dualcamnet',
}


@dataclasses.dataclass(frozen=True)
class Spec:
    """The runs behind one line of a table.

    Attributes:
        key: of `ROWS`, or a display name.
        training: `SELF`, `SUPERVISED` or `OWN`.
        alpha: share of the transfer, or None.
        published: {column: {'published': mean, 'published_std': deviation}}.
        note: a few words, if the numbers differ in kind from the other lines.
    """

    key: str
    training: str
    alpha: float | None = None
    published: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    note: str = ''

    @property
    def line(self) -> Line:
        """Features, training and alpha."""
        return self.key, self.training, self.alpha

    @property
    def name(self) -> str:
        """Display name."""
        return ROWS[self.key][2] if self.key in ROWS else self.key

    @property
    def run(self) -> runs.Run:
        """The networks whose features are evaluated."""
        network = ROWS[self.key][0]
        if self.training == SELF:
            return runs.Run(network, runs.PRETEXT, self.alpha or 0.0)
        if self.key == 'l3_vision':
            network = 'l3_vision'
        kind = runs.TAUGHT if self.key == 'hearnet_transfer' else runs.SUPERVISED
        return runs.Run(network, kind)

    def row(self, cells: Mapping[str, results.Cell]) -> results.Row:
        """The row with these cells; the others only have published numbers."""
        alone = {column: results.Cell(beside=of) for column, of in self.published.items()}
        alpha = '' if self.alpha is None else f'{self.alpha:g}'
        return results.Row(
            self.line,
            alone | dict(cells),
            (self.name, self.training, alpha),
            self.note,
        )


def read_specs(
    file_name: str, columns: Mapping[str, tuple[str, str]], unit: float = 1.0
) -> list[Spec]:
    """Lines of a published file.

    Args:
        file_name: in published/, with features, training, alpha, and optionally a note.
        columns: {our column: (its column of means, its column of deviations)}.
        unit: scale of its numbers: 100 for percentages.
    """
    found = []
    for line in results.read_published(file_name):
        published = {}
        for ours, names in columns.items():
            keys = (results.PUBLISHED_KEY, results.PUBLISHED_STD_KEY)
            published[ours] = {
                key: float(line[name]) / unit
                for key, name in zip(keys, names, strict=True)
                if line[name]
            }
        found.append(
            Spec(
                line.get('features') or line['model'],
                line.get('training') or SELF,
                float(line['alpha']) if line.get('alpha') else None,
                published,
                line.get('note') or '',
            )
        )
    return found


def is_wanted(row: Spec, preset: presets.EccvPreset) -> bool:
    """Whether a preset fills a line."""
    return (
        row.key in ROWS
        and _FAMILY[ROWS[row.key][0]] in preset.networks
        and (row.alpha is None or row.alpha in preset.alphas)
    )


def fill(
    specs: Sequence[Spec],
    target: 'targets.Target',
    preset: presets.EccvPreset,
    seeds: Sequence[int],
) -> list[results.Row]:
    """Trains and evaluates the lines of a preset.

    Args:
        specs: lines of the table; our own are `target.baselines`.
        target: on which features are evaluated.
        preset: decides which lines.
        seeds: of the runs.
    """
    rows = target.baselines(seeds)
    for spec in specs:
        tests: dict[str, list[results.Outcome]] = {}
        for seed in seeds if is_wanted(spec, preset) else ():
            for column, outcome in target.score(spec, seed).items():
                tests.setdefault(column, []).append(outcome)
        rows.append(
            spec.row(
                {
                    column: results.of_tests(of_seeds, spec.published.get(column, {}))
                    for column, of_seeds in tests.items()
                }
            )
        )
    return rows


def pairs(rows: Sequence[results.Row]) -> list[tuple[results.Row, results.Row]]:
    """Pairs of rows that the paper compares, (a, b) for a - b.

    Each share of the transfer and alpha 0; without labels and untrained; with DualCamNet as teacher
    and from labels alone; DualCamNet and HearNet.
    """
    by_key = {row.key: row for row in rows}
    wanted = []
    for key, training, alpha in by_key:
        if alpha:
            wanted.append(((key, training, alpha), (key, training, 0.0)))
            if key == 'hearnet':
                wanted.append(((key, training, alpha), (_UNTRAINED, OWN, None)))
    wanted += [
        (('hearnet', SELF, 0.0), (_UNTRAINED, OWN, None)),
        (('hearnet_transfer', SUPERVISED, None), ('hearnet', SUPERVISED, None)),
        (('dualcamnet', SUPERVISED, None), ('hearnet', SUPERVISED, None)),
        (('dualcamnet', SELF, None), ('hearnet', SELF, 0.0)),
        (('dualcamnet', SELF, None), ('hearnet', SELF, None)),
    ]
    return [(by_key[a], by_key[b]) for a, b in wanted if a in by_key and b in by_key]


def label(row: results.Row) -> str:
    """A row's name in comparisons."""
    name, training, alpha = row.shown
    return ', '.join([name, training, *([f'alpha {alpha}'] if alpha else [])])
