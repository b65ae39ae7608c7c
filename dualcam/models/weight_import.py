"""Loads weights from another program's file into a network, and reports what did not fit.

`models/checkpoint_formats.py` reads the formats; `weights.load` reads the file that
`dualcam import-weights` writes.
"""

import dataclasses
import re

import keras
import numpy as np
import tensorflow as tf

from dualcam.files.path_types import AnyPath
from dualcam.models import checkpoint_formats, resnet, weights

_LOGITS = 'resnet_v1_50/logits/'
_IMAGENET_CLASSES = (1000, 1001)
# Parts that a ResNet-50 trained on ImageNet lacks. A file has such a part completely or not at all.
_PARTS_OF_OURS = (
    re.compile(r'(resnet_v1_50/logits|DualCamNet|AVNet)/'),
    re.compile(r'resnet_v1_50/.+/conv_temp/'),
)


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of an import, in the authors' variable names.

    Attributes:
        source: kind of the file.
        taken: variables that now have the file's values.
        left: other variables in the file.
        missing: variables that the file lacks; they keep their values.
    """

    source: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    missing: tuple[str, ...]


def layout_of(path: AnyPath) -> str:
    """'keras' for Keras' own ResNet-50, with strides in other layers; otherwise 'slim'."""
    return 'keras' if checkpoint_formats.is_keras(path) else 'slim'


def import_weights(path: AnyPath, model: keras.Model, allow_missing: bool = False) -> Report:
    """Loads weights from another program's file into a network.

    Args:
        path: of a TensorFlow checkpoint (its prefix or one of its files), a Keras HDF5 file or
            a Torch 7 file.
        model: built by `dualcam.models.build`; for Keras' file with `layout='keras'`.
        allow_missing: accept a file that lacks variables. Those that ResNets trained on ImageNet
            and SoundNets never have (our logits, temporal convolutions, DualCamNet, SoundNet's
            new last layers) may be missing in any case.

    Returns:
        A `Report`.

    Raises:
        ValueError: the file is damaged, has wrong shapes, contains only a part of the network or
            nothing of it, or a ResNet-50 of the other layout; the message names file and
            variable, and the model is unchanged.
    """
    source = checkpoint_formats.open_source(path, model.name)
    names = weights.tf1_names(model)
    taken = {
        name: source.arrays[name]
        for name in names
        if name in source.arrays and not _is_imagenets(name, source.arrays[name], names[name])
    }
    left = sorted({*source.left, *source.arrays} - set(taken))
    missing = [name for name in names if name not in taken]
    if not taken:
        raise ValueError(
            f'{path}: {source.kind} that contains nothing of {model.name}; the first '
            f'of its {len(left)} variables are {left[:3]}'
        )
    if (
        model.name in resnet.NETWORKS
        and source.layout is not None
        and source.layout != resnet.layout_of(model)
    ):
        raise ValueError(
            f'{path}: {source.kind}, which needs a network with layout='
            f"{source.layout!r}; this one's strides are in other layers"
        )
    if source.whole and not allow_missing:
        _check_missing(path, model.name, missing, taken)
    values = {name: _value(path, name, stored, names[name]) for name, stored in taken.items()}
    for name, value in values.items():
        names[name].assign(value)
    return Report(source.kind, tuple(taken), tuple(left), tuple(missing))


def _is_imagenets(name, stored, variable):
    """Whether these are logits for ImageNet's classes instead of ours."""
    return (
        name.startswith(_LOGITS)
        and stored.shape[-1:] != tuple(variable.shape[-1:])
        and stored.shape[-1:] in {(classes,) for classes in _IMAGENET_CLASSES}
    )


def _check_missing(path, network, missing, taken):
    """Raises a `ValueError` for missing variables, except parts that are missing completely."""
    for part in _PARTS_OF_OURS:
        if not any(part.match(name) for name in taken):
            missing = [name for name in missing if not part.match(name)]
    if missing:
        more = f' and {len(missing) - 1} more of' if len(missing) > 1 else ' of'
        raise ValueError(
            f'{path}: {missing[0]}{more} {network} missing; allow_missing leaves '
            'missing variables randomly initialised'
        )


def _value(path, name, stored, variable):
    """A variable's new value, checked."""
    try:
        weights.check_shape(name, stored.shape, variable)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    try:
        value = np.asarray(stored.read())
    except (tf.errors.OpError, OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f'{path}: {name} cannot be read; the file is damaged '
            f'({str(error).strip().splitlines()[0]})'
        ) from error
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(f'{path}: {name} is {value.dtype}, expected floating-point numbers')
    value = value.astype(np.float32).reshape(variable.shape)
    if not np.isfinite(value).all():
        raise ValueError(f'{path}: {name} has values that are not finite')
    if name.endswith('/moving_variance') and value.min() < 0:
        raise ValueError(f'{path}: {name} has values below 0')
    return value
