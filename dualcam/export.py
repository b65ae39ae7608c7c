"""A trained student as a SavedModel that listens to one microphone.

Input of `serving_default`: `waveform`, float32 [batch, seconds * 22,050] at 22,050 Hz, any scale.
Outputs: `logits`, `probabilities` [batch, classes] and `embedding` [batch, features]. All
preprocessing is in the graph, in TensorFlow's own operations. Class names lie in the asset
`class_names.txt`, the rest of what one must know in `metadata.json` beside it.

The signature is a plain function of a tf.Module that holds the network's variables: Keras' own
export archive has no way to attach assets.
"""

import json
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf

from dualcam import models
from dualcam.data import audio

SIGNATURE = 'serving_default'


def export(model, folder, info, seconds, frontend):
    """Writes a SavedModel; an existing one there is replaced.

    Args:
        model: a student from `models.build`.
        folder: of the SavedModel, ending in its version number.
        info: the `datasets.DatasetInfo` it was trained on.
        seconds: of the clips it takes.
        frontend: the `frontend.Frontend` that it was trained with.
    """
    folder = pathlib.Path(folder)
    serve = _serve_function(model, seconds, frontend)
    metadata = {'network': model.name, 'sample_rate_hz': audio.SAMPLE_RATE_HZ, 'seconds': seconds,
                'samples': audio.num_samples(seconds), 'classes': list(info.classes),
                'trained_on': info.origin,
                'embedding_layer': models.FEATURES[model.name]}
    with tempfile.TemporaryDirectory() as scratch:
        module = tf.Module()
        module.network = [variable.value for variable in model.variables]
        module.assets = []
        for name, text in (('class_names.txt', '\n'.join(info.classes) + '\n'),
                           ('metadata.json', json.dumps(metadata, indent=1) + '\n')):
            path = pathlib.Path(scratch) / name
            path.write_text(text, encoding='utf-8')
            module.assets.append(tf.saved_model.Asset(str(path)))
        partial = folder.with_name(f'.{folder.name}.partial')
        tf.saved_model.save(module, str(partial), signatures={SIGNATURE: serve})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def verify(model, folder, seconds, frontend, tolerance=2e-3):
    """Reloads a SavedModel and compares it with the network it was made of.

    Both hear the same noise, but not through the same preprocessing: the served one works in a
    graph, whose transforms round differently. Channels with nothing in them, above 6.2 kHz, are
    divided by a ten-thousandth of the range, so that a rounding of 1e-7 shows as up to 1e-3.

    Raises:
        RuntimeError: their logits differ by more than `tolerance`, relative to the largest.
    """
    served = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    signal = np.random.default_rng(0).standard_normal((2, audio.num_samples(seconds)))
    signal = tf.constant(signal * np.array([[0.1], [1000.0]]), tf.float32)
    expected = model(frontend.hear(signal), training=False).numpy()
    logits = served(waveform=signal)['logits'].numpy()
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise RuntimeError(f'{folder}: the reloaded model differs by {difference:.2g} from the '
                           'trained one')


def _serve_function(model, seconds, frontend):
    embedding = model.get_layer(models.FEATURES[model.name]).output
    both = keras.Model(model.input, [model.output, embedding])

    @tf.function(input_signature=[
        tf.TensorSpec([None, audio.num_samples(seconds)], tf.float32, name='waveform')])
    def serve(waveform):
        logits, features = both(frontend.hear(waveform), training=False)
        features = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
        return {'logits': logits, 'probabilities': tf.nn.softmax(logits),
                'embedding': tf.reduce_mean(features, axis=1)}
    return serve
