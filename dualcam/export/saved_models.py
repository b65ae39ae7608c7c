"""A trained student as a SavedModel on one microphone's sound.

Signatures, each with `logits`, `probabilities` [batch, classes] and `embedding` [batch, features]:

    serving_default   waveform, float32 [batch, samples] at 22,050 Hz, any scale, 1 s or more;
                      for a tagging network (AAAI 2021): at 32,000 Hz, full scale 1
    serve_wav_bytes   wav_bytes, string [batch]: WAV files, see `data/signal/wav.py`
    window            waveform, float32 [batch, a window's samples]: for converters;
                      checks nothing

The first two cut a sound into consecutive windows of the student's length, of which the last one
ends with the sound; a shorter sound is padded with zeros. Logits and embeddings are averaged over
the windows, except silent ones, whose original samples, before resampling, are all equal.

A tagging network gives independent probabilities for each event, as a clip may have several.

All preprocessing is in the graph, in TensorFlow's own operations. The asset `class_names.txt` has
the class names, `metadata.json` everything else that programs need, `README.md` is the model card
(`model_cards`), and `assets.extra` has the requests that a server warms up with.

The signatures are plain functions of a tf.Module with the network's variables: Keras' own export
archive cannot have assets.
"""

import functools
import json
import os
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import tensorflow as tf

import dualcam
from dualcam import models
from dualcam.data import audio
from dualcam.data.signal import frontends, graph_windowing, logmel, wav
from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores
from dualcam.export import model_cards, saved_model_safety
from dualcam.export.interface import OUTPUTS, SIGNATURE, WAV_SIGNATURE, WINDOW_SIGNATURE
from dualcam.files.path_types import AnyPath
from dualcam.models import convolutions

# Kernels round differently, and the narrowest channel of a spectrogram magnifies that this much
# (`audio.normalise`): two correct outputs of a student may differ by this, relative to the largest.
TOLERANCE = 2.0**-24 / audio.NARROWEST
_SHORTEST_S = 1
_WINDOWS_AT_ONCE = 32


def export(
    model: keras.Model,
    folder: AnyPath,
    info: datasets.DatasetInfo,
    seconds: int,
    frontend: frontends.Frontend | logmel.LogMelFrontend,
) -> None:
    """Writes a SavedModel, replacing an existing one.

    Args:
        model: a student from `models.build`.
        folder: of the SavedModel, ending in its version number.
        info: the `datasets.DatasetInfo` it was trained on.
        seconds: of its clips.
        frontend: the one that it was trained with.

    Raises:
        ValueError: the network needs inputs other than sound.
    """
    folder = pathlib.Path(folder)
    served = _Served(model, seconds, frontend)
    rate_hz = frontend.sample_rate_hz
    module = tf.Module()
    module.network = [variable.value for variable in model.variables]
    module.assets = []
    metadata = {
        'network': model.name,
        'sample_rate_hz': rate_hz,
        'seconds': seconds,
        'samples': rate_hz * seconds,
        'classes': list(info.classes),
        'data_set': info.name,
        'trained_on': info.origin,
        'embedding_layer': models.network(model.name).features,
        'versions': {
            'dualcam': dualcam.__version__,
            'tensorflow': tf.__version__,
            'keras': keras.__version__,
        },
    }
    if tags(model.name):
        metadata['threshold'] = tagging_scores.THRESHOLD
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in (
            ('class_names.txt', '\n'.join(info.classes) + '\n'),
            ('metadata.json', json.dumps(metadata, indent=1) + '\n'),
        ):
            path = pathlib.Path(scratch) / name
            path.write_text(text, encoding='utf-8')
            module.assets.append(tf.saved_model.Asset(str(path)))
        partial = folder.with_name(f'.{folder.name}.partial')
        shutil.rmtree(partial, ignore_errors=True)  # left by a stopped run
        with convolutions.exporting():
            tf.saved_model.save(module, str(partial), signatures=served.signatures())
    _write_warmup(partial, folder.parent.name, seconds, rate_hz)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    model_cards.renew(folder)


def tags(network: str) -> bool:
    """Whether a network predicts several events per clip, with independent probabilities."""
    return models.network(network).input == 'tagging'


def verify(
    model: keras.Model,
    folder: AnyPath,
    seconds: int,
    frontend: frontends.Frontend | logmel.LogMelFrontend,
    tolerance: float = TOLERANCE,
) -> None:
    """Reloads a SavedModel and compares it with its original network.

    Raises:
        RuntimeError: their logits differ by more than `tolerance`, relative to the largest.
        ValueError: it has operations that are not known to only compute.
    """
    saved_model_safety.check(folder)
    served = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    signal = np.random.default_rng(0).standard_normal((2, frontend.sample_rate_hz * seconds))
    signal = tf.constant(signal * np.array([[0.1], [1000.0]]), tf.float32)
    expected = model(models.hear(model, frontend.hear(signal)), training=False).numpy()
    logits = served(waveform=signal)['logits'].numpy()
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise RuntimeError(
            f'{folder}: the reloaded model differs by {difference:.2g} from the trained one'
        )


class _Served:
    """The functions of a student's signatures; a tf.Module would save the weights twice."""

    def __init__(self, model, seconds, frontend):
        self._frontend, self._rate_hz = frontend, frontend.sample_rate_hz
        self._samples = self._rate_hz * seconds
        self._probabilities = tf.sigmoid if tags(model.name) else tf.nn.softmax
        self._outputs = keras.Model(
            model.input, [model.output, model.get_layer(models.network(model.name).features).output]
        )
        self._sizes = [output.shape[-1] for output in self._outputs.outputs]
        # One function each for all signatures: shared parts are traced and stored once.
        self._ask = tf.function(  # type: ignore[method-assign]
            self._ask,
            autograph=False,
            input_signature=[tf.TensorSpec([None, self._samples], tf.float32)],
        )
        self._listen = tf.function(  # type: ignore[method-assign]
            self._listen,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, None], tf.float32),
                tf.TensorSpec([None, None], tf.float32),
                tf.TensorSpec([], tf.int32),
            ],
        )

    def signatures(self):
        """{name: function}"""
        return {
            name: tf.function(
                function, autograph=False, input_signature=[tf.TensorSpec(shape, kind, key)]
            )
            for name, function, shape, kind, key in (
                (SIGNATURE, self._serve, [None, None], tf.float32, 'waveform'),
                (WAV_SIGNATURE, self._serve_wav_bytes, [None], tf.string, 'wav_bytes'),
                (WINDOW_SIGNATURE, self._window, [None, self._samples], tf.float32, 'waveform'),
            )
        }

    def _window(self, waveform):
        return self._answer(*self._ask(waveform))

    def _serve(self, waveform):
        return self._answer(*self._listen(waveform, waveform, self._rate_hz))

    def _serve_wav_bytes(self, wav_bytes):
        wav_bytes = _checked(wav_bytes, 'wav_bytes', 1, 'WAV file')

        def one(contents):
            converted, signal, own_rate_hz = _decoding(self._rate_hz)(contents)
            logits, features = self._listen(converted[None], signal[None], own_rate_hz)
            return logits[0], features[0]

        return self._answer(
            *tf.map_fn(
                one,
                wav_bytes,
                fn_output_signature=tuple(
                    tf.TensorSpec([size], tf.float32) for size in self._sizes
                ),
            )
        )

    def _answer(self, logits, embedding):
        return dict(zip(OUTPUTS, (logits, self._probabilities(logits), embedding), strict=True))

    def _ask(self, waveform):
        """Logits and embedding of windows."""
        heard = models.hear(self._outputs, self._frontend.hear(waveform))
        logits, features = self._outputs(heard, training=False)
        return logits, tf.reduce_mean(
            tf.reshape(features, [tf.shape(waveform)[0], -1, self._sizes[1]]), axis=1
        )

    def _listen(self, waveform, recorded, recorded_hz):
        """Logits and embedding of waveforms of any length, averaged over windows.

        Args:
            waveform: [batch, samples] at the student's rate.
            recorded: [batch, samples], the original before resampling; decides what is silence.
            recorded_hz: scalar int32, its sample rate.
        """
        waveform = _checked_sound(_checked(waveform, 'waveform', 2, 'sound'), self._rate_hz)
        size = self._samples
        batch, length = tf.unstack(tf.shape(waveform))
        starts = graph_windowing.starts(length, size, size)
        count = tf.size(starts)
        heard = self._heard(recorded, recorded_hz, starts)
        # Before padding, which would make the end of the sound a step.
        waveform = tf.cond(
            length < size, lambda: frontends.without_offset(waveform), lambda: waveform
        )
        waveform = tf.pad(waveform, [[0, 0], [0, tf.maximum(0, size - length)]])
        chunks = -(-(batch * count) // _WINDOWS_AT_ONCE)
        made = [
            tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=[None, width])
            for width in self._sizes
        ]

        def step(chunk, *made):
            first = chunk * _WINDOWS_AT_ONCE
            end = tf.minimum(first + _WINDOWS_AT_ONCE, batch * count)
            numbers = tf.range(first, end)
            cut = tf.cond(
                count == 1,
                lambda: waveform[first:end, :size],
                lambda: graph_windowing.cut(
                    waveform, numbers // count, tf.gather(starts, numbers % count), size
                ),
            )
            cut = tf.ensure_shape(cut, [None, size])
            return chunk + 1, *(
                array.write(chunk, part) for array, part in zip(made, self._ask(cut), strict=True)
            )

        _, *made = tf.while_loop(
            lambda chunk, *_: chunk < chunks, step, (0, *made), parallel_iterations=1
        )
        parts = (
            tf.reshape(array.concat(), [batch, count, width])
            for array, width in zip(made, self._sizes, strict=True)
        )
        heard = tf.cast(heard, tf.float32)[..., None]
        heard = tf.where(tf.reduce_any(heard > 0, axis=1, keepdims=True), heard, 1.0)
        return [
            tf.reduce_sum(part * heard, axis=1) / tf.reduce_sum(heard, axis=1) for part in parts
        ]

    def _heard(self, recorded, recorded_hz, starts):
        """Whether windows are not silent, [batch, windows] bool.

        Judged on the original recording: a resampling filter rings before and after each sound.
        """
        own_rate, rate = tf.cast(recorded_hz, tf.int64), tf.constant(self._rate_hz, tf.int64)

        def varies(sound):
            return tf.reduce_max(sound, axis=1) > tf.reduce_min(sound, axis=1)

        def one(start):
            begin = tf.cast(start, tf.int64) * own_rate // rate
            end = -(-(tf.cast(start, tf.int64) + self._samples) * own_rate // rate)
            return varies(recorded[:, begin:end])

        # A single window is the whole recording; no copy needed.
        return tf.cond(
            tf.size(starts) == 1,
            lambda: varies(recorded)[:, None],
            lambda: tf.transpose(
                tf.map_fn(one, starts, fn_output_signature=tf.TensorSpec([None], tf.bool))
            ),
        )


@functools.lru_cache
def _decoding(rate_hz):
    """A function that decodes a WAV file: the sound at a rate, at its own, and its own rate.

    Shared by all students of a process: it takes a third of the time of tracing their signatures.
    """

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
    def decode(contents):
        signal, own_rate_hz = wav.decode_at_own_rate(contents)
        return wav.at_rate(signal, own_rate_hz, rate_hz), signal, own_rate_hz

    return decode


def _checked(value, name, rank, what):
    """The value itself; fails at run time unless it is a batch of the given rank."""
    # A server does not check a request's rank against the signature; here it would be a constant.
    shape = tf.shape(tf.compat.v1.placeholder_with_default(value, None))
    shape = wav.checked(
        shape,
        [
            (
                tf.equal(tf.size(shape), rank),
                f'{name}: of shape',
                shape,
                f'; expected {rank} axes, the first one for the batch',
            )
        ],
    )
    return wav.checked(
        value, [(shape[0] > 0, f'{name}: an empty batch; expected one {what} or more')]
    )


def _checked_sound(waveform, rate_hz):
    """The waveform itself; fails at run time if it is too short or not finite."""
    shortest, length = rate_hz * _SHORTEST_S, tf.shape(waveform)[1]
    waveform = wav.checked(
        waveform,
        [
            (
                length >= shortest,
                'waveform:',
                length,
                f'samples; expected [batch, samples] of '
                f'{_SHORTEST_S} s or more, {shortest} samples at {rate_hz} Hz',
            )
        ],
    )
    return tf.debugging.assert_all_finite(
        waveform, 'waveform: has samples that are not finite (NaN or infinite)'
    )


def _write_warmup(folder, name, seconds, rate_hz):
    """Requests of silence, which TensorFlow Serving runs before it accepts others."""
    # Imported here: nothing else needs its generated code.
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    waveform = tf.make_tensor_proto(0.0, shape=[1, rate_hz * seconds])
    encoded = tf.audio.encode_wav(tf.zeros([rate_hz * _SHORTEST_S, 1]), rate_hz).numpy()
    folder = folder / 'assets.extra'
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / 'tf_serving_warmup_requests')) as writer:
        for signature, key, value in (
            (SIGNATURE, 'waveform', waveform),
            (WAV_SIGNATURE, 'wav_bytes', tf.make_tensor_proto([encoded])),
        ):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            request.inputs[key].CopyFrom(value)
            writer.write(
                prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                ).SerializeToString()
            )
