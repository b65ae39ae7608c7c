"""Rank-k retrieval: the authors' numbers, plain NumPy, invariants."""

import json

import numpy as np
import pytest

from dualcam.evaluation import retrieval
from dualcam.losses import triplet
from tests.helpers import goldens

pytestmark = pytest.mark.numeric


def given(seed_index):
    """Labels, audio vectors, video and acoustic maps of golden/README, section 7."""

    def random(what):
        return goldens.random(f'retrieval:{seed_index}:{what}')

    q = random('labels')
    labels, videos = q.randint(0, 10, 40), q.randint(0, 6, 40)
    labels[:10] = np.arange(10)
    t = random('templates')
    centres, places = t.standard_normal((10, 128)), t.standard_normal((61, 128))
    base = centres[labels] * 0.35 + 0.2 * places[videos]
    audio = base * 1.5 + random('audio').standard_normal((40, 128))
    made = {'HearNet': audio.astype(np.float32)}
    for name, kind in (('video', 'video'), ('DualCamHybridNet', 'acoustic')):
        q = random(kind)
        maps = base[:, None, None] + 0.9 * q.standard_normal((40, 1, 1, 128))
        maps = maps + 0.5 * q.standard_normal((40, 12, 16, 128))
        made[name] = np.maximum(maps, 0).astype(np.float32)
    return labels, made


def naive_places(audio, video, labels):
    """Computes, sorts and searches each query's candidates, in float64."""
    video, places = video.astype(np.float64), []
    for label, sound in zip(labels, audio.astype(np.float64), strict=True):
        sound = np.broadcast_to(np.maximum(sound, 0), video.shape[1:]) if sound.ndim == 1 else sound
        features = (sound * video * video).sum(axis=(1, 2))
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        asked = sound.sum(axis=(0, 1))
        asked /= np.linalg.norm(asked)
        order = np.argsort(np.square(features - asked).sum(axis=1))
        places.append(1 + int(np.argmax(labels[order] == label)))
    return np.array(places)


def test_ranks_are_the_authors(golden):
    cases = json.loads((golden / 'retrieval.json').read_text())['cross_modal_retrieval']
    assert {case['model1'] for case in cases} == {'HearNet', 'DualCamHybridNet'}
    for case in cases:
        labels, made = given(case['seed_index'])
        assert labels.tolist() == case['labels']
        found = retrieval.ranks(made[case['model1']], made['video'], labels)
        assert found.shares == {k: case[f'rank{k}'] for k in (1, 2, 5, 10, 30)}
        np.testing.assert_array_equal(
            found.places, naive_places(made[case['model1']], made['video'], labels)
        )


def toy(rng, clips=23, size=(3, 4, 21)):
    labels = rng.integers(0, 5, clips)
    video = rng.random((clips, *size)).astype(np.float32)
    return labels, rng.random((clips, *size)).astype(np.float32), video


def test_places_are_those_of_a_sort_whatever_the_block(rng):
    labels, audio, video = toy(rng)
    for sounds in (audio, audio[:, 0, 0] - 0.3):
        want = naive_places(sounds, video, labels)
        assert want.max() > 1
        for block in (1, 7, 2048):
            found = retrieval.ranks(sounds, video, labels, block=block)
            np.testing.assert_array_equal(found.places, want)
    # More queries than fit into a tile of the product.
    labels, audio, video = toy(rng, clips=150, size=(2, 2, 17))
    np.testing.assert_array_equal(
        retrieval.ranks(audio, video, labels).places, naive_places(audio, video, labels)
    )


def test_candidates_are_the_features_that_training_brings_close(rng):
    labels, audio, video = toy(rng)
    distances = triplet.squared_distances(
        triplet.audio_features(audio), triplet.audio_visual_features(audio, video)
    ).numpy()
    nearest = labels[distances.argmin(axis=1)]
    assert retrieval.ranks(audio, video, labels, (1,)).shares[1] == np.mean(nearest == labels)


def test_shares_of_all_and_of_classes(rng):
    labels, audio, video = toy(rng)
    found = retrieval.ranks(audio, video, labels, ks=(1, 3, 23))
    assert found.shares == {k: np.mean(found.places <= k) for k in (1, 3, 23)}
    assert found.shares[1] <= found.shares[3] <= found.shares[23] == 1.0
    counts = np.bincount(labels)
    for k in (1, 3):
        assert sum(
            found.per_class[label][k] * counts[label] for label in found.per_class
        ) / 23 == pytest.approx(found.shares[k])
    assert set(found.per_class) == set(labels.tolist())


def test_features_that_are_all_alike_find_nothing(rng):
    labels, audio, _ = toy(rng)
    counts = np.bincount(labels)[labels]
    one = rng.random((1, *audio.shape[1:])).astype(np.float32)
    for video in (np.ones_like(audio), np.zeros_like(audio), np.repeat(one, len(audio), 0)):
        for sounds in (audio, audio[:, 0, 0]):
            found = retrieval.ranks(sounds, video, labels)
            np.testing.assert_array_equal(found.places, 1 + len(labels) - counts)
            found = retrieval.ranks_of_features(
                sounds.reshape(len(labels), -1)[:, :21],
                video.reshape(len(labels), -1)[:, :21],
                labels,
            )
            np.testing.assert_array_equal(found.places, 1 + len(labels) - counts)


def test_features_that_differ_by_rounding_find_nothing(rng):
    """The same for a network's mathematically equal features, however they were computed."""
    labels, audio, video = toy(rng, size=(12, 16, 128))
    counts = np.bincount(labels)[labels]
    video = np.repeat(video[:1], len(video), 0)
    last = rng.integers(0, 2, video.shape).astype(bool)
    video = np.where(last, np.nextafter(video, np.float32(2)), video)
    for sounds in (audio, audio[:, 0, 0]):
        found = retrieval.ranks(sounds, video, labels)
        np.testing.assert_array_equal(found.places, 1 + len(labels) - counts)


def test_features_that_differ_by_more_than_rounding_are_told_apart(rng):
    """A few 1e-6 of a distance are not a tie, although float32 sums lose more."""
    labels = np.arange(6) % 2
    audio = rng.random((6, 12, 16, 128)).astype(np.float32)
    video = np.repeat(rng.random((1, 12, 16, 128)), 6, 0)
    for clip in range(6):
        video[clip, ..., clip] *= 1.0 + 5e-3 * clip
    video = video.astype(np.float32)
    want = naive_places(audio, video, labels)
    assert len(set(want.tolist())) > 2
    np.testing.assert_array_equal(retrieval.ranks(audio, video, labels).places, want)


def test_bad_input_is_named(rng):
    labels, audio, video = toy(rng)
    with pytest.raises(ValueError, match='22 sounds, 23 maps'):
        retrieval.ranks(audio[:22], video, labels)
    with pytest.raises(ValueError, match=r'sounds \(20,\)'):
        retrieval.ranks(audio[:, 0, 0, :20], video, labels)
    with pytest.raises(ValueError, match='1 or more'):
        retrieval.ranks(audio, video, labels, ks=(0, 1))
    audio[3] = np.nan
    with pytest.raises(ValueError, match='not finite'):
        retrieval.ranks(audio, video, labels)
