"""CNN8, and the tagging teacher and student built on it (AAAI 2021; Kong et al. 2018).

The audio network applies eight convolutions (CNN8) to a log-mel spectrogram and, optionally, a
separate branch to each of further acoustic features; their outputs together are h^a. The visual
branch computes h^v from features of the clip's frames. A teacher's logits come from h^a and h^v, a
student's from h^a and its estimate of h^v, relu(W_c h^a + b_c). They do not include the sigmoid.

Convolutions and dense layers followed by batch normalisation have no bias: the normalisation
subtracts the mean and has its own offset, so a bias would have no effect.
"""

import keras

from dualcam.models import layers

INPUT = 'tagging'
# Channels of the sound inputs: bands of the log-mel spectrogram; conv7 of SoundNet-8; VGGish.
SOUND_SIZES = {'audio': 64, 'soundnet': 1024, 'vggish': 128}
VISUAL_SIZE = 4096  # fc2 of VGG-16
# Layers whose outputs are h^a, h^v and the student's estimate of h^v.
AUDIO, VISUAL, CROSS = 'audio_feature', 'visual_feature', 'cross_modal_feature'

_FILTERS = (64, 64, 128, 128, 256, 256, 512, 512)
_BRANCH_UNITS = 128
_NORM = {'epsilon': 1e-3, 'momentum': 0.9}


def build_audio(
    num_classes: int = 17, sound: tuple[str, ...] = ('audio',), width: float = 1.0
) -> keras.Model:
    """Builds the audio network alone.

    With F filters in all eight layers, f_0 = 1, f_1 ... f_8, it has 9 sum(f_i-1 f_i) + 2 sum(f_i)
    trainable values below h^a, and f_8 * classes + classes above: 4,686,144 and 8,721 for 17
    classes at width 1.

    Args:
        num_classes: of the logits.
        sound: its inputs, some of `SOUND_SIZES`.
        width: factor on the numbers of filters of the eight convolutions.

    Returns:
        A Keras model from a dictionary with `audio` [batch, frames, 64], 16 frames or more,
        standardised, and likewise the other `sound` [batch, steps, channels], to logits [batch,
        classes].

    Raises:
        ValueError: an unknown name in `sound`, or a width that leaves no filter.
    """
    inputs, heard = _hear(sound, width)
    return keras.Model(inputs, _logits([heard], num_classes), name='tagging_audio')


def build_visual(num_classes: int = 17, visual_size: int = VISUAL_SIZE) -> keras.Model:
    """Builds the visual branch alone.

    Args:
        num_classes: of the logits.
        visual_size: features of a frame.

    Returns:
        A Keras model from a dictionary with `visual` [batch, frames, visual_size] to logits
        [batch, classes].
    """
    inputs, seen = _see(visual_size)
    return keras.Model(inputs, _logits([seen], num_classes), name='tagging_visual')


def build_teacher(
    num_classes: int = 17,
    sound: tuple[str, ...] = ('audio',),
    width: float = 1.0,
    visual_size: int = VISUAL_SIZE,
) -> keras.Model:
    """Builds the teacher, on sound and frames; arguments and result as above."""
    inputs, heard = _hear(sound, width)
    visual, seen = _see(visual_size)
    return keras.Model(inputs | visual, _logits([heard, seen], num_classes), name='tagging_teacher')


def build_student(
    num_classes: int = 17, sound: tuple[str, ...] = ('audio',), width: float = 1.0
) -> keras.Model:
    """Builds the student, on sound only; arguments and result as above."""
    inputs, heard = _hear(sound, width)
    estimate = keras.layers.Dense(_BRANCH_UNITS, activation='relu', name=CROSS)(heard)
    return keras.Model(inputs, _logits([heard, estimate], num_classes), name='tagging_student')


def build_regressor(student: keras.Model) -> keras.Model:
    """FitNets' regressor: one fully connected layer, used in training only.

    Args:
        student: one of the above networks with sound input.

    Returns:
        A Keras model from the student's h^a [batch, features] to h^a and h^v of a teacher with
        the same sound and width, [batch, features + 128].
    """
    (size,) = (layer.output.shape[-1] for layer in student.layers if layer.name == AUDIO)
    heard = keras.Input((size,), name=AUDIO)
    hint = keras.layers.Dense(size + _BRANCH_UNITS, name='hint')(heard)
    return keras.Model(heard, hint, name='regressor')


def with_features(model: keras.Model) -> keras.Model:
    """The same network, also returning the features below its logits.

    Args:
        model: one of those above.

    Returns:
        A Keras model to {'logits': [batch, classes], and those of 'audio_feature',
        'visual_feature', 'cross_modal_feature' [batch, features] that it has}. It shares its
        weights with `model`.
    """
    features = {
        layer.name: layer.output for layer in model.layers if layer.name in (AUDIO, VISUAL, CROSS)
    }
    return keras.Model(model.input, {'logits': model.output, **features}, name=model.name)


def _hear(sound, width):
    """({name: Keras input}, h^a [batch, features])."""
    if not sound or set(sound) - set(SOUND_SIZES) or len(set(sound)) < len(sound):
        raise ValueError(f'sound {sound!r}: expected one or more of {", ".join(SOUND_SIZES)}')
    inputs = {name: keras.Input((None, SOUND_SIZES[name]), name=name) for name in sound}
    parts = [
        _cnn8(x, width) if name == 'audio' else _branch(x, name, f'{name}_mean')
        for name, x in inputs.items()
    ]
    if len(parts) == 1:
        return inputs, keras.layers.Identity(name=AUDIO)(parts[0])
    return inputs, keras.layers.Concatenate(name=AUDIO)(parts)


def _see(visual_size):
    """({'visual': Keras input}, h^v [batch, 128])."""
    x = keras.Input((None, visual_size), name='visual')
    return {'visual': x}, _branch(x, 'visual', VISUAL)


def _cnn8(x, width):
    """[batch, frames, bands] to [batch, filters of the last layer]."""
    if round(width * min(_FILTERS)) < 1:
        raise ValueError(f'width {width}: leaves no filter; expected {1 / min(_FILTERS)} or more')
    x = keras.ops.expand_dims(x, -1)  # [batch, frames, bands, 1]
    for number, filters in enumerate(_FILTERS, 1):
        x = keras.layers.Conv2D(
            round(width * filters), 3, padding='same', use_bias=False, name=f'conv{number}'
        )(x)
        x = layers.FusedBatchNormalization(**_NORM, name=f'conv{number}_norm')(x)
        x = keras.layers.ReLU()(x)
        if number % 2 == 0:
            x = keras.layers.MaxPooling2D(2, name=f'pool{number}')(x)
    return keras.layers.GlobalAveragePooling2D(name='audio_mean')(x)


def _branch(x, name, last):
    """[batch, steps, channels] to [batch, 128]: the mean over steps; its layer is named `last`."""
    x = keras.layers.Dense(_BRANCH_UNITS, use_bias=False, name=f'{name}_dense')(x)
    x = layers.FusedBatchNormalization(**_NORM, name=f'{name}_norm')(x)
    x = keras.layers.ReLU()(x)
    return keras.layers.GlobalAveragePooling1D(name=last)(x)


def _logits(features, num_classes):
    """Logits [batch, classes] from one or two features [batch, features]."""
    x = keras.layers.Concatenate()(features) if len(features) > 1 else features[0]
    return keras.layers.Dense(num_classes, name='logits')(x)
