"""The networks by name."""

import keras

from dualcam.data import schema, video
from dualcam.models import avnet, dualcamnet, hearnet, layers, resnet, soundnet

# What each network sees: 'acoustic', 'spectrogram', 'waveform', 'video' or 'video+acoustic'.
INPUTS = {'dualcamnet': 'acoustic', 'hearnet': hearnet.INPUT, 'oursoundnet': soundnet.INPUT,
          'soundnet8': soundnet.INPUT,
          'resnet50': resnet.INPUT, 'temporal_resnet50': resnet.INPUT, 'avnet': avnet.INPUT}
# Layers whose kernels carry an L2 penalty in the authors' programs. (The penalties of a frozen
# ResNet's kernels are constants, and left out; that of the logits layer is trained against.)
REGULARIZED = {'dualcamnet': (), 'hearnet': hearnet.REGULARIZED,
               'oursoundnet': soundnet.REGULARIZED, 'soundnet8': soundnet.REGULARIZED_8,
               'resnet50': ('logits',), 'temporal_resnet50': ('logits',), 'avnet': ('logits',)}
# The layer whose output is a network's embedding.
FEATURES = {'dualcamnet': dualcamnet.FEATURES, 'hearnet': hearnet.FEATURES,
            'oursoundnet': soundnet.FEATURES, 'soundnet8': soundnet.FEATURES,
            'resnet50': resnet.FEATURES, 'temporal_resnet50': resnet.FEATURES,
            'avnet': avnet.FEATURES}

_BUILDERS = {'dualcamnet': dualcamnet.build, 'hearnet': hearnet.build,
             'oursoundnet': soundnet.build, 'soundnet8': soundnet.build_8,
             'resnet50': resnet.build,
             'temporal_resnet50': resnet.build_temporal, 'avnet': avnet.build}


def build(name, num_classes=14, **options):
    """A network by its lower-case name.

    Args:
        name: 'dualcamnet', 'hearnet', 'oursoundnet', 'soundnet8', 'resnet50',
            'temporal_resnet50' or 'avnet'.
        num_classes: of the answer.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` whose output is logits [batch, num_classes].

    Raises:
        ValueError: no such network.
    """
    if name not in _BUILDERS:
        raise ValueError(f'network {name!r}: expected one of {", ".join(_BUILDERS)}')
    return _BUILDERS[name](num_classes=num_classes, **options)


# What clips are cut to for a network's training. A frozen backbone's features are kept, so that
# networks on video are trained from there on.
CLIPS = INPUTS | {'resnet50': 'features', 'temporal_resnet50': 'features',
                  'avnet': 'features+acoustic'}


def build_head(name, num_classes=14, feature_stats=None, **options):
    """The part of a network on video that is trained, on features of its frames.

    Args:
        name: 'resnet50', 'temporal_resnet50' or 'avnet'.
        num_classes: of the answer.
        feature_stats: mean and deviation [2048] to standardise features with, or None.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` from features [batch, frames, 2048] (avnet: a dictionary of `features`
        and `acoustic`) to logits [batch, num_classes]; its layers are named as in `build`.
    """
    frames = feature_frames(name, options)
    inputs = keras.Input((len(frames), resnet.NUM_FEATURES), name='features')
    x = keras.ops.reshape(inputs, [-1, resnet.NUM_FEATURES])
    if feature_stats is not None:
        x = layers.standardise(*feature_stats, name='standardise_features')(x)
    if name == 'avnet':
        acoustic, logits = avnet.head(x, num_classes, **({'seconds': 1} | options))
        return keras.Model({'features': inputs, 'acoustic': acoustic}, logits, name=name)
    return keras.Model(inputs, resnet.head(x, num_classes, len(frames)), name=name)


def feature_frames(name, options):
    """Numbers of the frames of a clip that a network on video sees, from its `build` options."""
    seconds = options.get('seconds', 1)
    if name == 'temporal_resnet50':
        return video.spread_frames(seconds * schema.FRAMES_PER_SECOND,
                                   options.get('num_frames', resnet.TEMPORAL_FRAMES))
    return video.strided_frames(seconds, options.get('frame_stride', 1))


def trained_variables(model):
    """The variables that are trained: all but a ResNet's below its logits."""
    return [variable for layer in model.layers if not layer.name.startswith('resnet_')
            for variable in layer.trainable_variables]
