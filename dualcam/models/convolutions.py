"""Convolutions with the numbers of Keras' layers, as matrix products where those are faster.

TensorFlow's convolutions are made for large maps with many channels. Along time, with few channels,
many taps or few outputs, processors are faster with matrix products over framed blocks.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_exporting: contextvars.ContextVar[bool] = contextvars.ContextVar('exporting', default=False)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """What is called or traced within keeps its convolutions.

    For graphs that leave this process: other programs convert and fuse them, and run them on other
    hardware.
    """
    token = _exporting.set(True)
    try:
        yield
    finally:
        _exporting.reset(token)


class FramedConv1D(keras.layers.Layer):
    """A strided convolution over a long signal with few channels, as one matrix product.

    Equivalent to ZeroPadding1D(padding) and Conv1D(filters, kernel_size, strides), but computes
    `block` outputs at a time: with one input channel and a stride of 2, convolution kernels are
    slow, while the same work as [.., frame] x [frame, block * filters] uses a processor fully.

    Input [batch, samples, channels]; output [batch, blocks * block, filters]: outputs that do not
    fill the last block are dropped, since VALID pooling by `block` ignores them too.

    Args:
        filters: output channels.
        kernel_size: taps.
        strides: input samples between outputs.
        padding: zeros on both sides.
        block: outputs in a block.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int, padding: int, block: int, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.padding, self.block = padding, block

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates kernel [taps, channels, filters] and bias [filters]."""
        self.kernel = self.add_weight(
            (self.kernel_size, input_shape[-1], self.filters),
            initializer='glorot_uniform',
            name='kernel',
        )
        self.bias = self.add_weight((self.filters,), initializer='zeros', name='bias')

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return (
            self._outputs(self._frames(inputs), self._frame_weights(self.flat_kernel())) + self.bias
        )

    def flat_kernel(self) -> tf.Tensor:
        """The kernel, [taps * channels, filters]."""
        return tf.reshape(self.kernel, [-1, self.filters])

    def affine(self, inputs: tf.Tensor, kernel: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """The same with another kernel, like `flat_kernel`, and another bias, added without a pass
        over the result."""
        frames = self._frames(inputs)
        frames = tf.concat([frames, tf.ones_like(frames[..., :1])], axis=-1)
        shifts = tf.tile(shift, [self.block])[None]
        return self._outputs(frames, tf.concat([self._frame_weights(kernel), shifts], axis=0))

    def moments(
        self, inputs: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Mean and variance of each filter's outputs over a batch, without computing them.

        They follow from the sum m of all windows of the input and the sum S of their products: with
        kernel k and n outputs, k m / n and k S k / n minus its square. Summed in float64, since
        filters may leave little of the input's energy.

        Args:
            inputs: of the layer.
            kernel: `flat_kernel`, or another one like it.

        Returns:
            (mean [filters] and variance [filters], both float64; number of outputs, an integer).
        """
        steps, blocks = self._steps(tf.cast(inputs, tf.float64))
        rows, width = steps.shape[1:]
        after = rows - blocks  # steps of a frame after its first one
        # Followed by zeros, so that no product belongs to two clips.
        steps = tf.pad(steps, [[0, 0], [0, after], [0, 0]])
        flat = tf.reshape(steps, [-1, width])
        used = tf.shape(flat)[0] - after
        # Of steps i and i + d, for all i of all clips; then without those of other frames.
        everywhere = tf.stack(
            [tf.matmul(flat[:used], flat[d : used + d], transpose_a=True) for d in range(after + 1)]
        )

        def at_edge(start):
            here = steps[:, start : start + after]
            then = [steps[:, start + d : start + d + after] for d in range(after + 1)]
            return tf.einsum('bkx,bkdy->kdxy', here, tf.stack(then, 2)), tf.reduce_sum(here, 0)

        def without_edges(total, head, tail):
            none = tf.zeros_like(total)[None]
            before = tf.concat([none, tf.cumsum(head)], 0)
            return total - before - tf.concat([tf.cumsum(tail, reverse=True), none], 0)

        (head, head_sum), (tail, tail_sum) = at_edge(0), at_edge(blocks)
        products = without_edges(everywhere, head, tail)  # [step, d, width, width]
        sums = without_edges(tf.reduce_sum(flat, 0), head_sum, tail_sum)  # [step, width]
        of_frames = tf.concat(
            [
                tf.concat(
                    [
                        products[i, j - i] if j >= i else tf.transpose(products[j, i - j])
                        for j in range(after + 1)
                    ],
                    axis=1,
                )
                for i in range(after + 1)
            ],
            axis=0,
        )
        channels = inputs.shape[-1]
        size, hop = self.kernel_size * channels, self.strides * channels
        places = [slice(place * hop, place * hop + size) for place in range(self.block)]
        of_windows = tf.reduce_sum([of_frames[place, place] for place in places], 0)
        sums = tf.reduce_sum([tf.reshape(sums, [-1])[place] for place in places], 0)
        kernel = tf.cast(kernel, tf.float64)
        count = tf.shape(inputs)[0] * blocks * self.block
        mean = tf.linalg.matvec(kernel, sums, transpose_a=True) / tf.cast(count, tf.float64)
        both = kernel[None]  # one gradient for both uses, see FramedNormalization
        square = tf.reduce_sum(both * tf.matmul(of_windows, both), [0, 1])
        variance = tf.maximum(square / tf.cast(count, tf.float64) - tf.square(mean), 0.0)
        return mean + tf.cast(self.bias, tf.float64), variance, count

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """[batch, blocks * block, filters]."""
        assert input_shape[1] is not None, 'the length is fixed by build'
        outputs = (input_shape[1] + 2 * self.padding - self.kernel_size) // self.strides + 1
        return input_shape[0], outputs // self.block * self.block, self.filters

    def get_config(self) -> dict:
        """Arguments, for Keras."""
        return super().get_config() | {
            'filters': self.filters,
            'kernel_size': self.kernel_size,
            'strides': self.strides,
            'padding': self.padding,
            'block': self.block,
        }

    @property
    def _frame_samples(self):
        """Samples that the outputs of a block are computed from."""
        return (self.block - 1) * self.strides + self.kernel_size

    def _steps(self, inputs):
        """The padded signal in steps of a block, [batch, steps, step * channels]; the blocks.

        A frame is a few whole steps.
        """
        step = self.strides * self.block
        padded = tf.pad(inputs, [[0, 0], [self.padding, self.padding], [0, 0]])
        outputs = (padded.shape[1] - self.kernel_size) // self.strides + 1
        blocks = outputs // self.block
        steps = blocks + -(-self._frame_samples // step) - 1
        needed = steps * step
        padded = tf.pad(padded, [[0, 0], [0, max(0, needed - padded.shape[1])], [0, 0]])
        return tf.reshape(padded[:, :needed], [-1, steps, step * inputs.shape[-1]]), blocks

    def _frames(self, inputs):
        """[batch, blocks, frame * channels]."""
        steps, blocks = self._steps(inputs)
        parts = steps.shape[1] - blocks + 1
        frames = tf.concat([steps[:, i : i + blocks] for i in range(parts)], axis=-1)
        return frames[..., : self._frame_samples * inputs.shape[-1]]

    def _outputs(self, frames, weights):
        """[batch, blocks * block, filters] of frames and the weights of each of their numbers."""
        blocks, size = frames.shape[1:]
        return tf.reshape(
            tf.matmul(tf.reshape(frames, [-1, size]), weights),
            [-1, blocks * self.block, self.filters],
        )

    def _frame_weights(self, kernel):
        """The kernel at each position of a block: [frame * channels, block * filters]."""
        size = kernel.shape[0]
        channels = size // self.kernel_size
        hop = self.strides * channels
        kernel = tf.pad(kernel, [[0, 1], [0, 0]])
        # Gathered: TensorFlow would sum the gradients of as many pads in varying order.
        rows = np.arange(self._frame_samples * channels)[:, None] - hop * np.arange(self.block)
        rows = np.where((rows >= 0) & (rows < size), rows, size)  # zeros around the kernel
        return tf.reshape(tf.gather(kernel, rows), [len(rows), self.block * self.filters])


class PartialConv1D(keras.layers.Conv1D):
    """A convolution whose input channels are always zero except for the first ones.

    Weights and results equal those of Conv1D, which TensorFlow implements as a convolution over one
    row. Here bias and activation are applied before that row is dropped, so that TFLite fuses the
    three: with eight bits, only the result is rounded.

    Args:
        heard: number of channels that are not always zero; None for all.
    """

    def __init__(self, filters: int, kernel_size: int, heard: int | None = None, **kwargs: Any):
        super().__init__(filters, kernel_size, **kwargs)
        self.heard = heard

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return _convolve_row(self, *self._heard_parts(inputs), self.padding)

    def get_config(self) -> dict:
        """Arguments, for Keras."""
        return super().get_config() | {'heard': self.heard}

    def _heard_parts(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Input and kernel without the channels that are always zero."""
        if self.heard is None:
            return inputs, self.kernel  # the gradient of a slice would copy all of them
        return inputs[..., : self.heard], self.kernel[:, : self.heard]


class SpectralConv1D(PartialConv1D):
    """The same with many taps, by block-wise Fourier transforms (overlap-save) if `is_reshaped`.

    A block's transform takes a matrix product per frequency instead of one per tap and output: 52
    instead of 275 for 25 outputs of 11 taps, each complex product computed as three real ones. The
    result differs from a plain convolution by rounding only. In exported graphs, in 16 bits, and on
    GPUs, which have kernels for it, it is a plain convolution. Padding is 'same'.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if not is_reshaped(self):
            return super().call(inputs)
        outputs = _correlate(
            *self._heard_parts(inputs), (self.kernel_size[0] - 1) // 2, inputs.shape[1]
        )
        return self.activation(outputs + self.bias)


class StridedSpectralConv1D(keras.layers.Conv1D):
    """The same for Conv1D with padding 'valid' whose number of taps is a multiple of its stride.

    The samples between two outputs become channels of one step.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if not is_reshaped(self):
            return super().call(inputs)
        (taps,), (stride,) = self.kernel_size, self.strides
        steps, channels = inputs.shape[1] // stride, inputs.shape[2] * stride
        inputs = tf.reshape(inputs[:, : steps * stride], [-1, steps, channels])
        kernel = tf.reshape(self.kernel, [taps // stride, channels, self.filters])
        outputs = _correlate(inputs, kernel, 0, steps - taps // stride + 1)
        return self.activation(outputs + self.bias)


class ProductConv1D(PartialConv1D):
    """The same with padding 'valid' and few outputs, as one matrix product if `is_reshaped`.

    The processor's convolutions are made for large maps: with one output, of 4 x 256 inputs for
    1024 filters, their gradients take six times as long as the product. The result differs by
    rounding only. In exported graphs, in 16 bits and on GPUs it is a plain convolution.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if not is_reshaped(self):
            return super().call(inputs)
        return _product(self, *self._heard_parts(inputs))


class StridedProductConv1D(keras.layers.Conv1D):
    """The same for Conv1D with padding 'valid' and any stride."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        if not is_reshaped(self):
            return super().call(inputs)
        return _product(self, inputs, self.kernel)


class WholeConv2D(keras.layers.Conv2D):
    """Conv2D whose kernel covers all of its input, as one matrix product.

    Weights equal those of Conv2D, and so do results, up to rounding.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, 1, 1, filters] of [batch, *kernel_size, channels]."""
        if tuple(inputs.shape[1:3]) != tuple(self.kernel_size):
            raise ValueError(f'{self.name}: input {inputs.shape}, kernel {self.kernel_size}')
        flat = tf.reshape(inputs, [-1, int(np.prod(inputs.shape[1:]))])
        outputs = tf.matmul(flat, tf.reshape(self.kernel, [flat.shape[-1], self.filters]))
        return self.activation(outputs + self.bias)[:, None, None]


def _product(layer, inputs, kernel):
    """[batch, outputs, filters] of a strided convolution with padding 'valid'."""
    (taps,), (stride,) = layer.kernel_size, layer.strides
    starts = range(0, inputs.shape[1] - taps + 1, stride)
    frames = tf.stack([inputs[:, start : start + taps] for start in starts], axis=1)
    size = taps * inputs.shape[2]
    outputs = tf.matmul(tf.reshape(frames, [-1, size]), tf.reshape(kernel, [size, layer.filters]))
    outputs = tf.reshape(outputs, [-1, len(starts), layer.filters])
    return layer.activation(outputs + layer.bias)


def is_reshaped(layer: keras.layers.Layer) -> bool:
    """Whether a layer trades its convolution for matrix products: on processors, unless
    `exporting`."""
    return (
        not _exporting.get()
        and layer.compute_dtype == 'float32'
        and not tf.config.list_physical_devices('GPU')
    )


def _correlate(x, kernel, before, num_outputs, hop=25):
    """Correlation by block-wise transforms; see `SpectralConv1D`.

    Args:
        x: [batch, steps, channels].
        kernel: [taps, channels, filters].
        before: zeros in front; as many as necessary are appended.
        num_outputs: steps of the result.
        hop: outputs of a block.

    Returns:
        [batch, num_outputs, filters].
    """
    taps, channels, filters = kernel.shape
    blocks = -(-num_outputs // hop)
    block, length = hop + taps - 1, blocks * hop + taps - 1
    x = tf.pad(x, [[0, 0], [before, length - x.shape[1] - before], [0, 0]])
    of_block, of_kernel, back = _block_transforms(taps, hop)
    # Positions within a block, by clips and blocks, all in one matrix product.
    places = (
        np.arange(block)[:, None, None]
        + hop * np.arange(blocks)
        + length * tf.range(tf.shape(x)[0])[:, None]
    )
    framed = tf.reshape(tf.gather(tf.reshape(x, [-1, channels]), places), [block, -1])
    products = len(of_block)
    framed = tf.reshape(tf.matmul(of_block, framed), [products, -1, channels])
    kernel = tf.reshape(
        tf.matmul(of_kernel, tf.reshape(kernel, [taps, -1])), [products, channels, filters]
    )
    outputs = tf.matmul(back, tf.reshape(tf.matmul(framed, kernel), [products, -1]))
    outputs = tf.transpose(tf.reshape(outputs, [hop, -1, filters]), [1, 0, 2])
    outputs = tf.reshape(outputs, [-1, blocks * hop, filters])
    # Its gradient, a pad, takes less time than that of outputs[:, :num_outputs].
    return tf.slice(outputs, [0, 0, 0], [-1, num_outputs, -1])


@functools.lru_cache(maxsize=8)
def _block_transforms(taps, hop):
    """A correlation with `taps` taps as back @ ((of_block @ block) * (of_kernel @ kernel)).

    With the transform X of a block and W of the kernel, conj(W) X is transformed back, from three
    real products per frequency: Wr (Xr + Xi), (Wr - Wi) Xi and (Wi + Wr) Xr. The first frequency is
    real.

    Returns:
        of_block [products, hop + taps - 1], of_kernel [products, taps], back [hop, products], all
        float32.
    """
    size = hop + taps - 1
    angles = 2.0 * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size
    real, imaginary = np.cos(angles), -np.sin(angles)
    # Y = conj(W) X: its real part is Wr Xr + Wi Xi, its imaginary part Wr Xi - Wi Xr.
    of_block = [
        real[0],
        *(row for r, i in zip(real[1:], imaginary[1:], strict=True) for row in (r + i, i, r)),
    ]
    of_kernel = [
        real[0],
        *(row for r, i in zip(real[1:], imaginary[1:], strict=True) for row in (r, r - i, r + i)),
    ]
    back = [real[0] / size]
    for number in range(1, len(real)):
        twice = 1.0 if 2 * number == size else 2.0
        to_real, to_imaginary = (twice * part[number] / size for part in (real, imaginary))
        back += [to_real + to_imaginary, -to_real, -to_imaginary]
    return tuple(
        np.asarray(matrix, np.float32)
        for matrix in (of_block, np.array(of_kernel)[:, :taps], np.array(back).T[:hop])
    )


class StepwiseDense(keras.layers.Dense):
    """A dense layer over each step of [batch, steps, channels], as a convolution of one tap.

    Weights and results equal those of Dense. TFLite's eight-bit numbers have one scale per output
    channel for a convolution, but only one for a whole dense layer.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return _convolve_row(self, inputs, keras.ops.expand_dims(self.kernel, 0), 'valid')


def _convolve_row(layer, inputs, kernel, padding):
    """[batch, steps, filters] of [batch, steps, channels] and a kernel [taps, channels, filters],
    with a layer's bias and activation."""
    row, kernel = keras.ops.expand_dims(inputs, 1), keras.ops.expand_dims(kernel, 0)
    outputs = keras.ops.conv(row, kernel, padding=padding)
    return keras.ops.squeeze(layer.activation(outputs + layer.bias), 1)
