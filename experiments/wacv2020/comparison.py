"""What results.html shows of a table's runs: gathered from what they stored, nothing is trained."""

import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from dualcam.data import schema
from dualcam.reports import samples
from dualcam.training import run_folder
from experiments.shared import comparison_pages, workshops
from experiments.wacv2020 import runs, tables

NUM_CLIPS = 6  # shown of each pair


def gather(
    spec: tables.Spec, workshop: workshops.Workshop, seeds: Sequence[int]
) -> comparison_pages.Compared:
    """Curves of all runs; confusions and clips of those on the widest setting, in its own test.

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
            comparison_pages.Curves(train, _curves(runs_of, workshop, seeds))
            for train, runs_of in wanted.items()
        ],
        [
            comparison_pages.Difference(a, b, counts[a], counts[b])
            for a, b in pairs or spec.pairs
            if a in counts and b in counts
        ],
        [
            _disagreement(column, columns, workshop, setting, seeds[0])
            for column in taught
            if columns[column].teacher in columns.values()
        ],
    )


def teacher_predictions(
    workshop: workshops.Workshop, student: runs.Run, test: str, seed: int
) -> np.ndarray:
    """What a student's teacher says of the student's test clips, [clips] int64.

    A clip's logits are the mean of the teacher's logits of its seconds, as they taught the student.
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


def _curves(columns, workshop, seeds):
    found = {}
    for column, run in columns.items():
        of_seeds = [_accuracies(workshop.folder(run, seed)) for seed in seeds]
        if all(of_seeds):
            found[column] = np.mean(of_seeds, axis=0).tolist()
    return found


def _accuracies(folder):
    saved = json.loads((folder / run_folder.METRICS_FILE).read_text(encoding='utf-8'))
    return [record['validation/accuracy'] for record in saved['history']]


def _disagreement(column, columns, workshop, test, seed):
    run = columns[column]
    teacher = next(other for other, one in columns.items() if one == run.teacher)
    origin = workshop.source.test_origin(workshop.resolve(run, seed), test)
    tested = workshop.scores(run, [test], seed)[test]
    taught = teacher_predictions(workshop, run, test, seed)
    kinds = {
        f'{teacher} alone is right': taught == tested.labels,
        f'{column} alone is right': tested.right,
        'both are wrong': (taught != tested.labels) & ~tested.right,
    }
    numbers = {
        who: np.flatnonzero((taught != tested.predictions) & there) for who, there in kinds.items()
    }
    classes, root = workshop.info.classes, os.path.commonpath(workshop.store.paths)
    return comparison_pages.Disagreement(
        teacher,
        column,
        len(taught),
        {who: len(found) for who, found in numbers.items()},
        [
            comparison_pages.Clip(
                _named(origin.records(number)[0], root),
                classes[tested.labels[number]],
                {
                    teacher: classes[taught[number]],
                    column: classes[tested.predictions[number]],
                },
                _picture(origin, number),
                origin.waveform(number),
            )
            for number in _chosen(list(numbers.values()), tested.labels)
        ],
    )


def _chosen(kinds, labels):
    """Up to `NUM_CLIPS` numbers, of each kind in turn, each of a class that was seldom chosen."""
    left, chosen = [list(found) for found in kinds], []
    while any(left) and len(chosen) < NUM_CLIPS:
        for found in filter(None, left):
            seen = [labels[number] for number in chosen]
            rarest = min(found, key=lambda number: (seen.count(labels[number]), number))
            found.remove(rarest)
            chosen.append(rarest)
    return chosen[:NUM_CLIPS]


def _named(path, root):
    return pathlib.PurePath(os.path.relpath(path, root)).with_suffix('').as_posix()


def _picture(origin, number):
    shown = samples.overlay(origin, number)
    if shown is None:  # no acoustic images
        shown = origin.picture(number, origin.seconds * schema.FRAMES_PER_SECOND // 2)
    return shown
