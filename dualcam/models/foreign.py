"""Files of weights that other programs wrote, brought to the authors' variable names.

TensorFlow checkpoints (the authors' programs, TF-Slim's resnet_v1_50.ckpt), Keras' own ResNet-50
and SoundNet's Torch 7 files. `import_weights` gives a network what fits and says what did not.
"""

import dataclasses
import pathlib
import re

import h5py
import numpy as np
import tensorflow as tf

from dualcam.models import torch7, weights

_KERAS_LAYER = re.compile(r'conv([2-5])_block(\d)_([0-3])_(conv|bn)')
_KERAS_PARTS = {'gamma': 'gamma', 'beta': 'beta', 'moving_mean': 'moving_mean',
                'moving_variance': 'moving_variance'}
_KERAS_EPSILON, _SLIM_EPSILON = 1.001e-5, 1e-5
_NORM_PARTS = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'moving_mean',
               'running_var': 'moving_variance'}
# Places of the convolutions in SoundNet's nn.Sequential, from 0; each one's batch normalisation
# follows it. Of SoundNet-5 the papers take the first four.
_SOUNDNET_PLACES = {'oursoundnet': (0, 4, 8, 12), 'soundnet8': (0, 4, 8, 11, 14, 18, 21)}
_IMAGENET_CLASSES = (1000, 1001)


@dataclasses.dataclass(frozen=True)
class Report:
    """What an import did, in names of the authors' variables.

    Attributes:
        source: kind of file.
        taken: variables that have the file's values now.
        left: what the file holds besides.
        missing: variables that the file does not hold; they keep their values.
    """
    source: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    missing: tuple[str, ...]


def layout_of(path):
    """'keras' for Keras' own ResNet-50, whose strides lie elsewhere, and 'slim' for the rest."""
    return 'keras' if h5py.is_hdf5(path) else 'slim'


def import_weights(path, model):
    """Gives a network the weights of a file that another program wrote.

    Args:
        path: of a TensorFlow checkpoint (its prefix or one of its files), a Keras HDF5 file or
            a Torch 7 file.
        model: built by `dualcam.models.build`; for Keras' file with `layout='keras'`.

    Returns:
        A `Report`.

    Raises:
        ValueError: the file is damaged, of another shape, holds a part of a layer only, or
            nothing of this network; the message names file and variable, and the model is as
            before.
    """
    path = pathlib.Path(path)
    source, arrays, left = _read(path, model)
    names = weights.tf1_names(model)
    logits = 'resnet_v1_50/logits/'
    taken = {}
    for name, array in arrays.items():
        of_imagenet = name.startswith(logits) and np.shape(array)[-1] in _IMAGENET_CLASSES
        if name not in names or (of_imagenet and names[name].shape[-1] != np.shape(array)[-1]):
            left.append(name)
        else:
            taken[name] = array
    missing = [name for name in names if name not in taken]
    if not taken:
        raise ValueError(f'{path}: holds nothing of {model.name}; the first of its '
                         f'{len(left)} variables are {sorted(left)[:3]}')
    half = [m for m in missing if any(t.rpartition('/')[0] == m.rpartition('/')[0] for t in taken)]
    if half:
        raise ValueError(f'{path}: {half[0]} is missing, though others of its layer are there')
    for name, array in taken.items():
        try:
            weights.check_shape(name, array, names[name])
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
        if not np.isfinite(array).all():
            raise ValueError(f'{path}: {name} has values that are not finite')
    for name, array in taken.items():
        names[name].assign(np.asarray(array, np.float32).reshape(names[name].shape))
    return Report(source, tuple(taken), tuple(sorted(left)), tuple(missing))


def _read(path, model):
    """(kind of file, {variable name: array}, names of what is left out)."""
    if h5py.is_hdf5(path):
        return 'Keras ResNet-50', *_read_keras(path)
    if path.suffix == '.t7':
        return 'Torch 7', *_read_soundnet(path, model)
    return 'TensorFlow checkpoint', *_read_checkpoint(path)


def _read_checkpoint(path):
    prefix = re.sub(r'\.(index|meta|data-\d{5}-of-\d{5})$', '', str(path))
    if not (pathlib.Path(prefix).exists() or pathlib.Path(f'{prefix}.index').exists()):
        raise ValueError(f'{path}: no such checkpoint')
    arrays = {}
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            arrays[name] = name
            arrays[name] = reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        at = f', at {list(arrays)[-1]}' if arrays else ''
        first_line = str(error).strip().splitlines()[0]
        raise ValueError(f'{path}: not a whole checkpoint{at} ({first_line})') from error
    return arrays, []


def _read_keras(path):
    """Keras' layers and weights by TF-Slim's names, for a network with layout='keras'.

    Keras feeds BGR, so the first kernel is turned around for RGB; its convolutions' biases go
    into the means of the normalisation behind them, its larger epsilon into the variances.
    """
    raw = {}

    def gather(name, item):
        if isinstance(item, h5py.Dataset):
            parts = name.split('/')
            raw[parts[0], parts[-1].partition(':')[0]] = np.asarray(item)
    try:
        with h5py.File(path) as file:
            root = file.get('model_weights', file)
            root.visititems(gather)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f'{path}: not a whole HDF5 file ({error})') from error
    arrays, left, biases = {}, [], {}
    for (layer, part), array in raw.items():
        place = _keras_place(layer)
        if place is None:
            left.append(f'{layer}/{part}')
        elif layer.endswith(('_conv', 'predictions', 'probs', 'fc1000')):
            if part == 'kernel':
                arrays[f'{place}/weights'] = array
            elif place.endswith('logits'):
                arrays[f'{place}/biases'] = array
            else:
                biases[place] = array
        elif part in _KERAS_PARTS:
            arrays[f'{place}/BatchNorm/{part}'] = array
        else:
            left.append(f'{layer}/{part}')
    for place, bias in biases.items():
        mean = f'{place}/BatchNorm/moving_mean'
        if mean not in arrays or np.shape(arrays[mean]) != np.shape(bias):
            raise ValueError(f'{path}: {mean} is missing or of another shape than its bias')
        arrays[mean] = arrays[mean] - bias
    for name in arrays:
        if name.endswith('moving_variance'):
            arrays[name] = arrays[name] + (_KERAS_EPSILON - _SLIM_EPSILON)
    first = 'resnet_v1_50/conv1/weights'
    if first in arrays and np.ndim(arrays[first]) == 4:
        arrays[first] = arrays[first][:, :, ::-1]
    return arrays, left


def _keras_place(layer):
    if layer in ('conv1_conv', 'conv1_bn'):
        return 'resnet_v1_50/conv1'
    if layer in ('predictions', 'probs', 'fc1000'):
        return 'resnet_v1_50/logits'
    if found := _KERAS_LAYER.fullmatch(layer):
        stage, unit, number, _ = found.groups()
        part = 'shortcut' if number == '0' else f'conv{number}'
        return f'resnet_v1_50/block{int(stage) - 1}/unit_{unit}/bottleneck_v1/{part}'
    return None


def _read_soundnet(path, model):
    """SoundNet's convolutions and normalisations by the authors' names."""
    if model.name not in _SOUNDNET_PLACES:
        raise ValueError(f'{path}: SoundNet\'s weights are for '
                         f'{" and ".join(_SOUNDNET_PLACES)}, not for {model.name}')
    network = torch7.read(path)
    fields = getattr(network, 'fields', None)
    modules = fields.get('modules') if isinstance(fields, dict) else None
    if not isinstance(modules, dict):
        raise ValueError(f'{path}: not a network (nn.Sequential with modules)')
    arrays, used = {}, set()
    for number, place in enumerate(_SOUNDNET_PLACES[model.name], 1):
        scope = f'SoundNet/conv{number}'
        convolution = _module(path, modules, place, 'Convolution')
        kernel = _tensor(path, convolution, 'weight', f'{scope}/weights')
        if kernel.ndim != 4:
            raise ValueError(f'{path}: {scope}/weights has shape {kernel.shape}; expected 4 axes')
        arrays[f'{scope}/weights'] = kernel.transpose(2, 3, 1, 0)       # [height, width, in, out]
        arrays[f'{scope}/biases'] = _tensor(path, convolution, 'bias', f'{scope}/biases')
        norm = _module(path, modules, place + 1, 'BatchNormalization')
        for theirs, ours in _NORM_PARTS.items():
            name = f'{scope}/norm/{ours}'
            if theirs == 'running_var' and 'running_std' in norm.fields:
                # Old versions keep 1 / sqrt(variance + epsilon).
                inverse = _tensor(path, norm, 'running_std', name).astype(np.float64)
                arrays[name] = 1 / inverse**2 - float(norm.fields.get('eps', 1e-5))
            else:
                arrays[name] = _tensor(path, norm, theirs, name)
        used |= {place, place + 1}
    left = [f'module {index - 1} ({module.kind})' for index, module in modules.items()
            if index - 1 not in used and isinstance(module, torch7.TorchObject)
            and isinstance(module.fields, dict) and 'weight' in module.fields]
    return arrays, left


def _module(path, modules, place, kind):
    found = modules.get(place + 1)                         # Torch counts from 1
    if not isinstance(found, torch7.TorchObject) or kind not in found.kind or not isinstance(
            found.fields, dict):
        raise ValueError(f'{path}: module {place} is {getattr(found, "kind", found)}, expected a '
                         f'{kind} of SoundNet')
    return found


def _tensor(path, module, field, name):
    value = module.fields.get(field)
    if not isinstance(value, np.ndarray):
        raise ValueError(f'{path}: {name} is missing ({module.kind} without {field})')
    return value
