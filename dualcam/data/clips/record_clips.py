"""Clips of records: sequences, crops and windows of seconds.

A list contains sequences of `total_length` consecutive records; a clip is `sample_length` of them.
Training draws `number_of_crops` starts in each sequence, the same in every epoch, and shuffles the
clips with a seed that includes the epoch; inference cuts sequences into non-overlapping clips.
(WACV 2020 and the authors' loader.)
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from dualcam.data.clips import clip_sets, record_parts
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends


@dataclasses.dataclass(frozen=True)
class ClipParams:
    """How clips are cut, in whole seconds; defaults are the published commands' values.

    Attributes:
        total_length: records in a sequence.
        sample_length: records in a clip.
        number_of_crops: clips drawn from each training sequence per epoch.
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


def sequence_rows(
    store: record_packer.RecordStore, paths: Sequence[str], total_length: int
) -> np.ndarray:
    """Rows of a list's sequences.

    Args:
        store: contains the records.
        paths: of the records, in list order.
        total_length: records in a sequence.

    Returns:
        [sequences, total_length] int64.

    Raises:
        ValueError: the list does not consist of such sequences; the message names the record.
    """
    if len(paths) % total_length:
        raise ValueError(
            f'a list of {len(paths)} records does not consist of sequences of '
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
        rows: [sequences, total_length], from `sequence_rows`.
        params: a `ClipParams`.
        seed: determines the starts, together with the sequence's number only.

    Returns:
        [sequences * number_of_crops, sample_length] rows.
    """
    room = params.total_length - params.sample_length + 1
    windows = []
    for index, sequence in enumerate(rows):
        rng = np.random.default_rng([seed, index])
        # Each possible start once before any is repeated, so that a few crops cover the sequence.
        starts = np.concatenate(
            [rng.permutation(room) for _ in range(-(-params.number_of_crops // room))]
        )
        windows += [
            sequence[s : s + params.sample_length] for s in starts[: params.number_of_crops]
        ]
    return np.array(windows)


def inference_windows(rows: np.ndarray, params: ClipParams) -> np.ndarray:
    """Consecutive clips, [sequences * (total // sample_length), sample_length]."""
    count = rows.shape[1] // params.sample_length
    return rows[:, : count * params.sample_length].reshape(-1, params.sample_length)


def cut(
    store: record_packer.RecordStore,
    windows: np.ndarray,
    inputs: Sequence[str],
    frontend: frontends.Frontend | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    frames: Sequence[int] | np.ndarray | None = None,
    memory_bytes: int = clip_sets.MEMORY_BYTES,
    bgr: bool = False,
    mirrored: bool = False,
) -> clip_sets.Clips:
    """Clips as one network's inputs.

    Args:
        store: contains the records.
        windows: [clips, seconds] rows of it.
        inputs: one or more of 'waveform', 'spectrogram', 'acoustic', 'frames', 'features' and
            'video', all of the same seconds; several give a dictionary.
        frontend: for sound; default one without statistics, which does not normalise.
        columns: {name: [clips, ...]}, additional columns.
        frames: see `record_parts.Frames`.
        memory_bytes: see `record_parts.Sound`.
        bgr: see `record_parts.PackedFrames`.
        mirrored: whether training clips are `record_parts.Mirrored`.

    Raises:
        ValueError: there are no clips; inputs other than acoustic images cannot be mirrored.
    """
    if mirrored and tuple(inputs) != ('acoustic',):
        raise ValueError(f'{" and ".join(inputs)}: only acoustic images by themselves are mirrored')
    origin = record_parts.RecordOrigin(store, windows)

    def sound(name):
        return record_parts.Sound(origin, frontend or frontends.Frontend(name), memory_bytes)

    makers = {
        'waveform': sound,
        'spectrogram': sound,
        'acoustic': lambda _: record_parts.AcousticImages(origin),
        'frames': lambda _: record_parts.PackedFrames(origin, frames, bgr),
        'features': lambda _: record_parts.FrameFeatures(origin, frames),
        'video': lambda _: record_parts.VideoFrames(origin, frames),
    }
    parts = {name: makers[name](name) for name in inputs}
    seen = parts if len(parts) > 1 else parts[inputs[0]]
    return clip_sets.Clips(seen, origin, columns, record_parts.Mirrored() if mirrored else None)


def _numbered(path):
    path = pathlib.PurePath(path)
    return str(path.parent), int(path.stem.rpartition('_')[2])
