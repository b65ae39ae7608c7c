"""Inputs of clips of records: sound, acoustic images, video frames and their features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import audio, schema
from dualcam.data.clips import clip_sets
from dualcam.data.signal import acoustic_images, frontends, video
from dualcam.files import large_arrays

_BATCH = 16  # clips that are transformed at a time
_BUFFERS = large_arrays.Buffers()  # of batches


class Rows:
    """Windows of a store's rows, as all parts of a clip share them.

    Args:
        store: a `record_packer.RecordStore`.
        windows: [clips, seconds] rows of it.
    """

    def __init__(self, store: Any, windows: np.ndarray) -> None:
        self.store, self.windows = store, windows

    @property
    def seconds(self) -> int:
        """Records in a clip."""
        return self.windows.shape[1]

    def gather(self, name: str, windows: np.ndarray) -> np.ndarray:
        """[n, seconds] rows to [n, frames, ...] of a packed array."""
        values = take_rows(self.store.arrays[name], windows)
        return values.reshape(len(windows), -1, *values.shape[3:])  # from [n, seconds, 12, ...]

    def acoustic(self, windows: np.ndarray) -> np.ndarray:
        """[n, frames, 36, 48, 12] acoustic images as they lie over the video."""
        images = self.gather('acoustic', windows)
        return acoustic_images.flip(images) if self.store.mirrored else images


class Sound(clip_sets.Part):
    """Waveforms or spectrograms of one microphone, transformed once while they fit in memory.

    Args:
        rows: of the clips.
        frontend: makes the network input.
        memory_bytes: up to this size results are kept; larger ones are worked out in each epoch.
    """

    def __init__(
        self,
        rows: Rows,
        frontend: frontends.Frontend,
        memory_bytes: int = clip_sets.MEMORY_BYTES,
    ) -> None:
        self._rows, self._frontend = rows, frontend
        samples, params = audio.num_samples(rows.seconds), frontend.transform
        self.shape = (samples,)
        if frontend.kind == 'spectrogram':
            self.shape = params.num_frames(samples), params.num_bins
        # Windows are consecutive rows: the first one identifies the window.
        starts, self._unique = np.unique(rows.windows[:, 0], return_inverse=True)
        self._kept = None
        if 4 * len(starts) * np.prod(self.shape) <= memory_bytes:
            self._kept = self._transform_all(starts)
        else:
            self.shape = rows.seconds * schema.FRAMES_PER_SECOND, schema.SAMPLES_PER_FRAME
            self.dtype = tf.int32

    def gather(self, clips, drawn):
        if self._kept is not None:
            return take_rows(self._kept, self._unique[clips])
        return self._rows.gather('audio', self._rows.windows[clips])

    def transform(self, values, drawn):
        return values if self._kept is not None else self._see(values)

    def _see(self, frames):
        return self._frontend.see(audio.waveform(frames[..., None, :]))

    def _transform_all(self, starts):
        offsets = np.arange(self._rows.seconds)
        found = []
        for first in range(0, len(starts), _BATCH):
            windows = starts[first : first + _BATCH, None] + offsets
            # Not traced: the transforms take all the time, and many small runs would each trace.
            found.append(self._see(tf.constant(self._rows.gather('audio', windows))).numpy())
        return np.concatenate(found)


class AcousticImages(clip_sets.Part):
    """Acoustic images, [frames, 36, 48, 12].

    Args:
        rows: of the clips.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.shape = rows.seconds * schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE

    def gather(self, clips, drawn):
        return self._rows.acoustic(self._rows.windows[clips])


class Frames(clip_sets.Part):
    """Some frames of each clip; its subclasses say what of them.

    Args:
        rows: of the clips.
        frames: numbers of the frames of a clip that count; default one per second, spread.
    """

    def __init__(self, rows: Rows, frames: Sequence[int] | np.ndarray | None = None) -> None:
        if frames is None:
            frames = video.spread_frames(rows.seconds * schema.FRAMES_PER_SECOND, rows.seconds)
        self._rows = rows
        self._second, self._frame = np.divmod(np.asarray(frames), schema.FRAMES_PER_SECOND)

    def places(self, clips: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the store and numbers of frames, both [clips * frames]."""
        rows = self._rows.windows[clips][:, self._second]
        return rows.reshape(-1), np.tile(self._frame, len(rows))


class PackedFrames(Frames):
    """Whole frames, [frames, 224, 298, 3]: of the packed ones, the nearest to those that count.

    Args:
        rows, frames: as of `Frames`.
        bgr: see `video.subtract_means`.
    """

    dtype = tf.uint8

    def __init__(
        self,
        rows: Rows,
        frames: Sequence[int] | np.ndarray | None = None,
        bgr: bool = False,
    ) -> None:
        super().__init__(rows, frames)
        self._bgr = bgr
        self._frame = np.abs(self._frame[:, None] - video.KEPT_FRAMES).argmin(axis=1)
        self.shape = len(self._frame), *video.FRAME_SHAPE

    def gather(self, clips, drawn):
        windows = self._rows.windows[clips]
        return self._rows.store.arrays['frames'][windows[:, self._second], self._frame]

    def transform(self, values, drawn):
        return video.subtract_means(values, self._bgr)


class FrameFeatures(Frames):
    """Kept features of frames by a frozen network, [frames, features].

    Those that these clips need are worked out here, see `store.frame_features`.
    """

    def __init__(self, rows: Rows, frames: Sequence[int] | np.ndarray | None = None) -> None:
        super().__init__(rows, frames)
        kept = rows.store.frame_features
        kept.require(*self.places(slice(None)))
        self._array = kept.array
        self.shape = len(self._frame), self._array.shape[-1]

    def gather(self, clips, drawn):
        windows = self._rows.windows[clips]
        return self._array[windows[:, self._second], self._frame]


class VideoFrames(Frames):
    """Frames of 224 x 224 as an image network takes them, read from the records in every epoch."""

    def __init__(self, rows: Rows, frames: Sequence[int] | np.ndarray | None = None) -> None:
        super().__init__(rows, frames)
        self.shape = len(self._frame), *video.SHAPE

    def gather(self, clips, drawn):
        images = self._rows.store.frame_features.images(*self.places(clips))
        return images.reshape(-1, *self.shape)


def open_parts(
    store: Any,
    windows: np.ndarray,
    inputs: Sequence[str],
    frontend: frontends.Frontend | None = None,
    frames: Sequence[int] | np.ndarray | None = None,
    memory_bytes: int = clip_sets.MEMORY_BYTES,
    bgr: bool = False,
) -> clip_sets.Part | dict[str, clip_sets.Part]:
    """The parts behind the names of a network's inputs, of the same seconds.

    Args:
        store: a `record_packer.RecordStore`.
        windows: [clips, seconds] rows of it.
        inputs: one or more of 'waveform', 'spectrogram', 'acoustic', 'frames', 'features' and
            'video'.
        frontend: of sound; default one without statistics, which leaves spectrograms as they are.
        frames: see `Frames`.
        memory_bytes: see `Sound`.
        bgr: see `PackedFrames`.

    Returns:
        The one part, or {name: part}.
    """
    rows = Rows(store, windows)

    def sound(name):
        return Sound(rows, frontend or frontends.Frontend(name), memory_bytes)

    makers = {
        'waveform': sound,
        'spectrogram': sound,
        'acoustic': lambda _: AcousticImages(rows),
        'frames': lambda _: PackedFrames(rows, frames, bgr),
        'features': lambda _: FrameFeatures(rows, frames),
        'video': lambda _: VideoFrames(rows, frames),
    }
    parts = {name: makers[name](name) for name in inputs}
    return parts if len(parts) > 1 else parts[inputs[0]]


def take_rows(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`array[rows]`, in memory that TensorFlow takes without a copy."""
    values = _BUFFERS.take((*rows.shape, *array.shape[1:]), array.dtype)
    # The rows exist; to check them, NumPy would fill other memory first.
    return np.take(array, rows, axis=0, out=values, mode='clip')
