"""OurSoundNet, the student on waveforms: SoundNet-5 with new last layers (WACV 2020).

This module also has SoundNet-8 (Aytar, Vondrick, Torralba, NIPS 2016) with the same new layers, and
the original SoundNet-5, whose features are compared with the students' (WACV 2020, Table 4).

Each convolution is zero-padded on both sides and followed by batch normalisation and ReLU; pools
are VALID. Pooling before the ReLU gives the same numbers and an eighth of the ReLU's work.
"""

import keras

from dualcam.data import audio
from dualcam.models import convolutions, hearnet, layers

FEATURES = 'fc1'
FEATURES_5 = 'conv5'
INPUT = 'waveform'
REGULARIZED = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'conv6')
REGULARIZED_8 = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'conv6', 'conv7')
# Layers initialised from the published SoundNet-5 if its weights are given (WACV 2020).
PRETRAINED = ('conv1', 'conv2', 'conv3', 'conv4')

# name, filters, taps, stride, zeros on both sides, pool
_CONVOLUTIONS = (
    ('conv1', 32, 64, 2, 32, 8),
    ('conv2', 64, 32, 2, 16, 8),
    ('conv3', 128, 16, 2, 8, 8),
    ('conv4', 256, 8, 2, 4, None),
    ('conv5', 1024, 16, 12, 4, None),
)
# The published conv5: two convolutions, for the objects and the scenes in a picture.
_SEEN_CLASSES = 1000 + 401
_CONVOLUTIONS_8 = (
    ('conv1', 16, 64, 2, 32, 8),
    ('conv2', 32, 32, 2, 16, 8),
    ('conv3', 64, 16, 2, 8, None),
    ('conv4', 128, 8, 2, 4, None),
    ('conv5', 256, 4, 2, 2, 4),
    ('conv6', 512, 4, 2, 2, None),
    ('conv7', 1024, 4, 2, 2, None),
)
_MANY_TAPS = 32  # for which transforms pay off
_FEW_OUTPUTS = 4  # for which one matrix product does


def build(num_classes: int = 14, seconds: int = 5, dropout: float = 0.0) -> keras.Model:
    """Builds the network.

    Args:
        num_classes: of the logits.
        seconds: of a clip, 4 or more; if conv5 leaves several steps, their logits are averaged.
        dropout: rate before fc1 and fc2.

    Returns:
        A Keras model from waveforms [batch, seconds * 22,050], largest magnitude 256, to logits
        [batch, classes].
    """
    if seconds < 4:
        raise ValueError(
            f'a clip of {seconds} s: OurSoundNet needs 4 s or more, as its convolutions '
            'reduce shorter ones to nothing'
        )
    inputs, x = _trunk(_CONVOLUTIONS, seconds)
    x = convolutions.StridedProductConv1D(1024, 1, activation='relu', name='conv6')(x)
    return keras.Model(inputs, hearnet.head(x, num_classes, dropout), name='oursoundnet')


def build_5(seconds: int = 5) -> keras.Model:
    """Builds SoundNet-5 as published.

    Args:
        seconds: of a clip, 4 or more.

    Returns:
        A Keras model from waveforms [batch, seconds * 22,050], largest magnitude 256, to its
        conv5's outputs for objects (1000) and scenes (401), [batch, steps, 1401], without ReLU.
    """
    inputs, x = _trunk(_CONVOLUTIONS[:-1], seconds)
    name, _, taps, stride, zeros, _ = _CONVOLUTIONS[-1]
    x = keras.layers.ZeroPadding1D(zeros)(x)
    x = keras.layers.Conv1D(_SEEN_CLASSES, taps, stride, name=name)(x)
    return keras.Model(inputs, x, name='soundnet5')


def build_8(num_classes: int = 14, seconds: int = 5, dropout: float = 0.0) -> keras.Model:
    """Builds SoundNet-8 with OurSoundNet's head; like `build`, but from 1 s on."""
    inputs, x = _trunk(_CONVOLUTIONS_8, seconds)
    return keras.Model(inputs, hearnet.head(x, num_classes, dropout), name='soundnet8')


def _trunk(stages, seconds):
    """Input and last feature map [batch, steps, filters]."""
    inputs = keras.Input((audio.num_samples(seconds),), name=INPUT)
    x = keras.ops.expand_dims(inputs, -1)
    for name, filters, taps, stride, zeros, pool in stages:
        usual = {'epsilon': 1e-3, 'momentum': 0.9, 'name': f'{name}_norm'}
        if x.shape[-1] == 1:
            conv = convolutions.FramedConv1D(filters, taps, stride, zeros, pool, name=name)
            x = layers.FramedNormalization(conv, **usual)(conv(x), source=x)
        else:
            x = keras.layers.ZeroPadding1D(zeros)(x)
            outputs = (x.shape[1] - taps) // stride + 1
            if taps >= _MANY_TAPS:
                kind = convolutions.StridedSpectralConv1D
            elif outputs <= _FEW_OUTPUTS:
                kind = convolutions.StridedProductConv1D
            else:
                kind = keras.layers.Conv1D
            x = kind(filters, taps, stride, name=name)(x)
            x = layers.FusedBatchNormalization(**usual)(x)
        if pool:
            x = keras.layers.MaxPooling1D(pool, name=name.replace('conv', 'pool'))(x)
        x = keras.layers.ReLU()(x)
    return inputs, x
