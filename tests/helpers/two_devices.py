"""Training on two devices and on one, in a separate process: devices are created at its start.

    python -m tests.helpers.two_devices FOLDER

Prints JSON for `tests/dualcam/training/test_hardware.py`; the runs are kept in the folder
(`recipe-devices`).
"""

import collections
import functools
import json
import pathlib
import sys
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from dualcam.files import progress_bars
from dualcam.losses import cross_entropy
from dualcam.models import layers
from dualcam.training import checkpoints, hardware, loop, population_statistics, steps
from tests.helpers import made_up_clips, small_runs

# Recipes, and the numbers of devices that each is trained on: batch normalisation uses each
# device's own statistics, so runs with it differ from those on one device.
RECIPES = {
    'supervised': (1, 2),
    'distilled': (1, 2),
    'taught': (2,),
    'mutual': (2,),
    'visual': (2,),
}
OPTIONS = collections.defaultdict(
    dict, supervised={'dropout': 0.0}, visual={'batch_norm_averages': 'measured'}
)


def network(norm=False):
    """A small convolutional network with or without batch normalisation."""
    parts = [keras.Input((8, 4)), keras.layers.Conv1D(5, 3, activation='relu', name='conv1')]
    if norm:
        parts += [layers.FusedBatchNormalization()]
    return keras.Sequential(
        [*parts, keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)], name='small'
    )


def batches():
    """Batches of 6, 5, 1 and 4 clips for it."""
    rng = np.random.default_rng(5)
    return [
        {
            'input': tf.constant(rng.standard_normal((size, 8, 4)), tf.float32),
            'label': tf.constant(rng.integers(0, 3, size)),
        }
        for size in (6, 5, 1, 4)
    ]


class CheckedStep(steps.Step):
    """Cross-entropy with an L2 term, of answers that must be float32."""

    def __init__(self, model):
        super().__init__(model, model.trainable_variables, [model.layers[0].kernel], 0.1)

    def losses(self, batch, training):
        """Named scalars and the logits."""
        logits = steps.outputs(self.model, batch['input'], training)
        assert logits.dtype == tf.float32
        return self.add_penalty({'hard': cross_entropy(batch['label'], logits)}), logits


def take_steps():
    """Some steps on one device, on two, and on two with batch normalisation."""
    made = {}
    for devices, norm in ((1, False), (2, False), (2, True)):
        params = loop.LoopParams(devices=devices, learning_rate=1e-2)
        keras.utils.set_random_seed(3)
        with hardware.building(params):
            model = network(norm)
            step = CheckedStep(model)
            optimizer = loop.make_optimizer(params, 10)
            optimizer.build(step.variables)
        train_step = loop.make_train_step(step, optimizer, devices)
        said = []
        for batch in batches():
            losses, right, is_finite = train_step(batch)
            said.append([float(losses['hard']), float(losses['l2']), int(right), bool(is_finite)])
        settled = hardware.settled(params, model, lambda norm=norm: network(norm))
        assert settled(batches()[0]['input']).shape == (6, 3)
        made['normalised' if norm else str(devices)] = {
            'said': said,
            'weights': [weight.tolist() for weight in settled.get_weights()],
            'strategy': type(hardware.strategy(devices)).__name__,
        }
    try:
        hardware.strategy(3)
    except ValueError as error:
        made['error'] = str(error)
    return made


class Watched(checkpoints.Progress):
    """Records how much the devices' moving averages differ whenever a run is saved.

    Attributes:
        spreads: the largest difference of each average, over all runs since it was last cleared.
    """

    spreads: ClassVar[list[float]] = []

    def __init__(self, model, optimizer, folder):
        super().__init__(model, optimizer, folder)
        self._averages = [
            variable.value
            for norm in population_statistics.normalisations(model)
            for variable in (norm.moving_mean, norm.moving_variance)
        ]

    def save(self, history, keep):
        """See `Progress`."""
        super().save(history, keep)
        for variable in self._averages if history else ():
            first, *others = (one.numpy() for one in getattr(variable, 'values', [variable]))
            self.spreads.extend(float(np.abs(other - first).max()) for other in others)


class NormStep(steps.Step):
    """A step whose loss is the second moment of a network's outputs."""

    measure = 'total'

    def losses(self, batch, training):
        """Named scalars, no logits."""
        outputs = steps.outputs(self.model, batch['input'], training)
        return self.add_penalty({'square': tf.reduce_mean(tf.square(outputs))}), None


def follow_averages(scratch):
    """Trains batch normalisation directly on the clips, for two epochs on two devices.

    Returns:
        {layer: {'batches': inputs in order, 'averages': those in the checkpoint}}.
    """
    made = {}
    clips = made_up_clips.MadeUpClips(
        {'x': np.random.default_rng(6).normal(2.0, 3.0, (11, 5, 4)).astype(np.float32)},
        {'label': np.zeros(11, np.int64)},
    )
    for kind in (layers.BatchNormalization, layers.FusedBatchNormalization):
        params = loop.LoopParams(2, 4, devices=2, seed=7)
        with hardware.building(params):
            x = keras.Input((5, 4), name='x')
            model = keras.Model({'x': x}, kind(momentum=0.9)(x))
            step = NormStep(model, model.trainable_variables, [], 0.0)
            optimizer = loop.make_optimizer(params, len(clips))
        loop.fit(step, clips, None, params, scratch / kind.__name__, optimizer)
        made[kind.__name__] = {
            'batches': [
                batch['input']['x'].numpy().tolist()
                for epoch in range(params.epochs)
                for batch in clips.batches(params.batch_size, (params.seed, epoch))
            ],
            'averages': [weight.tolist() for weight in model.get_weights()[2:]],
        }
    return made


def train_runs(scratch):
    """{recipe: complete runs on one device and on two}, see `_described`."""
    small_runs.write_records(scratch)
    progress_bars.hide()
    checkpoints.Progress = Watched
    made = {}
    for name, numbers in RECIPES.items():
        made[name] = []
        for devices in numbers:
            folder = scratch / f'{name}-{devices}'
            model = small_runs.REGIMES[name](scratch, folder, devices=devices, **OPTIONS[name])
            made[name].append(_described(folder, model))
    folder = scratch / 'stopped'
    train = functools.partial(small_runs.REGIMES['taught'], scratch, folder, devices=2)
    save = Watched.save

    def stop(progress, history, keep):
        save(progress, history, keep)
        if len(history) == 2:
            raise KeyboardInterrupt

    Watched.save = stop
    try:
        train()
    except loop.Stopped:
        Watched.save = save
    made['resumed'] = [_described(folder, train())]
    return made


def _described(folder, model):
    metrics = json.loads((folder / 'metrics.json').read_text())
    for record in metrics['history']:
        del record['clips_per_second']
    spreads = list(Watched.spreads)
    Watched.spreads.clear()
    return {
        'spreads': spreads,
        'history': metrics['history'],
        'norms': [float(np.linalg.norm(weight)) for weight in model.get_weights()],
        'devices': json.loads((folder / 'run.json').read_text())['params']['loop']['devices'],
        'files': sorted(path.name for path in folder.iterdir()),
    }


def main():
    """Runs the command."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    scratch = pathlib.Path(sys.argv[1])
    made = {'steps': take_steps(), 'runs': train_runs(scratch)}
    print(json.dumps(made | {'averages': follow_averages(scratch)}))


if __name__ == '__main__':
    main()
