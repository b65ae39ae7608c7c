"""HearNet, the student on spectrograms (WACV 2020).

All its convolutions run along time only, so they are one-dimensional here; the authors' [k, 1]
kernels contain the same numbers (`models/weights.py`).

ECCV 2020's version takes 2 s, of which the pools leave one step, and has 128 features below its
logits: with ReLU if it learns from labels, without if it learns from video or a teacher's map.
"""

import keras

from dualcam.data import audio
from dualcam.models import convolutions

FEATURES = 'fc1'
FEATURES_ECCV = 'fc2'
SPECTROGRAM_ECCV = audio.SpectrogramParams(hop=219)  # 200 frames of 2 s
INPUT = 'spectrogram'
REGULARIZED = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5')
_FEW_PRODUCTS = 500  # taps times steps; with fewer, a plain convolution is as fast


def build(
    num_classes: int = 14,
    seconds: int = 5,
    num_frames: int | None = None,
    dropout: float = 0.0,
    bins_heard: int | None = None,
) -> keras.Model:
    """Builds the network.

    Args:
        num_classes: of the logits.
        seconds: of a clip.
        num_frames: of its spectrogram; default that of `audio.SpectrogramParams` for these
            seconds. If fewer than four steps (the kernel of conv4) are left after the pools, the
            kernel covers those; if there are more, their logits are averaged.
        dropout: rate before fc1 and fc2. The authors feed a rate of 0.5 that is not used.
        bins_heard: number of frequency bins that are not always zero; conv1 skips the others,
            which does not change the result and saves nearly half of its work on recordings at
            12,288 Hz.

    Returns:
        A Keras model from normalised spectrograms [batch, frames, 257] to logits [batch,
        classes].
    """
    inputs, x = _trunk(audio.SpectrogramParams(), seconds, num_frames, bins_heard)
    return keras.Model(inputs, head(x, num_classes, dropout), name='hearnet')


def head(x: keras.KerasTensor, num_classes: int, dropout: float) -> keras.KerasTensor:
    """fc1 and fc2 on [batch, steps, 1024], averaged over the steps; OurSoundNet has them too."""
    x = _dense(x, (('fc1', 1000, 'relu'), ('fc2', num_classes, None)), dropout)
    return keras.layers.GlobalAveragePooling1D(name='logits')(x)


def build_eccv(
    num_classes: int = 10, seconds: int = 2, dropout: float = 0.0, bins_heard: int | None = None
) -> keras.Model:
    """Builds ECCV 2020's network for labels.

    Args:
        num_classes: of the logits.
        seconds: of a clip.
        dropout: rate before fc1, fc2 and fc3.
        bins_heard: as in `build`.

    Returns:
        A Keras model from normalised spectrograms [batch, frames, 257], of `SPECTROGRAM_ECCV`, to
        logits [batch, classes].
    """
    inputs, x = _trunk(SPECTROGRAM_ECCV, seconds, None, bins_heard)
    x = _dense(
        x,
        (('fc1', 1000, 'relu'), (FEATURES_ECCV, 128, 'relu'), ('fc3', num_classes, None)),
        dropout,
    )
    return keras.Model(
        inputs, keras.layers.GlobalAveragePooling1D(name='logits')(x), name='hearnet_eccv'
    )


def build_eccv_map(seconds: int = 2, bins_heard: int | None = None) -> keras.Model:
    """Builds the part of ECCV 2020's network that learns from video.

    Args:
        seconds, bins_heard: as in `build_eccv`.

    Returns:
        A Keras model from [batch, frames, 257] to features [batch, 128] of either sign. Its
        layers are those of `build_eccv`.
    """
    inputs, x = _trunk(SPECTROGRAM_ECCV, seconds, None, bins_heard)
    x = _dense(x, (('fc1', 1000, 'relu'), (FEATURES_ECCV, 128, None)))
    return keras.Model(
        inputs, keras.layers.GlobalAveragePooling1D(name='embedding')(x), name='hearnet_eccv'
    )


def _trunk(params, seconds, num_frames, bins_heard):
    """Input, and the output of conv5, [batch, steps, 1024]."""
    if num_frames is None:
        num_frames = params.num_frames(audio.num_samples(seconds))
    # Below 2 s the third pool needs padding, as its window exceeds the input.
    padding = 'valid' if num_frames >= 125 else 'same'
    inputs = keras.Input((num_frames, params.num_bins), name=INPUT)
    x = inputs
    for i, (filters, taps) in enumerate(((128, 11), (256, 5), (256, 3)), 1):
        heard = bins_heard if i == 1 else None
        is_long = taps * x.shape[1] >= _FEW_PRODUCTS
        kind = convolutions.SpectralConv1D if is_long else convolutions.PartialConv1D
        x = kind(filters, taps, padding='same', activation='relu', heard=heard, name=f'conv{i}')(x)
        x = keras.layers.MaxPooling1D(5, padding=padding, name=f'pool{i}')(x)
    x = convolutions.ProductConv1D(1024, min(4, x.shape[1]), activation='relu', name='conv4')(x)
    return inputs, convolutions.ProductConv1D(1024, 1, activation='relu', name='conv5')(x)


def _dense(x, layers_of_head, dropout=0.0):
    """Dense layers (name, units, activation) over each step, with dropout before them."""
    for name, units, activation in layers_of_head:
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
        x = convolutions.StepwiseDense(units, activation=activation, name=name)(x)
    return x
