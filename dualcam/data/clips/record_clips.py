"""Seconds to clips to batches: sequences, crops, windows, shuffling.

A list holds sequences of `total_length` consecutive records; a clip is `sample_length` of them.
Training draws `number_of_crops` starts in each sequence, the same in every epoch, and shuffles
the clips by the epoch's number; inference cuts the sequence into clips that do not overlap.
(WACV 2020, section 5, and the authors' loader.)
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.data import audio, schema
from dualcam.data.clips import clip_sets, record_parts
from dualcam.data.records import reading
from dualcam.data.signal import frontends


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

    def __post_init__(self) -> None:
        if not 1 <= self.sample_length <= self.total_length or self.number_of_crops < 1:
            raise ValueError(
                f'clips of {self.sample_length} s, {self.number_of_crops} from each '
                f'sequence of {self.total_length} s; expected 1 or more of 1 s up to '
                'the whole sequence'
            )


def sequence_rows(store: Any, paths: Sequence[str], total_length: int) -> np.ndarray:
    """Rows of a list's sequences.

    Args:
        store: a `stores.Store` that holds them.
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


def training_windows(rows: np.ndarray, params: ClipParams, seed: int) -> np.ndarray:
    """Random clips of each sequence.

    Args:
        rows: [sequences, total_length], what `sequence_rows` gives.
        params: a `ClipParams`.
        seed: decides the starts, together with the sequence's number and nothing else.

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


def inference_windows(rows: np.ndarray, params: ClipParams) -> np.ndarray:
    """Clips that follow each other, [sequences * (total // sample_length), sample_length]."""
    count = rows.shape[1] // params.sample_length
    return rows[:, : count * params.sample_length].reshape(-1, params.sample_length)


class RecordOrigin(clip_sets.Origin):
    """Windows of a store of records.

    Args:
        store: a `record_packer.RecordStore`.
        windows: [clips, seconds] rows of it.

    Attributes:
        windows: as given.
        seconds: records in a clip.

    Raises:
        ValueError: there are no clips.
    """

    def __init__(self, store: Any, windows: np.ndarray) -> None:
        if not len(windows):
            raise ValueError('no clips: the list is empty')
        self.windows, self.seconds = windows, windows.shape[1]
        self.columns = {'label': store.columns['label'][windows[:, 0]]}
        # A store made by hand may know no groups.
        groups = store.columns.get('group', np.zeros(len(store.paths), np.int64))
        self.groups = groups[windows[:, 0]]
        self._rows, self._has_video = record_parts.Rows(store, windows), None

    def records(self, number):
        return [self._rows.store.paths[row] for row in self.windows[number]]

    def waveform(self, number):
        """Sound of a clip, [samples] at 22,050 Hz; None where it is not packed."""
        if 'audio' not in self._rows.store.arrays:
            return None
        frames = self._rows.gather('audio', self.windows[number][None])[0]
        return audio.waveform(frames[:, None, :]).numpy()

    def images(self, number):
        if 'acoustic' not in self._rows.store.arrays:
            return None
        return self._rows.acoustic(self.windows[number][None])[0]

    def picture(self, number, frame):
        """Frame number `frame` of a clip, [height, width, 3] uint8 RGB; None without video."""
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


def cut(
    store: Any,
    windows: np.ndarray,
    inputs: Sequence[str],
    frontend: frontends.Frontend | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    frames: Sequence[int] | np.ndarray | None = None,
    memory_bytes: int = clip_sets.MEMORY_BYTES,
    bgr: bool = False,
) -> clip_sets.Clips:
    """Clips of the named inputs.

    Args:
        store: a `record_packer.RecordStore`.
        windows: [clips, seconds] rows of it.
        inputs, frontend, frames, memory_bytes, bgr: see `record_parts.open_parts`.
        columns: {name: [clips, ...]} that go along with each clip.

    Raises:
        ValueError: there are no clips.
    """
    origin = RecordOrigin(store, windows)
    parts = record_parts.open_parts(store, windows, inputs, frontend, frames, memory_bytes, bgr)
    return clip_sets.Clips(parts, origin, columns)


def _numbered(path):
    path = pathlib.PurePath(path)
    return str(path.parent), int(path.stem.rpartition('_')[2])
