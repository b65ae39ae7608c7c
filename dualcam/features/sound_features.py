"""Additional acoustic features for tagging: activations of SoundNet-8 or VGGish (AAAI 2021).

Both networks are frozen; their weights come from their authors' published files.
The features are the inputs `soundnet` and `vggish` of a tagging network.
"""

import keras
import numpy as np
import numpy.typing as npt
import soxr
import tensorflow as tf

from dualcam.data import audio, schema
from dualcam.data.packers import tagged_packer
from dualcam.features import kept_arrays
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath
from dualcam.models import layers, soundnet, vggish, weight_import

KINDS = ('soundnet', 'vggish')
_BATCH = 8  # clips
_CLIPS_AT_A_TIME = 64  # between two saves
_TORCH_EPSILON = 1e-5


def open_features(
    store: tagged_packer.TaggedStore, kind: str, path: AnyPath, folder: AnyPath
) -> np.ndarray:
    """Features of all clips of a store, computed unless they are cached.

    Args:
        store: contains the clips.
        kind, path: see `SoundFeatures`.
        folder: of the cached features, keyed by the network's weights and the clips.

    Returns:
        [clips, steps, features] float32, memory-mapped.

    Raises:
        ValueError: as `SoundFeatures`.
    """
    made = SoundFeatures(kind, path, int(store.clip_s))
    good = store.good_rows
    shape = made.of(store.waveforms(good[:1])).shape[1:]
    kept = kept_arrays.KeptArray(
        folder, made.network, (kind, store.digest), (len(store.paths),), shape
    )
    if kept.done[good].all():
        return kept.array
    with kept.alone():
        missing = good[~kept.done[good]]  # another process may have been faster
        with progress_bars.bar(
            total=len(good),
            initial=len(good) - len(missing),
            desc=f'features by {kind}',
            unit='clip',
        ) as bar:
            for first in range(0, len(missing), _CLIPS_AT_A_TIME):
                rows = missing[first : first + _CLIPS_AT_A_TIME]
                kept.fill(rows, made.of(store.waveforms(rows)))
                bar.update(len(rows))
    return kept.array


class SoundFeatures:
    """Features of clips by a frozen network.

    Attributes:
        network: a Keras model, from a waveform at 22,050 Hz to [batch, steps, 1024] (conv7 of
            SoundNet-8, after its ReLU), or from a VGGish patch to [batch, 128].

    Args:
        kind: 'soundnet' or 'vggish'.
        path: SoundNet-8's Torch file (.t7), or VGGish's TensorFlow checkpoint.
        seconds: of a clip.

    Raises:
        ValueError: unknown kind, or the file is damaged or another network's; the message names it.
    """

    def __init__(self, kind: str, path: AnyPath, seconds: int) -> None:
        if kind not in KINDS:
            raise ValueError(f'features {kind!r}: expected one of {", ".join(KINDS)}')
        self.kind, self._seconds = kind, seconds
        whole = vggish.build() if kind == 'vggish' else soundnet.build_8(seconds=seconds)
        weight_import.import_weights(path, whole)
        for layer in whole.layers:
            # OurSoundNet's normalisations use 1e-3 and are trained; these keep Torch's value.
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

    def of(self, waveforms: npt.ArrayLike) -> np.ndarray:
        """Features of clips.

        Args:
            waveforms: [clips, seconds * 32,000] float32, magnitudes up to 1.

        Returns:
            [clips, steps, features] float32.

        Raises:
            ValueError: the clips have another length.
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
            # Its authors use magnitudes up to 256, without normalising each clip's loudness.
            resampled = _resample(waveforms, audio.SAMPLE_RATE_HZ)
            return self._ask(resampled * audio.PEAK).numpy()
        patches = vggish.patches(_resample(waveforms, vggish.PatchParams.sample_rate_hz))
        embeddings = self._ask(tf.reshape(patches, [-1, *patches.shape[2:]]))
        return tf.reshape(embeddings, [len(waveforms), -1, vggish.EMBEDDING_SIZE]).numpy()


def _resample(waveforms, rate_hz):
    """Resamples [clips, samples] from 32,000 Hz to another rate (soxr, high quality)."""
    return soxr.resample(waveforms.T, schema.CLIP_RATE_HZ, rate_hz, 'HQ').T
