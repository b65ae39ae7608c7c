"""Hardware and number formats of a run: mixed precision, several devices.

    float32            the default, also for the goldens and the published tables
    mixed_bfloat16     16-bit products with the range of float32, on recent GPUs and processors
    mixed_float16      16-bit products for older GPUs; the loss is scaled so that small gradients do
                       not vanish, and steps with infinite gradients are skipped

Weights, optimizer state and losses are always float32. Several devices each take a share of every
batch; their gradients are summed, so that a step equals one on the whole batch, except that batch
normalisation uses each device's own statistics. Its moving averages are the mean over all devices.
The devices belong to one process, or to several processes with one each (`hosts.py`): the results
are the same. The network that a run returns and exports is in float32 on one device.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from dualcam.training import hosts
from dualcam.training.precisions import PRECISIONS


def check(precision: str, devices: int) -> None:
    """Raises a `ValueError` if no machine supports this combination."""
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
    """Context in which networks and optimizers get a `loop.LoopParams`'s precision and devices.

    Raises:
        ValueError: there are fewer devices, or they do not support this precision.
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
    """Rejects a precision that this machine does not support, before any data are loaded.

    There is no reliable way to look up what processors, GPUs and their libraries support, so a
    small convolution and its gradients are computed, once per process.

    Raises:
        ValueError: it does not; the message is one line.
    """
    refusal = _refusal(precision)
    if refusal:
        raise ValueError(
            f'{precision}: this machine has no {precision.removeprefix("mixed_")} convolutions '
            f'({refusal}); take float32, which is the default'
        )


@functools.lru_cache(maxsize=len(PRECISIONS))
def _refusal(precision):
    """TensorFlow's error message for a convolution in a precision; empty if it works."""
    if precision == 'float32':
        return ''
    # In a graph, as in training: some kernels are only selected there.
    learn = tf.function(_convolution_gradients, autograph=False)
    try:
        for gradient in learn(tf.ones([3, 3, 8, 16]), precision.removeprefix('mixed_')):
            gradient.numpy()  # on a GPU, errors are raised when the result is fetched
    except tf.errors.OpError as error:
        # The first line is the operation's own message; its place in the graph follows.
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
    """A `tf.distribute.Strategy` for this many GPUs or, without any, logical CPU devices.

    In distributed training, it is the one shared by the processes.

    Raises:
        ValueError: there are fewer, or the number is not that of the processes.
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
        rebuild: function that builds another one.

    Returns:
        `model` itself if it already is, otherwise another one with its weights.
    """
    if params.precision == 'float32' and params.devices == 1:
        return model
    made = rebuild()
    made.set_weights(model.get_weights())
    return made


def part_of(batch: Any, devices: int) -> tuple[Any, tf.Tensor]:
    """The part of a batch for the device that calls this, within `Strategy.run`.

    Parts are assigned by the device's number among all devices, including other processes'.

    Args:
        batch: nested tensors whose first axis is the clips.
        devices: number of devices that share it.

    Returns:
        (the part, never empty; its share of the batch, 0 - 1). With fewer clips than devices, some
        devices repeat another one's clip with a share of 0.
    """
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    size = tf.shape(tf.nest.flatten(batch)[0])[0]
    first, end = number * size // devices, (number + 1) * size // devices
    share = tf.cast(end - first, tf.float32) / tf.cast(size, tf.float32)
    end = tf.maximum(end, first + 1)
    return tf.nest.map_structure(lambda values: values[first:end], batch), share
