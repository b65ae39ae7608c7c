"""Contents of results.html for WACV 2020's tables, gathered from stored runs without training."""

from collections.abc import Sequence

import numpy as np

from experiments.shared import comparison_pages, run_comparisons, workshops
from experiments.wacv2020 import runs, tables


def gather(
    spec: tables.Spec, workshop: workshops.Workshop, seeds: Sequence[int]
) -> comparison_pages.Compared:
    """Curves of all runs; confusions and clips for the widest setting, on its own test.

    Args:
        spec: of the table.
        workshop: in which `tables.fill` has trained and tested all runs.
        seeds: of the runs.
    """
    wanted = {
        train: {column: run for column, (run, _) in columns.items()}
        for train, columns in tables.wanted(spec, workshop).items()
        if columns
    }
    setting = list(wanted)[-1]
    columns = wanted[setting]
    taught = [column for column, run in columns.items() if run.teacher]
    pairs = [pair for column in taught for pair in _pairs(column, columns)]
    counts = {
        column: sum(
            workshop.scores(run, [setting], seed)[setting].confusion(workshop.info.num_classes)
            for seed in seeds
        )
        for column, run in columns.items()
    }
    return comparison_pages.Compared(
        workshop.info.classes,
        f'trained and tested on {setting}',
        seeds,
        [
            comparison_pages.Curves(
                f'trained on {train}',
                run_comparisons.curves(
                    {
                        column: [workshop.folder(run, seed) for seed in seeds]
                        for column, run in runs_of.items()
                    },
                    run_comparisons.VALIDATION_ACCURACY,
                ),
            )
            for train, runs_of in wanted.items()
        ],
        [
            comparison_pages.Difference(a, b, counts[a], counts[b])
            for a, b in pairs or spec.pairs
            if a in counts and b in counts
        ],
        disagreements=[
            _disagreement(column, columns, workshop, setting, seeds[0])
            for column in taught
            if columns[column].teacher in columns.values()
        ],
        curves_note="Of clips as the network takes them; a teacher's may be shorter than a "
        "student's.",
    )


def teacher_predictions(
    workshop: workshops.Workshop, student: runs.Run, test: str, seed: int
) -> np.ndarray:
    """A teacher's predictions for its student's test clips, [clips] int64.

    A clip's logits are the mean of the teacher's logits of its seconds, as in distillation.
    """
    resolved = workshop.resolve(student, seed)
    windows = workshop.source.test_origin(resolved, test).windows
    return workshop.record_logits(resolved.teacher)[windows].mean(axis=1).argmax(axis=-1)


def _pairs(column, columns):
    """(a, b) for a - b: with its teacher minus without, and its teacher minus itself."""
    run = columns[column]
    for other, one in columns.items():
        if one.network == run.network and one.teacher is None:
            yield column, other
    for other, one in columns.items():
        if one == run.teacher:
            yield other, column


def _disagreement(column, columns, workshop, test, seed):
    run = columns[column]
    teacher = next(other for other, one in columns.items() if one == run.teacher)
    origin = workshop.source.test_origin(workshop.resolve(run, seed), test)
    tested = workshop.scores(run, [test], seed)[test]
    taught, classes = teacher_predictions(workshop, run, test, seed), workshop.info.classes

    def clip(number, said):
        return run_comparisons.record_clip(origin, number, classes[tested.labels[number]], said)

    return run_comparisons.disagreement(
        (teacher, column),
        tested.labels,
        (taught, tested.predictions),
        clip,
        classes,
        f'{teacher} predicts a clip by the mean of its logits over the seconds, as used to train '
        'the student.',
    )
