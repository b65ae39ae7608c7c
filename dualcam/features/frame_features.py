"""Features of video frames by a frozen network: computed once, cached on disk, shared by runs.

A frozen ResNet-50 gives the same 2048 numbers for a frame in every epoch, clip and run, and they
cost far more than everything trained on top. So they are cached next to the packed records, in
files keyed by the weights. Only requested frames are decoded, resized and passed through the
network.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.packers import record_packer, tagged_packer
from dualcam.data.records import reading, tagging_records
from dualcam.data.signal import video
from dualcam.features import kept_arrays
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath

_RECORDS_AT_A_TIME = 64  # between two saves


class KeptFeatures:
    """Features of the frames of any kind of records.

    Attributes:
        array: [records, frames, features] float32, memory-mapped; frames that were not requested
            are zero.
        network: as given.

    Args:
        paths: of the records.
        num_frames: of each record.
        network: a Keras model from [frames, height, width, 3] to [frames, features].
        folder: of the cached features; they are found again there.
        name: of the records and of how their frames are preprocessed.
        read: `read(paths, chosen)` yields frames [n, ...] of each record, by their indices.
        preprocess: a TensorFlow function that maps frames [n, ...] to network inputs.
        batch_size: frames per call of the network.
    """

    def __init__(
        self,
        paths: Sequence[str],
        num_frames: int,
        network: keras.Model,
        folder: AnyPath,
        name: str,
        read: Callable[[Sequence[str], Sequence[np.ndarray]], Iterable[np.ndarray]],
        preprocess: Callable[[tf.Tensor], tf.Tensor],
        batch_size: int = 16,
    ) -> None:
        self.network = network
        self._paths, self._read, self._batch_size = paths, read, batch_size
        self._kept = kept_arrays.KeptArray(
            folder,
            network,
            (network.name, name),
            (len(paths), num_frames),
            (network.output_shape[-1],),
        )
        self.array = self._kept.array
        self._outputs = tf.function(
            lambda frames: network(preprocess(frames), training=False),
            reduce_retracing=True,
            autograph=False,
        )

    def require(self, rows: np.ndarray, frames: np.ndarray) -> None:
        """Computes the features of frames that lack them.

        Args:
            rows: [n] rows of the store; repeated ones count once.
            frames: [n] frame indices, from 0.

        Raises:
            ValueError: a record is unreadable or has no video; the message names it.
        """
        asked = np.zeros_like(self._kept.done)
        asked[rows, frames] = True
        if not (asked & ~self._kept.done).any():
            return
        with self._kept.alone():
            missing = asked & ~self._kept.done  # another process may have been faster
            if missing.any():
                self._work_out_missing(missing)

    def _work_out_missing(self, missing):
        rows = np.flatnonzero(missing.any(axis=1))
        with progress_bars.bar(
            total=int(missing.sum()), desc='features of frames', unit='frame'
        ) as bar:
            for first in range(0, len(rows), _RECORDS_AT_A_TIME):
                part = rows[first : first + _RECORDS_AT_A_TIME]
                self._work_out(part, [np.flatnonzero(missing[row]) for row in part], bar)

    def _work_out(self, rows, frames, bar):
        size, pending, found = self._batch_size, [], []
        for second in self._read([self._paths[row] for row in rows], frames):
            pending.extend(second)
            while len(pending) >= size:
                found.append(self._features(pending[:size]))
                del pending[:size]
                bar.update(size)
        if pending:
            found.append(self._features(pending))
            bar.update(len(pending))
        counts = [len(chosen) for chosen in frames]
        self._kept.fill((np.repeat(rows, counts), np.concatenate(frames)), np.concatenate(found))

    def _features(self, frames):
        """[n, features] of frames; always runs a full batch, so that one trace suffices."""
        batch = np.stack(frames + frames[:1] * (self._batch_size - len(frames)))
        return self._outputs(batch).numpy()[: len(frames)]


class FrameFeatures(KeptFeatures):
    """Features of the twelve frames of a store's records, each of one second.

    Attributes:
        array: [records, 12, features].
        bgr: as given.

    Args:
        store: of records with video.
        network: a Keras model from [frames, 224, 224, 3] to [frames, features].
        folder: see `KeptFeatures`.
        bgr: see `video.preprocess`.
        batch_size: see `KeptFeatures`.
    """

    def __init__(
        self,
        store: record_packer.RecordStore,
        network: keras.Model,
        folder: AnyPath,
        bgr: bool = False,
        batch_size: int = 16,
    ) -> None:
        self.bgr = bgr
        super().__init__(
            store.paths,
            schema.FRAMES_PER_SECOND,
            network,
            folder,
            '-'.join([*(['bgr'] if bgr else []), store.digest]),
            reading.read_frames,
            functools.partial(video.preprocess, bgr=bgr),
            batch_size,
        )

    def images(self, rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Network inputs from frames, to train the network.

        Args:
            rows, frames: as in `require`.

        Returns:
            [n, 224, 224, 3] float32.
        """
        records, place = np.unique(rows, return_inverse=True)
        chosen = [np.unique(np.asarray(frames)[place == i]) for i in range(len(records))]
        found: dict[tuple[int, int], np.ndarray] = {}
        for row, numbers, pixels in zip(
            records,
            chosen,
            reading.read_frames([self._paths[row] for row in records], chosen),
            strict=True,
        ):
            images = video.preprocess(pixels, self.bgr).numpy()
            found |= {(row, number): image for number, image in zip(numbers, images, strict=True)}
        return np.stack([found[key] for key in zip(rows, frames, strict=True)])


def of_tagged_clips(
    store: tagged_packer.TaggedStore, network: keras.Model, folder: AnyPath
) -> KeptFeatures:
    """Features of all frames of a store's clips (AAAI 2021), computed unless they are cached.

    Whole frames are resized to the network's size, whatever their shape, since a sound's source may
    be at the side.

    Args:
        store: contains the clips.
        network: a Keras model from [frames, height, width, 3], RGB minus `video.MEANS`, to
            [frames, features].
        folder: of the cached features, keyed by the network's weights and the clips.

    Returns:
        Features whose `array` is [clips, frames, features].

    Raises:
        ValueError: a record is unreadable; the message names it.
    """
    kept = KeptFeatures(
        store.paths,
        store.num_frames,
        network,
        folder,
        store.digest,
        functools.partial(tagging_records.read_frames, size=network.input_shape[1:3]),
        functools.partial(video.subtract_means, bgr=True),  # frames are already RGB
    )
    rows, frames = np.meshgrid(store.good_rows, np.arange(store.num_frames), indexing='ij')
    kept.require(rows.reshape(-1), frames.reshape(-1))
    return kept
