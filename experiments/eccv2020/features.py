"""Features of clips by ECCV 2020's networks, for any store, by which all are evaluated.

Features have unit length and one row per clip: a network's own, and for a pair of networks that of
both together, for a clip's own sound and frames.
"""

import keras
import numpy as np
import tensorflow as tf

from dualcam import models
from dualcam.files import progress_bars
from dualcam.inference import network_students, students
from dualcam.losses import triplet
from dualcam.training import run_data
from dualcam.training.recipes import correspondence

SOUND, VISION, BOTH = 'sound', 'vision', 'audio-visual'
PAIRS = 'pairs'  # L3-Net: not features, but whether sound and frames are from the same clip
UNIT = 'unit_embedding'  # layer of listeners: the unit-length feature of a window
_BATCH = 32


class PairFeatures:
    """Features of two networks trained without labels.

    Attributes:
        params: a `correspondence.CorrespondenceParams`.
        folder: of the run.
        networks: on sound and on frames, see `correspondence.split`.
    """

    def __init__(self, params, folder, networks):
        self.params, self.folder, self.networks = params, folder, networks

    def of(self, store, windows, wanted):
        """Features of clips.

        Args:
            store: contains the records.
            windows: [clips, 2] rows of it.
            wanted: names, some of `SOUND`, `VISION` and `BOTH`.

        Returns:
            {name: [clips, features] float32}.
        """
        if wanted == {SOUND}:
            params = self.params.sound
            clips = run_data.cut(params, store, windows, self.folder)
            return {
                SOUND: np.concatenate(
                    [
                        triplet.audio_features(part).numpy()
                        for part in _answers(self.networks[0], clips)
                    ]
                )
            }
        parts = {name: [] for name in wanted}
        for heard, seen in self._pairs(store, windows):
            made = {SOUND: triplet.audio_features(heard)}
            if len(seen.shape) == 4:
                made[VISION] = triplet.audio_features(seen)
                made[BOTH] = triplet.own_audio_visual_features(heard, seen)
            else:
                made[VISION] = tf.math.l2_normalize(seen, axis=-1)
            for name in wanted:
                parts[name].append(made[name].numpy())
        return {name: np.concatenate(values) for name, values in parts.items()}

    def maps(self, store, windows):
        """Outputs of the two networks for clips: [clips, ...] each."""
        heard, seen = zip(*self._pairs(store, windows), strict=True)
        return np.concatenate(heard), np.concatenate(seen)

    def listener(self):
        """The network on sound as a `students.Listener`, whose layer `UNIT` is its feature."""
        return _with_unit(network_students.from_map(self.networks[0], self.params, self.folder))

    def _pairs(self, store, windows):
        clips = correspondence.cut(self.params, store, windows, self.folder)
        asks = [
            (models.network(network.name).input, _compiled(network)) for network in self.networks
        ]
        for batch in progress_bars.bar(
            clips.batches(_BATCH), desc='features', unit='batch', total=-(-len(clips) // _BATCH)
        ):
            yield tuple(ask(batch['input'][key]).numpy() for key, ask in asks)


class NetworkFeatures:
    """Features of one network trained on labels.

    Attributes:
        params: a `supervised.RunParams`.
        folder: of the run.
        network: the trained model.
    """

    def __init__(self, params, folder, network):
        self.params, self.folder, self.network = params, folder, network

    def of(self, store, windows, wanted):
        """As `PairFeatures.of`; `wanted` is one name, the network's own kind."""
        (name,) = wanted
        output = self.network.get_layer(models.network(self.network.name).features).output
        part = keras.Model(self.network.input, output, name=self.network.name)
        clips = run_data.cut(self.params, store, windows, self.folder)
        made = []
        for values in _answers(part, clips, _BATCH):
            size = min(_BATCH, len(clips) - _BATCH * len(made))
            # Frames and positions are averaged; the result is normalised afterwards anyway.
            values = tf.reduce_mean(tf.reshape(values, [size, -1, values.shape[-1]]), axis=1)
            made.append(tf.math.l2_normalize(values, axis=-1).numpy())
        return {name: np.concatenate(made)}

    def listener(self):
        """The network as a `students.Listener`, whose layer `UNIT` is its feature."""
        return _with_unit(students.open_listener(self.folder))


def _with_unit(listener):
    """Adds a window's feature as compared in all tables: after a ReLU, unit length."""
    return listener.with_layer(
        UNIT,
        'embedding',
        lambda embeddings: triplet.audio_features(tf.constant(embeddings)).numpy(),
    )


def _answers(network, clips, batch_size=_BATCH):
    ask = _compiled(network)
    for batch in progress_bars.bar(
        clips.batches(batch_size), desc='features', unit='batch', total=-(-len(clips) // batch_size)
    ):
        yield ask(batch['input'])


def _compiled(network):
    return tf.function(
        lambda batch: network(batch, training=False), reduce_retracing=True, autograph=False
    )
