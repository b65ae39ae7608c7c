"""A trained student from wherever it is, ready for waveforms: a run, a SavedModel, a TFLite file.

Reads what training and export left behind; hands on embeddings and logits of windows of sound.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dualcam.data import schema
from dualcam.export import interface, saved_model_safety
from dualcam.files import fingerprints, text_files
from dualcam.files.path_types import AnyPath


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
    sample_rate_hz: int = schema.SOUND_RATE_HZ
    threshold: float | None = None

    @property
    def clip_samples(self) -> int:
        """Samples of a window."""
        return self.sample_rate_hz * self.seconds

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """[..., classes] float64 of logits: they add up to one, or are each event's own."""
        import scipy.special  # not above: embeddings have no need of it

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
        from dualcam.inference import network_students  # not above: Keras takes time to start

        return network_students.from_run(path)
    if path.suffix == interface.TFLITE_SUFFIX:
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
        f'(saved_model.pb) nor a {interface.TFLITE_SUFFIX} file; a run exports a SavedModel to '
        'its saved_model/1'
    )


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
            return serve(waveform=tf.constant(waveform, tf.float32))[name].numpy()

        name = 'embedding' if layer == metadata['embedding_layer'] else layer
        # The module must outlive its signature, which does not hold its variables.
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
