"""Seconds to clips to batches: sequences, crops, windows, shuffling.

A list holds sequences of `total_length` consecutive records; a clip is `sample_length` of them.
Training draws `number_of_crops` starts in each sequence, the same in every epoch, and shuffles
the clips by the epoch's number; inference cuts the sequence into clips that do not overlap.
(WACV 2020, section 5, and the authors' loader.)
"""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from dualcam.data import audio, pipelines, schema
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images, frontends, video
from dualcam.files import large_arrays

_SOUND = ('waveform', 'spectrogram')
_BUFFERS = large_arrays.Buffers()  # of batches


@dataclasses.dataclass(frozen=True)
class ClipParams:
    """How clips are cut, in whole seconds; the published commands' values.

    Attributes:
        total_length: records in a sequence.
        sample_length: records in a clip.
        number_of_crops: clips drawn from a training sequence in an epoch.
    """

    total_length: int = 10
    sample_length: int = 5
    number_of_crops: int = 6

    def __post_init__(self):
        if not 1 <= self.sample_length <= self.total_length or self.number_of_crops < 1:
            raise ValueError(
                f'clips of {self.sample_length} s, {self.number_of_crops} from each '
                f'sequence of {self.total_length} s; expected 1 or more of 1 s up to '
                'the whole sequence'
            )


def sequence_rows(store, paths, total_length):
    """Rows of a list's sequences.

    Args:
        store: a `store.Store` that holds them.
        paths: of the records in the list's order.
        total_length: records in a sequence.

    Returns:
        [sequences, total_length] int64.

    Raises:
        ValueError: the list is not made of such sequences; the message names the record.
    """
    if len(paths) % total_length:
        raise ValueError(
            f'a list of {len(paths)} records is not made of sequences of '
            f'{total_length}; make the lists with --num_seconds={total_length}'
        )
    for first in range(0, len(paths), total_length):
        start = _numbered(paths[first])
        for i in range(1, total_length):
            if _numbered(paths[first + i]) != (start[0], start[1] + i):
                raise ValueError(
                    f'{paths[first + i]} does not follow {paths[first + i - 1]}; '
                    f'make the lists with --num_seconds={total_length}'
                )
    return store.rows(paths).reshape(-1, total_length)


def training_windows(rows, params, seed):
    """Random clips of each sequence.

    Args:
        rows: [sequences, total_length], what `sequence_rows` gives.
        params: a `ClipParams`.
        seed: with the sequence's number it decides the starts, whatever else is drawn.

    Returns:
        [sequences * number_of_crops, sample_length] rows.
    """
    room = params.total_length - params.sample_length + 1
    windows = []
    for index, sequence in enumerate(rows):
        rng = np.random.default_rng([seed, index])
        # Each possible start once before any comes again, so that few crops cover the sequence.
        starts = np.concatenate(
            [rng.permutation(room) for _ in range(-(-params.number_of_crops // room))]
        )
        windows += [
            sequence[s : s + params.sample_length] for s in starts[: params.number_of_crops]
        ]
    return np.array(windows)


def inference_windows(rows, params):
    """Clips that follow each other, [sequences * (total // sample_length), sample_length]."""
    count = rows.shape[1] // params.sample_length
    return rows[:, : count * params.sample_length].reshape(-1, params.sample_length)


class Clips:
    """Clips of a network's inputs, batch by batch.

    Args:
        store: a `store.Store`.
        windows: [clips, seconds] rows of it.
        kind: 'acoustic', 'waveform', 'spectrogram', 'features', 'video', 'frames', or several of
            them as in 'features+acoustic' or 'spectrogram+frames', whose inputs are dictionaries
            of the same seconds. Features are those of the store's `frame_features`, which works
            out what these clips need; video is read from the records in every epoch; frames are
            whole ones that the store has packed.
        frontend: the `frontend.Frontend` of sound inputs; default one without statistics, which
            leaves spectrograms as they are.
        columns: {name: [clips, ...]} that go along with each clip.
        frames: numbers of the frames of a clip that count, for features, video and frames; of
            the last ones each is the packed one nearest to it, and default is one a second.
        memory_bytes: sound inputs are worked out once and kept up to this size; past it, in
            every epoch anew.
        bgr: of frames, see `video.subtract_means`.
    """

    def __init__(
        self,
        store,
        windows,
        kind,
        frontend=None,
        columns=None,
        frames=None,
        memory_bytes=3 << 30,
        bgr=False,
    ):
        if not len(windows):
            raise ValueError('no clips: the list is empty')
        self.windows, self.kind = windows, kind
        self.seconds = windows.shape[1]
        self.columns = {'label': store.labels['action'][windows[:, 0]], **(columns or {})}
        # A store made by hand may know no scenarios.
        self.scenarios = store.labels.get('location', np.zeros(len(store.paths), np.int64))[
            windows[:, 0]
        ]
        self._parts, self._paths = kind.split('+'), store.paths
        self._has_video, self._mirrored, self._bgr = None, store.mirrored, bgr
        self._sound = next((part for part in self._parts if part in _SOUND), None)
        self._frontend = frontend or frontends.Frontend(self._sound)
        self._arrays = {
            part: store.arrays[part]
            for part in ('acoustic', 'audio', 'frames')
            if part in store.arrays
        }
        if frames is None and 'frames' in self._parts:
            frames = video.spread_frames(self.seconds * schema.FRAMES_PER_SECOND, self.seconds)
        if frames is not None:
            self._frames = np.divmod(np.asarray(frames), schema.FRAMES_PER_SECOND)
        if 'video' in self._parts:
            self._images = store.frame_features.images
        if 'features' in self._parts:
            second, frame = self._frames
            asked = windows[:, second]
            store.frame_features.require(asked.reshape(-1), np.tile(frame, len(asked)))
            self._arrays['features'] = store.frame_features.array
        # Windows are consecutive rows: the first one says which.
        self._starts, self._unique = np.unique(windows[:, 0], return_inverse=True)
        self._kept = None
        if self._sound and len(self._starts) * self._clip_bytes() <= memory_bytes:
            self._kept = self._work_out_all()

    def __len__(self):
        return len(self.windows)

    def batches(self, batch_size, shuffle_seed=None):
        """One pass over the clips.

        Args:
            batch_size: clips in a batch; the last one may have fewer.
            shuffle_seed: seed of the order, for example (seed, epoch); None keeps the clips' own.

        Returns:
            A `tf.data.Dataset` of {'input': ..., 'label': [batch], 'clip': [batch] numbers of
            the clips, and the columns}.
        """
        order = np.arange(len(self))
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
        specs = [self._gathered_spec(part) for part in self._parts]

        def gather(chosen):
            inputs = pipelines.call(self, Clips._gather, [chosen], [dtype for _, dtype in specs])
            return {
                part: tf.ensure_shape(values, [None, *shape])
                for part, values, (shape, _) in zip(self._parts, inputs, specs, strict=True)
            }, chosen

        def complete(inputs, chosen):
            if self._sound and self._kept is None:
                inputs[self._sound] = self._network_input(inputs[self._sound])
            if 'frames' in inputs:
                inputs['frames'] = video.subtract_means(inputs['frames'], self._bgr)
            batch = {'input': inputs if len(inputs) > 1 else inputs[self.kind], 'clip': chosen}
            for name, values in constants.items():
                batch[name] = tf.gather(values, chosen)
            return batch

        constants = {name: tf.constant(values) for name, values in self.columns.items()}
        return pipelines.keep(
            tf.data.Dataset.from_tensor_slices(order)
            .batch(batch_size)
            .map(pipelines.plain(gather), num_parallel_calls=2)
            .map(pipelines.plain(complete), num_parallel_calls=2)
            .prefetch(2),
            self,
        )

    def raw_batches(self, batch_size=32):
        """Yields inputs [batch, ...] as NumPy arrays in the clips' order, for statistics."""
        for batch in self.batches(batch_size):
            yield batch['input'].numpy()

    def records(self, number):
        """Paths of the records that a clip is made of."""
        return [self._paths[row] for row in self.windows[number]]

    def waveform(self, number):
        """Sound of a clip to listen to, [samples] at 22,050 Hz; None where there is none."""
        if 'audio' not in self._arrays:
            return None
        frames = self._rows('audio', self.windows[number][None])[0]
        return audio.waveform(frames[:, None, :]).numpy()

    def images(self, number):
        """Acoustic images of a clip to look at, [frames, 36, 48, 12], as the video has
        them; None without them."""
        if 'acoustic' not in self._arrays:
            return None
        return self._rows('acoustic', self.windows[number][None])[0]

    def picture(self, number, frame):
        """A video frame of a clip, [height, width, 3] uint8 RGB; None without video."""
        second, frame = divmod(frame, schema.FRAMES_PER_SECOND)
        path = self._paths[self.windows[number][second]]
        if self._has_video is None:
            self._has_video = pathlib.Path(path).is_file() and 'video' in reading.modalities_of(
                path
            )
        if not self._has_video:
            return None
        (pixels,) = reading.read_frames([path], [[frame]])
        return pixels[0, ..., ::-1]

    def _clip_bytes(self):
        samples, params = audio.num_samples(self.seconds), self._frontend.transform
        return 4 * (
            samples if self._sound == 'waveform' else params.num_frames(samples) * params.num_bins
        )

    def _gathered_spec(self, part):
        if part == self._sound and self._kept is not None:
            return self._kept.shape[1:], tf.float32
        if part == 'features':
            return (len(self._frames[0]), self._arrays[part].shape[-1]), tf.float32
        if part == 'video':
            return (len(self._frames[0]), *video.SHAPE), tf.float32
        if part == 'frames':
            return (len(self._frames[0]), *video.FRAME_SHAPE), tf.uint8
        frames = self.seconds * schema.FRAMES_PER_SECOND
        if part == 'acoustic':
            return (frames, *schema.ACOUSTIC_SHAPE), tf.float32
        return (frames, schema.SAMPLES_PER_FRAME), tf.int32

    def _gather(self, chosen):
        return [
            _chosen(self._kept, self._unique[chosen])
            if part == self._sound and self._kept is not None
            else self._rows(part, self.windows[chosen])
            for part in self._parts
        ]

    def _rows(self, part, windows):
        """[clips, seconds] rows to [clips, frames, ...] of a packed array."""
        if part == 'features':
            second, frame = self._frames
            return self._arrays[part][windows[:, second], frame]
        if part == 'video':
            second, frame = self._frames
            images = self._images(windows[:, second].reshape(-1), np.tile(frame, len(windows)))
            return images.reshape(len(windows), -1, *video.SHAPE)
        if part == 'frames':
            second, frame = self._frames
            kept = np.abs(frame[:, None] - video.KEPT_FRAMES).argmin(axis=1)
            return self._arrays[part][windows[:, second], kept]
        values = _chosen(self._arrays[part if part == 'acoustic' else 'audio'], windows)
        values = values.reshape(len(windows), -1, *values.shape[3:])  # from [clips, seconds, 12..]
        return acoustic_images.flip(values) if part == 'acoustic' and self._mirrored else values

    def _network_input(self, frames):
        return self._frontend.see(audio.waveform(frames[..., None, :]))

    def _work_out_all(self, batch_size=16):
        offsets = np.arange(self.seconds)
        parts = []
        for first in range(0, len(self._starts), batch_size):
            starts = self._starts[first : first + batch_size]
            # Not traced: transforms take all the time, and a trace that of many small runs.
            parts.append(
                self._network_input(
                    tf.constant(self._rows('audio', starts[:, None] + offsets))
                ).numpy()
            )
        return np.concatenate(parts)


def _chosen(array, rows):
    """`array[rows]`, in memory that TensorFlow takes as it is."""
    values = _BUFFERS.take((*rows.shape, *array.shape[1:]), array.dtype)
    # Rows are there; to check them, NumPy would fill other memory first.
    return np.take(array, rows, axis=0, out=values, mode='clip')


def _numbered(path):
    path = pathlib.PurePath(path)
    return str(path.parent), int(path.stem.rpartition('_')[2])
