"""How rates scale with microphones, frequencies, clips and batch size; breakdown of a step."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks import array_processing, measure, networks
from dualcam import models
from dualcam.acoustics import beamforming, microphones
from dualcam.evaluation import retrieval
from dualcam.training import loop


def microphone_counts(_):
    """Beamforming with arrays of 32 - 128 microphones of the same aperture."""
    full, grid = microphones.built_in_array(), microphones.look_directions()
    frames = array_processing.noise()
    for count in (32, 64, 128):
        chosen = np.arange(0, full.num_mics, full.num_mics // count)
        some = microphones.MicArray(f'{count} of {full.name}', full.positions_m[chosen])
        beamformer, heard = beamforming.Beamformer(some, grid, 1.5), frames[:, chosen]
        held = beamformer.power(heard)

        def work(beamformer=beamformer, heard=heard, held=held):
            beamformer.power(heard, out=held)
            return array_processing.SECONDS

        yield measure.row(f'beamforming, {count} microphones', 'x real time', *measure.rates(work))


def frequencies(_):
    """HearNet's step by the number of frequency bins in use."""
    values = tf.random.normal((32, 500, 257))
    for bins in (64, 143, 257):
        yield measure.row(
            f'training step of hearnet, {bins} bins',
            'clips/s',
            *measure.rates(networks.our_step('hearnet', {'bins_heard': bins}, values)),
        )


def batches(_):
    """HearNet's step by batch size."""
    for size in (8, 32, 128):
        values = tf.random.normal((size, 500, 257))
        yield measure.row(
            f'training step of hearnet, batches of {size}',
            'clips/s',
            *measure.rates(networks.our_step('hearnet', {'bins_heard': networks.HEARD}, values)),
        )


def clips(_):
    """Retrieval by number of clips; all pairs are compared."""
    rng = np.random.default_rng(0)
    for count in (350, 700, 1400):
        maps, video = (rng.random((count, 12, 16, 128), np.float32) for _ in range(2))
        labels = rng.integers(0, 10, count)

        def work(maps=maps, video=video, labels=labels):
            retrieval.ranks(maps, video, labels)
            return len(labels) ** 2 / 1e6

        yield measure.row(
            f'retrieval among {count:,} clips', 'million pairs/s', *measure.rates(work)
        )


def parts_of_a_step(_):
    """Time of a training step's forward pass, forward and backward pass, and weight update."""
    for name, (shape, options) in networks.NETWORKS.items():
        keras.utils.set_random_seed(0)
        model = models.build(name, 14, **options)
        step = networks.regime(name, model)
        optimizer = loop.make_optimizer(loop.LoopParams(), 32)
        optimizer.build(step.variables)
        batch = networks.batch_of(name, model, tf.random.normal(shape))

        @tf.function(autograph=False)
        def forward(step=step, batch=batch):
            return step.losses(batch, training=True)[0]['total']

        @tf.function(autograph=False)
        def backward(step=step, batch=batch):
            with tf.GradientTape() as tape:
                total = step.losses(batch, training=True)[0]['total']
            return tape.gradient(total, step.variables)

        gradients = backward()

        @tf.function(autograph=False)
        def update(optimizer=optimizer, step=step, gradients=gradients):
            optimizer.apply_gradients(zip(gradients, step.variables, strict=True))

        def times(work, model=model):
            def one():
                for _ in range(4):
                    work()
                model.weights[-1].numpy()
                return 4

            return [1e3 / rate for rate in measure.rates(one)[0]]

        spent = times(forward), times(backward), times(update)
        for what, found in zip(('forward', 'forward and backward', 'Adam'), spent, strict=True):
            yield measure.row(f'step of {name}, batch of {shape[0]}: {what}', 'ms', found)
