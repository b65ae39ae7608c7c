"""Scores for several labels per clip: known results, and independent NumPy."""

import dataclasses
import json

import numpy as np
import pytest

from dualcam.evaluation import tagging_scores
from dualcam.reports import figures

pytestmark = pytest.mark.numeric


def average_precision(labels, scores):
    """Mean, over the class's clips, of the precision among clips ranked at least as high."""
    return np.mean([labels[scores >= scores[clip]].mean() for clip in np.flatnonzero(labels)])


def area(labels, scores):
    """Probability that a clip of the class is ranked above another clip; ties count half."""
    difference = scores[labels == 1][:, None] - scores[labels == 0]
    return np.mean((difference > 0) + 0.5 * (difference == 0))


@pytest.fixture
def answers(rng):
    """60 clips, 5 classes; no clip has the fourth class, all have the fifth; scores with ties."""
    labels = (rng.random((60, 5)) < (0.1, 0.3, 0.6, 0.0, 1.0)).astype(np.float32)
    scores = np.clip(0.3 * labels + 0.8 * rng.random((60, 5)), 0, 1).round(2)
    return labels, scores


NAMES = ('bus', 'car', 'train', 'horn', 'noise')


def test_scores_equal_numpy(answers):
    labels, scores = answers
    found = tagging_scores.evaluate(labels, scores, NAMES)
    want = [average_precision(labels[:, c], scores[:, c]) for c in (0, 1, 2, 4)]
    assert want[3] == 1.0
    areas = [area(labels[:, c], scores[:, c]) for c in (0, 1, 2)]
    said = scores >= 0.25
    hits = (said & (labels == 1)).sum()
    precision, recall = hits / said.sum(), hits / labels.sum()
    assert found.mean_average_precision == pytest.approx(np.mean(want))
    assert found.mean_auc == pytest.approx(np.mean(areas))
    assert (found.precision, found.recall) == pytest.approx((precision, recall))
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert found.average_precision == pytest.approx(
        dict(zip(('bus', 'car', 'train', 'noise'), want, strict=True)) | {'horn': None}
    )
    assert found.auc == pytest.approx(
        dict(zip(NAMES, areas, strict=False)) | {'horn': None, 'noise': None}
    )
    assert found.left_out == {'horn': 'in no clip', 'noise': 'in every clip'}
    assert found.num_clips == 60
    assert tagging_scores.mean_average_precision(labels, scores) == found.mean_average_precision
    assert json.loads(json.dumps(dataclasses.asdict(found)))['left_out']['horn'] == 'in no clip'


def test_ranks_do_not_ask_for_probabilities(answers, rng):
    labels, _ = answers
    logits = rng.standard_normal(labels.shape)
    assert tagging_scores.mean_average_precision(labels, logits) == pytest.approx(
        tagging_scores.mean_average_precision(labels, 1 / (1 + np.exp(-logits)))
    )


def test_ranks_are_not_taken_of_rounding(answers, rng):
    """Mathematically equal predictions tie, whatever their last bits."""
    labels, scores = answers
    scores = scores.astype(np.float32)
    want = tagging_scores.evaluate(labels, scores, NAMES)
    for _ in range(3):
        moved = np.where(
            rng.integers(0, 2, scores.shape), np.nextafter(scores, np.float32(2)), scores
        )
        assert tagging_scores.evaluate(labels, moved, NAMES) == want
    apart = tagging_scores.evaluate(labels, scores * (1 + 1e-4 * labels), NAMES)
    assert apart.mean_average_precision > want.mean_average_precision


def test_the_threshold_counts_from_itself_on():
    labels = np.array([[1, 0], [0, 1]])
    scores = np.array([[0.25, 0.2], [0.1, 0.2]])
    found = tagging_scores.evaluate(labels, scores, ('a', 'b'))
    assert (found.precision, found.recall) == (1.0, 0.5)
    silent = tagging_scores.evaluate(labels, scores, ('a', 'b'), threshold=0.9)
    assert (silent.precision, silent.recall, silent.f1) == (0.0, 0.0, 0.0)
    best = tagging_scores.evaluate(labels, labels.astype(float), ('a', 'b'))
    assert (best.mean_average_precision, best.mean_auc, best.f1) == (1.0, 1.0, 1.0)
    assert best.left_out == {}


def test_what_cannot_be_scored_is_refused(answers):
    labels, scores = answers
    with pytest.raises(
        ValueError, match='60 clips, but no class is present in some and absent in others'
    ):
        tagging_scores.evaluate(labels[:, 3:], scores[:, 3:], NAMES[3:])
    with pytest.raises(ValueError, match='2 classes, none of which is in any clip'):
        tagging_scores.mean_average_precision(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r'labels of shape \(60, 5\) for 4 classes'):
        tagging_scores.evaluate(labels, scores, NAMES[:4])
    with pytest.raises(ValueError, match=r'predictions of shape \(60, 4\)'):
        tagging_scores.evaluate(labels, scores[:, :4], NAMES)
    with pytest.raises(ValueError, match=r'a label 0\.5; expected 0 or 1'):
        tagging_scores.evaluate(labels * 0.5, scores, NAMES)


def test_an_ensemble_averages_probabilities(answers, rng):
    labels, _ = answers
    runs = [
        np.clip(labels + rng.standard_normal(labels.shape), 0, 1).astype(np.float32)
        for _ in range(3)
    ]
    together = tagging_scores.ensemble(runs)
    np.testing.assert_allclose(together, sum(run.astype(np.float64) for run in runs) / 3)
    assert tagging_scores.mean_average_precision(labels, together) > np.mean(
        [tagging_scores.mean_average_precision(labels, run) for run in runs]
    )
    for wrong in ([], [runs[0], runs[1][:5]]):
        with pytest.raises(ValueError, match='expected one shape'):
            tagging_scores.ensemble(wrong)


def test_the_chart_has_a_bar_for_each_class_and_method():
    figure = tagging_scores.precision_figure(
        {'plain': [0.5, 0.25, 0.9, None, 1.0], 'mutual': dict.fromkeys(NAMES, 0.75)},
        NAMES,
        'Average precision',
        'made up',
    )
    (axes,) = figure.axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [[0.5, 0.25, 0.9, 0.0, 1.0], [0.75] * 5]
    lefts = [[bar.get_x() for bar in bars] for bars in axes.containers]
    assert all(a < b < c for a, b, c in zip(*lefts, lefts[0][1:], strict=False))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        'plain (mean 0.662)',
        'mutual (mean 0.750)',
    ]
    assert axes.get_title() == 'made up' and figure.get_suptitle() == 'Average precision'
    assert figures.pixels(figure).std() > 10
