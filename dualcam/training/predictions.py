"""Outputs of a trained network for all clips of a set, from one trace per network.

A run's report, its tests and its students ask the same network about sets of several sizes. Keras
would trace it for each pair of outputs and again for a second size, which takes longer than the
answers of a small set.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam import models
from dualcam.files import progress_bars

# {network: function from a batch of its inputs to its outputs and features}. A function holds the
# network's layers, not the network itself, and goes with it.
_functions: weakref.WeakKeyDictionary[keras.Model, Callable] = weakref.WeakKeyDictionary()


def predict(network: keras.Model, clips: Any, batch_size: int = 32, desc: str = '') -> np.ndarray:
    """Logits, or other outputs, of all clips in order.

    Args:
        network: from `models.build`, or made of such networks, with one output.
        clips: such as `clip_sets.Clips`.
        batch_size: clips per call of the network.
        desc: for a progress bar; none if empty.

    Returns:
        [clips, classes] float32.
    """
    return np.concatenate(
        [found['outputs'].numpy() for found in _answers(network, clips, batch_size, desc)]
    )


def predict_with_features(
    network: keras.Model, clips: Any, batch_size: int = 32
) -> tuple[np.ndarray, np.ndarray | None]:
    """Logits of all clips, and the network's features, in one pass.

    Returns:
        ([clips, classes] float32, [clips, ..., features] float32); None instead of features for a
        head, whose input is features.
    """
    answers = [
        {name: values.numpy() for name, values in found.items()}
        for found in _answers(network, clips, batch_size)
    ]
    logits = np.concatenate([found['outputs'] for found in answers])
    if 'features' not in answers[0]:
        return logits, None
    return logits, np.concatenate([found['features'] for found in answers])


def _answers(network, clips, batch_size, desc=''):
    """Yields {'outputs': tensor, 'features': tensor} of each batch; no features for a head."""
    batches = clips.batches(batch_size)
    if desc:
        batches = progress_bars.bar(
            batches, desc=desc, unit='batch', total=-(-len(clips) // batch_size)
        )
    for batch in batches:
        inputs = models.inputs_of(network, batch['input'])
        yield _function_of(network, inputs)(inputs)


def _function_of(network, inputs):
    if network not in _functions:
        _functions[network] = _traced(network, inputs)
    return _functions[network]


def _traced(network, inputs):
    """A function of any number of clips' inputs, of the same shapes as the given ones."""
    outputs = {'outputs': network.output}
    known = models.NETWORKS.get(network.name)
    for layer in network.layers:
        if known and layer.name == known.features:
            outputs['features'] = layer.output
    answering = keras.Model(network.input, outputs)
    function = tf.function(functools.partial(answering, training=False), autograph=False)
    function.get_concrete_function(
        tf.nest.map_structure(
            lambda values: tf.TensorSpec([None, *values.shape[1:]], values.dtype), inputs
        )
    )
    return function
