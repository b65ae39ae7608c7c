"""Weight files in other programs' formats, and a check that one is refused."""

import numpy as np
import pytest
import tensorflow as tf

from dualcam import models
from dualcam.models import soundnet, weight_import, weights
from tests.helpers import goldens
from tests.helpers.torch_files import TorchWriter


def write_checkpoint(path, arrays):
    """Writes a TensorFlow 1 checkpoint with a Saver."""
    names = sorted(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=names,
        shape_and_slices=[''] * len(names),
        tensors=[tf.constant(arrays[name]) for name in names],
    )
    return path


def soundnet_file(path, arrays, places, old_norm=False, edit=None):
    """A SoundNet in Torch's form: an nn.Sequential with kernels [out, in, height, width].

    `edit` may change the modules, {position from 1: (class, fields)}, before they are written.
    """
    modules = {}
    for number, place in enumerate(places, 1):
        scope = f'SoundNet/conv{number}'
        kernel = np.ascontiguousarray(arrays[f'{scope}/weights'].transpose(3, 2, 0, 1))
        modules[place + 1] = (
            'nn.SpatialConvolution',
            {'weight': kernel, 'bias': arrays[f'{scope}/biases'], 'train': False},
        )
        norm = {
            'weight': arrays[f'{scope}/norm/gamma'],
            'bias': arrays[f'{scope}/norm/beta'],
            'running_mean': arrays[f'{scope}/norm/moving_mean'],
            'eps': 1e-5,
        }
        variance = arrays[f'{scope}/norm/moving_variance']
        if old_norm:
            norm['running_std'] = (1 / np.sqrt(variance + 1e-5)).astype(np.float32)
        else:
            norm['running_var'] = variance
        modules[place + 2] = ('nn.SpatialBatchNormalization', norm)
    for place in range(1, max(modules)):
        modules.setdefault(place, ('nn.ReLU', {'inplace': True}))
    modules[max(modules) + 1] = (
        'nn.SpatialConvolution',
        {'weight': np.ones((2, 3, 1, 1), np.float32), 'bias': np.zeros(2, np.float32)},
    )
    if edit:
        edit(modules)
    writer = TorchWriter()
    writer.value(('nn.Sequential', {'modules': modules, '_type': 'torch.FloatTensor'}))
    path.write_bytes(writer.data)
    return path


def soundnet_5_file(path, places=(0, 4, 8, 12)):
    """SoundNet-5 with its original end, and its arrays, with conv5's two parts joined."""
    arrays = soundnet_arrays(soundnet.build_5())
    kernel, bias = arrays['SoundNet/conv5/weights'], arrays['SoundNet/conv5/biases']

    def add_end(modules):
        modules[15] = ('nn.ReLU', {'inplace': True})
        parts = {}
        for number, part in ((1, slice(1000)), (2, slice(1000, None))):
            own = np.ascontiguousarray(kernel[..., part].transpose(3, 2, 0, 1))
            parts[number] = ('nn.SpatialConvolution', {'weight': own, 'bias': bias[part]})
        modules[16] = ('nn.ConcatTable', {'modules': parts})

    soundnet_file(path, arrays, places, edit=add_end)
    return arrays


def soundnet_8_arrays():
    return soundnet_arrays(models.build('soundnet8'))


def soundnet_arrays(model):
    names = weights.tf1_names(model)
    shapes = {}
    for name, variable in names.items():
        shape = tuple(variable.shape)
        shapes[name] = (shape[0], 1, *shape[1:]) if len(shape) == 3 else shape
    return {
        name: goldens.weights(name, shape)
        for name, shape in shapes.items()
        if name.split('/')[1].startswith('conv')
    }


def check_refused(path, model, before, message):
    with pytest.raises(ValueError, match=message) as caught:
        weight_import.import_weights(path, model)
    assert str(path) in str(caught.value)
    for was, now in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(was, now.numpy())
