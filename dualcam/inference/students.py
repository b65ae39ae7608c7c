"""Loads a trained student, ready for waveforms, from a run, a SavedModel or a TFLite file.

Reads what training and export wrote; returns embeddings and logits for windows of sound.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dualcam.data import schema
from dualcam.export import interface, saved_model_safety
from dualcam.files import fingerprints, text_files
from dualcam.files.path_types import AnyPath


@dataclasses.dataclass(frozen=True, eq=False)
class Listener:
    """A student ready for sound.

    Attributes:
        source: where it came from.
        network: the network's name.
        seconds: length of its windows.
        classes: names in the order of its logits.
        layers: names of the layers that `listen` can return.
        digest: of its weights, so that stopped work is not resumed with another model.
        sample_rate_hz: of its input waveforms.
        threshold: lowest probability of a reported event, for a tagging network; None for
            students that report one class per sound.
    """

    source: str
    network: str
    seconds: int
    classes: tuple[str, ...]
    layers: tuple[str, ...]
    digest: str
    _make: Callable[[str], Callable[[np.ndarray], np.ndarray]]
    sample_rate_hz: int = schema.SOUND_RATE_HZ
    threshold: float | None = None

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return self.sample_rate_hz * self.seconds

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[..., classes] float64 from logits: they add up to 1, or are independent per event."""
        import scipy.special  # imported here: embeddings do not need it

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
            over the window's time steps. Students take any scale, tagging networks full scale 1.

        Raises:
            ValueError: there is no such layer.
        """
        if layer not in self.layers:
            raise ValueError(
                f'{self.source}: layer {layer!r} is not available; expected one of '
                f'{", ".join(self.layers)}'
                + ("; a run's folder has the convolutions too" if layer.startswith('conv') else '')
            )
        return self._make(layer)

    def with_layer(
        self, name: str, of: str, function: Callable[[np.ndarray], np.ndarray]
    ) -> 'Listener':
        """The same student with an additional layer, computed from another one.

        Args:
            name: of the new layer.
            of: the layer that it is computed from, one of `layers`.
            function: maps that layer's output [batch, features] to the new layer's.
        """

        def make(layer):
            if layer != name:
                return self._make(layer)
            ask = self.listen(of)
            return lambda waveform: function(ask(waveform))

        return dataclasses.replace(self, layers=(*self.layers, name), _make=make)


def open_listener(path: AnyPath) -> Listener:
    """Opens the student of a run's folder, a SavedModel or a TFLite file.

    Args:
        path: a run's folder, a SavedModel or the folder of its versions, of which the latest is
            used, or a file that ends in .tflite.

    Returns:
        A `Listener`.

    Raises:
        ValueError: there is none, or its network does not take the sound of one microphone.
    """
    path = pathlib.Path(path)
    if (path / 'run.json').exists():
        from dualcam.inference import network_students  # imported here: Keras is slow to start

        return network_students.from_run(path)
    if path.suffix == interface.TFLITE_SUFFIX:
        return _from_tflite(path)
    return _from_saved_model(find_saved_model(path))


@functools.lru_cache(maxsize=1)
def open_once(
    path: str, digest: str, layer: str
) -> tuple[Listener, Callable[[np.ndarray], np.ndarray]]:
    """A student and its `Listener.listen`, opened and traced once for all pieces of a job.

    Args:
        path: of the model.
        digest: of the weights that it is to have.
        layer: see `Listener.listen`.

    Raises:
        ValueError: there is no such student, or it has other weights.
    """
    listener = open_listener(path)
    if listener.digest != digest:
        raise ValueError(f'{path}: its weights are not those that the job began with')
    return listener, listener.listen(layer)


def find_saved_model(path: AnyPath) -> pathlib.Path:
    """The SavedModel's own folder, given a run, a folder of versions, or the folder itself.

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
            f'{path}: this run exported no student; expected a finished run of a network that '
            'takes the sound of one microphone'
        )
    raise ValueError(
        f"{path}: neither a run's folder (run.json) nor a SavedModel "
        f'(saved_model.pb) nor a {interface.TFLITE_SUFFIX} file; a run exports a SavedModel to '
        'its saved_model/1'
    )


def as_tensor(waveform: npt.ArrayLike) -> tf.Tensor:
    """A float32 tensor, in an eighth of the time of `tf.constant`."""
    return tf.convert_to_tensor(np.asarray(waveform, np.float32))


def _from_saved_model(path):
    metadata_path = path / 'assets' / 'metadata.json'
    try:
        metadata = text_files.read_json(metadata_path)
        saved_model_safety.check(path)
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures[interface.WINDOW_SIGNATURE]
        fields = (metadata['network'], int(metadata['seconds']), tuple(metadata['classes']))
        hears = int(metadata['sample_rate_hz']), metadata.get('threshold')
        embedding_layer = metadata['embedding_layer']
        weights = fingerprints.of_arrays(v.numpy() for v in loaded.network)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, tf.errors.OpError) as error:
        raise ValueError(f'{path}: not a SavedModel that dualcam exported ({error!r})') from error

    def make(layer):
        def listen(waveform):
            return serve(waveform=as_tensor(waveform))[name].numpy()

        name = 'embedding' if layer == metadata['embedding_layer'] else layer
        # The module must outlive its signature, which holds no reference to the variables.
        listen.module = loaded  # type: ignore[attr-defined]
        return listen

    return Listener(
        str(path), *fields, ('embedding', 'logits', embedding_layer), weights, make, *hears
    )


def _from_tflite(path):
    from dualcam.export import tflite

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
