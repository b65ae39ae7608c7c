"""Records of one second each, packed: sound of one microphone, acoustic images, video frames.

One microphone's sound takes 48 KB per record, acoustic images 1 MB, and the whole video frames on
which ECCV 2020's networks are trained 400 KB.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.data import schema, stores
from dualcam.data.records import reading
from dualcam.data.signal import video
from dualcam.files import large_arrays, progress_bars

_ROW_SHAPES = {
    'acoustic': ((schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), np.float32),
    'audio': ((schema.FRAMES_PER_SECOND, schema.SAMPLES_PER_FRAME), np.int32),
    'frames': ((len(video.KEPT_FRAMES), *video.FRAME_SHAPE), np.uint8),
}
_IN_RECORDS = {'frames': 'video'}  # names that differ in records


@dataclasses.dataclass(frozen=True, eq=False)
class RecordStore(stores.Store):
    """Packed records.

    Attributes:
        columns: {'label', 'group', 'subject': [records] int64}, see `schema.LABELS`.
        arrays: {'acoustic': [records, 12, 36, 48, 12] float32, 'audio': [records, 12, 1024]
            int32, microphone 0, 'frames': [records, 2, 224, 298, 3] uint8 BGR, those of
            `video.KEPT_FRAMES`}, those that were requested.
        mirrored: whether acoustic images must be flipped to match the video, as ACIVW's must
            (`acoustic_images.flip`).
        frame_features: a `frame_features.FrameFeatures` of these records, if video is used.
    """

    mirrored: bool = False
    frame_features: Any = None

    def whole_sequences(self, paths: Iterable[str], length: int) -> list[str]:
        """`paths`, in sequences of `length`, without sequences that lack a record."""
        paths = list(paths)
        sequences = [paths[start : start + length] for start in range(0, len(paths), length)]
        return [
            path
            for sequence in sequences
            if not self.skipped.keys() & set(sequence)
            for path in sequence
        ]


class RecordPacker(stores.Packer):
    """Packs records.

    Args:
        modalities: some of 'acoustic', 'audio' and 'frames'; with none, only labels are packed.
    """

    def __init__(self, modalities: Sequence[str]) -> None:
        self.arrays = {name: f'{name}.npy' for name in modalities}

    def pack(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        folder: pathlib.Path,
        columns: Mapping[str, np.ndarray] | None,
        skip: Callable[[int, str], None],
    ) -> dict[str, np.ndarray]:
        if columns is None:
            columns = {key: np.zeros(len(paths), np.int64) for key in schema.LABELS}
        columns = dict(columns)

        def take(row, second):
            if not np.isfinite(second.get('acoustic', 0.0)).all():
                return (
                    f'{paths[row]}: an acoustic image has values that are not finite; beamform '
                    'and convert it again'
                )
            for name, file in files.items():
                value = second[_IN_RECORDS.get(name, name)]
                if name == 'audio':
                    value = value[:, 0]  # microphone 0
                elif name == 'frames':
                    value = video.fit(value[[*video.KEPT_FRAMES]])
                file.write(row, value)
            for key, values in columns.items():
                values[row] = second[key]
            return None

        with contextlib.ExitStack() as opened:
            files = {
                name: opened.enter_context(
                    large_arrays.RowFile(folder / self.arrays[name], dtype, (len(paths), *shape))
                )
                for name, (shape, dtype) in _ROW_SHAPES.items()
                if name in names
            }
            modalities = [_IN_RECORDS.get(name, name) for name in names]
            wrong = reading.read_seconds(paths, modalities, skip=skip, take=take)
            for row, text in enumerate(
                progress_bars.bar(wrong, desc='reading records', total=len(paths), unit='record')
            ):
                if text:
                    skip(row, text)
        return columns

    def store(self, *fields: Any) -> RecordStore:
        paths, columns, arrays, digest, skipped = fields
        first = next(path for path in paths if path not in skipped)
        return RecordStore(paths, columns, arrays, digest, skipped, reading.is_acivw(first))
