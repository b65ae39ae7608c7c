"""Scores of predictions with several labels per clip (AAAI 2021, section on experiments).

Mean average precision and mean area under the ROC curve are based on each class's ranking of the
clips, in which predictions that differ only by rounding are equal (`ties.py`); precision, recall
and F1 count predictions above a threshold, all classes together. A class that is in no clip has no
precision, one that is in every clip no ROC curve: such classes are left out of the means, and
reported.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn.metrics
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

from dualcam.evaluation import ties

THRESHOLD = 0.25  # of probabilities (AAAI 2021's, for DCASE 2017)
_INCHES_PER_CLASS, _BARS = 0.62, 0.8


@dataclasses.dataclass(frozen=True)
class TaggingScores:
    """Results of `evaluate`, from 0 to 1.

    Attributes:
        mean_average_precision, mean_auc: over the classes that have one.
        precision, recall, f1: micro-averaged, at the threshold.
        average_precision, auc: {class: value or None}.
        left_out: {class: why it is missing from one of the means}.
        num_clips: number of clips evaluated.
    """

    mean_average_precision: float
    mean_auc: float
    precision: float
    recall: float
    f1: float
    average_precision: dict
    auc: dict
    left_out: dict
    num_clips: int


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    threshold: float = THRESHOLD,
) -> TaggingScores:
    """All scores of a network, or of an ensemble.

    Args:
        labels: [clips, classes], 0 or 1.
        probabilities: [clips, classes].
        classes: names.
        threshold: lowest probability of a reported event.

    Returns:
        `TaggingScores`.

    Raises:
        ValueError: the shapes do not match, a label is not 0 or 1, or no class has both
            clips with and without it.
    """
    labels, probabilities = _checked(labels, probabilities)
    if labels.shape[1] != len(classes):
        raise ValueError(
            f'labels of shape {labels.shape} for {len(classes)} classes; expected '
            f'[clips, {len(classes)}]'
        )
    precisions = average_precisions(labels, probabilities)
    areas = _of_classes(
        sklearn.metrics.roc_auc_score,
        labels,
        probabilities,
        labels.any(axis=0) & ~labels.all(axis=0),
    )
    if np.isnan(areas).all():
        raise ValueError(
            f'{len(labels)} clips, but no class is present in some and absent in others; expected '
            'clips with and without an event'
        )
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        labels, probabilities >= threshold, average='micro', zero_division=0
    )
    left_out = {
        name: 'in every clip' if there else 'in no clip'
        for name, area, there in zip(classes, areas, labels.any(axis=0), strict=True)
        if np.isnan(area)
    }
    return TaggingScores(
        float(np.nanmean(precisions)),
        float(np.nanmean(areas)),
        float(precision),
        float(recall),
        float(f1),
        _by_name(classes, precisions),
        _by_name(classes, areas),
        left_out,
        len(labels),
    )


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over classes of `average_precisions`.

    Raises:
        ValueError: no clip has an event.
    """
    precisions = average_precisions(labels, scores)
    if np.isnan(precisions).all():
        raise ValueError(
            f'{len(precisions)} classes, none of which is in any clip; expected clips with events'
        )
    return float(np.nanmean(precisions))


def average_precisions(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of each class's ranking of the clips.

    Args:
        labels: [clips, classes], 0 or 1.
        scores: [clips, classes], probabilities or logits: only their order matters.

    Returns:
        [classes] float64; NaN for a class without clips.
    """
    labels, scores = _checked(labels, scores)
    return _of_classes(sklearn.metrics.average_precision_score, labels, scores, labels.any(axis=0))


def ensemble(answers: Sequence[np.ndarray]) -> np.ndarray:
    """Averages the probabilities of several runs of a network.

    Args:
        answers: [runs] of [clips, classes].

    Returns:
        [clips, classes] float64.

    Raises:
        ValueError: their shapes differ, or there are none.
    """
    shapes = {np.shape(one) for one in answers}
    if len(shapes) != 1:
        raise ValueError(
            f'predictions of shapes {sorted(shapes)}; expected one shape, that of the '
            'same clips and classes'
        )
    return functools.reduce(np.add, (np.asarray(one, np.float64) for one in answers)) / len(answers)


def precision_figure(
    precisions: Mapping[str, Any], classes: Sequence[str], title: str, note: str = ''
) -> Figure:
    """Average precision of each class as bars grouped by method (AAAI 2021, Figure 4).

    Args:
        precisions: {method: [classes], or {class: value}}; None or NaN leaves a gap.
        classes: names in order.
        title: of the figure.
        note: small line below the title, such as a description of the data.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = Figure(
        figsize=(max(6.5, 1.5 + _INCHES_PER_CLASS * len(classes)), 4.6), layout='constrained'
    )
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = _BARS / len(precisions)
    places = np.arange(len(classes))
    for number, (method, values) in enumerate(precisions.items()):
        if isinstance(values, dict):
            values = [values[name] for name in classes]
        values = np.array(values, np.float64)  # None becomes NaN
        mean = np.nanmean(values) if not np.isnan(values).all() else np.nan
        axes.bar(
            places + (number + 0.5) * width - _BARS / 2,
            np.nan_to_num(values),
            0.92 * width,
            label=f'{method} (mean {mean:.3f})',
            color=f'C{number}',
            zorder=2,
        )
    axes.set_xticks(places, classes, rotation=35, ha='right', rotation_mode='anchor')
    axes.set(ylabel='average precision', ylim=(0.0, 1.0), xlim=(-0.6, len(classes) - 0.4))
    axes.grid(axis='y', color='0.88', linewidth=0.6, zorder=0)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    figure.suptitle(title, fontsize=11.5)
    axes.set_title(note, fontsize=8, color='0.35', wrap=True)
    figure.legend(
        loc='outside lower center', ncols=min(2, len(precisions)), frameon=False, fontsize=8
    )
    return figure


def _checked(labels, scores):
    """Labels as [clips, classes] bool, and scores of the same shape, checked."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.ndim != 2 or labels.shape != scores.shape or not labels.size:
        raise ValueError(
            f'labels of shape {labels.shape}, predictions of shape {scores.shape}; '
            'expected [clips, classes] for both'
        )
    if not np.isin(labels, (0, 1)).all():
        wrong = labels[~np.isin(labels, (0, 1))][0]
        raise ValueError(f'a label {wrong}; expected 0 or 1 for each class')
    return labels.astype(bool), scores


def _of_classes(score, labels, scores, chosen):
    """A score for each chosen class, NaN for the rest, [classes] float64."""
    scores = ties.merged_predictions(scores.T)
    return np.array(
        [
            score(labels[:, number], scores[number]) if there else np.nan
            for number, there in enumerate(chosen)
        ]
    )


def _by_name(classes, values):
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(classes, values, strict=True)
    }
