"""What of a batch, or of a front end's output, a network takes."""

import keras
import tensorflow as tf


def inputs_of(
    model: keras.Model, inputs: tf.Tensor | dict[str, tf.Tensor]
) -> tf.Tensor | dict[str, tf.Tensor]:
    """What a network takes of a batch's inputs.

    Args:
        model: from `models.build`, or one made of such networks.
        inputs: a tensor, or a dictionary that may hold more than this network takes.

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
            f'{model.name} takes {sorted(model.input)}, but the clips hold '
            f'{sorted(inputs)}: {missing} missing; make the clips with them'
        )
    return {name: inputs[name] for name in model.input}


def hear(model: keras.Model, heard: tf.Tensor) -> tf.Tensor | dict[str, tf.Tensor]:
    """What a network on one microphone's sound takes, of what its front end gives.

    Raises:
        ValueError: the network needs more than that.
    """
    if not isinstance(model.input, dict):
        return heard
    if set(model.input) != {'audio'}:
        raise ValueError(
            f'{model.name} takes {", ".join(model.input)}: what takes more than a '
            'log-mel spectrogram cannot listen to a microphone by itself'
        )
    return {'audio': heard}
