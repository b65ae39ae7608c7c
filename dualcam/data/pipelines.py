"""Python functions in `tf.data` pipelines, without keeping what they belong to.

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
    return tf.numpy_function(lambda *arrays: function(held(), *arrays), inputs, kinds,
                             stateful=False)


def plain(function):
    """`function` for `Dataset.map` as it stands: it has no Python branch on a tensor.

    TensorFlow would rewrite its source first, for each data set anew.
    """
    return tf.autograph.experimental.do_not_convert(function)


def keep(dataset, owner):
    """`dataset`, with which, and with whose iterators, the owner now lives."""
    dataset.owner = owner
    return dataset
