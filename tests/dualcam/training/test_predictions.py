"""Predictions of whole sets: the network's own, traced once, with the weights it has by then."""

import gc
import weakref

import keras
import numpy as np
import tensorflow as tf

from dualcam import models
from dualcam.training import predictions


class Clips:
    """Clips of a network's only input [clips, ...]."""

    def __init__(self, inputs):
        self.inputs = inputs

    def batches(self, batch_size):
        """Their batches, in order."""
        for start in range(0, len(self.inputs), batch_size):
            yield {'input': tf.constant(self.inputs[start : start + batch_size])}


def made_up(rng, count, *shape):
    """Clips of random inputs."""
    return Clips(rng.standard_normal((count, *shape)).astype(np.float32))


def answers(network, clips):
    """Its outputs and its fc1, computed layer by layer without a graph."""
    both = keras.Model(network.input, [network.output, network.get_layer('fc1').output])
    return [part.numpy() for part in both(clips.inputs, training=False)]


def test_one_trace_serves_sets_of_all_sizes_and_features(rng):
    network = models.build('hearnet', 3, seconds=2)
    sets = [made_up(rng, count, *network.input.shape[1:]) for count in (5, 3, 1)]
    for clips in sets:
        want, features = answers(network, clips)
        got = predictions.predict(network, clips, batch_size=3)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, atol=1e-5)
        again, found = predictions.predict_with_features(network, clips, batch_size=3)
        np.testing.assert_array_equal(again, got)
        np.testing.assert_allclose(found, features, atol=1e-5)
    assert predictions._functions[network].experimental_get_tracing_count() == 1
    before = predictions.predict(network, sets[0])
    network.set_weights([weights + 0.1 for weights in network.get_weights()])
    after = predictions.predict(network, sets[0])
    assert np.abs(after - before).max() > 1e-2
    np.testing.assert_allclose(after, answers(network, sets[0])[0], rtol=1e-4, atol=1e-4)


def test_a_head_has_no_features_and_a_network_is_not_kept(rng):
    head = models.build_head('resnet50', 3)
    clips = made_up(rng, 4, *(size or 2 for size in head.input.shape[1:]))
    logits, features = predictions.predict_with_features(head, clips)
    assert logits.shape == (4, 3) and features is None
    kept = weakref.ref(head)
    del head
    gc.collect()
    assert kept() is None
