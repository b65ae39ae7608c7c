"""Selects a network's inputs from a batch or from a front end's output."""

import keras
import tensorflow as tf


def inputs_of(
    model: keras.Model, inputs: tf.Tensor | dict[str, tf.Tensor]
) -> tf.Tensor | dict[str, tf.Tensor]:
    """A network's inputs from a batch.

    Args:
        model: from `models.build`, or one made of such networks.
        inputs: a tensor, or a dictionary that may contain more than this network takes.

    Returns:
        The tensor, or the dictionary of the network's own inputs.

    Raises:
        ValueError: one of them is missing.
    """
    if not isinstance(inputs, dict) or not isinstance(model.input, dict):
        return inputs
    missing = sorted(set(model.input) - set(inputs))
    if missing:
        raise ValueError(
            f'{model.name} takes {sorted(model.input)}, but the clips have '
            f'{sorted(inputs)}: {missing} missing; make the clips with them'
        )
    return {name: inputs[name] for name in model.input}


def hear(model: keras.Model, heard: tf.Tensor) -> tf.Tensor | dict[str, tf.Tensor]:
    """A network's inputs from the front end's output for one microphone's sound.

    Raises:
        ValueError: the network needs other inputs too.
    """
    if not isinstance(model.input, dict):
        return heard
    if set(model.input) != {'audio'}:
        raise ValueError(
            f'{model.name} takes {", ".join(model.input)}: a network that takes more than a '
            'log-mel spectrogram cannot run on the sound of one microphone alone'
        )
    return {'audio': heard}
