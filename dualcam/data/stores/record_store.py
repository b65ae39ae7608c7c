"""Each record is decoded once: packed arrays that training reads from then on.

Records are GZIP files of floats, of which a core inflates about 250 a second; training asks for
the same ones in every epoch, for overlapping crops. So the first use of a set of records packs
what the networks need into plain .npy files, one row a record, and every later use maps them:
one microphone's sound (48 KB a record), acoustic images (1 MB a record) and those whole video
frames that ECCV 2020's networks are trained on (400 KB a record). A cache folder is keyed by
the digest of the record paths, sizes and times: changed records are packed anew.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil

import numpy as np

from dualcam.data import schema
from dualcam.data.records import reading
from dualcam.data.signal import video
from dualcam.files import large_arrays, locking, progress_bars

_ROW_SHAPES = {
    'acoustic': ((schema.FRAMES_PER_SECOND, *schema.ACOUSTIC_SHAPE), np.float32),
    'audio': ((schema.FRAMES_PER_SECOND, schema.SAMPLES_PER_FRAME), np.int32),
    'frames': ((len(video.KEPT_FRAMES), *video.FRAME_SHAPE), np.uint8),
}
_LABELS = 'labels'  # what every packing reads, beside its modalities
_LABELS_FILE, _BAD_FILE = f'{_LABELS}.npz', 'bad.json'
_ORDER = ('.json', '.npz', '.npy')
_IN_RECORDS = {'frames': 'video'}  # where a record calls it otherwise


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
        skipped: {path: what is wrong} of records that could not be read; their rows mean nothing.
    """

    paths: tuple[str, ...]
    labels: dict[str, np.ndarray]
    arrays: dict[str, np.ndarray]
    digest: str
    mirrored: bool = False
    frame_features: object = None
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def note(self):
        """For titles: how many records were skipped; empty for none."""
        return skipped_note(self.skipped)

    def rows(self, paths):
        """Row of each record path, [paths] int64; a skipped one is an error."""
        index = {path: row for row, path in enumerate(self.paths)}
        bad = next((path for path in paths if path in self.skipped), None)
        if bad is not None:
            raise ValueError(f'{self.skipped[bad]}; it was skipped: leave its sequence out')
        return np.array([index[path] for path in paths])

    def whole_sequences(self, paths, length):
        """`paths`, of which `length` in a row are a sequence, without those that lack a record."""
        paths = list(paths)
        sequences = [paths[start : start + length] for start in range(0, len(paths), length)]
        return [
            path
            for sequence in sequences
            if not self.skipped.keys() & set(sequence)
            for path in sequence
        ]


def modalities_of(paths, max_bad=0):
    """Names of the modalities of some records, as the first readable one of them holds them.

    Raises:
        ValueError: the first record cannot be read, or, of more than `max_bad`, none.
    """
    for number, path in enumerate(paths):
        try:
            return reading.modalities_of(path)
        except ValueError:
            if number >= max_bad:
                raise
    raise ValueError('no record can be read')


def records_digest(paths):
    """A name for the content of some records: their paths, sizes and times, hashed."""
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(
            f'{path}\0{status.st_size}\0{status.st_mtime_ns}\n'.encode(errors='surrogateescape')
        )
    return digest.hexdigest()[:16]


def open_store(paths, modalities, cache, max_bad=0):
    """Packs the records if that has not been done, and maps them.

    Args:
        paths: of the records; the order does not matter, repeated ones count once.
        modalities: one or more of 'acoustic', 'audio' and 'frames'.
        cache: folder for the packed arrays.
        max_bad: records that may be skipped since they cannot be read; lists must then be asked
            of `Store.whole_sequences`.

    Returns:
        A `Store`.

    Raises:
        ValueError: more records than `max_bad` are damaged or lack a modality; the message names
            them, and what was packed so far is removed.
        OSError: the disk is full; likewise.
    """
    paths = tuple(sorted(set(paths)))
    digest = records_digest(paths)
    root = pathlib.Path(cache) / digest
    if _missing(root, modalities) is not None:
        with locking.held_folder(cache, 'packs records'):
            missing = _missing(root, modalities)  # another process may have been quicker
            if missing is not None:
                _pack(paths, missing, root, max_bad)
    bad = _read_bad(root)
    skipped = {path: text for m in (*modalities, _LABELS) for path, text in bad.get(m, {}).items()}
    check_bad(skipped, max_bad, len(paths))
    with np.load(root / _LABELS_FILE) as file:
        labels = {key: file[key] for key in reading.LABELS}
    mapped = {m: np.load(root / f'{m}.npy', mmap_mode='r') for m in modalities}
    first = next(path for path in paths if path not in skipped)
    return Store(paths, labels, mapped, digest, reading.is_acivw(first), skipped=skipped)


def _missing(root, modalities):
    """Modalities that are not packed; None where nothing is left to be done."""
    missing = [name for name in modalities if not (root / f'{name}.npy').exists()]
    return missing if missing or not (root / _LABELS_FILE).exists() else None


def _pack(paths, modalities, root, max_bad):
    """Packs some modalities beside those of `root`; a strict one stops at the first bad record."""
    bad = {}
    skip = skipping(paths, max_bad, bad)
    partial = root.with_name(f'.{root.name}.{os.getpid()}.partial')
    partial.mkdir(parents=True, exist_ok=True)
    try:
        labels = {key: np.zeros(len(paths), np.int64) for key in reading.LABELS}
        before = _read_bad(root)
        if _LABELS in before:
            # What is bad now may have been good for the modalities that were packed before.
            with np.load(root / _LABELS_FILE) as file:
                labels = {key: file[key] for key in reading.LABELS}

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
            for key, values in labels.items():
                values[row] = second[key]
            return None

        with contextlib.ExitStack() as opened:
            files = {
                m: opened.enter_context(
                    large_arrays.RowFile(partial / f'{m}.npy', dtype, (len(paths), *shape))
                )
                for m, (shape, dtype) in _ROW_SHAPES.items()
                if m in modalities
            }
            wrong = reading.read_seconds(
                paths, [_IN_RECORDS.get(m, m) for m in modalities], skip=skip, take=take
            )
            for row, text in enumerate(
                progress_bars.bar(wrong, desc='reading records', total=len(paths), unit='record')
            ):
                if text:
                    skip(row, text)
            check_bad(bad, max_bad, len(paths))
        np.savez(partial / _LABELS_FILE, **labels)
        unlabelled = {path: text for path, text in bad.items() if path in before.get(_LABELS, bad)}
        (partial / _BAD_FILE).write_text(
            json.dumps(before | dict.fromkeys(modalities, bad) | {_LABELS: unlabelled}),
            encoding='utf-8',
        )
        root.mkdir(parents=True, exist_ok=True)
        # Arrays last: once one is there, what is bad in it is known.
        for file in sorted(partial.iterdir(), key=lambda file: _ORDER.index(file.suffix)):
            os.replace(file, root / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_bad(root):
    """{modality or 'labels': {path: what is wrong}} of what is packed."""
    path = root / _BAD_FILE
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def skipping(paths, max_bad, bad):
    """A function of row and text that notes in `bad` what is wrong with a path.

    It raises the text, a `ValueError`, if none may be bad.
    """

    def skip(row, text):
        if not max_bad:
            raise ValueError(text)
        bad[paths[row]] = text

    return skip


def skipped_note(skipped):
    """See `Store.note`."""
    return f'; {len(skipped)} damaged records left out' if skipped else ''


def check_bad(bad, max_bad, count):
    """Raises a `ValueError` where more of `count` records are bad than may be, or all of them.

    Args:
        bad: {path: what is wrong}.
        max_bad: how many may be; so many are listed on the screen.
        count: of all records.
    """
    if len(bad) > max_bad or len(bad) == count:
        raise ValueError(
            f'{len(bad)} of {count} records are bad, of which {max_bad} may be: '
            + '; '.join(list(bad.values())[:3])
        )
