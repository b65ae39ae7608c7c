"""The networks by name."""

import keras

from dualcam.data import audio, schema
from dualcam.data.signal import video
from dualcam.models import (
    avnet,
    dualcamnet,
    hearnet,
    l3net,
    layers,
    resnet,
    resnet18,
    soundnet,
    tagging_networks,
)

# What each network sees: 'acoustic', 'spectrogram', 'waveform', 'video' (frames of 224 x 224, for
# a frozen ResNet-50), 'video+acoustic', 'frames' (of 224 x 298, one a second) or 'tagging' (a
# dictionary of log-mel spectrograms, features of frames and the like).
INPUTS = {
    'dualcamnet': 'acoustic',
    'hearnet': hearnet.INPUT,
    'oursoundnet': soundnet.INPUT,
    'soundnet8': soundnet.INPUT,
    'resnet50': resnet.INPUT,
    'temporal_resnet50': resnet.INPUT,
    'avnet': avnet.INPUT,
    'dualcamnet_eccv': 'acoustic',
    'hearnet_eccv': hearnet.INPUT,
    'resnet18_eccv': resnet18.INPUT,
    'l3_audio': l3net.INPUT_AUDIO,
    'l3_vision': l3net.INPUT_VISION,
    **dict.fromkeys(tagging_networks.NETWORKS, tagging_networks.INPUT),
}
# Layers whose kernels carry an L2 penalty in the authors' programs. (The penalties of a frozen
# ResNet's kernels are constants, and left out; that of the logits layer is trained against.)
REGULARIZED = {
    'dualcamnet': (),
    'hearnet': hearnet.REGULARIZED,
    'oursoundnet': soundnet.REGULARIZED,
    'soundnet8': soundnet.REGULARIZED_8,
    'resnet50': ('logits',),
    'temporal_resnet50': ('logits',),
    'avnet': ('logits',),
    'dualcamnet_eccv': (),
    'hearnet_eccv': hearnet.REGULARIZED,
    'resnet18_eccv': resnet18.REGULARIZED,
    'l3_audio': l3net.REGULARIZED_AUDIO,
    'l3_vision': l3net.REGULARIZED_VISION,
    'l3': l3net.REGULARIZED,
    **dict.fromkeys(tagging_networks.NETWORKS, ()),
}
# The layer whose output is a network's embedding, or its map.
FEATURES = {
    'dualcamnet': dualcamnet.FEATURES,
    'hearnet': hearnet.FEATURES,
    'oursoundnet': soundnet.FEATURES,
    'soundnet8': soundnet.FEATURES,
    'resnet50': resnet.FEATURES,
    'temporal_resnet50': resnet.FEATURES,
    'avnet': avnet.FEATURES,
    'dualcamnet_eccv': dualcamnet.FEATURES_ECCV,
    'hearnet_eccv': hearnet.FEATURES_ECCV,
    'resnet18_eccv': resnet18.FEATURES,
    'l3_audio': l3net.FEATURES_AUDIO,
    'l3_vision': l3net.FEATURES_VISION,
    **dict.fromkeys(tagging_networks.NETWORKS, tagging_networks.AUDIO),
    'tagging_visual': tagging_networks.VISUAL,
}

_BUILDERS = {
    'dualcamnet': dualcamnet.build,
    'hearnet': hearnet.build,
    'oursoundnet': soundnet.build,
    'soundnet8': soundnet.build_8,
    'resnet50': resnet.build,
    'temporal_resnet50': resnet.build_temporal,
    'avnet': avnet.build,
    'dualcamnet_eccv': dualcamnet.build_eccv,
    'hearnet_eccv': hearnet.build_eccv,
    'resnet18_eccv': resnet18.build,
    'l3_audio': l3net.build_audio,
    'l3_vision': l3net.build_vision,
    **tagging_networks.NETWORKS,
}
_MAP_BUILDERS = {
    'dualcamnet_eccv': dualcamnet.build_eccv_map,
    'hearnet_eccv': hearnet.build_eccv_map,
    'resnet18_eccv': resnet18.build_map,
}
_SPECTROGRAMS = {'hearnet_eccv': hearnet.SPECTROGRAM_ECCV, 'l3_audio': l3net.SPECTROGRAM}


def build(name, num_classes=14, **options):
    """A network by its lower-case name.

    Args:
        name: one of `INPUTS`.
        num_classes: of the answer.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` whose output is logits [batch, num_classes].

    Raises:
        ValueError: no such network.
    """
    return _builder(_BUILDERS, name)(num_classes=num_classes, **options)


def build_map(name, **options):
    """What a network of ECCV 2020 learns correspondence with, below its answer to labels.

    Its layers have the names and weights of `build`'s.

    Args:
        name: 'dualcamnet_eccv', 'resnet18_eccv' or 'hearnet_eccv'.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` whose output is a clip's map [batch, 12, 16, 128], the mean over its
        frames, not negative; for 'hearnet_eccv' features [batch, 128] of either sign.

    Raises:
        ValueError: no such network, or one without a map.
    """
    return _builder(_MAP_BUILDERS, name)(**options)


def _builder(builders, name):
    if name not in builders:
        raise ValueError(f'network {name!r}: expected one of {", ".join(builders)}')
    return builders[name]


def spectrogram_params(name):
    """The `audio.SpectrogramParams` of what a network hears."""
    return _SPECTROGRAMS.get(name, audio.SpectrogramParams())


def inputs_of(model, inputs):
    """What a network takes of a batch's inputs.

    Args:
        model: from `build`, or one made of such networks.
        inputs: a tensor, or a dictionary that may hold more than this network sees.

    Returns:
        The tensor, or the dictionary of the network's own inputs.

    Raises:
        ValueError: one of them is not there.
    """
    if not isinstance(inputs, dict) or not isinstance(model.input, dict):
        return inputs
    missing = sorted(set(model.input) - set(inputs))
    if missing:
        raise ValueError(
            f'{model.name} sees {sorted(model.input)}, but the clips hold '
            f'{sorted(inputs)}: {missing} missing; make the clips with them'
        )
    return {name: inputs[name] for name in model.input}


def hear(model, heard):
    """What a network that listens to one microphone takes, of what its front end gives.

    Raises:
        ValueError: the network needs more than that.
    """
    if not isinstance(model.input, dict):
        return heard
    if set(model.input) != {'audio'}:
        raise ValueError(
            f'{model.name} takes {", ".join(model.input)}: what takes more than a '
            'log-mel spectrogram cannot listen to a microphone by itself'
        )
    return {'audio': heard}


# What clips are cut to for a network's training. A frozen backbone's features are kept, so that
# networks on video are trained from there on.
CLIPS = INPUTS | {
    'resnet50': 'features',
    'temporal_resnet50': 'features',
    'avnet': 'features+acoustic',
}


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
    if INPUTS[name] == 'frames':
        seconds = options.get('seconds', 2)
        return video.spread_frames(
            seconds * schema.FRAMES_PER_SECOND, options.get('num_frames', seconds)
        )
    seconds = options.get('seconds', 1)
    if name == 'temporal_resnet50':
        return video.spread_frames(
            seconds * schema.FRAMES_PER_SECOND, options.get('num_frames', resnet.TEMPORAL_FRAMES)
        )
    return video.strided_frames(seconds, options.get('frame_stride', 1))


def trained_variables(model):
    """The variables that are trained: all but a ResNet-50's below its logits."""
    return [
        variable
        for layer in model.layers
        if not layer.name.startswith('resnet_')
        for variable in layer.trainable_variables
    ]


def regularized_kernels(model):
    """The kernels of a network, or of its part that `build_map` makes, with an L2 penalty."""
    return [layer.kernel for layer in model.layers if layer.name in REGULARIZED[model.name]]
