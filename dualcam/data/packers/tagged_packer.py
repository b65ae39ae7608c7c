"""Packed records of tagged clips (AAAI 2021): waveforms, names and labels.

Frames stay in the records; `dualcam/features/` caches a frozen network's features of them.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dualcam.data import schema, stores
from dualcam.data.records import tagging_records
from dualcam.files import large_arrays, progress_bars


@dataclasses.dataclass(frozen=True, eq=False)
class TaggedStore(stores.Store):
    """Packed clips, all of the same length.

    Attributes:
        columns: {'label': [clips, classes] float32, multi-hot, 'name': [clips] text, 'frames':
            [clips] int64, their number, one per second}.
        arrays: {'audio': [clips, samples] int16 at 32 kHz}.
    """

    @property
    def clip_s(self) -> float:
        """Length of a clip in seconds."""
        return self.arrays['audio'].shape[1] / schema.CLIP_RATE_HZ

    @property
    def num_frames(self) -> int:
        """Number of frames of each clip, one per second."""
        return int(self.columns['frames'][self.good_rows[0]])

    def waveforms(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Waveforms of rows, [n, samples] float32, full scale 1."""
        return self.arrays['audio'][rows].astype(np.float32) / np.float32(schema.CLIP_PEAK)

    def pixels(
        self, rows: Sequence[int] | np.ndarray, frames: Sequence[int], size: tuple[int, int]
    ) -> np.ndarray:
        """Chosen frames, read from the records.

        Args:
            rows: [n] of clips.
            frames: [n] frame indices, from 0, without repetition within a row.
            size: (height, width).

        Returns:
            [n, height, width, 3] uint8 RGB, ordered by row, then by frame.
        """
        records, place = np.unique(rows, return_inverse=True)
        chosen = [np.sort(np.asarray(frames)[place == i]) for i in range(len(records))]
        found = tagging_records.read_frames([self.paths[row] for row in records], chosen, size)
        return np.concatenate([np.rint(pixels).astype(np.uint8) for pixels in found])


class TaggedPacker(stores.Packer):
    """Packs tagged clips; all of them must have the length of the first one.

    Args:
        num_classes: expected number of labels of each clip.
    """

    store_type = TaggedStore
    prefix = 'tagged-'

    def __init__(self, num_classes: int) -> None:
        self.arrays = {'audio': 'audio.npy'}
        self._num_classes = num_classes

    def pack(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        folder: pathlib.Path,
        columns: Mapping[str, np.ndarray] | None,
        skip: Callable[[int, str], None],
    ) -> dict[str, np.ndarray]:
        labels = np.zeros((len(paths), self._num_classes), np.float32)
        titles, num_frames = [''] * len(paths), np.zeros(len(paths), np.int64)
        first, size = None, None  # path of the first good clip; its samples and frames
        with contextlib.ExitStack() as opened:
            clips = tagging_records.read_clips(paths, skip)
            for row, clip in enumerate(
                progress_bars.bar(clips, desc='reading clips', total=len(paths), unit='clip')
            ):
                if clip is None:
                    continue
                own_size = len(clip['audio']), clip['frames']
                if len(clip['labels']) != self._num_classes:
                    skip(
                        row,
                        f'{paths[row]}: {len(clip["labels"])} labels, but there are '
                        f'{self._num_classes} classes; convert it again',
                    )
                    continue
                if size is None:
                    first, size = paths[row], own_size
                    audio = opened.enter_context(
                        large_arrays.RowFile(
                            folder / self.arrays['audio'], np.int16, (len(paths), own_size[0])
                        )
                    )
                if own_size != size:
                    skip(
                        row,
                        f'{paths[row]}: {own_size[0]} samples and {own_size[1]} frames, but '
                        f'{first} has {size[0]} and {size[1]}; convert all of them with one '
                        '--clip_seconds',
                    )
                    continue
                audio.write(row, clip['audio'])
                titles[row], labels[row] = clip['name'], clip['labels']
                num_frames[row] = clip['frames']
        return {'label': labels, 'name': np.array(titles), 'frames': num_frames}
