"""Contents of results.html for AAAI 2021's tables, gathered from stored runs without training."""

import functools
import os
from collections.abc import Mapping, Sequence

import numpy as np

from dualcam.data import schema
from dualcam.data.clips import tagged_clips
from dualcam.evaluation import tagging_scores
from dualcam.reports import overlays
from experiments.aaai2021 import runs, tables
from experiments.shared import comparison_pages, results, run_comparisons, workshops

_MOST_PAIRS = 3  # pairs whose clips are shown
# Pairs whose clips come first, such as the proposed student and its own teacher.
_FIRST = ('mutual_teacher', 'standard_backpropagation', 'teacher')
_MAP = 'validation/mAP'


def gather(
    number: int,
    lines: Sequence[tables.Spec],
    rows: Sequence[results.Row],
    precisions: Mapping[str, Mapping[str, float | None]],
    workshop: workshops.Workshop,
    seeds: Sequence[int],
) -> comparison_pages.Compared:
    """Curves of all runs; for the table's pairs, differences by event, and clips of some.

    Args:
        number: of the table.
        lines: of the table.
        rows, precisions: results of `tables.fill`.
        workshop: that trained and tested the runs.
        seeds: of the runs.
    """
    filled = {line.key: line for line in lines if line.run is not None}
    pairs = [
        (filled[a.key[0]], filled[b.key[0]])
        for a, b in tables.pairs(rows)
        if {a.key[0], b.key[0]} <= set(filled)
    ]
    shown = sorted(
        pairs,
        key=lambda pair: _FIRST.index(pair[1].key) if pair[1].key in _FIRST else len(_FIRST),
    )
    curves = run_comparisons.curves(
        {
            line.name: [workshop.folder(line.run, seed) for seed in seeds]
            for line in filled.values()
            if line.test == runs.TEST  # a mutual run's teacher has no curve of its own
        },
        _MAP,
    )
    return comparison_pages.Compared(
        workshop.info.classes,
        f'test clips of {workshop.info.name}',
        seeds,
        [comparison_pages.Curves(tables.title(number), curves, 'mean average precision')],
        class_differences=[
            comparison_pages.ClassDifference(a.name, b.name, precisions[a.name], precisions[b.name])
            for a, b in pairs
        ],
        disagreements=[_disagreement(a, b, workshop, seeds[0]) for a, b in shown[:_MOST_PAIRS]],
        curves_heading='mAP of the validation clips during training',
        class_score="average precision of the seeds' averaged predictions",
    )


def _disagreement(a, b, workshop, seed):
    source, classes = workshop.source, workshop.info.classes
    origin = tagged_clips.TaggedOrigin(source.store, source.rows['testing'])
    named = functools.partial(_events, classes=classes)
    labels = named(source.labels > 0)
    root = os.path.commonpath(source.store.paths)

    def clip(number, said):
        return comparison_pages.Clip(
            run_comparisons.below(origin.records(number)[0], root),
            labels[number],
            said,
            origin.picture(number, overlays.SIZE),
            origin.waveform(number),
            schema.CLIP_RATE_HZ,
        )

    return run_comparisons.disagreement(
        (a.name, b.name),
        labels,
        tuple(
            named(
                workshop.scores(line.run, [line.test], seed)[line.test].probabilities
                >= tagging_scores.THRESHOLD
            )
            for line in (a, b)
        ),
        clip,
        note=f'Events with a probability of at least {tagging_scores.THRESHOLD:g} are '
        'predicted; a clip is right if exactly its events are predicted.',
        pictured='the middle frame',
    )


def _events(there, classes):
    """Names of the events of clips, [clips] strings, from [clips, classes] bool."""
    return np.array([', '.join(classes[i] for i in np.flatnonzero(row)) or 'none' for row in there])
