"""VGGish, a network trained on the sound of millions of videos (Hershey et al., ICASSP 2017).

The public definition: the four stages of a small VGG over patches of log-mel spectrogram, two dense
layers of 4096 and one of 128, which is linear (in the definition since 2020; before, a ReLU
followed). `models/weight_import.py` loads its weights from the published TensorFlow checkpoint.
The whitening of YouTube-8M's features is omitted: each branch of a tagging network starts with its
own dense layer and normalisation.
"""

import dataclasses

import keras
import tensorflow as tf

EMBEDDING_SIZE = 128
FEATURES = 'fc2'

_FILTERS = ((64,), (128,), (256, 256), (512, 512))  # of each stage; a pool follows it
_HIDDEN = 4096


@dataclasses.dataclass(frozen=True)
class PatchParams:
    """Parameters of its input: 25 ms windows every 10 ms, 64 mel bands."""

    sample_rate_hz: int = 16_000
    window: int = 400  # samples, periodic Hann
    hop: int = 160  # samples
    n_fft: int = 512
    num_bands: int = 64
    lowest_hz: float = 125.0
    highest_hz: float = 7500.0
    offset: float = 0.01  # added before the logarithm
    frames: int = 96  # of a patch, 0.96 s; patches do not overlap

    def num_patches(self, num_samples: int) -> int:
        """Number of patches of a sound; an incomplete last one is dropped."""
        return max(0, 1 + (num_samples - self.window) // self.hop) // self.frames


def build() -> keras.Model:
    """Builds the network.

    Returns:
        A Keras model from patches [batch, 96, 64] of `patches` to embeddings [batch, 128].
    """
    params = PatchParams()
    inputs = keras.Input((params.frames, params.num_bands), name='patches')
    x = keras.ops.expand_dims(inputs, -1)  # [batch, time, bands, 1]
    for stage, filters in enumerate(_FILTERS, 1):
        for number, count in enumerate(filters, 1):
            name = f'conv{stage}_{number}' if len(filters) > 1 else f'conv{stage}'
            x = keras.layers.Conv2D(count, 3, padding='same', activation='relu', name=name)(x)
        x = keras.layers.MaxPooling2D(2, name=f'pool{stage}')(x)
    x = keras.layers.Flatten()(x)  # time, bands, channels
    for name in ('fc1_1', 'fc1_2'):
        x = keras.layers.Dense(_HIDDEN, activation='relu', name=name)(x)
    x = keras.layers.Dense(EMBEDDING_SIZE, name=FEATURES)(x)
    return keras.Model(inputs, x, name='vggish')


def patches(waveform: tf.Tensor, params: PatchParams = PatchParams()) -> tf.Tensor:
    """Log-mel patches of sound.

    The filters are triangular on the mel scale (HTK's formula), unscaled, and applied to magnitudes
    instead of power; the logarithm is natural.

    Args:
        waveform: [batch, samples] float32 at 16,000 Hz, magnitudes up to 1.
        params: a `PatchParams`.

    Returns:
        [batch, patches, 96, 64] float32.

    Raises:
        ValueError: the sound is shorter than a patch.
    """
    count = params.num_patches(waveform.shape[-1])
    if not count:
        shortest = params.window + (params.frames - 1) * params.hop
        raise ValueError(
            f'a sound of {waveform.shape[-1]} samples; VGGish takes {shortest} or '
            f'more at {params.sample_rate_hz} Hz'
        )
    magnitude = tf.abs(tf.signal.stft(waveform, params.window, params.hop, params.n_fft))
    bank = tf.signal.linear_to_mel_weight_matrix(
        params.num_bands,
        params.n_fft // 2 + 1,
        params.sample_rate_hz,
        params.lowest_hz,
        params.highest_hz,
    )
    mel = tf.tensordot(magnitude[:, : count * params.frames], bank, 1)
    return tf.reshape(
        tf.math.log(mel + params.offset), [-1, count, params.frames, params.num_bands]
    )
