"""`tf.data` pipelines that call Python without keeping, rewriting or waiting for anything.

TensorFlow keeps each Python function that a pipeline calls for as long as the process lives. A
function that refers to a training set's sounds would keep those too, in every epoch of every run.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def call(owner: Any, function: Callable[..., Any], inputs: Sequence[tf.Tensor], kinds: Any) -> Any:
    """`function(owner, *inputs)` as tensors; the owner is not kept.

    Args:
        owner: whose data the function reads; the data set has to `keep` it.
        function: of the owner and NumPy arrays, to one array or a list of them.
        inputs: tensors.
        kinds: a dtype, or a list of them.

    Returns:
        A tensor, or a list of them.
    """
    held = weakref.ref(owner)
    return tf.numpy_function(
        lambda *arrays: function(held(), *arrays), inputs, kinds, stateful=False
    )


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for `Dataset.map` as it is written: it has no Python branch on a tensor.

    TensorFlow would otherwise rewrite its source, for each data set anew.
    """
    return tf.autograph.experimental.do_not_convert(function)


def prompt(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`dataset` without TensorFlow's tuner of parallel calls.

    The tuner sleeps for ever longer, and the end of an epoch may wait until it wakes: 1.3 s,
    2.6 s, 5.1 s and so on after the epoch's beginning.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def keep(dataset: tf.data.Dataset, owner: Any) -> tf.data.Dataset:
    """`dataset`, which, as do its iterators, now keeps the owner alive."""
    dataset = prompt(dataset)
    dataset.owner = owner
    return dataset
