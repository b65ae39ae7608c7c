"""How cost grows with size: microphones, directions, records, files, classes, clips and more."""

import os
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from benchmarks import measure, networks, records, serving
from dualcam import models
from dualcam.acoustics import beamforming, dimensions, microphones
from dualcam.data import stores
from dualcam.data.packers import record_packer
from dualcam.data.records import take_lists
from dualcam.data.sources import datasets
from dualcam.evaluation import retrieval, uncertainty
from dualcam.files import progress_bars
from dualcam.training import loop

_TURN = np.pi * (3.0 - np.sqrt(5.0))  # between a spiral's neighbours, which spreads them evenly
_APERTURE_M = 0.5
_CLIPS = 200


def microphone_counts(_):
    """Beamforming of a second with 16 - 1,024 microphones in the same aperture."""
    grid = microphones.look_directions()
    sizes = (16, 64, 256, 1024)
    yield from measure.growth(
        'beamforming of a second', 'microphones', sizes, lambda count: _beamforming(count, grid)
    )

    def factoring(count):
        array = _spiral(count)
        return lambda: beamforming.Beamformer(array, grid, 1.5)

    # The first run counts: with 1,024 microphones it takes minutes.
    yield from measure.growth(
        'steering matrices of an array, once', 'microphones', sizes, factoring, runs=0
    )


def directions(_):
    """Beamforming of a second with 128 microphones to maps of four sizes."""
    maps = {rows * cols: (rows, cols) for rows, cols in ((18, 24), (36, 48), (72, 96), (144, 192))}
    yield from measure.growth(
        'beamforming of a second',
        'directions',
        tuple(maps),
        lambda size: _beamforming(128, microphones.look_directions(*maps[size])),
    )


def _beamforming(count, grid):
    beamformer = beamforming.Beamformer(_spiral(count), grid, 1.5)
    rng = np.random.default_rng(0)
    shape = (dimensions.FRAMES_PER_SECOND, count, dimensions.SAMPLES_PER_FRAME)
    frames = rng.integers(-(2**20), 2**20, shape, np.int32)
    held = beamformer.power(frames)
    return lambda: beamformer.power(frames, out=held)


def _spiral(count):
    """An array whose microphones fill a disc evenly."""
    number = np.arange(count)
    radius_m = _APERTURE_M / 2 * np.sqrt((number + 0.5) / count)
    positions_m = np.stack(
        [radius_m * np.cos(_TURN * number), radius_m * np.sin(_TURN * number), 0.0 * number], axis=1
    )
    return microphones.MicArray(f'spiral of {count}', positions_m)


def record_counts(folder):
    """Lists of 1,000 - 100,000 records, and packing their sound.

    A few records on disk have many names.
    """
    paths = records.write_seconds(folder / 'few', sequences=3, seconds=30)
    sizes = (1_000, 10_000, 100_000)
    roots, names = {}, {}
    for size in sizes:
        roots[size] = folder / f'{size}'
        names[size] = records.link_many(paths, roots[size], size, seconds=50, actions=100)
        classes = tuple(f'{number}' for number in range(100))
        info = datasets.DatasetInfo('noise', classes, 'noise', 1, take_rule=datasets.TakeRule(5))
        datasets.write_description(roots[size], info)

    def listing(size):
        return lambda: take_lists.write_scenario_lists(roots[size], 5, 1)

    yield from measure.growth('lists by take', 'records', sizes, listing, runs=1)

    def packing(size):
        packer = record_packer.RecordPacker(['audio'])
        return lambda: stores.open_store(names[size], packer, folder / f'cache-{size}')

    with progress_bars.hidden():
        yield from measure.growth('packing of sound', 'records', sizes, packing, runs=0)


def file_counts(folder):
    """The command that embeds files, 100 - 10,000 of them."""
    serving.export_student(folder / 'model' / '1', 5)
    serving.write_sounds(folder / 'all', 10_000)

    def embedding(count):
        some = folder / f'{count}'
        some.mkdir()
        for path in sorted((folder / 'all').iterdir())[:count]:
            os.link(path, some / path.name)
        command = [sys.executable, '-m', 'dualcam', 'embed', f'--model={folder}/model']
        return lambda: subprocess.run(
            [*command, f'--input={some}', f'--out={folder}/{count}.npz'],
            check=True,
            capture_output=True,
        )

    sizes = (100, 1_000, 10_000)
    yield from measure.growth('dualcam embed', 'files', sizes, embedding, runs=0)


def class_counts(_):
    """A step of HearNet, and scores with their intervals, by the number of classes."""
    sizes = (10, 100, 1_000)
    spectra = tf.random.normal((32, 500, 257))

    def training(count):
        return networks.our_step(
            'hearnet', {'bins_heard': networks.HEARD}, spectra, num_classes=count
        )

    yield from measure.growth('a step of HearNet, batch of 32', 'classes', sizes, training)

    def scoring(count):
        rng = np.random.default_rng(0)
        there = rng.random((_CLIPS, count)) < 0.05
        answers = rng.random((1, _CLIPS, count), np.float32)
        return lambda: uncertainty.interval([uncertainty.Tagging(there, answers, 'mAP')])

    yield from measure.growth(
        f'mAP of {_CLIPS:,} clips with its interval', 'classes', sizes, scoring, runs=0
    )


def clip_counts(_):
    """Retrieval by number of clips; all pairs are compared."""

    def retrieving(count):
        rng = np.random.default_rng(0)
        maps, video = (rng.random((count, 12, 16, 128), np.float32) for _ in range(2))
        labels = rng.integers(0, 10, count)
        return lambda: retrieval.ranks(maps, video, labels)

    yield from measure.growth('retrieval', 'clips', (350, 1_050, 3_150), retrieving, runs=1)


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
