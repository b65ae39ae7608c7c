"""Each record of a tagged clip is decoded once: packed sound that training reads from then on.

The counterpart of `data/stores/record_store.py` for AAAI 2021's clips: int16 waveforms, mapped
from disk, names
and labels. Frames stay in the records; `tagging_frames` keeps their features.
"""

import contextlib
import dataclasses
import json
import pathlib

import numpy as np

from dualcam.data import schema
from dualcam.data.records import reading, tagging_records
from dualcam.data.sources import datasets
from dualcam.data.stores import record_store
from dualcam.files import atomic, large_arrays, locking, progress_bars


@dataclasses.dataclass(frozen=True, eq=False)
class TaggingStore:
    """Packed clips.

    Attributes:
        paths: of the records, one a row.
        names: of the clips.
        labels: [clips, classes] float32, multi-hot.
        audio: [clips, samples] int16 at 32 kHz; mapped, read only.
        num_frames: of each clip, one a second.
        info: the data set.
        digest: names this content.
        skipped: {path: what is wrong} of records that were left out.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    audio: np.ndarray
    num_frames: int
    info: datasets.DatasetInfo
    digest: str
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def note(self):
        """As `store.Store.note`."""
        return record_store.skipped_note(self.skipped)

    @property
    def clip_s(self):
        """Seconds of a clip."""
        return self.audio.shape[1] / schema.CLIP_RATE_HZ

    def rows(self, paths):
        """Row of each record path, [paths] int64."""
        index = {path: row for row, path in enumerate(self.paths)}
        return np.array([index[path] for path in paths], np.int64)

    def waveforms(self, rows):
        """[n, samples] float32 within 1 of rows."""
        return self.audio[rows].astype(np.float32) / np.float32(schema.CLIP_PEAK)


def read_split(root, split):
    """Record paths of a split, 'training', 'validation' or 'testing', in its list's order.

    Raises:
        ValueError: there is no such list; see `reader.read_list`.
    """
    path = pathlib.Path(root) / f'{split}.txt'
    if not path.is_file():
        raise ValueError(
            f'{path}: no such list; make it with python -m records.convert_tagging --split={split}'
        )
    return reading.read_list(path, root)


def open_clips(paths, info, cache, max_bad=0):
    """Packs the clips if that has not been done, and maps them.

    Args:
        paths: of the records; the order does not matter, repeated ones count once.
        info: a `datasets.DatasetInfo`, whose classes the labels count.
        cache: folder for the packed arrays.
        max_bad: records that may be left out because they are bad.

    Returns:
        A `TaggingStore`.

    Raises:
        ValueError: more records than `max_bad` are damaged, or have other classes, another length
            or another number of frames than the first; the message names them.
    """
    paths = tuple(sorted(set(map(str, paths))))
    digest = record_store.records_digest(paths)
    root = pathlib.Path(cache) / f'clips-{digest}'
    if not (root / 'index.json').exists():
        with locking.held_folder(cache, 'packs clips'):
            if not (root / 'index.json').exists():  # another process may have been quicker
                _pack(paths, info, root, max_bad)
    index = json.loads((root / 'index.json').read_text(encoding='utf-8'))
    skipped = index.get('skipped', {})
    record_store.check_bad(skipped, max_bad, len(paths))
    good = tuple(path for path in paths if path not in skipped)
    return TaggingStore(
        good,
        tuple(index['names']),
        np.load(root / 'labels.npy'),
        np.load(root / 'audio.npy', mmap_mode='r')[: len(good)],
        index['num_frames'],
        info,
        digest,
        skipped,
    )


def _pack(paths, info, root, max_bad):
    bad = {}
    skip = record_store.skipping(paths, max_bad, bad)
    with atomic.writing_folder(root) as partial, contextlib.ExitStack() as opened:
        names, labels, audio, num_samples, num_frames = [], [], None, None, None
        for row, clip in enumerate(
            progress_bars.bar(
                tagging_records.read_clips(paths, skip),
                desc='reading clips',
                total=len(paths),
                unit='clip',
            )
        ):
            if clip is None:
                continue
            if len(clip['labels']) != info.num_classes:
                skip(
                    row,
                    f'{paths[row]}: {len(clip["labels"])} labels, but there are '
                    f'{info.num_classes} classes; convert it again',
                )
                continue
            if audio is None:
                first, num_samples, num_frames = paths[row], len(clip['audio']), clip['frames']
                audio = opened.enter_context(
                    large_arrays.RowFile(partial / 'audio.npy', np.int16, (len(paths), num_samples))
                )
            if (len(clip['audio']), clip['frames']) != (num_samples, num_frames):
                skip(
                    row,
                    f'{paths[row]}: {len(clip["audio"])} samples and {clip["frames"]} '
                    f'frames, but {first} has {num_samples} and {num_frames}; convert all of '
                    'them with one --clip_seconds',
                )
                continue
            audio.write(len(names), clip['audio'])
            names.append(clip['name'])
            labels.append(clip['labels'])
        record_store.check_bad(bad, max_bad, len(paths))
        np.save(partial / 'labels.npy', np.array(labels, np.float32))
        (partial / 'index.json').write_text(
            json.dumps({'names': names, 'num_frames': num_frames, 'skipped': bad}), encoding='utf-8'
        )
