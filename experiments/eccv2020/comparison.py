"""Contents of results.html for ECCV 2020's tables, from stored runs and the target's scores."""

from collections.abc import Sequence

from experiments.eccv2020 import tables, targets
from experiments.shared import comparison_pages, results, run_comparisons, workshops

_LOSSES = (
    'Losses are for validation clips, the sum of all terms: those with an alpha include the '
    'transfer, so they only compare with each other.'
)


def gather(
    specs: Sequence[tables.Spec],
    rows: Sequence[results.Row],
    target: targets.Target,
    workshop: workshops.Workshop,
    seeds: Sequence[int],
) -> comparison_pages.Compared:
    """Curves of all runs; confusion matrices of the table's pairs of lines if its target predicts
    classes (not in Table 1, retrieval), and clips if it consists of records (Tables 2 and 3).

    Args:
        specs: lines of the table.
        rows: from `tables.fill`.
        target: with its predictions.
        workshop: that trained the runs.
        seeds: of the runs.
    """
    measured = {row.key for row in rows if any(cell.scores for cell in row.cells.values())}
    pairs = [
        (a, b)
        for a, b in tables.pairs(rows)
        if all((row.key, seed) in target.confusions for row in (a, b) for seed in seeds)
    ]
    disagreements = []
    if isinstance(target, targets.Records):  # sound files are scored split by split
        disagreements = [_disagreement(a, b, target, seeds[0]) for a, b in pairs]
    return comparison_pages.Compared(
        target.classes,
        f'tested on {target.name}',
        seeds,
        _curves([spec for spec in specs if spec.line in measured], workshop, seeds),
        [_difference(a, b, target, seeds) for a, b in pairs],
        disagreements=disagreements,
        curves_heading='During training',
        curves_note=_LOSSES,
    )


def _curves(specs, workshop, seeds):
    """Accuracies of runs with labels, losses of runs without."""
    folders = {}
    for spec in specs:
        name = _pair_name(spec.run) if spec.training == tables.SELF else spec.name
        folders.setdefault(spec.training, {})[name] = [
            workshop.folder(spec.run, seed) for seed in seeds
        ]
    return [
        comparison_pages.Curves(
            'accuracy, from labels',
            run_comparisons.curves(
                folders.get(tables.SUPERVISED, {}), run_comparisons.VALIDATION_ACCURACY
            ),
        ),
        comparison_pages.Curves(
            'loss, without labels',
            run_comparisons.curves(folders.get(tables.SELF, {}), run_comparisons.VALIDATION_LOSS),
            'no unit',
            None,
        ),
    ]


def _pair_name(run):
    """Name of a line's part of a run without labels: one network, the other, or both."""
    sound = next(name for network, _, name in tables.ROWS.values() if network == run.network)
    name = sound.partition(',')[0]
    return f'{name}, alpha {run.alpha:g}' if run.alpha else name


def _difference(a, b, target, seeds):
    return comparison_pages.Difference(
        tables.label(a),
        tables.label(b),
        *(sum(target.confusions[row.key, seed] for seed in seeds) for row in (a, b)),
    )


def _disagreement(a, b, target, seed):
    origin, classes = target.test_origin(), target.classes
    labels = origin.columns['label']

    def clip(number, said):
        return run_comparisons.record_clip(origin, number, classes[labels[number]], said)

    return run_comparisons.disagreement(
        (tables.label(a), tables.label(b)),
        labels,
        tuple(target.predictions[row.key, seed] for row in (a, b)),
        clip,
        classes,
    )
