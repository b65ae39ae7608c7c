"""Decodes each file once, into packed arrays that training reads from then on.

Records are GZIP files, of which one core decompresses about 250 per second; training needs the same
ones in every epoch, for overlapping crops. So the first use of a set of files packs the network
inputs into arrays with one row per file, and every later use memory-maps them. A packer for each
kind of file decides what to pack; see `dualcam/data/packers/`. A cache folder is keyed by a digest
of the paths, sizes and times: changed files are packed again.
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
        columns: {name: [rows, ...]}, small values such as labels.
        arrays: {name: array}, memory-mapped, read-only.
        digest: of this content.
        skipped: {path: problem} of unreadable files; their rows are meaningless.
    """

    paths: tuple[str, ...]
    columns: dict[str, np.ndarray]
    arrays: dict[str, Any]
    digest: str
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def note(self) -> str:
        """Number of skipped files, for titles; empty for none."""
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
            raise ValueError(f'{self.skipped[bad]}; it was skipped: leave out its sequence')
        return np.array([index[path] for path in paths], np.int64)


class Packer(abc.ABC):
    """How one kind of file is packed.

    Attributes:
        arrays: {array name: name of its file in the cache folder}.
        store_type: the kind of `Store` for the packed arrays.
        prefix: of the cache folder's name.
        unit: name of a file in messages.
        stops_early: whether the first bad file is an error immediately if none may be bad;
            otherwise all are counted first.
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
            folder: for the arrays' files.
            columns: the result of an earlier call for other arrays, or None.
            skip: to be called with the row and a message for each bad file; raises that message
                if none may be bad.

        Returns:
            Columns [rows, ...] by name. Rows of bad files are taken from `columns`, if given.
        """

    def open(self, path: pathlib.Path) -> Any:
        """Memory-maps an array's file."""
        return np.load(path, mmap_mode='r')

    def store(self, *fields: Any) -> Any:
        """The packer's kind of `Store`, from its attributes in order."""
        return self.store_type(*fields)


def open_store(
    paths: Iterable[AnyPath],
    packer: Packer,
    folder: AnyPath,
    max_bad: int = 0,
) -> Any:
    """Packs files unless that was done already, and memory-maps the result.

    Args:
        paths: of the files; the order does not matter, repeated ones count once.
        packer: for this kind of file.
        folder: for the cache folders of all stores.
        max_bad: number of unreadable files that may be skipped.

    Returns:
        The packer's kind of `Store`.

    Raises:
        ValueError: more than `max_bad` files are bad; the message names them, and partial results
            are removed.
        OSError: the disk is full; partial results are removed, too.
    """
    names = tuple(sorted({str(path) for path in paths}))
    digest = content_digest(names)
    root = pathlib.Path(folder) / f'{packer.prefix}{digest}'
    if _missing(root, packer) is not None:
        with locking.held_folder(folder, f'packs {packer.unit}s'):
            missing = _missing(root, packer)  # another process may have been faster
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
    """A fingerprint of files: a hash of their paths, sizes and times."""
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(
            f'{path}\0{status.st_size}\0{status.st_mtime_ns}\n'.encode(errors='surrogateescape')
        )
    return digest.hexdigest()[:16]


def _missing(root, packer):
    """Names of the arrays that are not packed; None if everything is done."""
    missing = [name for name, file in packer.arrays.items() if not (root / file).exists()]
    return missing if missing or not (root / _COLUMNS_FILE).exists() else None


def _pack(paths, packer, names, root, max_bad):
    """Adds arrays to those of `root`; if none may be bad, the first bad file raises."""
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
        # A file that is bad now may have been good when earlier arrays were packed.
        unknown = {path: text for path, text in bad.items() if path in before.get(_COLUMNS, bad)}
        (partial / _BAD_FILE).write_text(
            json.dumps(before | dict.fromkeys(names, bad) | {_COLUMNS: unknown}), encoding='utf-8'
        )
        root.mkdir(parents=True, exist_ok=True)
        # Arrays come last: once one exists, its bad files are known.
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
    """{array or 'columns': {path: problem}} of the packed arrays."""
    path = root / _BAD_FILE
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def _check_bad(bad, max_bad, count, unit):
    """Raises a `ValueError` if too many of `count` files are bad, or all of them."""
    if len(bad) > max_bad or len(bad) == count:
        raise ValueError(
            f'{len(bad)} of {count} {unit}s are bad, where at most {max_bad} may be: '
            + '; '.join(list(bad.values())[:3])
            + (f'; to skip them, pass --max_bad={len(bad)}' if len(bad) < count else '')
        )
