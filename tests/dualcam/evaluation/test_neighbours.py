import json

import numpy as np
import pytest
from scipy.spatial import distance

from dualcam.evaluation import neighbours
from tests.helpers import goldens

pytestmark = pytest.mark.numeric


def blobs(rng, count, spread=0.3, classes=3):
    labels = np.arange(count) % classes
    centres = 10 * np.eye(classes, 8)
    return centres[labels] + spread * rng.standard_normal((count, 8)), labels


def test_what_lies_apart_is_told_apart(rng):
    for judge in (neighbours.nearest_neighbours, neighbours.linear_probe):
        outcome = judge(blobs(rng, 30), blobs(rng, 15), blobs(rng, 21), 3)
        assert outcome.accuracy == 1.0 and outcome.validation_accuracy == 1.0
        np.testing.assert_array_equal(outcome.confusion, 7 * np.eye(3))
        np.testing.assert_array_equal(outcome.per_class, 1.0)


def test_neighbours_are_those_of_plain_numpy(rng):
    training, validation, testing = (blobs(rng, n, 9.0) for n in (60, 30, 30))
    outcome = neighbours.nearest_neighbours(training, validation, testing, 3, ks=(5,))
    features = np.concatenate([training[0], validation[0]])
    labels = np.concatenate([training[1], validation[1]])
    scaled = [(x - features.mean(0)) / features.std(0) for x in (features, testing[0])]
    nearest = distance.cdist(scaled[1], scaled[0]).argsort(axis=1)[:, :5]
    votes = np.array([np.bincount(labels[row], minlength=3) for row in nearest])
    np.testing.assert_array_equal(outcome.answers, votes.argmax(axis=1))
    assert outcome.choice == 5 and outcome.confusion.sum() == 30


def test_k_is_chosen_on_validation_data_alone(rng):
    training, validation = blobs(rng, 60, 9.0), blobs(rng, 30, 9.0)
    by_k = {
        k: neighbours.nearest_neighbours(
            training, validation, validation, 3, ks=(k,)
        ).validation_accuracy
        for k in (1, 3, 5, 7, 9)
    }
    best = max(by_k.values())
    for testing in (blobs(rng, 12), blobs(rng, 12, 30.0)):
        outcome = neighbours.nearest_neighbours(training, validation, testing, 3)
        assert outcome.choice == min(k for k, score in by_k.items() if score == best)


def test_a_dimension_does_not_count_for_its_scale(rng):
    training, validation, testing = (blobs(rng, n, 6.0) for n in (60, 30, 30))
    scale = np.array([1e-3, 1, 1e3, 1, 1e4, 1, 1, 10])
    plain = neighbours.nearest_neighbours(training, validation, testing, 3)
    scaled = neighbours.nearest_neighbours(
        *((x * scale, y) for x, y in (training, validation, testing)), 3
    )
    np.testing.assert_array_equal(plain.answers, scaled.answers)


def test_plain_neighbours_are_those_of_the_authors_program(golden):
    want = json.loads((golden / 'retrieval.json').read_text())['knn']
    centres, data = goldens.random('retrieval:knn').standard_normal((10, 128)), []
    for name, count in (('training', 300), ('validation', 120), ('testing', 150)):
        generator = goldens.random(f'retrieval:knn:{name}')
        labels = generator.randint(0, 10, count)
        features = centres[labels] * 0.34 + generator.standard_normal((count, 128))
        data.append((features.astype(np.float32), labels))
    for k in neighbours.ECCV_KS:
        outcome = neighbours.nearest_neighbours(*data, 10, ks=(k,), plain=True)
        assert outcome.accuracy == want['testing_accuracy_by_k'][str(k)]
        assert outcome.validation_accuracy == want['validation_accuracy_by_k'][str(k)]
    chosen = neighbours.nearest_neighbours(*data, 10, neighbours.ECCV_KS, plain=True)
    assert chosen.choice == want['best_k']
    assert chosen.accuracy == want['final_testing_accuracy']


def test_equally_near_neighbours_count_in_the_order_of_the_training_data(rng):
    """Copies of one clip, up to rounding: the first k vote, whatever the rounding."""
    one = rng.standard_normal((1, 64)).astype(np.float32)
    alike = np.repeat(one, 40, 0)
    alike = np.where(rng.integers(0, 2, alike.shape), np.nextafter(alike, np.float32(9)), alike)
    labels = np.array([2, 2, 2, 0, 0] + [1] * 35)
    for order in (slice(None), slice(None, None, -1)):
        want = 2 if order == slice(None) else 1
        for plain in (True, False):
            for shift in (0.0, 100.0):
                known = (
                    np.concatenate([alike[order], alike + 9.0]) + np.float32(shift),
                    np.concatenate([labels[order], labels * 0]),
                )
                outcome = neighbours.nearest_neighbours(
                    known,
                    known,
                    (alike[:7] + np.float32(shift), labels[:7]),
                    3,
                    ks=(5,),
                    plain=plain,
                )
                np.testing.assert_array_equal(outcome.answers, want)


def test_of_classes_with_as_many_votes_the_first_wins():
    known = np.array([[0.0], [1.0], [2.0], [50.0]]), np.array([2, 1, 0, 3])
    asked = np.array([[0.1], [1.9]]), np.array([0, 0])
    outcome = neighbours.nearest_neighbours(known, asked, asked, 4, ks=(3,), plain=True)
    np.testing.assert_array_equal(outcome.answers, 0)
    assert outcome.validation_accuracy == 1.0


def test_bad_input_is_named(rng):
    data = blobs(rng, 9)
    with pytest.raises(ValueError, match='odd'):
        neighbours.nearest_neighbours(data, data, data, 3, ks=(2,))
    with pytest.raises(ValueError, match='fewer than the smallest k'):
        neighbours.nearest_neighbours(data, data, data, 3, ks=(11,))
    wrong = data[0].copy()
    wrong[0, 0] = np.nan
    with pytest.raises(ValueError, match='not finite'):
        neighbours.linear_probe(data, data, (wrong, data[1]), 3)
