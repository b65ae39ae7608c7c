"""The networks by name."""

from dualcam.models import dualcamnet, hearnet, soundnet

# What each network sees: 'acoustic', 'spectrogram' or 'waveform'.
INPUTS = {'dualcamnet': 'acoustic', 'hearnet': hearnet.INPUT, 'oursoundnet': soundnet.INPUT}
# Layers whose kernels carry an L2 penalty in the authors' programs.
REGULARIZED = {'dualcamnet': (), 'hearnet': hearnet.REGULARIZED,
               'oursoundnet': soundnet.REGULARIZED}
# The layer whose output is a network's embedding.
FEATURES = {'dualcamnet': dualcamnet.FEATURES, 'hearnet': hearnet.FEATURES,
            'oursoundnet': soundnet.FEATURES}

_BUILDERS = {'dualcamnet': dualcamnet.build, 'hearnet': hearnet.build,
             'oursoundnet': soundnet.build}


def build(name, num_classes=14, **options):
    """A network by its lower-case name.

    Args:
        name: 'dualcamnet', 'hearnet' or 'oursoundnet'.
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
