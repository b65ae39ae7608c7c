"""`tf.data` pipelines that keep nothing, rewrite nothing and wait for nothing.

TensorFlow keeps each Python function that a pipeline calls for as long as the process lives. One
that holds a training set's sounds would hold them for as long too, in every epoch of every run.
"""

import weakref

import tensorflow as tf


def call(owner, function, inputs, kinds):
    """`function(owner, *inputs)` as tensors; the owner is not kept.

    Args:
        owner: whose data the function reads; the data set must `keep` it.
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


def plain(function):
    """`function` for `Dataset.map` as it stands: it has no Python branch on a tensor.

    TensorFlow would rewrite its source first, for each data set anew.
    """
    return tf.autograph.experimental.do_not_convert(function)


def prompt(dataset):
    """`dataset` without TensorFlow's tuner of parallel calls.

    The tuner sleeps for ever longer, and the end of an epoch may wait until it wakes: 1.3 s,
    2.6 s, 5.1 s and so on after the epoch's beginning.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def keep(dataset, owner):
    """`dataset`, with which, and with whose iterators, the owner now lives."""
    dataset = prompt(dataset)
    dataset.owner = owner
    return dataset
