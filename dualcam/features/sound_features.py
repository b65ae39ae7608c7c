"""Further acoustic features for tagging: what SoundNet-8 or VGGish says of a clip (AAAI 2021).

Both networks are frozen; their weights are read from the files that their authors published.
What comes out goes into a tagging network as `soundnet` or `vggish`.
"""

import pathlib

import keras
import numpy as np
import soxr
import tensorflow as tf

from dualcam.data import audio, schema
from dualcam.files import fingerprints, large_arrays, progress_bars
from dualcam.models import layers, soundnet, vggish, weight_import

KINDS = ('soundnet', 'vggish')
_BATCH = 8  # clips
_CLIPS_AT_A_TIME = 64  # between two savings of what is done
_TORCH_EPSILON = 1e-5


def open_features(store, kind, path, folder):
    """Features of all clips of a store, worked out as far as they are not kept yet.

    Args:
        store: a `tagging_store.TaggingStore`.
        kind, path: see `SoundFeatures`.
        folder: where the features are kept, by the network's weights and the clips.

    Returns:
        [clips, steps, features] float32, mapped.

    Raises:
        ValueError: as `SoundFeatures`.
    """
    made = SoundFeatures(kind, path, int(store.clip_s))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f'{kind}-{fingerprints.of_weights(made.network)}-{store.digest}'
    num_clips = len(store.paths)
    shape = made.of(store.waveforms(np.arange(1))).shape[1:]
    array = large_arrays.mapped(folder / f'{name}.npy', np.float32, (num_clips, *shape))
    done = large_arrays.mapped(folder / f'{name}.done.npy', np.bool_, (num_clips,))
    with progress_bars.bar(
        total=num_clips, initial=int(done.sum()), desc=f'features by {kind}', unit='clip'
    ) as bar:
        missing = np.flatnonzero(~done)
        for first in range(0, len(missing), _CLIPS_AT_A_TIME):
            rows = missing[first : first + _CLIPS_AT_A_TIME]
            array[rows] = made.of(store.waveforms(rows))
            array.flush()
            done[rows] = True
            done.flush()
            bar.update(len(rows))
    return array


class SoundFeatures:
    """Features of clips by a frozen network.

    Attributes:
        network: a Keras model, from a waveform of 22,050 Hz to [batch, steps, 1024] (conv7 of
            SoundNet-8, after its ReLU), or from a VGGish patch to [batch, 128].

    Args:
        kind: 'soundnet' or 'vggish'.
        path: SoundNet-8's Torch file (.t7), or VGGish's TensorFlow checkpoint.
        seconds: of a clip.

    Raises:
        ValueError: another kind, or the file is damaged or another network's; it is named.
    """

    def __init__(self, kind, path, seconds):
        if kind not in KINDS:
            raise ValueError(f'features {kind!r}: expected one of {", ".join(KINDS)}')
        self.kind, self._seconds = kind, seconds
        whole = vggish.build() if kind == 'vggish' else soundnet.build_8(seconds=seconds)
        weight_import.import_weights(path, whole)
        for layer in whole.layers:
            # OurSoundNet's normalisations have 1e-3, and learn on; here Torch's numbers stay.
            if isinstance(layer, layers.FusedBatchNormalization):
                layer.epsilon = _TORCH_EPSILON
        self.network = (
            whole
            if kind == 'vggish'
            else keras.Model(whole.input, whole.get_layer(soundnet.FEATURES).input, name=whole.name)
        )
        self._ask = tf.function(
            lambda inputs: self.network(inputs, training=False),
            reduce_retracing=True,
            autograph=False,
        )

    def of(self, waveforms):
        """Features of clips.

        Args:
            waveforms: [clips, seconds * 32,000] float32, magnitudes up to 1.

        Returns:
            [clips, steps, features] float32.

        Raises:
            ValueError: the clips are of another length.
        """
        waveforms = np.asarray(waveforms, np.float32)
        samples = self._seconds * schema.CLIP_RATE_HZ
        if waveforms.ndim != 2 or waveforms.shape[1] != samples:
            raise ValueError(
                f'waveforms of shape {waveforms.shape}; expected [clips, {samples}], '
                f'{self._seconds} s at {schema.CLIP_RATE_HZ} Hz'
            )
        return np.concatenate(
            [
                self._of_batch(waveforms[first : first + _BATCH])
                for first in range(0, len(waveforms), _BATCH)
            ]
        )

    def _of_batch(self, waveforms):
        if self.kind == 'soundnet':
            # Its authors feed magnitudes up to 256, each clip as loud as it is.
            resampled = _resample(waveforms, audio.SAMPLE_RATE_HZ)
            return self._ask(resampled * audio.PEAK).numpy()
        patches = vggish.patches(_resample(waveforms, vggish.PatchParams.sample_rate_hz))
        embeddings = self._ask(tf.reshape(patches, [-1, *patches.shape[2:]]))
        return tf.reshape(embeddings, [len(waveforms), -1, vggish.EMBEDDING_SIZE]).numpy()


def _resample(waveforms, rate_hz):
    """[clips, samples] of 32,000 Hz at another rate (soxr, high quality)."""
    return soxr.resample(waveforms.T, schema.CLIP_RATE_HZ, rate_hz, 'HQ').T
