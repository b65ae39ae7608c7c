"""The training loop: batches, epochs, checkpoints, curves. A step defines what is learned.

The network is validated and its state saved after each epoch, or every few. The weights with the
best validation accuracy (or another measure of the step) are chosen; among those that are equal up
to rounding, the ones with the smaller validation loss. Without such a measure, only the loss
counts. On request, the last epoch's weights are chosen instead. A stopped run resumes after its
last saved epoch and ends with the same weights, scores and curves as an uninterrupted one
(`checkpoints.py`, `curve_files.py`).

In distributed training (`hosts.py`), all processes run every training step. Only the chief
validates, chooses and writes; the others wait for it at the next step, and restore what it saved.
"""

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dualcam.evaluation import ties
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath
from dualcam.training import (
    checkpoints,
    curve_files,
    hardware,
    hosts,
    nonfinite,
    optimizers,
    population_statistics,
    steps,
)
from dualcam.training.observers import Observer

NotFinite = nonfinite.NotFinite

_TRACED_STEPS = 10
_UNSAVED_S = 60.0  # epochs without validation are saved after this time
# Measures are fractions of clips, or means of per-class scores over at most a million clips, in
# float64; losses are float32 means over batches of at most `LOSS_TERMS` clips.
_MEASURE_TOLERANCE = ties.tolerance(1_000_000, 1.0)
LOSS_TERMS = 64
_LOSS_TOLERANCE = ties.tolerance(LOSS_TERMS, 1.0, np.float32)


@dataclasses.dataclass(frozen=True)
class LoopParams:
    """Training schedule and hardware (WACV 2020: Adam, batch 32, 100 epochs).

    Attributes:
        epochs, batch_size, learning_rate, seed: the usual ones.
        schedule: 'constant', or 'cosine', which decays the learning rate to zero over the epochs.
        precision, devices: see `hardware`. The devices may belong to several processes.
        batch_norm_averages: statistics of the batch normalisation layers that are trained:
            'moving' averages, like the authors', or 'measured' over the training clips before each
            validation and at the end, see `population_statistics`. Moving averages lag behind the
            weights in short training runs.
        batch_norm_clips: number of training clips to measure them on; None for all.
        validation_period: epochs from one validation to the next; the last epoch is always
            validated. Weights are chosen among validated epochs. Short epochs in between are not
            saved.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-4
    seed: int = 0
    schedule: str = 'constant'
    precision: str = 'float32'
    devices: int = 1
    batch_norm_averages: str = 'moving'
    batch_norm_clips: int | None = None
    validation_period: int = 1

    def __post_init__(self):
        if self.validation_period < 1:
            raise ValueError(f'validation_period {self.validation_period}: expected 1 or more')
        if self.batch_norm_averages not in ('moving', 'measured'):
            raise ValueError(
                f'batch_norm_averages {self.batch_norm_averages!r}: expected moving or measured'
            )
        if self.batch_norm_clips is not None and self.batch_norm_clips < 2:
            raise ValueError(
                f'batch_norm_clips {self.batch_norm_clips}: expected 2 or more, or None for all'
            )
        hardware.check(self.precision, self.devices)
        if self.schedule not in ('constant', 'cosine'):
            raise ValueError(f'schedule {self.schedule!r}: expected constant or cosine')


def make_optimizer(params: LoopParams, num_clips: int) -> keras.optimizers.Optimizer:
    """Adam with the learning rate or schedule of a `LoopParams`."""
    rate = params.learning_rate
    if params.schedule == 'cosine':
        rate = keras.optimizers.schedules.CosineDecay(
            rate, params.epochs * -(-num_clips // params.batch_size)
        )
    adam = optimizers.Adam(rate)
    if params.precision == 'mixed_float16':
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


class Stopped(KeyboardInterrupt):
    """Ctrl-C during training; the message says what was saved and how to resume."""


def fit(
    step: steps.Step,
    training: Any,
    validation: Any,
    params: LoopParams,
    folder: AnyPath,
    optimizer: keras.optimizers.Optimizer,
    name: str = '',
    observers: Iterable[Observer] = (),
    profile: bool = False,
    keep: str = 'best',
) -> list[dict]:
    """Trains `step.model` and leaves it with the chosen weights.

    Args:
        step: a `steps.Step`.
        training: clips, such as `clip_sets.Clips`.
        validation: likewise, or None; the last epoch's weights are then chosen, and the state is
            saved each minute and at the end.
        params: a `LoopParams`.
        folder: of the run; checkpoints and TensorBoard curves are written there.
        optimizer: a Keras optimizer.
        name: for the progress bar.
        observers: of the run, see `observers.Observer`.
        profile: trace ten steps of this call's first epoch for TensorBoard's profile page.
        keep: which weights are chosen, those of the 'best' or of the 'last' epoch. 'last' suits
            triplet losses, which are not comparable between epochs: the network itself selects the
            triplets, and a collapsed one, whose outputs are all equal, has a loss equal to the
            margin, which is lower than that of many better networks.

    Returns:
        The curves: a list with one dictionary of scalars per epoch.

    Raises:
        NotFinite: a loss or a gradient is not finite; the message names epoch, step and the
            batch's files, and says what was saved.
        Stopped: Ctrl-C; the message says what was saved.
        OSError: the disk is full, or too small for what the run will write.
        ValueError: an unknown `keep`; clips of a single video, for a step that compares videos;
            such a step on several devices; a damaged checkpoint.
    """
    if keep not in ('best', 'last'):
        raise ValueError(f'keep {keep!r}: expected best or last')
    if step.compares and params.devices > 1:
        raise ValueError(
            f'{params.devices} devices: this run compares the clips of a batch with '
            'each other, and a device has only a part of them; take one'
        )
    folder = pathlib.Path(folder)
    with hardware.strategy(params.devices).scope():  # places its averages like the variables
        optimizer.build(step.variables)
    progress = checkpoints.Progress(step.model, optimizer, folder / 'checkpoints')
    leads = hosts.is_chief()
    history = _resume(progress, folder) if leads else []
    completed = int(hosts.from_chief(np.array(len(history))))
    if not leads:
        progress.follow(completed)
        history = progress.history()[:completed]
        observers, profile = (), False
    train_step = make_train_step(step, optimizer, params.devices)
    join_averages = population_statistics.make_join(step.model, params.devices)
    predict_batch = tf.function(
        functools.partial(step.losses, training=False), reduce_retracing=True, autograph=False
    )
    population = (
        population_statistics.PopulationStatistics(step)
        if params.batch_norm_averages == 'measured'
        else None
    )
    written = curve_files.Curves(folder / 'tensorboard')
    if not history:
        for observer in observers:
            observer.begin()

    def stop(clips, batch, where, losses):
        return nonfinite.error(where, losses, clips, batch, folder, progress.kept)

    epochs = progress_bars.bar(
        range(len(history), params.epochs),
        desc=name,
        unit='epoch',
        initial=len(history),
        total=params.epochs,
    )
    saved = time.perf_counter()
    try:
        for epoch in epochs:
            started = time.perf_counter()
            traced = folder / 'tensorboard' / 'train' if profile else None
            profile = False
            step.start_epoch(epoch)
            curves = _epoch(step, train_step, training, params, epoch, stop, traced)
            join_averages()
            seconds = time.perf_counter() - started
            record = {
                'epoch': epoch,
                'learning_rate': float(optimizer.learning_rate.numpy()),
                'clips_per_second': len(training) / seconds,
            }
            record |= {f'train/{key}': value for key, value in curves.items()}
            measure = step.measure if step.measure in curves else 'total'
            shown = {'loss' if measure == 'total' else measure: f'{curves[measure]:.3f}'}
            is_last = epoch == params.epochs - 1
            is_validated = validation is not None and (
                is_last or (epoch + 1) % params.validation_period == 0
            )
            if population is not None and (is_validated or is_last):
                population.measure(
                    training, params.batch_size, (params.seed, epoch), params.batch_norm_clips
                )
            if not leads:
                history.append(record)
                continue
            if is_validated:
                logits, curves = _predict_all(step, predict_batch, validation, params, epoch, stop)
                if logits is not None:
                    labels = validation.columns['label']
                    curves[step.measure] = step.score(labels, logits)
                    for observer in observers:
                        observer.after_epoch(epoch + 1, labels, logits)
                record |= {f'validation/{key}': value for key, value in curves.items()}
                shown['validation'] = f'{curves.get(step.measure, curves["total"]):.3f}'
            history.append(record)
            written.write(record, step.measure)
            if is_last or is_validated or time.perf_counter() - saved > _UNSAVED_S:
                chosen = (
                    params.epochs - 1
                    if validation is None or keep == 'last'
                    else best_epoch(history, step.measure)
                )
                progress.save(history, epoch == chosen)
                saved = time.perf_counter()
            epochs.set_postfix(shown, refresh=False)
    except KeyboardInterrupt as interrupt:
        raise Stopped(f'stopped: {progress.kept}; the same call resumes from there') from interrupt
    with hosts.chief_first():
        progress.restore_best()
    written.close()
    return history if leads else progress.history()


def _resume(progress, folder):
    """Restores a run, or saves its initial state; returns the curves of its saved epochs."""
    history = progress.restore()
    if history is None:
        history = []
        # A state to resume from, and a check that it can be saved.
        progress.save(history, keep=False)
    progress.check_room()
    (folder / nonfinite.FILE).unlink(missing_ok=True)
    curve_files.forget_after(folder / 'tensorboard', len(history))
    return history


def chosen_epoch(history: list[dict], keep: str = 'best', measure: str = 'accuracy') -> int:
    """The epoch (from 0) that `fit` chose by a step's measure; the last one without validation."""
    if keep == 'last' or 'validation/total' not in history[-1]:
        return len(history) - 1
    return best_epoch(history, measure)


def best_epoch(history: list[dict], measure: str = 'accuracy') -> int:
    """The epoch (from 0) with the best validation measure, then the smallest validation loss.

    Without such a measure, only the loss counts. Among epochs that differ only by rounding, the
    earliest wins. Epochs without validation are ignored; if there are only these, it is the last.
    """
    validated = [epoch for epoch, one in enumerate(history) if 'validation/total' in one]
    if not validated:
        return len(history) - 1
    best = validated[0]
    # In order, as in training: after each epoch, the best so far is either the one whose weights
    # are saved or the newest.
    for epoch in validated[1:]:
        if _is_better(history[epoch], history[best], f'validation/{measure}'):
            best = epoch
    return best


def _is_better(new, old, measure):
    """Whether one epoch's scalars are better than another's by more than rounding."""
    gain = new.get(measure, 0.0) - old.get(measure, 0.0)
    if abs(gain) > _MEASURE_TOLERANCE:
        return gain > 0.0
    new, old = new['validation/total'], old['validation/total']
    return old - new > _LOSS_TOLERANCE * max(abs(new), abs(old))


def make_train_step(
    step: steps.Step, optimizer: keras.optimizers.Optimizer, devices: int = 1
) -> Callable:
    """Compiles a training step.

    Args:
        step: a `steps.Step`.
        optimizer: a Keras optimizer, built for the step's variables.
        devices: number of devices that share a batch; step and optimizer must have been built for
            them, see `hardware.building`.

    Returns:
        A function from a batch to (named scalars; number of correct predictions, or None; whether
        the loss and all gradients are finite).
    """
    # An optimizer that scales the loss skips steps with infinite gradients on its own.
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

    def learn(batch, share=None):
        with tf.GradientTape() as tape:
            losses, logits = step.losses(batch, training=True)
            total = losses['total'] if share is None else share * losses['total']
            total = optimizer.scale_loss(total)
        gradients = tape.gradient(total, step.variables)
        optimizer.apply_gradients(zip(gradients, step.variables, strict=True))
        # A finite loss may have infinite gradients, for which the next batch would be blamed.
        checked = [losses['total'], *([] if is_scaled else gradients)]
        finite_all = tf.reduce_all(
            [tf.reduce_all(tf.math.is_finite(values)) for values in checked if values is not None]
        )
        if logits is None or step.measure != 'accuracy':
            return losses, None, finite_all  # other measures rank clips and do not add up
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, -1) == batch['label'], tf.int32))
        return losses, right, finite_all

    def learn_a_part(batch):
        part, share = hardware.part_of(batch, devices)
        losses, right, finite_all = learn(part, share)
        return (
            {key: share * value for key, value in losses.items()},
            None if right is None else tf.where(share > 0.0, right, 0),
            tf.cast(finite_all, tf.int32),
        )

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(batch):
        if devices == 1:
            return learn(batch)
        strategy = hardware.strategy(devices)
        losses, right, finite_all = tf.nest.map_structure(
            lambda values: None if values is None else strategy.reduce('SUM', values, axis=None),
            strategy.run(learn_a_part, (batch,)),
        )
        return losses, right, finite_all == devices

    return train_step


def _epoch(step, train_step, training, params, epoch, stop, traced=None):
    """Trains for one epoch; returns the means of its scalars, and the accuracy, if any."""
    sums, right, seen = {}, None, 0
    batches = training.batches(params.batch_size, (params.seed, epoch))
    with (
        progress_bars.bar(
            total=len(training), desc=f'epoch {epoch + 1}', unit='clip', inner=True
        ) as bar,
        contextlib.ExitStack() as trace,
    ):
        for number, batch in enumerate(filter(step.usable, batches)):
            steps.trace(train_step, batch, len(training), params.batch_size)
            if traced and number == 1:  # the step before traced the graph
                trace.enter_context(tf.profiler.experimental.Profile(str(traced)))
            losses, correct, is_finite = train_step(batch)
            if traced and number == _TRACED_STEPS:
                trace.close()
            losses = {key: float(value) for key, value in losses.items()}
            if not is_finite:
                raise stop(training, batch, f'epoch {epoch + 1}, step {number + 1}', losses)
            size = len(batch['label'])
            for key, value in losses.items():
                sums[key] = sums.get(key, 0.0) + value * size
            seen += size
            if correct is not None:
                right = (right or 0) + int(correct)
            bar.update(size)
            bar.set_postfix(
                refresh=False,
                loss=f'{sums["total"] / seen:.3f}',
                **({} if right is None else {'accuracy': f'{right / seen:.3f}'}),
            )
    return _means(sums, seen) | ({} if right is None else {'accuracy': right / seen})


def _predict_all(step, predict_batch, clips, params, epoch, stop):
    """Logits of the validation clips, or None if the step has none, and the means of scalars."""
    sums, logits, seen = {}, [], 0
    batch_size, seed = params.batch_size, None
    if step.compares:
        # Losses depend on the number of clips compared, so all batches have the same size; and on
        # how many come from one video, so clips are shuffled: in lists those are adjacent.
        num_batches = -(-len(clips) // batch_size)
        batch_size, seed = -(-len(clips) // num_batches), params.seed
    for number, batch in enumerate(filter(step.usable, clips.batches(batch_size, seed))):
        steps.trace(predict_batch, batch, len(clips), batch_size)
        losses, part = predict_batch(batch)
        losses = {key: float(value) for key, value in losses.items()}
        if not np.isfinite(losses['total']):
            raise stop(clips, batch, f'epoch {epoch + 1}, validation batch {number + 1}', losses)
        if part is not None:
            logits.append(part.numpy())
        size = len(batch['label'])
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + value * size
        seen += size
    return np.concatenate(logits) if logits else None, _means(sums, seen)


def _means(sums, seen):
    if not seen:
        raise ValueError(
            'no batch has clips of two videos to compare; take more videos, or larger batches'
        )
    return {key: value / seen for key, value in sums.items()}
