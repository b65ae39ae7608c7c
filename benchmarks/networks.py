"""Rates of training: single steps (peer: PyTorch), whole pipelines, and frozen features."""

import json
import statistics

import keras
import numpy as np
import tensorflow as tf

from benchmarks import measure, records
from dualcam import models
from dualcam.data import stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.sources import datasets
from dualcam.features import frame_features
from dualcam.models import resnet
from dualcam.training import hardware, loop, recipes, run, run_data
from dualcam.training.recipes import supervised
from records import writer

_STEPS = 6
# 12,288 Hz recordings have nothing above bin 142.
HEARD = 143
# name: (shape of a batch, options)
NETWORKS = {
    'hearnet': ((32, 500, 257), {'bins_heard': HEARD}),
    'oursoundnet': ((32, 110_250), {}),
    'dualcamnet': ((32, 12, 36, 48, 12), {}),
    'tagging_audio': ((8, 640, 64), {}),
}
_PEERS = ('hearnet', 'oursoundnet')  # networks also implemented in PyTorch
_GOALS = {
    'hearnet': (99, '450'),
    'oursoundnet': (15.6, '80'),
    'dualcamnet': (4.4, '100'),
    'tagging_audio': (None, '9'),
}


def steps(_):
    """Training steps on batches in memory; peer: torch.compile."""
    for name, (shape, options) in NETWORKS.items():
        authors, reach = _GOALS.get(name, (None, ''))
        keras.utils.set_random_seed(0)
        values = tf.random.normal(shape)
        peer = (
            _torch_step(name, values.numpy())
            if name in _PEERS and measure.is_installed('torch')
            else None
        )
        step = measure.compared(
            f'training step of {name}, batch of {shape[0]}',
            'clips/s',
            our_step(name, options, values),
            'torch.compile' if name in _PEERS else '',
            peer,
            authors=authors,
            reach=reach,
        )
        yield step
        gflop, megabytes = work_of(models.build(name, 14, **options), values[:1])
        share = 100 * step.value * gflop / statistics.median(measure.matrix_rates())
        yield measure.Row('its products per clip, as plain ones', gflop, 'GFLOP')
        yield measure.Row("share of the machine's rate of matrix products", share, '%')
        yield measure.Row('what its layers write per clip, going forward', megabytes, 'MB')
        yield measure.row(
            'the same in mixed_bfloat16',
            'clips/s',
            *measure.rates(our_step(name, options, values, 'mixed_bfloat16')),
        )


def pipelines(folder):
    """Distillation from records on disk, from epoch 2 on: the rate that `run.train` logs."""
    paths = records.write_seconds(folder / 'records', 24, 10, ['audio'])
    held = stores.open_store(paths, record_packer.RecordPacker(['audio']), folder / 'cache')
    info = datasets.read_description(folder / 'records')
    answers = np.random.default_rng(0).standard_normal((len(paths), 14)).astype(np.float32)
    for network, epochs, authors, reach in (('hearnet', 5, 11, '300'), ('oursoundnet', 4, 6, '70')):
        params = supervised.RunParams(
            network,
            record_clips.ClipParams(10, 5, 6),
            loop.LoopParams(epochs),
            imitation=0.5,
            temperature=1.0,
        )
        data = run_data.RunData(held, paths[:-20], paths[-20:], info)
        run.train(recipes.DISTILLATION, params, data, folder / network, answers)
        history = json.loads((folder / network / 'metrics.json').read_text())['history']
        yield measure.row(
            f'distillation of {network}, from disk, epoch 2 on',
            'clips/s',
            [epoch['clips_per_second'] for epoch in history[1:]],
            authors=authors,
            reach=reach,
        )


def resnet_features(folder):
    """Records on disk to cached ResNet-50 features of all frames."""
    rng = np.random.default_rng(0)
    picture = np.kron(
        rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
    )  # [480, 640, 3]
    paths = []
    for i in range(20):
        frames = [np.roll(picture, (i, 8 * f), axis=(0, 1)) for f in range(12)]
        path = folder / f'Data_{i + 1:03d}.tfrecord'
        writer.write_record(
            path,
            writer.second_to_example({'action': 0, 'location': 0, 'subject': 0}, {'video': frames}),
        )
        paths.append(str(path))
    held = stores.open_store(paths, record_packer.RecordPacker([]), folder / 'cache')
    made = frame_features.FrameFeatures(held, resnet.build_backbone(), folder / 'features')
    turns = iter(range(20))

    def work():
        rows = np.repeat(4 * next(turns) + np.arange(4), 12)
        made.require(rows, np.tile(np.arange(12), 4))
        return len(rows)

    yield measure.row(
        'ResNet-50 features of video, records to disk', 'frames/s', *measure.rates(work), reach='12'
    )


def our_step(name, options, values, precision='float32', num_classes=14):
    """A function that trains some steps on a batch of `values` and returns the number of clips."""
    params = loop.LoopParams(precision=precision)
    with hardware.building(params):
        model = models.build(name, num_classes, **options)
        step = regime(name, model)
        optimizer = loop.make_optimizer(params, len(values))
    optimizer.build(step.variables)
    train_step = loop.make_train_step(step, optimizer)
    batch = batch_of(name, model, values)

    def work():
        for _ in range(_STEPS):
            losses, *_ = train_step(batch)
        float(losses['total'])
        return _STEPS * len(values)

    return work


def work_of(model, values):
    """What a training step on one clip costs, by the layers' sizes.

    Args:
        model: a network.
        values: a batch with one clip.

    Returns:
        (GFLOP of all products, forwards, and backwards to the weights and to all layers' inputs
        but the network's; MB of float32 that the layers write, forwards).
    """
    layers = [one for one in model.layers if not isinstance(one, keras.layers.InputLayer)]
    outputs = keras.Model(model.input, [layer.output for layer in layers])
    made = outputs({'audio': values} if isinstance(model.input, dict) else values, training=False)
    flop, is_first = 0, True
    for layer, out in zip(layers, made, strict=True):
        if getattr(layer, 'kernel', None) is not None:
            products = 2 * np.prod(layer.kernel.shape) * np.prod(out.shape[:-1])
            flop += (2 if is_first else 3) * products
            is_first = False
    return float(flop) / 1e9, sum(float(np.prod(out.shape)) for out in made) * 4 / 1e6


def batch_of(name, model, values):
    """A batch of a network's inputs with labels."""
    return {
        'input': {'audio': values} if isinstance(model.input, dict) else values,
        'label': _labels(name, len(values), model.output_shape[-1]),
    }


def regime(name, model):
    """The `step.Step` used to train a network here."""
    if models.network(name).input == 'tagging':
        from dualcam.training.recipes import tagging_steps

        return tagging_steps.TaggingStep(model)
    return supervised.SupervisedStep(model, 5e-4)


def _labels(name, count, num_classes):
    if models.network(name).input == 'tagging':
        return tf.eye(14)[:count]
    return tf.range(count, dtype=tf.int64) % num_classes


def _torch_step(name, values):
    """A step of one of `_PEERS` in PyTorch, compiled."""
    import torch
    from torch import nn

    torch.set_num_threads(tf.config.threading.get_intra_op_parallelism_threads() or 2)

    if name == 'hearnet':
        network = nn.Sequential(
            nn.Conv1d(257, 128, 11, padding=5),
            nn.ReLU(),
            nn.MaxPool1d(5),
            nn.Conv1d(128, 256, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(5),
            nn.Conv1d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(5),
            nn.Conv1d(256, 1024, 4),
            nn.ReLU(),
            nn.Conv1d(1024, 1024, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1024, 1000),
            nn.ReLU(),
            nn.Linear(1000, 14),
        )
        inputs_ = torch.tensor(values.transpose(0, 2, 1).copy())
    else:
        layers = []
        for before, filters, taps, stride, zeros, pool in (
            (1, 32, 64, 2, 32, 8),
            (32, 64, 32, 2, 16, 8),
            (64, 128, 16, 2, 8, 8),
            (128, 256, 8, 2, 4, 0),
            (256, 1024, 16, 12, 4, 0),
        ):
            layers += [
                nn.Conv1d(before, filters, taps, stride, zeros),
                nn.BatchNorm1d(filters),
                nn.ReLU(),
                *([nn.MaxPool1d(pool)] if pool else []),
            ]
        network = nn.Sequential(
            *layers,
            nn.Conv1d(1024, 1024, 1),
            nn.ReLU(),
            nn.Conv1d(1024, 1000, 1),
            nn.ReLU(),
            nn.Conv1d(1000, 14, 1),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
        )
        inputs_ = torch.tensor(values[:, None])
    compiled = torch.compile(network)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    labels = torch.arange(len(values)) % 14

    def work():
        for _ in range(_STEPS):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(compiled(inputs_), labels)
            loss.backward()
            optimizer.step()
        float(loss)
        return _STEPS * len(values)

    return work
