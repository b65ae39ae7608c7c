"""Keras students as `students.Listener`s: from a run's folder, or from a network in memory."""

import pathlib
from collections.abc import Sequence

import keras
import tensorflow as tf

from dualcam import models
from dualcam.data.signal import frontends, logmel
from dualcam.evaluation import tagging_scores
from dualcam.export import saved_models
from dualcam.files import fingerprints
from dualcam.files.path_types import AnyPath
from dualcam.inference.students import Listener, as_tensor
from dualcam.training import run, run_data, tagging_data
from dualcam.training.recipes import correspondence, tagging


def from_run(path: pathlib.Path) -> Listener:
    """The `Listener` for a run's folder.

    Raises:
        ValueError: its network does not take the sound of one microphone.
    """
    saved = run.described(path)
    params, network = saved.params, saved.params.network
    if saved.kind == 'tagging':
        if not tagging.needs_sound_only(params):
            raise _deaf(path, f'{network} ({", ".join(params.sound)})')
        tagging_frontend = tagging_data.frontend(params, path)
        return from_model(run.load(path), tagging_frontend, params.clip_s, saved.classes, path)
    if models.network(network).input not in ('waveform', 'spectrogram'):
        raise _deaf(path, network)
    if saved.kind == 'correspondence':
        sound, _ = correspondence.split(params, run.load(path))
        return from_map(sound, params, path)
    frontend, seconds = run_data.frontend(params, path), params.clips.sample_length
    return from_model(run.load(path), frontend, seconds, saved.classes, path)


def from_map(
    model: keras.Model, params: correspondence.CorrespondenceParams, folder: AnyPath
) -> Listener:
    """A `Listener` for a sound network trained without labels: it predicts no classes.

    Args:
        model: from `models.build_map`, or the sound side of L3-Net; see `correspondence.split`.
        params: the `correspondence.CorrespondenceParams` of its run.
        folder: of the run, with the statistics of its front end.
    """
    return from_model(
        model, run_data.frontend(params.sound, folder), params.clips.sample_length, (), folder
    )


def from_model(
    model: keras.Model,
    frontend: frontends.Frontend | logmel.LogMelFrontend,
    seconds: int,
    classes: Sequence[str],
    source: AnyPath,
) -> Listener:
    """A `Listener` for a Keras student.

    Args:
        model: from `models.build`.
        frontend: its `frontend.Frontend` or `logmel.LogMelFrontend`.
        seconds: of its clips.
        classes: names; none for a network that predicts none.
        source: where it came from, for messages.
    """
    aliases = {'embedding': models.network(model.name).features}
    if classes:
        aliases['logits'] = model.layers[-1].name
    layers = tuple(
        layer.name
        for layer in model.layers
        if layer.name.startswith(('conv', 'fc')) and not layer.name.endswith('_norm')
    )

    def make(layer):
        output = model.get_layer(_activated(model, aliases.get(layer, layer))).output
        part = keras.Model(model.input, output)

        @tf.function(reduce_retracing=True, autograph=False)
        def listen(waveform):
            features = part(models.hear(part, frontend.hear(waveform)), training=False)
            return tf.reduce_mean(
                tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]]), axis=1
            )

        return lambda waveform: listen(as_tensor(waveform)).numpy()

    return Listener(
        str(source),
        model.name,
        seconds,
        tuple(classes),
        (*aliases, *layers),
        fingerprints.of_weights(model),
        make,
        frontend.sample_rate_hz,
        tagging_scores.THRESHOLD if saved_models.tags(model.name) else None,
    )


def _deaf(path, network):
    return ValueError(
        f"{path}: {network} does not take one microphone's sound; expected a student's run"
    )


def _activated(model, layer):
    """The layer that outputs `layer` after normalisation and ReLU.

    In SoundNet's trunk these are separate layers; apart from its size, the pooling in between does
    not change the average over time.
    """
    names = [one.name for one in model.layers]
    if layer not in names:
        raise ValueError(f'{model.name}: no layer {layer}')
    if f'{layer}_norm' not in names:
        return layer
    following = model.layers[names.index(f'{layer}_norm') + 1 :]
    return next(one.name for one in following if isinstance(one, keras.layers.ReLU))
