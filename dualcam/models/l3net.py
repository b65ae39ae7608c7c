"""L3-Net, the baseline that learns whether sound and image correspond.

Arandjelovic and Zisserman, "Look, Listen and Learn", ICCV 2017: one network per input, with four
blocks of two 3x3 convolutions with batch normalisation, pooled by 2 between the blocks and globally
at the end, which gives 512 features; from both, two dense layers predict whether they correspond.

The original takes 1 s of sound as a log spectrogram of 257 x 199 and images of 224 x 224. This one
takes the inputs of ECCV 2020's networks, for comparability: 2 s as a spectrogram of 200 x 257, an
image of one channel with time along its rows, and whole frames of 224 x 298. Logarithms
(`frontends.Frontend` with 'log') are closest to the original.
"""

from typing import Any

import keras

from dualcam.data import audio
from dualcam.data.signal import video
from dualcam.models import hearnet, layers

FEATURES_AUDIO, FEATURES_VISION = 'audio_features', 'vision_features'
INPUT_AUDIO, INPUT_VISION = 'spectrogram', 'frames'
SPECTROGRAM = hearnet.SPECTROGRAM_ECCV

_FILTERS = (64, 128, 256, 512)
REGULARIZED_AUDIO, REGULARIZED_VISION = (
    tuple(
        f'{prefix}_conv{block}_{number}'
        for block in range(1, len(_FILTERS) + 1)
        for number in (1, 2)
    )
    for prefix in ('audio', 'vision')
)
REGULARIZED = (*REGULARIZED_AUDIO, *REGULARIZED_VISION, 'fc1', 'fc2')
# As in `resnet18.py`: runs are short.
_MOMENTUM = 0.9


def build_audio(num_classes: int = 10, seconds: int = 2, width: float = 1.0) -> keras.Model:
    """Builds the network on sound, for labels.

    Args:
        num_classes: of the logits.
        seconds: of a clip.
        width: factor on the paper's numbers of filters, for short runs.

    Returns:
        A Keras model from normalised spectrograms [batch, frames, 257], of `SPECTROGRAM`, to
        logits [batch, classes].
    """
    inputs, features = _hear(seconds, width)
    return keras.Model(
        inputs, keras.layers.Dense(num_classes, name='logits')(features), name='l3_audio'
    )


def build_vision(
    num_classes: int = 10, seconds: int = 2, num_frames: int | None = None, width: float = 1.0
) -> keras.Model:
    """Builds the network on images, for labels.

    Args:
        num_classes: of the logits.
        seconds: of a clip.
        num_frames: of a clip; default one per second.
        width: as in `build_audio`.

    Returns:
        A Keras model from [batch, frames, 224, 298, 3] float32, RGB with the means subtracted,
        to logits [batch, classes], the mean over the frames.
    """
    num_frames = num_frames or seconds
    inputs, features = _look(num_frames, width)
    return keras.Model(
        inputs, layers.mean_logits(features, num_classes, num_frames, 'logits'), name='l3_vision'
    )


def build_correspondence(seconds: int = 2, num_frames: int = 1, width: float = 1.0) -> keras.Model:
    """Builds both networks together, to predict whether a sound and an image correspond.

    Args:
        seconds: of the sound.
        num_frames: images of a clip, whose features are averaged; the paper has one.
        width: as in `build_audio`.

    Returns:
        A Keras model from a dictionary of `spectrogram` [batch, spectra, 257], of `SPECTROGRAM`,
        and `frames` [batch, frames, 224, 298, 3] to logits [batch, 2]: no, yes. Its layers below
        the 512 features are those of `build_audio` and `build_vision`.
    """
    spectrogram, heard = _hear(seconds, width)
    frames, seen = _look(num_frames, width)
    seen = keras.ops.mean(keras.ops.reshape(seen, [-1, num_frames, seen.shape[-1]]), axis=1)
    x = keras.ops.concatenate([seen, heard], axis=-1)  # [batch, 1024]
    x = keras.layers.Dense(128, activation='relu', name='fc1')(x)
    return keras.Model(
        {INPUT_AUDIO: spectrogram, INPUT_VISION: frames},
        keras.layers.Dense(2, name='fc2')(x),
        name='l3',
    )


def correspondence_logits(model: keras.Model, heard: Any, seen: Any) -> Any:
    """Predictions of `build_correspondence`'s network for pairs of its two parts' features.

    Args:
        model: from `build_correspondence`.
        heard, seen: [pairs, 512] features of sounds and of images.

    Returns:
        Logits [pairs, 2]: no, yes.
    """
    features = keras.ops.concatenate([seen, heard], axis=-1)
    return model.get_layer('fc2')(model.get_layer('fc1')(features))


def _hear(seconds, width):
    """Input and features [batch, 512] of sound."""
    num_frames = SPECTROGRAM.num_frames(audio.num_samples(seconds))
    inputs = keras.Input((num_frames, SPECTROGRAM.num_bins), name=INPUT_AUDIO)
    return inputs, _subnetwork(keras.ops.expand_dims(inputs, -1), 'audio', FEATURES_AUDIO, width)


def _look(num_frames, width):
    """Input and features [batch * num_frames, 512] of images."""
    inputs = keras.Input((num_frames, *video.FRAME_SHAPE), name=INPUT_VISION)
    x = keras.ops.reshape(inputs, [-1, *video.FRAME_SHAPE])
    return inputs, _subnetwork(x, 'vision', FEATURES_VISION, width)


def _subnetwork(x, prefix, features, width):
    """[batch, 512 * width] of images [batch, rows, cols, channels]; the last layer: `features`."""
    for block, filters in enumerate(_FILTERS, 1):
        if block > 1:
            x = keras.layers.MaxPooling2D(2)(x)
        for number in (1, 2):
            x = layers.normalised_convolution(
                x, round(width * filters), 3, f'{prefix}_conv{block}_{number}', momentum=_MOMENTUM
            )
    return keras.layers.GlobalMaxPooling2D(name=features)(x)
