"""Confusion matrices: correct counts, their pictures, the tables' runs."""

import numpy as np
import pytest

from dualcam.evaluation import metrics, uncertainty
from dualcam.reports import figures
from experiments import run_confusion, run_table1, run_table2, run_table3
from experiments.shared import confusion, results
from experiments.wacv2020 import runs


def test_counts_are_those_of_a_plain_loop(rng):
    labels, answers = rng.integers(0, 5, (2, 200))  # the sixth class never occurs
    expected = np.zeros((6, 6), int)
    for label, answer in zip(labels, answers, strict=True):
        expected[label, answer] += 1
    counts = metrics.confusion(labels, answers, 6)
    np.testing.assert_array_equal(counts, expected)
    logits = np.eye(6)[answers]
    assert np.trace(counts) / counts.sum() == pytest.approx(metrics.accuracy(labels, logits))


def test_cross_entropy_is_that_of_the_definition(rng):
    labels, logits = rng.integers(0, 4, 50), 3.0 * rng.normal(size=(50, 4))
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.mean([-np.log(share[label]) for share, label in zip(shares, labels, strict=True)])
    assert metrics.cross_entropy(labels, logits) == pytest.approx(expected, rel=1e-12)
    assert metrics.cross_entropy([0], [[0.0, 1000.0]]) == pytest.approx(1000.0)


def test_shares_of_a_class_without_clips_are_zero():
    shares = figures.row_shares([[3, 1], [0, 0]])
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [0.0, 0.0]])


def test_a_figure_has_every_count_name_and_the_accuracy(rng):
    counts = rng.integers(0, 30, (14, 14))
    names = [f'action {i}' for i in range(14)]
    figure = figures.confusion_figure(counts, names, 'HearNet', 'simulated')
    axes = figure.axes[0]
    cells = {
        tuple(map(round, t.get_position()[::-1])): t.get_text()
        for t in axes.texts
        if t.get_text() != 'simulated'
    }
    assert cells == {(r, c): str(counts[r, c]) for r in range(14) for c in range(14)}
    assert [t.get_text() for t in axes.get_xticklabels()] == names
    assert [t.get_text() for t in axes.get_yticklabels()] == names
    share = np.trace(counts) / counts.sum()
    assert axes.get_title() == f'HearNet\naccuracy {share:.4f}, {counts.sum()} clips'
    picture = figures.pixels(figure)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and picture.std() > 10
    # Without clips there is no accuracy.
    empty = figures.confusion_figure(np.zeros((2, 2), int), 'ab', 'empty')
    assert empty.axes[0].get_title() == 'empty\n0 clips'
    # A title wider than the figure of a few classes leaves room for them.
    wide = figures.confusion_figure(np.eye(2, dtype=int), 'ab', 'long title ' * 12, 'note ' * 50)
    assert figures.pixels(wide).std() > 10
    assert wide.axes[0].get_window_extent().width > 100
    with pytest.raises(ValueError, match='for 3 class names'):
        figures.confusion_figure(counts, names[:3], 'wrong')


def test_the_wanted_matrices_have_files_of_their_own_and_runs_of_the_tables():
    names = [confusion.name(run, test) for _, run, test in run_confusion.matrices()]
    assert len(set(names)) == len(names)
    assert 'hearnet-D-all-test_all' in names and 'oursoundnet-G-all-test_all' in names
    assert {name.split('-')[0] for name in names} == {
        'dualcamnet',
        'resnet50',
        'temporal_resnet50',
        'avnet',
        'hearnet',
        'oursoundnet',
    }
    assert {f'resnet50-hard-{s}-test_{s}' for s in runs.SCENARIOS} < set(names)
    of_tables = {
        run
        for table in (run_table1, run_table2, run_table3)
        for setting in runs.SETTINGS
        for run in table.table().columns(setting).values()
    }
    assert {run for _, run, _ in run_confusion.matrices()} <= of_tables


def test_seeds_are_summed():
    takes = ['a', 'b', 'c', 'd']
    test = uncertainty.Accuracy([([1, 1, 1, 0], takes), ([0, 0, 1, 1], takes)])
    matrix = confusion.Matrix('HearNet', 'hearnet', np.array([[3, 1], [2, 2]]), test)
    assert matrix.num_clips == 4
    text = results.markdown(confusion.table([matrix], 'note', {}))
    assert (
        '| HearNet | 0.6250 ± 0.1768 [0.000, 1.000] (4 / 4) | [picture](hearnet.png), '
        '[counts](hearnet.csv) |' in text
    )
    assert '![HearNet](hearnet.png)' in text


def test_a_bad_flag_is_one_line(tmp_path, program):
    for flag, message in (
        ('--seeds=one', '--seeds=one: expected whole numbers'),
        ('--preset=huge', "preset 'huge': expected one of"),
        ('--seeds=0', 'no such folder'),
    ):
        code, _, errors = program(
            'experiments/run_confusion.py', f'--records={tmp_path}/none', f'--out={tmp_path}', flag
        )
        assert code == 1 and message in errors
        assert len(errors.strip().splitlines()) == 1 and errors.startswith('error: ')
