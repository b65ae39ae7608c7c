"""Packed sound files: mono float32 at 22,050 Hz, one file after another.

They are memory-mapped, so that large sets need little memory.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dualcam.data import audio, stores
from dualcam.data.sources import sound_files, sound_folders
from dualcam.files import progress_bars
from dualcam.files.path_types import AnyPath


@dataclasses.dataclass(frozen=True, eq=False)
class SoundStore(stores.Store):
    """Packed sounds.

    Attributes:
        columns: {'length': [files] int64, in samples, and 'label' of `open_sounds`}.
        arrays: {'sound': [samples] float32 at 22,050 Hz, file after file}.
    """

    @property
    def lengths(self) -> np.ndarray:
        """Samples of each file, [files] int64."""
        return self.columns['length']

    def clip(self, row: int, start: int, clip_samples: int) -> np.ndarray:
        """[clip_samples] float32 of a file from a sample on, padded with zeros past its end."""
        end = self._ends[row]
        first = end - self.lengths[row] + start
        clip = np.zeros(clip_samples, np.float32)
        part = self.arrays['sound'][first : min(end, first + clip_samples)]
        clip[: len(part)] = part
        return clip

    @functools.cached_property
    def _ends(self):
        return np.cumsum(self.lengths)


def open_sounds(
    sound_set: sound_folders.SoundSet, folder: AnyPath, max_bad: int = 0
) -> tuple[SoundStore, sound_folders.SoundSet]:
    """Packs a set's sounds; returns their store with labels, and the set without bad files.

    Args:
        sound_set: the files; labels are -1 if their classes are unknown.
        folder, max_bad: see `stores.open_store`.

    Raises:
        ValueError: see `stores.open_store`.
    """
    labels = {sound.path: sound.label for sound in sound_set.sounds}
    store = stores.open_store(labels, SoundPacker(), folder, max_bad)
    columns = store.columns | {'label': np.array([labels[path] for path in store.paths], np.int64)}
    good = tuple(sound for sound in sound_set.sounds if sound.path not in store.skipped)
    return (
        dataclasses.replace(store, columns=columns),
        dataclasses.replace(sound_set, sounds=good),
    )


class SoundPacker(stores.Packer):
    """Packs sound files of any format that `sound_files` reads."""

    store_type = SoundStore
    prefix = 'sound-'
    unit = 'file'
    stops_early = False

    def __init__(self) -> None:
        self.arrays = {'sound': 'sound.f32'}

    def pack(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        folder: pathlib.Path,
        columns: Mapping[str, np.ndarray] | None,
        skip: Callable[[int, str], None],
    ) -> dict[str, np.ndarray]:
        lengths = np.zeros(len(paths), np.int64)
        with open(folder / self.arrays['sound'], 'wb') as file:
            for row, path in enumerate(
                progress_bars.bar(paths, desc='reading sounds', unit='file')
            ):
                start = file.tell()
                try:
                    for block in sound_files.read_blocks(path, audio.SAMPLE_RATE_HZ):
                        file.write(np.ascontiguousarray(block, np.float32).tobytes())
                except sound_files.BadSound as error:
                    skip(row, str(error))
                    file.seek(start)
                    file.truncate()
                    continue
                lengths[row] = (file.tell() - start) // 4
        return {'length': lengths}

    def open(self, path: pathlib.Path) -> np.ndarray:
        return np.memmap(path, np.float32, 'r')
