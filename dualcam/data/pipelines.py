"""`tf.data` pipelines that call Python without memory leaks, source rewriting or stalls.

TensorFlow keeps a reference to each Python function that a pipeline calls for the process's
lifetime. A function that refers to a training set would leak it in every epoch of every run.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def call(owner: Any, function: Callable[..., Any], inputs: Sequence[tf.Tensor], kinds: Any) -> Any:
    """`function(owner, *inputs)` as tensors, holding only a weak reference to the owner.

    Args:
        owner: whose data the function reads; the data set has to `keep` it.
        function: maps the owner and NumPy arrays to one array or a list of them.
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
    """Exempts `function` from AutoGraph in `Dataset.map`: it has no Python branch on a tensor.

    TensorFlow would otherwise rewrite its source for each data set.
    """
    return tf.autograph.experimental.do_not_convert(function)


def prompt(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`dataset` without TensorFlow's autotuning of parallel calls.

    The tuner sleeps for increasing intervals, and the end of an epoch may wait until it wakes:
    1.3 s, 2.6 s, 5.1 s and so on after the start of the epoch.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def keep(dataset: tf.data.Dataset, owner: Any) -> tf.data.Dataset:
    """`dataset`, which now keeps the owner alive, as do its iterators."""
    dataset = prompt(dataset)
    dataset.owner = owner
    return dataset
