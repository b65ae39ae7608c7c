"""A network's weights by the authors' variable names, and in files.

`models/checkpoint_formats.py` maps other programs' files to these names. The authors' TensorFlow 1
variables are called <scope>/<layer>/weights, biases, and norm/gamma, beta, moving_mean,
moving_variance; convolutions along time have kernels [k, 1, in, out], the temporal ones
[k, 1, 1, in, out], and dense layers [1, 1, in, out]. ResNet's follow TF-Slim:
resnet_v1_50/block1/unit_1/bottleneck_v1/conv1/weights and .../BatchNorm/gamma. L3-Net's, which they
did not publish, are named after its layers, as are VGGish's: vggish/conv3/conv3_1/weights.
"""

import gc
import pathlib
import re
from collections.abc import Mapping

import h5py
import keras
import numpy as np

from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from dualcam.models import registry, resnet

ENDING = '.weights.h5'  # of files written by `save`

_PARTS = {'kernel': 'weights', 'bias': 'biases'}
_RESNET_UNIT = re.compile(r'(?:resnet_)?(block\d)_(unit_\d)_(\w+)')


def tf1_names(model: keras.Model) -> dict[str, keras.Variable]:
    """{TF1 variable name: Keras variable} of a network built by `dualcam.models.build`.

    VGGish from `vggish.build` is supported, too.

    Raises:
        ValueError: there are no such weights for this network.
    """
    _scope(model.name)
    names = {}
    for layer in model.layers:
        if layer.name.startswith('standardise'):
            continue  # statistics of the data, not of the network
        of_norm = layer.name.endswith('_norm')
        place = _tf1_place(model.name, layer.name.removesuffix('_norm'))
        if of_norm:
            place += '/BatchNorm' if place.startswith('resnet') else '/norm'
        for variable in layer.weights:
            part = variable.name if of_norm else _PARTS.get(variable.name, variable.name)
            names[f'{place}/{part}'] = variable
    return names


def _tf1_place(network, layer):
    scope = _scope(network)
    backbone = 'resnet_v1_50' if network == 'avnet' else scope
    if unit := _RESNET_UNIT.fullmatch(layer):
        return '{}/{}/{}/bottleneck_v1/{}'.format(backbone, *unit.groups())
    if layer in ('resnet_conv1', 'logits'):
        return f'{backbone}/' + layer.removeprefix('resnet_')
    if network == 'avnet' and layer in ('fc1', 'fc2'):
        return f'AVNet/{layer}'
    if network == 'vggish' and '_' in layer:  # one of several layers in a scope
        return f'vggish/{layer.partition("_")[0]}/{layer}'
    return f'{scope}/{layer}'


def _scope(network):
    entry = registry.NETWORKS.get(network)
    if entry is None or entry.scope is None:
        known = [name for name, one in registry.NETWORKS.items() if one.scope]
        raise ValueError(
            f'{network}: no other program wrote weights for it; expected one of {", ".join(known)}'
        )
    return entry.scope


def assign_tf1(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Assigns the weights of the authors' program to a network.

    Args:
        model: built by `dualcam.models.build`.
        arrays: {TF1 variable name: array}, exactly the network's variables.

    Raises:
        KeyError: variables are missing or left over; the message names them.
        ValueError: an array has another number of values than its variable, or its axes of
            length above 1 are not the variable's.
    """
    names = tf1_names(model)
    missing, left = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or left:
        raise KeyError(f'{model.name}: missing {missing}, left over {left}')
    for name, variable in names.items():
        check_shape(name, np.shape(arrays[name]), variable)
    for name, variable in names.items():
        variable.assign(np.asarray(arrays[name], np.float32).reshape(variable.shape))


def check_shape(name: str, shape: tuple[int, ...], variable: keras.Variable) -> None:
    """Raises a `ValueError` if an array's axes of length above 1 are not the variable's."""
    if _long_axes(shape) != _long_axes(variable.shape):
        raise ValueError(
            f'{name}: an array of shape {tuple(shape)} for a variable of shape '
            f'{tuple(variable.shape)}'
        )


def save(model: keras.Model, path: AnyPath) -> None:
    """Writes a network's weights to a `.weights.h5` file, atomically.

    The file records the network's name and the layout of its ResNet-50.

    Args:
        model: built by `dualcam.models.build`.
        path: of the file.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.writing_file(path, ENDING) as partial:
        model.save_weights(partial)
        with h5py.File(partial, 'a') as file:
            file.attrs['dualcam_network'] = model.name
            file.attrs['dualcam_layout'] = resnet.layout_of(model)


def load(model: keras.Model, path: AnyPath) -> None:
    """Loads weights that `save` wrote into a network of the same kind.

    Raises:
        ValueError: the file is damaged, or another network's, or of the other layout of
            ResNet-50; the message names it, and the network is unchanged.
    """
    path = pathlib.Path(path)
    if not path.name.endswith(ENDING):
        raise ValueError(
            f'{path}: expected a name that ends in {ENDING}; dualcam import-weights '
            'makes such a file'
        )
    with _open(path) as file:
        network = file.attrs.get('dualcam_network', model.name)
        if network != model.name:
            raise ValueError(f'{path}: not the weights of {model.name} but of {network}')
        wanted = file.attrs.get('dualcam_layout', resnet.layout_of(model))
        if wanted != resnet.layout_of(model):
            raise ValueError(
                f'{path}: weights for a network built with layout={wanted!r}; in '
                'this one they would give different results'
            )
        _check_sizes(path, file, model)
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises various kinds for a foreign file
        model.set_weights(before)
        # Keras 3.15 leaves the file open, held by its error's frames and a cycle of references.
        error = error.with_traceback(None)
        gc.collect()
        raise ValueError(
            f'{path}: not the weights of {model.name}, or damaged '
            f'({" ".join(str(error).split())[:300]})'
        ) from error


def network_of(path: AnyPath) -> str | None:
    """The network whose weights a file of `save` contains; None if not recorded."""
    with _open(path) as file:
        return file.attrs.get('dualcam_network')


def layout(path: AnyPath) -> str:
    """The ResNet-50 layout that a file of `save` is for."""
    with _open(path) as file:
        return file.attrs.get('dualcam_layout', 'slim')


def _open(path):
    try:
        return h5py.File(path)
    except FileNotFoundError:
        raise ValueError(f'{path}: no such file') from None
    except OSError as error:
        raise ValueError(
            f'{path}: not a complete file of weights ({error}); make it with dualcam import-weights'
        ) from error


def _check_sizes(path, file, model):
    """Refuses arrays larger than any of the network's before allocating memory for them."""
    largest = max(int(np.prod(weight.shape)) for weight in model.weights)

    def check(name, item):
        if isinstance(item, h5py.Dataset) and (item.size or 0) > largest:
            raise ValueError(
                f'{path}: not the weights of {model.name}: {name} has shape {item.shape}'
            )

    try:
        file.visititems(check)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f'{path}: not a complete file of weights ({error})') from error


def _long_axes(shape):
    return [size for size in shape if size != 1]
