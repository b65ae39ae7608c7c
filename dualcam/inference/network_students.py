"""Keras students as `students.Listener`s: of a run's folder, or of a network in memory."""

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
from dualcam.inference.students import Listener
from dualcam.training import run, run_data, tagging_data
from dualcam.training.recipes import correspondence, tagging


def from_run(path: pathlib.Path) -> Listener:
    """The `Listener` of a run's folder.

    Raises:
        ValueError: its network does not listen to one microphone.
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
    """A `Listener` of a network on sound that learned without labels: it gives no answers.

    Args:
        model: from `models.build_map`, or the sound side of L3-Net; see `correspondence.split`.
        params: the `correspondence.CorrespondenceParams` of its run.
        folder: of the run, with the statistics that it hears by.
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
    """A `Listener` of a Keras student.

    Args:
        model: from `models.build`.
        frontend: the `frontend.Frontend` or `logmel.LogMelFrontend` that it is to be asked with.
        seconds: of its clips.
        classes: names; none for a network that gives no answers.
        source: for messages.
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

        return lambda waveform: listen(tf.constant(waveform, tf.float32)).numpy()

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
        f'{path}: {network} does not listen to one microphone; expected the run of a student'
    )


def _activated(model, layer):
    """The layer that hands on what `layer` says after normalisation and ReLU.

    In SoundNet's trunk these are layers of their own; the pool between does not change what is
    averaged over time but for its size.
    """
    names = [one.name for one in model.layers]
    if layer not in names:
        raise ValueError(f'{model.name}: no layer {layer}')
    if f'{layer}_norm' not in names:
        return layer
    following = model.layers[names.index(f'{layer}_norm') + 1 :]
    return next(one.name for one in following if isinstance(one, keras.layers.ReLU))
