"""Three formats of weight files, mapped to the authors' variable names.

TensorFlow checkpoints, Keras' own ResNet-50 and SoundNet's Torch 7 files. A file's names and
shapes are read first and its values on demand, so that a wrong shape is refused before memory is
allocated for it (`models/weight_import.py`).
"""

import collections.abc
import dataclasses
import functools
import pathlib
import re

import h5py
import numpy as np
import tensorflow as tf

from dualcam.files.path_types import AnyPath
from dualcam.models import torch7

_KERAS_LAYER = re.compile(r'conv([2-5])_block(\d)_([0-3])_(conv|bn)')
_KERAS_LOGITS = ('predictions', 'probs', 'fc1000')
_NORM_PARTS = ('gamma', 'beta', 'moving_mean', 'moving_variance')
_KERAS_EPSILON, _SLIM_EPSILON = 1.001e-5, 1e-5
# Positions of the convolutions in SoundNet's nn.Sequential, from 0; each one's batch normalisation
# follows it. OurSoundNet uses the first four of SoundNet-5.
_SOUNDNET_PLACES = {
    'oursoundnet': (0, 4, 8, 12),
    'soundnet5': (0, 4, 8, 12),
    'soundnet8': (0, 4, 8, 11, 14, 18, 21),
}
_SOUNDNET_5_END = 15  # two parallel convolutions
_TORCH_NORM_PARTS = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'moving_mean'}
_TORCH_EPSILON = 1e-5
# A Torch file begins with its first object: type 4, number 1.
_TORCH_BEGINNING = bytes((4, 0, 0, 0, 1, 0, 0, 0))


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array in a file.

    Attributes:
        shape: of the array.
        read: returns its values; raises the file library's errors if they are damaged.
    """

    shape: tuple[int, ...]
    read: collections.abc.Callable


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of weights.

    Attributes:
        kind: of the file.
        arrays: {authors' variable name: `Stored`}.
        left: names of other arrays.
        layout: of a ResNet-50 for these weights, or None for both.
        whole: whether the file should have a complete network; SoundNet's never does.
    """

    kind: str
    arrays: dict[str, Stored]
    left: tuple[str, ...] = ()
    layout: str | None = 'slim'
    whole: bool = True


def open_source(path: AnyPath, network: str) -> Source:
    """Opens a file of weights; recognises its format by its content.

    Args:
        path: of a checkpoint (its prefix or one of its files), a Keras HDF5 or Torch 7 file.
        network: name; for Torch files, the SoundNet to read.

    Returns:
        A `Source`.

    Raises:
        ValueError: the file is damaged or of another kind; the message names it.
    """
    path = pathlib.Path(path)
    if is_keras(path):
        return _keras(path)
    if path.suffix == '.t7' or _begins_with(path, _TORCH_BEGINNING):
        return _soundnet(path, network)
    return _checkpoint(path)


def is_keras(path: AnyPath) -> bool:
    """Whether a file is HDF5, like Keras' weights."""
    return _begins_with(pathlib.Path(path), b'\x89HDF\r\n\x1a\n')


def _begins_with(path, beginning):
    if not path.is_file():
        return False
    with path.open('rb') as file:
        return file.read(len(beginning)) == beginning


def _checkpoint(path):
    prefix = re.sub(r'\.(index|meta|data-\d{5}-of-\d{5})$', '', str(path))
    if not (pathlib.Path(prefix).exists() or pathlib.Path(f'{prefix}.index').exists()):
        raise ValueError(f'{path}: no such checkpoint')
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        raise ValueError(
            f'{path}: not a whole checkpoint, Keras HDF5 file or Torch 7 file '
            f'({str(error).strip().splitlines()[0]})'
        ) from error
    return Source(
        'TensorFlow checkpoint',
        {
            name: Stored(tuple(shape), functools.partial(reader.get_tensor, name))
            for name, shape in shapes.items()
        },
    )


def _keras(path):
    """Keras' own ResNet-50, for a network with layout='keras'.

    Keras uses BGR, so the first kernel is reversed for RGB; its convolutions' biases are merged
    into the means of the following normalisation, its larger epsilon into the variances.
    """
    stored, left = {}, []

    def gather(name, item):
        if isinstance(item, h5py.Dataset):
            layer, part = name.split('/')[0], name.rpartition('/')[2].partition(':')[0]
            place = _keras_place(layer)
            if place is None or part not in (
                ('kernel', 'bias') if _is_convolution(layer) else _NORM_PARTS
            ):
                left.append(f'{layer}/{part}')
                return
            scope = place if _is_convolution(layer) else f'{place}/BatchNorm'
            part = {'kernel': 'weights', 'bias': 'biases'}.get(part, part)
            stored[f'{scope}/{part}'] = Stored(
                item.shape, functools.partial(_read_dataset, path, item.name)
            )

    try:
        with h5py.File(path) as file:
            file.get('model_weights', file).visititems(gather)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f'{path}: not a whole HDF5 file ({error})') from error
    arrays = {}
    for name, array in stored.items():
        place, _, part = name.rpartition('/')
        if part == 'biases' and not place.endswith('/logits'):
            continue  # merged into the mean
        if part == 'moving_mean':
            bias = stored.get(f'{place.removesuffix("/BatchNorm")}/biases')
            if bias is not None and bias.shape != array.shape:
                raise ValueError(
                    f'{path}: {name} has shape {array.shape}, the bias of its '
                    f'convolution {bias.shape}'
                )
            if bias is not None:
                array = Stored(array.shape, functools.partial(_difference, array, bias))
        elif part == 'moving_variance':
            array = Stored(array.shape, functools.partial(_add_epsilon, array))
        elif name == 'resnet_v1_50/conv1/weights' and len(array.shape) == 4:
            array = Stored(array.shape, functools.partial(_swap_red_and_blue, array))
        arrays[name] = array
    return Source('Keras ResNet-50', arrays, tuple(left), layout='keras')


def _is_convolution(layer):
    return layer.endswith('_conv') or layer in _KERAS_LOGITS


def _keras_place(layer):
    if layer in ('conv1_conv', 'conv1_bn'):
        return 'resnet_v1_50/conv1'
    if layer in _KERAS_LOGITS:
        return 'resnet_v1_50/logits'
    if found := _KERAS_LAYER.fullmatch(layer):
        stage, unit, number, _ = found.groups()
        part = 'shortcut' if number == '0' else f'conv{number}'
        return f'resnet_v1_50/block{int(stage) - 1}/unit_{unit}/bottleneck_v1/{part}'
    return None


def _read_dataset(path, name):
    with h5py.File(path) as file:
        return file[name][()]


def _difference(array, other):
    return array.read() - other.read()


def _add_epsilon(array):
    return array.read() + (_KERAS_EPSILON - _SLIM_EPSILON)


def _swap_red_and_blue(array):
    return array.read()[:, :, ::-1]


def _soundnet(path, network):
    """SoundNet's convolutions and normalisations.

    The variances are unchanged, although Torch's epsilon is 1e-5 and the authors' network has 1e-3:
    all of it is fine-tuned from there, with that epsilon.
    """
    if network not in _SOUNDNET_PLACES:
        raise ValueError(
            f"{path}: SoundNet's weights are for "
            f'{" and ".join(_SOUNDNET_PLACES)}, not for {network}'
        )
    modules = _fields(torch7.read(path)).get('modules')
    if not isinstance(modules, dict):
        raise ValueError(f'{path}: not a network (nn.Sequential with modules)')
    arrays, used = {}, set()
    for number, place in enumerate(_SOUNDNET_PLACES[network], 1):
        scope = f'SoundNet/conv{number}'
        convolution = _module(path, modules, place, 'Convolution')
        arrays[f'{scope}/weights'] = _kernel(path, convolution, f'{scope}/weights')
        arrays[f'{scope}/biases'] = _tensor(path, convolution, 'bias', f'{scope}/biases')
        norm = _module(path, modules, place + 1, 'BatchNormalization')
        for theirs, ours in _TORCH_NORM_PARTS.items():
            arrays[f'{scope}/norm/{ours}'] = _tensor(path, norm, theirs, f'{scope}/norm/{ours}')
        arrays[f'{scope}/norm/moving_variance'] = _variance(
            path, norm, f'{scope}/norm/moving_variance'
        )
        used |= {place + 1, place + 2}  # Torch counts from 1
    if network == 'soundnet5':
        arrays |= _soundnet_5_end(path, modules)
    left = tuple(
        f'module {index - 1} ({module.kind})'
        for index, module in modules.items()
        if isinstance(index, int) and index not in used and 'weight' in _fields(module)
    )
    return Source(
        'Torch 7',
        {name: Stored(array.shape, lambda array=array: array) for name, array in arrays.items()},
        left,
        None,
        whole=False,
    )


def _soundnet_5_end(path, modules):
    """conv5: the convolutions for objects and for places, merged into one."""
    parts = _fields(_module(path, modules, _SOUNDNET_5_END, 'Concat')).get('modules')
    if not isinstance(parts, dict):
        raise ValueError(f'{path}: module {_SOUNDNET_5_END} contains no modules')
    convolutions = [_module(path, parts, place, 'Convolution') for place in range(2)]
    kernels = [_kernel(path, one, 'SoundNet/conv5/weights') for one in convolutions]
    biases = [_tensor(path, one, 'bias', 'SoundNet/conv5/biases') for one in convolutions]
    if len({kernel.shape[:-1] for kernel in kernels}) > 1 or {bias.ndim for bias in biases} != {1}:
        raise ValueError(f'{path}: SoundNet/conv5: its two convolutions do not fit together')
    return {
        'SoundNet/conv5/weights': np.concatenate(kernels, axis=-1),
        'SoundNet/conv5/biases': np.concatenate(biases),
    }


def _fields(module):
    """A Torch object's fields; empty for anything else."""
    fields = getattr(module, 'fields', None)
    return fields if isinstance(fields, dict) else {}


def _module(path, modules, place, kind):
    found = modules.get(place + 1)  # Torch counts from 1
    if kind not in getattr(found, 'kind', ''):
        raise ValueError(
            f'{path}: module {place} is {getattr(found, "kind", "missing")}, '
            f'expected a {kind} of SoundNet'
        )
    return found


def _tensor(path, module, field, name):
    value = _fields(module).get(field)
    if not isinstance(value, np.ndarray):
        raise ValueError(f'{path}: {name} is missing ({module.kind} without {field})')
    return value


def _kernel(path, convolution, name):
    """[out, in, height, width], from that or from [out, in * height * width] and its sizes."""
    kernel = _tensor(path, convolution, 'weight', name)
    if kernel.ndim == 2:
        fields = _fields(convolution)
        sizes = [fields.get(size) for size in ('nInputPlane', 'kH', 'kW')]
        if all(isinstance(size, float) and 1 <= size <= kernel.size for size in sizes):
            shape = (len(kernel), *map(int, sizes))
            if np.prod(shape) == kernel.size:
                kernel = kernel.reshape(shape)
    if kernel.ndim != 4:
        raise ValueError(f'{path}: {name} has shape {kernel.shape}; expected 4 axes')
    return kernel.transpose(2, 3, 1, 0)  # [height, width, in, out]


def _variance(path, norm, name):
    if 'running_std' not in _fields(norm):
        return _tensor(path, norm, 'running_var', name)
    # Old versions store 1 / sqrt(variance + epsilon).
    inverse = _tensor(path, norm, 'running_std', name).astype(np.float64)
    epsilon = _fields(norm).get('eps', _TORCH_EPSILON)
    if not (isinstance(epsilon, float) and 0 <= epsilon < 1 and np.all(inverse > 0)):
        raise ValueError(f'{path}: {name}: running_std or eps is not positive')
    return np.maximum(1 / np.square(inverse) - epsilon, 0)
