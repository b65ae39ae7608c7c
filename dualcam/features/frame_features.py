"""Features of video frames by a frozen network: worked out once, kept on disk, asked by many.

A frozen ResNet-50 gives the same 2048 numbers for a frame in every epoch, clip and run, and they
cost far more than all that is trained on top. So they are kept beside the packed records, in
files keyed by the weights. Only frames that somebody asks for are decoded, resized and answered;
a job that was stopped goes on where it was.
"""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.records import reading
from dualcam.data.signal import video
from dualcam.files import fingerprints, large_arrays, progress_bars

_RECORDS_AT_A_TIME = 64  # between two savings of what is done


class KeptFeatures:
    """Features of the frames of records, whatever the records are.

    Attributes:
        array: [records, frames, features] float32, mapped; frames that were not asked for are
            zero.
        network: as given.

    Args:
        paths: of the records.
        num_frames: of each of them.
        network: a Keras model from [frames, height, width, 3] to [frames, features].
        folder: where the features are kept; they are found again there.
        name: of the features, next to the network's; it names the records.
        read: `read(paths, chosen)` yields frames [n, ...] of each record, `chosen` their numbers.
        see: network inputs of frames [n, ...], a TensorFlow function.
        batch_size: frames answered at a time.
    """

    def __init__(self, paths, num_frames, network, folder, name, read, see, batch_size=16):
        self._paths, self._read, self._batch_size = paths, read, batch_size
        self.network = network
        name = f'{network.name}-{fingerprints.of_weights(network)}-{name}'
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shape = (len(paths), num_frames)
        self.array = large_arrays.mapped(
            folder / f'{name}.npy', np.float32, (*shape, network.output_shape[-1])
        )
        self._done = large_arrays.mapped(folder / f'{name}.done.npy', np.bool_, shape)

        @tf.function(reduce_retracing=True, autograph=False)
        def answer(frames):
            return network(see(frames), training=False)

        self._answer = answer

    def require(self, rows, frames):
        """Sees to it that frames have been answered.

        Args:
            rows: [n] rows of the store, repeated ones count once.
            frames: [n] numbers of frames, from 0.

        Raises:
            ValueError: a record cannot be read or holds no video; the message names it.
        """
        asked = np.zeros_like(self._done)
        asked[rows, frames] = True
        missing = asked & ~self._done
        if not missing.any():
            return
        rows = np.flatnonzero(missing.any(axis=1))
        with progress_bars.bar(
            total=int(missing.sum()), desc='features of frames', unit='frame'
        ) as bar:
            for first in range(0, len(rows), _RECORDS_AT_A_TIME):
                part = rows[first : first + _RECORDS_AT_A_TIME]
                self._work_out(part, [np.flatnonzero(missing[row]) for row in part], bar)

    def _work_out(self, rows, frames, bar):
        seconds = self._read([self._paths[row] for row in rows], frames)
        pending, places = (
            [],
            [(row, f) for row, chosen in zip(rows, frames, strict=True) for f in chosen],
        )
        answers = []
        for second in seconds:
            pending.extend(second)
            while len(pending) >= self._batch_size:
                answers.append(self._answer_batch(pending[: self._batch_size]))
                del pending[: self._batch_size]
                bar.update(self._batch_size)
        if pending:
            answers.append(self._answer_batch(pending))
            bar.update(len(pending))
        rows, frames = np.array(places).T
        self.array[rows, frames] = np.concatenate(answers)
        self.array.flush()
        self._done[rows, frames] = True
        self._done.flush()

    def _answer_batch(self, frames):
        """Answers [n, features]; always asks for a whole batch, so that one trace serves."""
        batch = np.stack(frames + frames[:1] * (self._batch_size - len(frames)))
        return self._answer(batch).numpy()[: len(frames)]


class FrameFeatures(KeptFeatures):
    """Features of the twelve frames of a store's records, each of one second.

    Attributes:
        array: [records, 12, features].
        bgr: as given.

    Args:
        store: a `store.Store`; its records hold video.
        network: a Keras model from [frames, 224, 224, 3] to [frames, features].
        folder: see `KeptFeatures`.
        bgr: see `video.preprocess`.
        batch_size: frames answered at a time.
    """

    def __init__(self, store, network, folder, bgr=False, batch_size=16):
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

    def images(self, rows, frames):
        """What the network sees of frames, for those that train it.

        Args:
            rows, frames: as in `require`.

        Returns:
            [n, 224, 224, 3] float32.
        """
        records, place = np.unique(rows, return_inverse=True)
        chosen = [np.unique(np.asarray(frames)[place == i]) for i in range(len(records))]
        found = {}
        for row, numbers, pixels in zip(
            records,
            chosen,
            reading.read_frames([self._paths[row] for row in records], chosen),
            strict=True,
        ):
            images = video.preprocess(pixels, self.bgr).numpy()
            found |= {(row, number): image for number, image in zip(numbers, images, strict=True)}
        return np.stack([found[key] for key in zip(rows, frames, strict=True)])
