"""What a run computes on, and in what numbers: mixed precision, several devices.

    float32            the default, of the goldens and the published tables too
    mixed_bfloat16     16-bit products with the range of float32, on recent GPUs and processors
    mixed_float16      16-bit products for older GPUs; the loss is scaled, so that small gradients
                       are kept, and steps with infinite ones are skipped

Weights, the optimizer's state and losses are float32 in any case. Several devices each take their
share of a batch; gradients are summed, so that a step is that of the whole batch, except that batch
normalisation has each device's own statistics; its moving averages are the mean of all devices'.
The devices are those of one process, or one of each of the processes that train together
(`hosts.py`): the numbers are the same. The network that a run returns and exports is in float32 on
one device.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from dualcam.training import hosts

PRECISIONS = ('float32', 'mixed_bfloat16', 'mixed_float16')


def check(precision: str, devices: int) -> None:
    """A `ValueError` if a run cannot be set up like this on any machine."""
    if precision not in PRECISIONS:
        raise ValueError(f'precision {precision!r}: expected one of {", ".join(PRECISIONS)}')
    if devices < 1:
        raise ValueError(f'{devices} devices: expected 1 or more')
    if devices > 1 and precision == 'mixed_float16':
        raise ValueError(
            'mixed_float16 on several devices: its loss scale is computed for one; '
            'take mixed_bfloat16'
        )


@contextlib.contextmanager
def building(params: Any) -> Iterator[None]:
    """Networks and optimizers built inside have a `loop.LoopParams`'s precision and devices.

    Raises:
        ValueError: there are fewer devices, or they cannot work in this precision.
    """
    check_machine(params.precision)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(params.precision)
    try:
        with strategy(params.devices).scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)


def check_machine(precision: str) -> None:
    """Refuses a precision in which this machine cannot work, before anything is loaded for it.

    What processors, GPUs and their libraries can do is not written anywhere that can be trusted:
    a small convolution and its gradients are tried, once per process.

    Raises:
        ValueError: it cannot; one line.
    """
    refusal = _refusal(precision)
    if refusal:
        raise ValueError(
            f'{precision}: this machine has no {precision.removeprefix("mixed_")} convolutions '
            f'({refusal}); take float32, which is the default'
        )


@functools.lru_cache(maxsize=len(PRECISIONS))
def _refusal(precision):
    """What TensorFlow says to a convolution in a precision, or nothing if it works."""
    if precision == 'float32':
        return ''
    # In a graph, as in training: some kernels are chosen there only.
    learn = tf.function(_convolution_gradients, autograph=False)
    try:
        for gradient in learn(tf.ones([3, 3, 8, 16]), precision.removeprefix('mixed_')):
            gradient.numpy()  # on a GPU the error comes when the work is waited for
    except tf.errors.OpError as error:
        # The operation's own words stand first; where it stands in the graph, below.
        return (error.message or type(error).__name__).splitlines()[0].strip()
    return ''


def _convolution_gradients(kernel, dtype):
    """Gradients of a convolution of [2, 8, 8, 8] to [2, 8, 8, 16] and a ReLU."""
    images = tf.cast(tf.fill([2, 8, 8, 8], tf.reduce_mean(kernel)), dtype)
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        outputs = tf.nn.relu(tf.nn.conv2d(images, tf.cast(kernel, dtype), 1, 'SAME'))
        total = tf.reduce_sum(tf.cast(outputs, tf.float32))
    return tape.gradient(total, [images, kernel])


def strategy(devices: int) -> tf.distribute.Strategy:
    """A `tf.distribute.Strategy` for so many GPUs or, without any, logical processors.

    Where several processes train together, it is theirs.

    Raises:
        ValueError: there are fewer, or not as many as processes.
    """
    together = hosts.strategy()
    if together is None:
        return _of_this_process(devices)
    if devices != hosts.count():
        raise ValueError(
            f'{devices} devices asked for, but {hosts.count()} processes train together, with one '
            'each'
        )
    return together


@functools.lru_cache(maxsize=4)
def _of_this_process(devices):
    if devices == 1:
        return tf.distribute.get_strategy()
    found = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
    if len(found) < devices:
        raise ValueError(
            f'{devices} devices asked for, but TensorFlow finds '
            f'{", ".join(device.name for device in found)}; pass --devices='
            f'{len(found)}'
        )
    return tf.distribute.MirroredStrategy([device.name for device in found[:devices]])


def settled(params: Any, model: keras.Model, rebuild: Callable[[], keras.Model]) -> keras.Model:
    """The network in float32 on one device.

    Args:
        params: the `loop.LoopParams` it was trained with.
        model: built within `building`.
        rebuild: function that builds it again.

    Returns:
        `model` itself if it is already, or another with its weights.
    """
    if params.precision == 'float32' and params.devices == 1:
        return model
    made = rebuild()
    made.set_weights(model.get_weights())
    return made


def part_of(batch: Any, devices: int) -> tuple[Any, tf.Tensor]:
    """The part of a batch for the device that this is called on, within `Strategy.run`.

    Parts are cut by the device's number among all, those of other processes too.

    Args:
        batch: nested tensors whose first axis is the clips.
        devices: how many share it.

    Returns:
        (the part, never empty; its share of the batch, 0 - 1, which is 0 where there are fewer
        clips than devices and another device's clip is repeated).
    """
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(tf.nest.flatten(batch)[0])[0]
    first, end = number * size // devices, (number + 1) * size // devices
    share = tf.cast(end - first, tf.float32) / tf.cast(size, tf.float32)
    end = tf.maximum(end, first + 1)
    return tf.nest.map_structure(lambda values: values[first:end], batch), share
