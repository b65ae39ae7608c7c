"""A trained student from wherever it is, ready for waveforms: a run, a SavedModel, a TFLite file.

Reads what training and export left behind; hands on embeddings and logits of windows of sound.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import scipy.special
import tensorflow as tf

from dualcam import models
from dualcam.data import audio
from dualcam.data.signal import frontends, logmel
from dualcam.evaluation import tagging_scores
from dualcam.export import saved_model_safety, saved_models, tflite
from dualcam.files import fingerprints, text_files
from dualcam.files.path_types import AnyPath
from dualcam.training import run, run_data, tagging_data
from dualcam.training.recipes import correspondence, tagging


@dataclasses.dataclass(frozen=True, eq=False)
class Listener:
    """A student that listens.

    Attributes:
        source: where it came from.
        network: its name.
        seconds: of the windows it takes.
        classes: names in the order of its answers.
        layers: names of the layers that `listen` can hand out.
        digest: names its weights, so that stopped work is not resumed by another model.
        sample_rate_hz: of the waveforms it takes.
        threshold: probability from which an event is reported, of a network that tags; None for
            students that report one class of each sound.
    """

    source: str
    network: str
    seconds: int
    classes: tuple[str, ...]
    layers: tuple[str, ...]
    digest: str
    _make: Callable[[str], Callable[[np.ndarray], np.ndarray]]
    sample_rate_hz: int = audio.SAMPLE_RATE_HZ
    threshold: float | None = None

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return self.sample_rate_hz * self.seconds

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[..., classes] float64 of logits: they add up to one, or are each event's own."""
        logits = np.asarray(logits, np.float64)
        if self.threshold is None:
            return scipy.special.softmax(logits, axis=-1)
        return scipy.special.expit(logits)

    def listen(self, layer: str = 'embedding') -> Callable[[np.ndarray], np.ndarray]:
        """A function from waveforms to a layer's output.

        Args:
            layer: 'embedding', 'logits', or one of `layers`.

        Returns:
            From [batch, clip_samples] float32 to [batch, features]: the layer's output, averaged
            over the window's time steps. Students take any scale, networks that tag full scale 1.

        Raises:
            ValueError: there is no such layer.
        """
        if layer not in self.layers:
            raise ValueError(
                f'{self.source}: layer {layer!r} cannot be had; expected one of '
                f'{", ".join(self.layers)}'
                + ("; a run's folder has the convolutions too" if layer.startswith('conv') else '')
            )
        return self._make(layer)

    def with_layer(
        self, name: str, of: str, function: Callable[[np.ndarray], np.ndarray]
    ) -> 'Listener':
        """The same student with one more layer, a function of another one.

        Args:
            name: of the new layer.
            of: the layer that it follows, one of `layers`.
            function: from that layer's output [batch, features] to the new one's.
        """

        def make(layer):
            if layer != name:
                return self._make(layer)
            ask = self.listen(of)
            return lambda waveform: function(ask(waveform))

        return dataclasses.replace(self, layers=(*self.layers, name), _make=make)


def open_listener(path: AnyPath) -> Listener:
    """The student of a run's folder, of a SavedModel or of a TFLite file.

    Args:
        path: a run's folder, a SavedModel or the folder of its versions, of which the highest is
            taken, or a file that ends in .tflite.

    Returns:
        A `Listener`.

    Raises:
        ValueError: there is none, or its network does not listen to one microphone.
    """
    path = pathlib.Path(path)
    if (path / 'run.json').exists():
        return _from_run(path)
    if path.suffix == tflite.SUFFIX:
        return _from_tflite(path)
    return _from_saved_model(find_saved_model(path))


def find_saved_model(path: AnyPath) -> pathlib.Path:
    """The SavedModel's own folder: of a run, of a folder of versions, or that itself.

    Raises:
        ValueError: there is none.
    """
    path = pathlib.Path(path)
    versions = sorted(
        (p for place in (path, path / 'saved_model') for p in place.glob('*') if p.name.isdigit()),
        key=lambda p: int(p.name),
    )
    for folder in (path, *reversed(versions)):
        if (folder / 'saved_model.pb').exists():
            return folder
    if (path / 'run.json').exists():
        raise ValueError(
            f'{path}: this run exported no student; expected one of a network that '
            'listens to one microphone, and that is complete'
        )
    raise ValueError(
        f"{path}: neither a run's folder (run.json) nor a SavedModel "
        f'(saved_model.pb) nor a {tflite.SUFFIX} file; a run exports a SavedModel to '
        'its saved_model/1'
    )


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


def _from_run(path):
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


def _deaf(path, network):
    return ValueError(
        f'{path}: {network} does not listen to one microphone; expected the run of a student'
    )


def _from_saved_model(path):
    metadata_path = path / 'assets' / 'metadata.json'
    try:
        metadata = text_files.read_json(metadata_path)
        saved_model_safety.check(path)
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures[saved_models.WINDOW_SIGNATURE]
        fields = (metadata['network'], int(metadata['seconds']), tuple(metadata['classes']))
        hears = int(metadata['sample_rate_hz']), metadata.get('threshold')
        embedding_layer = metadata['embedding_layer']
        weights = fingerprints.of_arrays(v.numpy() for v in loaded.network)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, tf.errors.OpError) as error:
        raise ValueError(f'{path}: not a SavedModel that dualcam exported ({error!r})') from error

    def make(layer):
        def listen(waveform):
            return serve(waveform=tf.constant(waveform, tf.float32))[name].numpy()

        name = 'embedding' if layer == metadata['embedding_layer'] else layer
        # The module must outlive its signature, which does not hold its variables.
        listen.module = loaded  # type: ignore[attr-defined]
        return listen

    return Listener(
        str(path), *fields, ('embedding', 'logits', embedding_layer), weights, make, *hears
    )


def _from_tflite(path):
    run_window, metadata = tflite.open_file(path)
    layers = {name: name for name in ('embedding', 'logits')} | {
        metadata['embedding_layer']: 'embedding'
    }

    def make(layer):
        return lambda waveform: run_window(waveform=np.asarray(waveform, np.float32))[layers[layer]]

    return Listener(
        str(path),
        metadata['network'],
        int(metadata['seconds']),
        tuple(metadata['classes']),
        tuple(layers),
        fingerprints.of_arrays([np.fromfile(path, np.uint8)]),
        make,
        int(metadata['sample_rate_hz']),
        metadata.get('threshold'),
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
