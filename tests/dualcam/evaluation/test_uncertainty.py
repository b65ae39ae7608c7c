"""Intervals: known results, agreement with libraries, coverage, and the gain from pairing."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from dualcam.evaluation import uncertainty

pytestmark = pytest.mark.numeric

TAKES = tuple(f't{i:03d}' for i in range(40))


def accuracy(right, takes=TAKES):
    """Of [seeds, clips]."""
    return uncertainty.Accuracy([(row, takes) for row in np.atleast_2d(right)])


def test_scores_are_means_over_clips_not_over_takes():
    takes = ['a', 'a', 'a', 'b']
    test = uncertainty.Accuracy([([1, 1, 1, 0], takes), ([0, 0, 0, 1], takes)])
    assert test.takes == ('a', 'b') and test.num_seeds == 2
    assert uncertainty.scores_of(test) == [0.75, 0.25]
    np.testing.assert_array_equal(
        test.scores(np.array([[2, 0], [0, 2], [1, 1]], np.float32)),
        [[1.0, 0.0], [0.0, 1.0], [0.75, 0.25]],
    )
    assert uncertainty.score([test]) == 0.5
    with pytest.raises(ValueError, match='2 clips and the takes of 1'):
        uncertainty.Accuracy([([1, 0], ['a'])])
    with pytest.raises(ValueError, match='0 clips'):
        uncertainty.Accuracy([([], [])])


def test_without_any_spread_an_interval_has_no_width():
    all_right = accuracy(np.ones((3, 40)))
    assert uncertainty.interval([all_right]) == uncertainty.Interval(1.0, 1.0, 40, 3)
    # The same in every take, so that resampling changes nothing.
    halves = uncertainty.Accuracy([(np.tile([0, 1], 40), np.repeat(TAKES, 2))])
    assert uncertainty.interval([halves]) == uncertainty.Interval(0.5, 0.5, 40, 1)
    same = uncertainty.compare('D', 'G', [halves], [halves], 'all', 'all')
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)


def test_few_takes_allow_everything(rng):
    few = accuracy(np.ones((3, 5)), TAKES[:5])
    assert uncertainty.interval([few]) == uncertainty.Interval(0.0, 1.0, 5, 3)
    none_right = accuracy(np.zeros((3, 5)), TAKES[:5])
    found = uncertainty.compare('D', 'G', [few], [none_right], 'all', 'all')
    assert (found.difference, found.low, found.high, found.takes) == (1.0, -1.0, 1.0, 5)
    enough = accuracy(np.ones((3, 6)), TAKES[:6])
    assert uncertainty.interval([enough]).low == 1.0


def test_one_seed_is_the_bootstrap_of_scipy(rng):
    right = rng.random(40) < 0.7
    expected = scipy.stats.bootstrap(
        (right.astype(float),), np.mean, method='percentile', n_resamples=9_999, random_state=rng
    ).confidence_interval
    found = uncertainty.interval([accuracy(right)])
    assert found.low == pytest.approx(expected.low, abs=0.026)  # one clip of 40
    assert found.high == pytest.approx(expected.high, abs=0.026)
    assert uncertainty.interval([accuracy(right)]) == found  # the same resampling again


def test_many_takes_have_the_width_of_theory(rng):
    takes = [f't{i:04d}' for i in range(1000)]
    found = uncertainty.interval([accuracy(rng.random(1000) < 0.8, takes)])
    width = 2 * 1.96 * (0.8 * 0.2 / 1000) ** 0.5
    assert found.high - found.low == pytest.approx(width, rel=0.1)


def test_clips_of_a_take_count_as_one(rng):
    right = rng.random(40) < 0.6
    clips = np.repeat(right, 9)
    together = uncertainty.Accuracy([(clips, np.repeat(TAKES, 9))])
    apart = uncertainty.Accuracy([(clips, [f'{t}-{i}' for t in TAKES for i in range(9)])])
    alone = uncertainty.interval([accuracy(right)])
    found = uncertainty.interval([together])
    assert (found.low, found.high) == (alone.low, alone.high)
    narrow = uncertainty.interval([apart])
    assert narrow.high - narrow.low < 0.45 * (found.high - found.low)  # 1 / 3 of the clips' width


def test_seeds_that_disagree_widen_an_interval():
    right = np.zeros((3, 40))
    for seed, count in enumerate((16, 20, 24)):
        right[seed, :count] = 1
    agreed = np.tile(np.arange(40) < 20, (3, 1))
    spread, steady = (uncertainty.interval([accuracy(r)]) for r in (right, agreed))
    assert spread.high - spread.low > steady.high - steady.low
    assert (spread.takes, spread.seeds) == (40, 3)


@pytest.mark.parametrize('seed_deviation, least, most', [(0.02, 0.91, 0.98), (0.0, 0.91, 0.99)])
def test_intervals_cover_the_truth_as_often_as_they_say(rng, seed_deviation, least, most):
    covered, trials = 0, 300
    for _ in range(trials):
        scores = 0.6 + 0.3 * rng.standard_normal((1, 40))
        scores = scores + seed_deviation * rng.standard_normal((3, 1))
        scores = scores + 0.1 * rng.standard_normal((3, 40))
        found = uncertainty.interval([accuracy(scores)], 999)
        covered += found.low <= 0.6 <= found.high
    assert least <= covered / trials <= most


def test_paired_differences_cover_the_truth_and_are_narrower(rng):
    covered, trials, widths = 0, 200, []
    for _ in range(trials):
        hard = 0.3 * rng.standard_normal((1, 40))  # of a take, for both columns
        a, b = (
            accuracy(level + hard + 0.1 * rng.standard_normal((3, 40))) for level in (0.65, 0.6)
        )
        found = uncertainty.compare('D', 'G', [a], [b], 'all', 'all', resamples=999)
        covered += found.low <= 0.05 <= found.high
        apart = [uncertainty.interval([one], 999) for one in (a, b)]
        unpaired = sum((one.high - one.low) ** 2 for one in apart) ** 0.5
        widths.append((found.high - found.low) / unpaired)
    assert covered / trials >= 0.92  # the clips' own noise contributes to takes and seeds alike
    assert max(widths) < 0.6


def test_a_difference_of_takes_that_all_agree_is_exact():
    a, b = np.zeros((2, 3, 40))
    a[:, :30] = 1
    b[:, :10] = 1
    b[:, 30:] = 1
    found = uncertainty.compare('a', 'b', [accuracy(a)], [accuracy(a)], 'x', 'y')
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    found = uncertainty.compare('a', 'b', [accuracy(a)], [accuracy(b)], 'x', 'y')
    assert found.difference == 0.25 and found.low < 0.25 < found.high
    swapped = uncertainty.compare('b', 'a', [accuracy(b)], [accuracy(a)], 'x', 'y')
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_rows_that_share_takes_are_drawn_together_and_keep_their_sizes(rng):
    right = rng.random((2, 40)) < 0.5
    # The second row tests the first ten takes again: its errors are those of the first row.
    rows = [accuracy(right), accuracy(right[:, :10], TAKES[:10])]
    mean = uncertainty.score(rows)
    assert mean == pytest.approx((right.mean() + right[:, :10].mean()) / 2)
    found = uncertainty.interval(rows)
    assert found.takes == 40 and found.low < mean < found.high
    counts = uncertainty._take_counts(((0, 1, 2), (3, 4, 5, 6)), 7, 500)
    assert (counts[:, :3].sum(axis=1) == 3).all() and (counts[:, 3:].sum(axis=1) == 4).all()
    assert counts.max() > 1 and counts.min() == 0


def test_what_cannot_be_paired_is_refused(rng):
    a = accuracy(rng.random((2, 40)) < 0.5)
    for other in (accuracy(rng.random((3, 40)) < 0.5), accuracy(rng.random((2, 30)), TAKES[:30])):
        with pytest.raises(ValueError, match='expected the same ones'):
            uncertainty.compare('a', 'b', [a], [other], 'x', 'y')
    # What is not trained does not depend on seeds.
    floor = accuracy(rng.random(40) < 0.1)
    assert uncertainty.compare('a', 'floor', [a], [floor], 'x', 'y').seeds == 2


def test_seeds_may_test_different_clips():
    test = uncertainty.Accuracy([(np.ones(20), TAKES[:20]), (np.zeros(30), TAKES[10:])])
    assert test.takes == TAKES and uncertainty.scores_of(test) == [1.0, 0.0]


@pytest.mark.parametrize('kind', ['mAP', 'mAUC', 'precision', 'recall', 'F1'])
def test_tagging_scores_of_drawn_clips_are_those_of_scikit_learn(rng, kind):
    labels = rng.random((25, 3)) < 0.4
    probabilities = np.round(rng.random((2, 25, 3)), 1)  # some are equal
    test = uncertainty.Tagging(labels, probabilities, kind)
    counts = rng.multinomial(25, np.full(25, 1 / 25), 30).astype(np.float32)
    found = test.scores(counts)
    assert found.shape == (30, 2)
    for draw, scores in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(25), draw.astype(int))
        for seed in range(2):
            y, p = labels[rows], probabilities[seed, rows]
            if kind in ('mAP', 'mAUC'):
                score = {
                    'mAP': sklearn.metrics.average_precision_score,
                    'mAUC': sklearn.metrics.roc_auc_score,
                }[kind]
                expected = np.mean([score(y[:, c], p[:, c]) for c in range(3)])
            else:
                score = {
                    'precision': sklearn.metrics.precision_score,
                    'recall': sklearn.metrics.recall_score,
                    'F1': sklearn.metrics.f1_score,
                }[kind]
                expected = score(y, p >= 0.25, average='micro')
            assert scores[seed] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('kind', ['mAP', 'mAUC'])
def test_predictions_that_differ_by_rounding_tie(rng, kind):
    labels = rng.integers(0, 2, (30, 3))
    probabilities = rng.integers(1, 5, (1, 30, 3)).astype(np.float32) / 5
    moved = np.where(
        rng.integers(0, 2, probabilities.shape),
        np.nextafter(probabilities, np.float32(1)),
        probabilities,
    )
    counts = rng.multinomial(30, np.full(30, 1 / 30), 20).astype(np.float32)
    want, found = (
        uncertainty.Tagging(labels, one, kind).scores(counts) for one in (probabilities, moved)
    )
    np.testing.assert_array_equal(found, want)


def test_a_class_that_was_not_drawn_is_left_out_of_the_mean():
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 1]])
    probabilities = np.array([[[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.4]]])
    test = uncertainty.Tagging(labels, probabilities, 'mAP')
    (score,) = test.scores(np.array([[1, 1, 1, 0]], np.float32))[0]
    assert score == pytest.approx((1 + 2 / 3) / 2)  # of the first class only
    assert np.isnan(test.scores(np.array([[0, 4, 0, 0]], np.float32))[0, 0])


def test_sentences_state_clear_differences_and_inconclusive_ones():
    def comparison(difference, low, high, takes=84, seeds=3):
        return uncertainty.Comparison(
            'D', 'G', 'all', 'all', 'accuracy', difference, low, high, takes, seeds
        )

    assert str(comparison(0.041, 0.01, 0.072)) == 'D is better than G by 4.1 points [1.0, 7.2]'
    assert str(comparison(-0.041, -0.072, -0.01)) == 'D is worse than G by 4.1 points [1.0, 7.2]'
    assert str(comparison(0.02, -0.01, 0.05)) == (
        'D versus G is inconclusive with 84 takes and 3 seeds: +2.0 points [-1.0, +5.0]'
    )
    assert 'D versus G is inconclusive with 1 take and 1 seed' in str(
        comparison(0.0, 0.0, 0.0, 1, 1)
    )
    # A limit at zero that rounding moved to either side is inconclusive.
    for low, high in ((1e-17, 0.05), (-0.05, -1e-17)):
        assert 'is inconclusive' in str(comparison(0.02, low, high))
