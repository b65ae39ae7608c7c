"""Weights from elsewhere: the only file that knows other programs' names and shapes.

The authors' TensorFlow 1 variables are called <scope>/<layer>/weights, biases, and norm/gamma,
beta, moving_mean, moving_variance; convolutions along time have kernels [k, 1, in, out], the
temporal ones [k, 1, 1, in, out], and dense layers [1, 1, in, out]. ResNet's follow TF-Slim:
resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/weights and .../BatchNorm/gamma.
"""

import re

import numpy as np

_SCOPES = {'dualcamnet': 'DualCamNet', 'hearnet': 'hear_net', 'oursoundnet': 'SoundNet',
           'avnet': 'DualCamNet', 'resnet50': 'resnet_v1_50', 'temporal_resnet50': 'resnet_v1_50'}
_PARTS = {'kernel': 'weights', 'bias': 'biases'}
_RESNET_UNIT = re.compile(r'resnet_(block\d)_(unit_\d)_(\w+)')


def tf1_names(model):
    """{TF1 variable name: Keras variable} of a network built by `dualcam.models.build`."""
    names = {}
    for layer in model.layers:
        if layer.name.startswith('standardise'):
            continue                          # statistics of the data, not of the network
        of_norm = layer.name.endswith('_norm')
        place = _tf1_place(model.name, layer.name.removesuffix('_norm'))
        if of_norm:
            place += '/BatchNorm' if place.startswith('resnet') else '/norm'
        for variable in layer.weights:
            part = variable.name if of_norm else _PARTS.get(variable.name, variable.name)
            names[f'{place}/{part}'] = variable
    return names


def _tf1_place(network, layer):
    if unit := _RESNET_UNIT.fullmatch(layer):
        return 'resnet_v1_50/{}/{}/bottleneck_v1/{}'.format(*unit.groups())
    if layer in ('resnet_conv1', 'logits'):
        return 'resnet_v1_50/' + layer.removeprefix('resnet_')
    if network == 'avnet' and layer in ('fc1', 'fc2'):
        return f'AVNet/{layer}'
    return f'{_SCOPES[network]}/{layer}'


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


def load(model, path):
    """Gives a network the weights of a `.weights.h5` file that was saved from one like it.

    Raises:
        ValueError: the file is damaged, or another network's; it is named.
    """
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f'{path}: not the weights of {model.name} ({error})') from error


def _long_axes(shape):
    return [size for size in shape if size != 1]
