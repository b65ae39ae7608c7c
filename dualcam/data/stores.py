"""Each file is decoded once: packed arrays that training reads from then on.

Records are GZIP files, of which one core inflates about 250 per second; training asks for the
same ones in every epoch, for overlapping crops. So the first use of a set of files packs what
networks need into arrays of one row per file, and every later use maps them. What is packed of
which kind of file is up to a packer, see `dualcam/data/packers/`. A cache folder is keyed by a
digest of the paths, sizes and times: changed files are packed anew.
"""

import abc
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.files import atomic, locking
from dualcam.files.path_types import AnyPath

_COLUMNS = 'columns'
_COLUMNS_FILE, _BAD_FILE = f'{_COLUMNS}.npz', 'bad.json'


@dataclasses.dataclass(frozen=True, eq=False)
class Store:
    """Packed files.

    Attributes:
        paths: of the files, one per row.
        columns: {name: [rows, ...]}, small things such as labels.
        arrays: {name: array}, mapped from disk, read only.
        digest: names this content.
        skipped: {path: what is wrong} of files that could not be read; their rows mean nothing.
    """

    paths: tuple[str, ...]
    columns: dict[str, np.ndarray]
    arrays: dict[str, Any]
    digest: str
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def note(self) -> str:
        """For titles: how many files were skipped; empty for none."""
        if not self.skipped:
            return ''
        files = 'file' if len(self.skipped) == 1 else 'files'
        return f'; {len(self.skipped)} damaged {files} left out'

    @property
    def good_rows(self) -> np.ndarray:
        """Rows of the files that were not skipped, [n] int64."""
        return np.array([i for i, path in enumerate(self.paths) if path not in self.skipped], int)

    def rows(self, paths: Iterable[str]) -> np.ndarray:
        """Row of each path, [paths] int64.

        Raises:
            ValueError: a file was skipped.
        """
        paths = list(paths)
        index = {path: row for row, path in enumerate(self.paths)}
        bad = next((path for path in paths if path in self.skipped), None)
        if bad is not None:
            raise ValueError(f'{self.skipped[bad]}; it was skipped: leave its sequence out')
        return np.array([index[path] for path in paths], np.int64)


class Packer(abc.ABC):
    """How one kind of file is packed.

    Attributes:
        arrays: {name of an array: name of its file in the cache folder}.
        store_type: the kind of `Store` that is made of what was packed.
        prefix: of the cache folder's name.
        unit: what a file is called in messages.
        stops_early: whether the first bad file is an error by itself where none may be bad;
            otherwise all of them are counted first.
    """

    arrays: Mapping[str, str]
    store_type: type[Store] = Store
    prefix = ''
    unit = 'record'
    stops_early = True

    @abc.abstractmethod
    def pack(
        self,
        paths: Sequence[str],
        names: Sequence[str],
        folder: pathlib.Path,
        columns: Mapping[str, np.ndarray] | None,
        skip: Callable[[int, str], None],
    ) -> dict[str, np.ndarray]:
        """Writes some arrays into a folder.

        Args:
            paths: of the files.
            names: of the arrays; may be empty.
            folder: takes the arrays' files.
            columns: what an earlier call for other arrays returned, or None.
            skip: to be called with the row and a message for each file that is bad; it raises
                that message where none may be.

        Returns:
            Columns [rows, ...] by their names. Rows of bad files hold those of `columns`, if any.
        """

    def open(self, path: pathlib.Path) -> Any:
        """Maps an array's file."""
        return np.load(path, mmap_mode='r')

    def store(self, *fields: Any) -> Any:
        """The packer's kind of `Store` of these fields, in the order of its attributes."""
        return self.store_type(*fields)


def open_store(
    paths: Iterable[AnyPath],
    packer: Packer,
    folder: AnyPath,
    max_bad: int = 0,
) -> Any:
    """Packs files unless that has been done, and maps the result.

    Args:
        paths: of the files; the order does not matter, repeated ones count once.
        packer: for this kind of file.
        folder: for the cache folders of all stores.
        max_bad: files that may be skipped because they cannot be read.

    Returns:
        The packer's kind of `Store`.

    Raises:
        ValueError: more files than `max_bad` are bad; the message names them, and what was packed
            so far is removed.
        OSError: the disk is full; likewise.
    """
    names = tuple(sorted({str(path) for path in paths}))
    digest = content_digest(names)
    root = pathlib.Path(folder) / f'{packer.prefix}{digest}'
    if _missing(root, packer) is not None:
        with locking.held_folder(folder, f'packs {packer.unit}s'):
            missing = _missing(root, packer)  # another process may have been quicker
            if missing is not None:
                _pack(names, packer, missing, root, max_bad)
    bad = _read_bad(root)
    skipped = {
        path: text
        for name in (*packer.arrays, _COLUMNS)
        for path, text in bad.get(name, {}).items()
    }
    _check_bad(skipped, max_bad, len(names), packer.unit)
    arrays = {name: packer.open(root / file) for name, file in packer.arrays.items()}
    return packer.store(names, _read_columns(root) or {}, arrays, digest, skipped)


def content_digest(paths: Iterable[AnyPath]) -> str:
    """A name for the content of some files: their paths, sizes and times, hashed."""
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(
            f'{path}\0{status.st_size}\0{status.st_mtime_ns}\n'.encode(errors='surrogateescape')
        )
    return digest.hexdigest()[:16]


def _missing(root, packer):
    """Names of the arrays that are not packed; None where nothing is left to be done."""
    missing = [name for name, file in packer.arrays.items() if not (root / file).exists()]
    return missing if missing or not (root / _COLUMNS_FILE).exists() else None


def _pack(paths, packer, names, root, max_bad):
    """Packs some arrays beside those of `root`; where none may be bad, the first bad one raises."""
    bad: dict[str, str] = {}

    def skip(row, text):
        if packer.stops_early and not max_bad:
            raise ValueError(text)
        bad[paths[row]] = text

    partial = atomic.partial_name(root)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        before = _read_bad(root)
        columns = packer.pack(paths, names, partial, _read_columns(root), skip)
        _check_bad(bad, max_bad, len(paths), packer.unit)
        np.savez(partial / _COLUMNS_FILE, **columns)
        # What is bad now may have been good for the arrays that were packed before.
        unknown = {path: text for path, text in bad.items() if path in before.get(_COLUMNS, bad)}
        (partial / _BAD_FILE).write_text(
            json.dumps(before | dict.fromkeys(names, bad) | {_COLUMNS: unknown}), encoding='utf-8'
        )
        root.mkdir(parents=True, exist_ok=True)
        # Arrays last: once one is there, what is bad in it is known.
        arrays = [packer.arrays[name] for name in names]
        for file in (_BAD_FILE, _COLUMNS_FILE, *arrays):
            os.replace(partial / file, root / file)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_columns(root):
    if not (root / _COLUMNS_FILE).exists():
        return None
    with np.load(root / _COLUMNS_FILE) as file:
        return dict(file)


def _read_bad(root):
    """{array or 'columns': {path: what is wrong}} of what is packed."""
    path = root / _BAD_FILE
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def _check_bad(bad, max_bad, count, unit):
    """Raises a `ValueError` where more of `count` files are bad than may be, or all of them."""
    if len(bad) > max_bad or len(bad) == count:
        raise ValueError(
            f'{len(bad)} of {count} {unit}s are bad, of which {max_bad} may be: '
            + '; '.join(list(bad.values())[:3])
            + (f'; to skip them, pass --max_bad={len(bad)}' if len(bad) < count else '')
        )
