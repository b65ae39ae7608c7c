"""Features and triplet losses: the authors' numbers, plain NumPy, invariants."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dualcam.losses import triplet
from tests.helpers import goldens, numpy_triplets

pytestmark = pytest.mark.numeric


def length(gradient):
    return np.linalg.norm(np.asarray(gradient, np.float64))  # 1.7 million numbers, some of them


def our_losses(distances, positive, margin):
    return [
        float(value)
        for losses in (triplet.all_triplets, triplet.hardest_triplets)
        for value in losses(distances, positive, margin)
    ]


def test_losses_shares_and_gradients_of_given_features_are_the_authors(golden):
    stored = np.load(golden / 'losses.npz')
    cases = json.loads((golden / 'losses.json').read_text())['triplet_on_given_embeddings']
    assert len(cases) == 10
    for case in cases:
        features, audio, labels, videos = (
            tf.constant(stored[f'triplet/{case["case"]}/{name}'])
            for name in ('audiovisual_NN128', 'audio_N128', 'labels', 'scenario')
        )
        positive = triplet.same_video(labels, videos)
        for name, losses in (
            ('mix_all', triplet.all_triplets),
            ('mix_data_hard', triplet.hardest_triplets),
        ):
            with tf.GradientTape() as tape:
                tape.watch(features)
                loss, share = losses(
                    triplet.squared_distances(audio, features), positive, case['margin']
                )
            assert float(loss) == pytest.approx(case[f'{name}_loss'], rel=1e-5)
            assert float(share) == pytest.approx(case[f'{name}_fraction_positive'], rel=1e-5)
            assert length(tape.gradient(loss, features)) == pytest.approx(
                case[f'grad_norm_{name}_wrt_audiovisual'], rel=1e-5
            )


def given_maps(seed_index):
    """Video maps, acoustic maps of 12 frames and audio vectors of golden/README, section 6."""
    name = f'losses:avmap:{seed_index}:'
    q = goldens.random(name + 'video')
    t = q.standard_normal((6, 1, 1, 128))
    video = np.maximum(t + 0.6 * q.standard_normal((6, 12, 16, 128)), 0)
    q = goldens.random(name + 'acoustic')
    t = q.standard_normal((6, 1, 1, 1, 128))
    acoustic = np.maximum(t + 0.6 * q.standard_normal((6, 12, 12, 16, 128)), 0)
    audio = goldens.random(name + 'audio').standard_normal((6, 128))
    return {
        'video': video.astype(np.float32),
        'acoustic': acoustic.astype(np.float32),
        'audio': audio.astype(np.float32),
    }


def test_features_losses_and_gradients_of_maps_are_the_authors(golden):
    stored = np.load(golden / 'losses.npz')
    cases = json.loads((golden / 'losses.json').read_text())['audio_visual_embedding_and_triplet']
    assert {case['second_input'] for case in cases} == {'acoustic', 'audio'}
    for case in cases:
        maps, kind = given_maps(case['seed_index']), case['second_input']
        video, sound = tf.constant(maps['video']), tf.constant(maps[kind])
        positive = triplet.same_video(np.array(case['labels']), np.array(case['scenario']))
        for name, losses in (
            ('mix_all', triplet.all_triplets),
            ('mix_data_hard', triplet.hardest_triplets),
        ):
            with tf.GradientTape() as tape:
                tape.watch((video, sound))
                heard = tf.reduce_mean(sound, axis=1) if kind == 'acoustic' else sound
                audio = triplet.audio_features(heard)
                features = triplet.audio_visual_features(heard, video)
                distances = triplet.squared_distances(audio, features)
                loss, _ = losses(distances, positive, case['margin'])
            assert float(loss) == pytest.approx(case[f'{name}_loss'], rel=1e-5)
            wrt = {'video_map': video, f'{kind}_input': sound}
            wrt |= {'time_averaged_acoustic_map': heard} if kind == 'acoustic' else {}
            for what, gradient in tape.gradient(loss, wrt).items():
                assert length(gradient) == pytest.approx(
                    case[f'grad_norm_{name}_wrt_{what}'], rel=1e-5
                ), what
        key = f'avmap/{case["seed_index"]}/{kind}'
        np.testing.assert_allclose(features, stored[f'{key}/audiovisual_NN128'], atol=1e-5)
        np.testing.assert_allclose(audio, stored[f'{key}/audio_N128'], atol=1e-5)


@pytest.mark.parametrize('margin', [0.05, 0.2, 1.0])
def test_losses_are_those_of_a_loop_over_triplets(rng, margin):
    for count in (2, 5, 13):
        labels, videos = rng.integers(0, 2, count), rng.integers(0, 3, count)
        positive = triplet.same_video(labels, videos)
        assert np.all(np.diag(positive))
        distances = rng.random((count, count)).astype(np.float32)
        np.testing.assert_allclose(
            our_losses(distances, positive, margin),
            numpy_triplets.naive_losses(distances, np.asarray(positive), margin),
            rtol=1e-5,
        )


def test_features_are_the_sums_of_products(rng):
    video = rng.standard_normal((5, 3, 4, 7)).astype(np.float32)
    maps = rng.standard_normal((4, 3, 4, 7)).astype(np.float32)
    np.testing.assert_allclose(
        triplet.audio_visual_features(maps, video),
        numpy_triplets.naive_features(maps, video),
        atol=1e-5,
    )
    vectors = rng.standard_normal((4, 7)).astype(np.float32)
    tiled = np.tile(np.maximum(vectors, 0)[:, None, None], (1, 3, 4, 1))
    np.testing.assert_allclose(
        triplet.audio_visual_features(vectors, video),
        numpy_triplets.naive_features(tiled, video),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        triplet.audio_features(vectors), triplet.audio_features(tiled), atol=1e-6
    )
    of_pairs = triplet.audio_visual_features(maps, video)
    anchors = rng.standard_normal((4, 7)).astype(np.float32)
    np.testing.assert_allclose(
        triplet.squared_distances(anchors, of_pairs),
        np.square(of_pairs - anchors[:, None]).sum(axis=-1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        triplet.squared_distances(anchors, anchors[:3]),
        np.square(anchors[:, None] - anchors[None, :3]).sum(axis=-1),
        rtol=1e-5,
    )


def test_what_is_silent_or_dark_is_zero_and_has_finite_gradients(rng):
    video = rng.random((3, 2, 2, 5)).astype(np.float32)
    video[0] = 0.0
    for shape in ((3, 5), (3, 2, 2, 5)):
        sound = rng.random(shape).astype(np.float32)
        sound[1] = 0.0
        sound, picture = tf.constant(sound), tf.constant(video)
        with tf.GradientTape() as tape:
            tape.watch((sound, picture))
            audio = triplet.audio_features(sound)
            features = triplet.audio_visual_features(sound, picture)
            loss, _ = triplet.all_triplets(
                triplet.squared_distances(audio, features), np.eye(3, dtype=bool), 0.2
            )
        assert not np.any(audio[1]) and not np.any(features[1]) and not np.any(features[:, 0])
        np.testing.assert_allclose(np.linalg.norm(features[0, 1:], axis=-1), 1.0, rtol=1e-5)
        assert all(np.isfinite(g).all() for g in tape.gradient(loss, (sound, picture)))


def test_without_negatives_or_violations_there_is_no_loss():
    distances = tf.Variable([[0.0, 1.0], [1.0, 0.0]])
    for positive in (np.ones((2, 2), bool), np.eye(2, dtype=bool)):
        with tf.GradientTape(persistent=True) as tape:
            losses = [
                triplet.all_triplets(distances, positive, 0.2),
                triplet.hardest_triplets(distances, positive, 0.2),
            ]
        for loss, share in losses:
            assert float(loss) == 0.0 and float(share) == 0.0
            np.testing.assert_array_equal(tape.gradient(loss, distances), 0.0)
    assert our_losses(distances, np.eye(2, dtype=bool), 1.5)[::2] == [0.5, 0.5]
