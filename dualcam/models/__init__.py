"""The networks by name."""

from dualcam.models import avnet, dualcamnet, hearnet, resnet, soundnet

# What each network sees: 'acoustic', 'spectrogram', 'waveform', 'video' or 'video+acoustic'.
INPUTS = {'dualcamnet': 'acoustic', 'hearnet': hearnet.INPUT, 'oursoundnet': soundnet.INPUT,
          'resnet50': resnet.INPUT, 'temporal_resnet50': resnet.INPUT, 'avnet': avnet.INPUT}
# Layers whose kernels carry an L2 penalty in the authors' programs. (The penalties of a frozen
# ResNet's kernels are constants, and left out; that of the logits layer is trained against.)
REGULARIZED = {'dualcamnet': (), 'hearnet': hearnet.REGULARIZED,
               'oursoundnet': soundnet.REGULARIZED,
               'resnet50': ('logits',), 'temporal_resnet50': ('logits',), 'avnet': ('logits',)}
# The layer whose output is a network's embedding.
FEATURES = {'dualcamnet': dualcamnet.FEATURES, 'hearnet': hearnet.FEATURES,
            'oursoundnet': soundnet.FEATURES, 'resnet50': resnet.FEATURES,
            'temporal_resnet50': resnet.FEATURES, 'avnet': avnet.FEATURES}

_BUILDERS = {'dualcamnet': dualcamnet.build, 'hearnet': hearnet.build,
             'oursoundnet': soundnet.build, 'resnet50': resnet.build,
             'temporal_resnet50': resnet.build_temporal, 'avnet': avnet.build}


def build(name, num_classes=14, **options):
    """A network by its lower-case name.

    Args:
        name: 'dualcamnet', 'hearnet', 'oursoundnet', 'resnet50', 'temporal_resnet50' or 'avnet'.
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
