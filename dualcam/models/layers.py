"""Normalisations and other building blocks that several networks share; see also `convolutions`."""

import contextlib
import contextvars
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam.models import convolutions

_batch_moments: contextvars.ContextVar[dict | None] = contextvars.ContextVar(
    'batch_moments', default=None
)


@contextlib.contextmanager
def collecting_moments(
    norms: Iterable[keras.layers.BatchNormalization],
) -> Iterator[dict[int, list[tuple]]]:
    """Within this context, normalisations use batch statistics and report them.

    Nothing else in a network changes: it may be called with `training=False`, so that dropout is
    off and moving averages are not updated.

    Args:
        norms: `BatchNormalization` layers; others normalise as usual.

    Yields:
        {id of a layer: [(mean [channels], variance [channels], number of values behind them)]},
        with one entry per call, filled while the network is called.
    """
    collected: dict[int, list[tuple]] = {id(norm): [] for norm in norms}
    token = _batch_moments.set(collected)
    try:
        yield collected
    finally:
        _batch_moments.reset(token)


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation over the last axis; see also `collecting_moments`."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """See the class."""
        collected = self.collected
        if collected is None:
            return self.normalise(inputs, training)
        x = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(x, axes=list(range(len(x.shape) - 1)))
        collected.append((mean, variance, tf.size(x) // x.shape[-1]))
        outputs = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, self.compute_dtype)

    @property
    def collected(self) -> list[tuple] | None:
        """The list for its statistics within `collecting_moments`; None outside."""
        return (_batch_moments.get() or {}).get(id(self))

    def normalise(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
        """The layer's computation outside `collecting_moments`."""
        return super().call(inputs, training=training)


class FusedBatchNormalization(BatchNormalization):
    """Batch normalisation of [batch, steps, channels] or images by TensorFlow's one-pass kernel.

    The plain form reads and writes a long signal or a large image five times. The kernel's
    variance, which the moving average tracks, has Bessel's correction, like TF-Slim's.
    """

    def normalise(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
        """See the class."""
        if not (training and self.trainable):
            return super().normalise(inputs, training=False)
        if self.compute_dtype != 'float32':
            return super().normalise(inputs, training=True)
        images = inputs if len(inputs.shape) == 4 else inputs[:, :, None]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        self.track(mean, variance)
        return outputs if images is inputs else outputs[:, :, 0]

    def track(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Updates the moving averages by a batch's statistics, [channels] float32."""
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


class FramedNormalization(FusedBatchNormalization):
    """Batch normalisation of a `FramedConv1D`, by scaling its kernel if it `is_reshaped`.

    A batch's mean and variance come from the convolution's input (`FramedConv1D.moments`), so the
    long result is computed once, already normalised, instead of being read and written several
    times, forward and backward. It differs from a normalisation of the result by rounding only. In
    exported graphs, in 16 bits and on GPUs it is a plain one.

    Args:
        conv: the `FramedConv1D`; its weights stay its own.
        **kwargs: of Keras' batch normalisation.
    """

    def __init__(self, conv: convolutions.FramedConv1D, **kwargs: Any):
        super().__init__(**kwargs)
        self._conv = lambda: conv  # an attribute would make its weights this layer's, too

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        source: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Normalises `inputs`, the convolution of `source`."""
        if not convolutions.is_reshaped(self):
            return super().call(inputs, training=training)
        conv, collected = self._conv(), self.collected
        # Both uses have one gradient, of another shape than the kernel's. With that of weight decay
        # there would be three to add, which TensorFlow does in varying order: training would not
        # repeat to the bit.
        kernel = conv.flat_kernel()
        if collected is not None:
            mean, variance, count = conv.moments(source, kernel)
            collected.append((tf.cast(mean, tf.float32), tf.cast(variance, tf.float32), count))
        elif training and self.trainable:
            mean, variance, count = conv.moments(source, kernel)
            unbiased = variance * tf.cast(count / tf.maximum(count - 1, 1), tf.float64)
            self.track(tf.cast(mean, tf.float32), tf.cast(unbiased, tf.float32))
        else:
            mean, variance = (
                tf.cast(moving, tf.float64) for moving in (self.moving_mean, self.moving_variance)
            )
        scale = tf.cast(self.gamma, tf.float64) * tf.math.rsqrt(variance + self.epsilon)
        offset = tf.cast(conv.bias, tf.float64) - mean
        return conv.affine(
            source,
            kernel * tf.cast(scale, tf.float32),
            self.beta + tf.cast(offset * scale, tf.float32),
        )


def normalised_convolution(
    x: keras.KerasTensor,
    filters: int,
    size: int,
    name: str,
    strides: int = 1,
    padding: str = 'same',
    relu: bool = True,
    momentum: float = 0.997,
) -> keras.KerasTensor:
    """A 2-D convolution without bias, batch normalisation and, by default, ReLU.

    Args:
        x: Keras tensor [batch, rows, cols, channels].
        filters, size, strides, padding: of the convolution, the layer `name`.
        name: the normalisation is called `<name>_norm`.
        relu: whether a ReLU follows.
        momentum: of the moving averages.

    Returns:
        [batch, rows, cols, filters].
    """
    x = keras.layers.Conv2D(filters, size, strides, padding, use_bias=False, name=name)(x)
    x = FusedBatchNormalization(epsilon=1e-5, momentum=momentum, name=f'{name}_norm')(x)
    return keras.layers.ReLU()(x) if relu else x


def standardise(
    mean: np.ndarray, std_dev: np.ndarray, name: str = 'standardise'
) -> keras.layers.Normalization:
    """A layer that subtracts `mean` and divides by `std_dev`, both [channels], in float32."""
    return _RowNormalization(
        mean=np.asarray(mean, np.float32),
        variance=np.square(np.asarray(std_dev, np.float32)),
        name=name,
        dtype='float32',
    )


class _RowNormalization(keras.layers.Normalization):
    """Keras' layer for the last axis, computed over rows of the last two axes.

    Equal to the last bit; TensorFlow is slow where it repeats a few numbers for each position.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Repeats mean and variance over a row."""
        super().build(input_shape)
        repeats = (input_shape[-2] or 1) if len(input_shape) > 2 else 1
        # Not constants of a graph, where division would become multiplication.
        with tf.init_scope():
            self._mean, self._deviation = (
                tf.tile(tf.reshape(values, [-1]), [repeats])
                for values in (
                    self.mean,
                    tf.maximum(tf.sqrt(self.variance), keras.config.epsilon()),
                )
            )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[..., channels] like the input."""
        inputs = tf.cast(inputs, self.compute_dtype)
        rows = tf.reshape(inputs, [-1, self._mean.shape[0]])
        return tf.reshape((rows - self._mean) / self._deviation, tf.shape(inputs))


def mean_logits(
    x: keras.KerasTensor, num_classes: int, num_frames: int, name: str
) -> keras.KerasTensor:
    """The last layer of a network with logits for each frame.

    Args:
        x: Keras tensor [batch * num_frames, channels].
        num_classes: of the logits.
        num_frames: of a clip.
        name: of the dense layer.

    Returns:
        Logits of the clips, [batch, classes]; the layer `frame_logits` has the frames'.
    """
    x = keras.layers.Dense(num_classes, name=name)(x)
    x = keras.layers.Reshape((num_frames, num_classes), name='frame_logits')(
        keras.ops.reshape(x, [-1, num_frames * num_classes])
    )
    return keras.ops.mean(x, axis=1)
