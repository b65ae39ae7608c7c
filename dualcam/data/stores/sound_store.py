"""Each sound file is decoded once: one packed array that training reads from then on.

The counterpart of `data/stores/record_store.py` for folders of sound: mono float32 at 22,050 Hz,
file after
file, mapped from disk, so that big sets need little memory. A cache folder is keyed by the digest
of the paths, sizes and times.
"""

import dataclasses
import json
import pathlib

import numpy as np

from dualcam.data import audio
from dualcam.data.sources import sound_files, sound_folders
from dualcam.data.stores import record_store
from dualcam.files import atomic, locking, progress_bars


@dataclasses.dataclass(frozen=True, eq=False)
class SoundStore:
    """Packed sounds.

    Attributes:
        sound_set: the `sounds.SoundSet`, without the files that were skipped.
        signal: [samples] float32 at 22,050 Hz, one file after the other; mapped, read only.
        offsets: [files + 1] int64, where each file begins.
        digest: names this content.
        skipped: messages about the files that were left out.
    """

    sound_set: sound_folders.SoundSet
    signal: np.ndarray
    offsets: np.ndarray
    digest: str
    skipped: tuple[str, ...] = ()

    @property
    def lengths(self):
        """Samples of each file, [files] int64."""
        return np.diff(self.offsets)

    def clip(self, row, start, clip_samples):
        """[clip_samples] float32 of a file from a sample on, zeros past its end."""
        first, end = self.offsets[row] + start, self.offsets[row + 1]
        clip = np.zeros(clip_samples, np.float32)
        part = self.signal[first : min(end, first + clip_samples)]
        clip[: len(part)] = part
        return clip


def open_sounds(sound_set, cache, max_bad=0):
    """Packs the sounds of a set if that has not been done, and maps them.

    Args:
        sound_set: a `sounds.SoundSet`.
        cache: folder for the packed arrays.
        max_bad: how many files may be left out because they hold no sound.

    Returns:
        A `SoundStore`.

    Raises:
        ValueError: more files than that are bad; the message names them.
    """
    digest = record_store.records_digest([sound.path for sound in sound_set.sounds])
    root = pathlib.Path(cache) / f'sounds-{digest}'
    if not (root / 'index.json').exists():
        with locking.held_folder(cache, 'packs sounds'):
            if not (root / 'index.json').exists():  # another process may have been quicker
                _pack(sound_set, root)
    index = json.loads((root / 'index.json').read_text(encoding='utf-8'))
    sound_files.check_bad(index['skipped'], max_bad)
    good = set(index['paths'])
    kept = dataclasses.replace(
        sound_set, sounds=tuple(sound for sound in sound_set.sounds if sound.path in good)
    )
    signal = np.memmap(root / 'sound.f32', np.float32, 'r')
    return SoundStore(
        kept, signal, np.array(index['offsets'], np.int64), digest, tuple(index['skipped'])
    )


def _pack(sound_set, root):
    with atomic.writing_folder(root) as partial:
        paths, offsets, skipped = [], [0], []
        with open(partial / 'sound.f32', 'wb') as file:
            for sound in progress_bars.bar(sound_set.sounds, desc='reading sounds', unit='file'):
                start = file.tell()
                try:
                    for block in sound_files.read_blocks(sound.path, audio.SAMPLE_RATE_HZ):
                        file.write(np.ascontiguousarray(block, np.float32).tobytes())
                except sound_files.BadSound as error:
                    skipped.append(str(error))
                    file.seek(start)
                    file.truncate()
                    continue
                paths.append(sound.path)
                offsets.append(file.tell() // 4)
        if not paths:
            sound_files.check_bad(skipped, 0)
        (partial / 'index.json').write_text(
            json.dumps({'paths': paths, 'offsets': offsets, 'skipped': skipped}), encoding='utf-8'
        )
