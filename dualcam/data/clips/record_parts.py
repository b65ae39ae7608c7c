"""Inputs from clips of records: sound, acoustic images, video frames and their features."""

import pathlib
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import audio, schema
from dualcam.data.clips import clip_sets
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images, frontends, video
from dualcam.files import large_arrays

_BATCH = 16  # clips transformed at a time
_BUFFERS = large_arrays.Buffers()  # for batches
_SHARED_BYTES = 1 << 30  # of a store
# Of each store, the last used ones last: {(seconds, window starts): waveforms}.
_shared: weakref.WeakKeyDictionary[Any, dict[tuple, np.ndarray]] = weakref.WeakKeyDictionary()


class RecordOrigin(clip_sets.Origin):
    """Windows of a store of records.

    Args:
        store: holds the records.
        windows: [clips, seconds] rows of it.

    Attributes:
        store, windows: as given.
        seconds: records in a clip.

    Raises:
        ValueError: there are no clips.
    """

    def __init__(self, store: record_packer.RecordStore, windows: np.ndarray) -> None:
        if not len(windows):
            raise ValueError('no clips: the list is empty')
        self.store, self.windows, self.seconds = store, windows, windows.shape[1]
        self.columns = {'label': store.columns['label'][windows[:, 0]]}
        # A store made by hand may have no groups.
        groups = store.columns.get('group', np.zeros(len(store.paths), np.int64))
        self.groups = groups[windows[:, 0]]
        self._has_video: bool | None = None

    def gather(self, name: str, windows: np.ndarray) -> np.ndarray:
        """[n, frames, ...] of a packed array for rows [n, seconds]."""
        values = take_rows(self.store.arrays[name], windows)
        return values.reshape(len(windows), -1, *values.shape[3:])  # from [n, seconds, 12, ...]

    def acoustic(self, windows: np.ndarray) -> np.ndarray:
        """[n, frames, 36, 48, 12] acoustic images, aligned with the video."""
        images = self.gather('acoustic', windows)
        return acoustic_images.flip(images) if self.store.mirrored else images

    def records(self, number: int) -> list[str]:
        return [self.store.paths[row] for row in self.windows[number]]

    def waveform(self, number: int) -> np.ndarray | None:
        """Sound of a clip, [samples] at 22,050 Hz; None if it is not packed."""
        if 'audio' not in self.store.arrays:
            return None
        frames = self.gather('audio', self.windows[number][None])[0]
        return audio.waveform(frames[:, None, :]).numpy()

    def images(self, number: int) -> np.ndarray | None:
        if 'acoustic' not in self.store.arrays:
            return None
        return self.acoustic(self.windows[number][None])[0]

    def picture(self, number: int, *which: Any) -> np.ndarray | None:
        """A frame of a clip by its number, [height, width, 3] uint8 RGB; None without video."""
        (frame,) = which
        second, frame = divmod(frame, schema.FRAMES_PER_SECOND)
        path = self.records(number)[second]
        if self._has_video is None:
            self._has_video = pathlib.Path(path).is_file() and 'video' in reading.modalities_of(
                path
            )
        if not self._has_video:
            return None
        (pixels,) = reading.read_frames([path], [[frame]])
        return pixels[0, ..., ::-1]


class Sound(clip_sets.Part):
    """Waveforms or spectrograms of one microphone, transformed once if they fit in memory.

    Args:
        origin: of the clips.
        frontend: makes the network input.
        memory_bytes: results up to this size are cached; larger ones are recomputed in each epoch.
    """

    def __init__(
        self,
        origin: RecordOrigin,
        frontend: frontends.Frontend,
        memory_bytes: int = clip_sets.MEMORY_BYTES,
    ) -> None:
        self._origin, self._frontend = origin, frontend
        samples, params = audio.num_samples(origin.seconds), frontend.transform
        self.shape = (samples,)
        if frontend.kind == 'spectrogram':
            self.shape = params.num_frames(samples), params.num_bins
        # Windows are consecutive rows, so the first one identifies the window.
        starts, self._unique = np.unique(origin.windows[:, 0], return_inverse=True)
        self._kept = None
        if 4 * len(starts) * np.prod(self.shape) <= memory_bytes:
            # Runs and tests on the same clips share waveforms; spectrograms are normalised by a
            # run's own statistics.
            if frontend.kind == 'waveform':
                key = origin.seconds, starts.tobytes()
                self._kept = _share(origin.store, key, lambda: self._transform_all(starts))
            else:
                self._kept = self._transform_all(starts)
        else:
            self.shape = origin.seconds * schema.FRAMES_PER_SECOND, schema.SAMPLES_PER_FRAME
            self.dtype = tf.int32

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        if self._kept is not None:
            return take_rows(self._kept, self._unique[clips])
        return self._origin.gather('audio', self._origin.windows[clips])

    def transform(self, values: tf.Tensor, drawn: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return values if self._kept is not None else self._see(values)

    def _see(self, frames):
        return self._frontend.see(audio.waveform(frames[..., None, :]))

    def _transform_all(self, starts):
        offsets = np.arange(self._origin.seconds)
        found = []
        for first in range(0, len(starts), _BATCH):
            windows = starts[first : first + _BATCH, None] + offsets
            # Not traced: the transforms take all the time, and every small run would be traced.
            found.append(self._see(tf.constant(self._origin.gather('audio', windows))).numpy())
        return np.concatenate(found)


def _share(store, key, make):
    """An array that other clips of a store can use, too; the oldest ones are dropped."""
    held = _shared.setdefault(store, {})
    made = held.pop(key, None)
    held[key] = made = make() if made is None else made
    while sum(one.nbytes for one in held.values()) > _SHARED_BYTES:
        del held[next(iter(held))]
    return made


class Mirrored(clip_sets.Variation):
    """Half of the clips are mirrored left to right, others in each epoch.

    An actor on the other side is as likely, so a teacher that has few takes depends less on where
    its actors were.
    """

    def draw(
        self, seed: Any, rng: np.random.Generator | None, num_clips: int
    ) -> dict[str, np.ndarray]:
        return {} if rng is None else {'mirrored': rng.random(num_clips) < 0.5}


class AcousticImages(clip_sets.Part):
    """Acoustic images, [frames, 36, 48, 12], which may be `Mirrored`.

    Args:
        origin: of the clips.
    """

    def __init__(self, origin: RecordOrigin) -> None:
        self._origin = origin
        self.shape = origin.seconds * schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        images = self._origin.acoustic(self._origin.windows[clips])
        if drawn:
            images[drawn['mirrored']] = images[drawn['mirrored'], ..., ::-1, :]
        return images


class Frames(clip_sets.Part):
    """Some frames of each clip; subclasses decide in which form.

    Args:
        origin: of the clips.
        frames: indices of the frames to use in a clip; default one per second, evenly spread.
    """

    def __init__(
        self, origin: RecordOrigin, frames: Sequence[int] | np.ndarray | None = None
    ) -> None:
        if frames is None:
            frames = video.spread_frames(origin.seconds * schema.FRAMES_PER_SECOND, origin.seconds)
        self._origin = origin
        self._second, self._frame = np.divmod(np.asarray(frames), schema.FRAMES_PER_SECOND)

    def places(self, clips: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the store and frame indices, both [clips * frames]."""
        rows = self._origin.windows[clips][:, self._second]
        return rows.reshape(-1), np.tile(self._frame, len(rows))


class PackedFrames(Frames):
    """Whole frames, [frames, 224, 298, 3]: the packed ones closest to those requested.

    Args:
        origin, frames: as for `Frames`.
        bgr: see `video.subtract_means`.
    """

    dtype = tf.uint8

    def __init__(
        self,
        origin: RecordOrigin,
        frames: Sequence[int] | np.ndarray | None = None,
        bgr: bool = False,
    ) -> None:
        super().__init__(origin, frames)
        self._bgr = bgr
        self._frame = np.abs(self._frame[:, None] - video.KEPT_FRAMES).argmin(axis=1)
        self.shape = len(self._frame), *video.FRAME_SHAPE

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        windows = self._origin.windows[clips]
        return self._origin.store.arrays['frames'][windows[:, self._second], self._frame]

    def transform(self, values: tf.Tensor, drawn: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return video.subtract_means(values, self._bgr)


class FrameFeatures(Frames):
    """Cached features of frames by a frozen network, [frames, features].

    Missing ones are computed here; see `store.frame_features`.
    """

    def __init__(
        self, origin: RecordOrigin, frames: Sequence[int] | np.ndarray | None = None
    ) -> None:
        super().__init__(origin, frames)
        kept = origin.store.frame_features
        kept.require(*self.places(slice(None)))
        self._array = kept.array
        self.shape = len(self._frame), self._array.shape[-1]

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        windows = self._origin.windows[clips]
        return self._array[windows[:, self._second], self._frame]


class VideoFrames(Frames):
    """Frames of 224 x 224 for an image network, read from the records in every epoch."""

    def __init__(
        self, origin: RecordOrigin, frames: Sequence[int] | np.ndarray | None = None
    ) -> None:
        super().__init__(origin, frames)
        self.shape = len(self._frame), *video.SHAPE

    def gather(self, clips: np.ndarray, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        images = self._origin.store.frame_features.images(*self.places(clips))
        return images.reshape(-1, *self.shape)


def take_rows(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`array[rows]`, in memory that TensorFlow uses without a copy."""
    values = _BUFFERS.take((*rows.shape, *array.shape[1:]), array.dtype)
    # The rows exist; checking them would make NumPy use a temporary buffer.
    return np.take(array, rows, axis=0, out=values, mode='clip')
