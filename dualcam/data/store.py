"""Each record is decoded once: packed arrays that training reads from then on.

Records are GZIP files of floats, of which a core inflates about 250 a second; training asks for
the same ones in every epoch, for overlapping crops. So the first use of a set of records packs
what the networks need into plain .npy files, one row a record, and every later use maps them:
one microphone's sound (48 KB a record), acoustic images (1 MB a record) and those whole video
frames that ECCV 2020's networks are trained on (400 KB a record). A cache folder is keyed by
the digest of the record paths, sizes and times: changed records are packed anew.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil

import numpy as np

from dualcam import progress
from dualcam.data import reader, schema, video

_ROW_SHAPES = {
    'acoustic': ((schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), np.float32),
    'audio': ((schema.FRAMES_PER_SECOND, schema.SAMPLES_PER_FRAME), np.int32),
    'frames': ((len(video.KEPT_FRAMES), *video.FRAME_SHAPE), np.uint8),
}
_IN_RECORDS = {'frames': 'video'}        # where a record calls it otherwise


@dataclasses.dataclass(frozen=True, eq=False)
class Store:
    """Packed records.

    Attributes:
        paths: of the records, one a row.
        labels: {'action', 'location', 'subject': [records] int64}; of ACIVW the class, the
            video's number, and 0.
        arrays: {'acoustic': [records, 12, 36, 48, 12] float32, 'audio': [records, 12, 1024]
            int32, microphone 0, 'frames': [records, 2, 224, 298, 3] uint8 BGR, those of
            `video.KEPT_FRAMES`}, as far as asked for; mapped from disk, read only.
        digest: names this content.
        mirrored: whether acoustic images are to be flipped before they lie over the video, as
            ACIVW's are (`acoustic.flip`).
        frame_features: a `features.FrameFeatures` of these records, where video counts.
    """
    paths: tuple[str, ...]
    labels: dict[str, np.ndarray]
    arrays: dict[str, np.ndarray]
    digest: str
    mirrored: bool = False
    frame_features: object = None

    def rows(self, paths):
        """Row of each record path, [paths] int64."""
        index = {path: row for row, path in enumerate(self.paths)}
        return np.array([index[path] for path in paths])


def records_digest(paths):
    """A name for the content of some records: their paths, sizes and times, hashed."""
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(f'{path}\0{status.st_size}\0{status.st_mtime_ns}\n'.encode())
    return digest.hexdigest()[:16]


def open_store(paths, modalities, cache):
    """Packs the records if that has not been done, and maps them.

    Args:
        paths: of the records; the order does not matter, repeated ones count once.
        modalities: one or more of 'acoustic', 'audio' and 'frames'.
        cache: folder for the packed arrays.

    Returns:
        A `Store`.

    Raises:
        ValueError: a record is damaged or lacks a modality; the message names it, and what was
            packed so far is removed.
    """
    paths = tuple(sorted(set(paths)))
    digest = records_digest(paths)
    root = pathlib.Path(cache) / digest
    missing = [m for m in modalities if not (root / f'{m}.npy').exists()]
    if missing or not (root / 'labels.npz').exists():
        _pack(paths, missing, root)
    with np.load(root / 'labels.npz') as file:
        labels = {key: file[key] for key in reader.LABELS}
    arrays = {m: np.load(root / f'{m}.npy', mmap_mode='r') for m in modalities}
    return Store(paths, labels, arrays, digest, reader.is_acivw(paths[0]))


def _pack(paths, modalities, root):
    partial = root.with_name(f'.{root.name}.{os.getpid()}.partial')
    partial.mkdir(parents=True, exist_ok=True)
    try:
        arrays = {}
        for name in modalities:
            shape, dtype = _ROW_SHAPES[name]
            arrays[name] = np.lib.format.open_memmap(partial / f'{name}.npy', 'w+', dtype,
                                                     (len(paths), *shape))
        labels = {key: np.zeros(len(paths), np.int64) for key in reader.LABELS}
        seconds = reader.read_seconds(paths, [_IN_RECORDS.get(m, m) for m in modalities])
        for row, second in enumerate(progress.bar(
                seconds, desc='reading records', total=len(paths), unit='record')):
            for name, array in arrays.items():
                value = second[_IN_RECORDS.get(name, name)]
                if name == 'acoustic' and not np.isfinite(value).all():
                    raise ValueError(f'{paths[row]}: an acoustic image has values that are not '
                                     'finite; beamform and convert it again')
                if name == 'audio':
                    value = value[:, 0]                                     # microphone 0
                elif name == 'frames':
                    value = video.fit(value[[*video.KEPT_FRAMES]])
                array[row] = value
            for key, values in labels.items():
                values[row] = second[key]
        for array in arrays.values():
            array.flush()
        del arrays
        np.savez(partial / 'labels.npz', **labels)
        root.mkdir(parents=True, exist_ok=True)
        for file in partial.iterdir():
            os.replace(file, root / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
