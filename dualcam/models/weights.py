"""Weights from elsewhere: the only file that knows other programs' names and shapes.

The authors' TensorFlow 1 variables are called <scope>/<layer>/weights, biases, and norm/gamma,
beta, moving_mean, moving_variance; convolutions along time have kernels [k, 1, in, out], the
temporal one [7, 1, 1, in, out], and dense layers [1, 1, in, out].
"""

import numpy as np

_SCOPES = {'dualcamnet': 'DualCamNet', 'hearnet': 'hear_net', 'oursoundnet': 'SoundNet'}
_PARTS = {'kernel': 'weights', 'bias': 'biases'}


def tf1_names(model):
    """{TF1 variable name: Keras variable} of a network built by `dualcam.models.build`."""
    scope = _SCOPES[model.name]
    names = {}
    for layer in model.layers:
        for variable in layer.weights:
            if layer.name.startswith('standardise'):
                continue                      # statistics of the data, not of the network
            if layer.name.endswith('_norm'):
                name = f'{scope}/{layer.name.removesuffix("_norm")}/norm/{variable.name}'
            else:
                name = f'{scope}/{layer.name}/{_PARTS.get(variable.name, variable.name)}'
            names[name] = variable
    return names


def assign_tf1(model, arrays):
    """Gives a network the weights of the authors' program.

    Args:
        model: built by `dualcam.models.build`.
        arrays: {TF1 variable name: array}, all of the network's and no others.

    Raises:
        KeyError: names what is missing or left over.
        ValueError: an array has another number of values than its variable, or its axes of
            length above 1 are not the variable's.
    """
    names = tf1_names(model)
    missing, left = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or left:
        raise KeyError(f'{model.name}: missing {missing}, left over {left}')
    for name, variable in names.items():
        array = np.asarray(arrays[name])
        if _long_axes(array.shape) != _long_axes(variable.shape):
            raise ValueError(f'{name}: an array of shape {array.shape} for a variable of shape '
                             f'{tuple(variable.shape)}')
    for name, variable in names.items():
        variable.assign(np.asarray(arrays[name], np.float32).reshape(variable.shape))


def _long_axes(shape):
    return [size for size in shape if size != 1]
