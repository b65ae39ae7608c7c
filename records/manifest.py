"""`manifest.jsonl` in a records folder: each record's source, size and CRC-32C.

One line per record, appended in one piece by the process that wrote the record (with a cluster, by
the command, once a worker has reported the record), once that has its final name. So a killed run
may leave a record without a line, or an incomplete line at the end; the next conversion repairs
both, and `verify` reports them. If a record has two lines, the later one counts.
"""

import dataclasses
import fcntl
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import google_crc32c

from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

MANIFEST_FILE = 'manifest.jsonl'
Source = dict[str, Any]  # see `Entry`
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Entry:
    """A record's line.

    Attributes:
        path: of the record, relative to the records' root, with slashes.
        num_bytes: of its file.
        crc32c: of its file, eight hexadecimal digits.
        source: what it was made from, relative to the folders in `conversion.json`; for a second
            {'folder', 'frames': [[first, last], ...]}, frames counted from 1 like raw files.
    """

    path: str
    num_bytes: int
    crc32c: str
    source: Source


def entry_of(root: AnyPath, path: str, source: Source) -> Entry:
    """The `Entry` for a record's current file, by its path relative to `root`."""
    num_bytes, checksum = 0, google_crc32c.Checksum()
    with open(pathlib.Path(root) / path, 'rb') as file:
        while block := file.read(_BLOCK_BYTES):
            num_bytes += len(block)
            checksum.update(block)
    return Entry(path, num_bytes, checksum.digest().hex(), source)


def read(root: AnyPath) -> tuple[dict[str, Entry], list[int]]:
    """Reads the manifest of a records folder.

    Returns:
        {path: `Entry`}, and the numbers, from 1, of lines that are damaged; both are empty if there
        is no manifest.
    """
    path = pathlib.Path(root) / MANIFEST_FILE
    return parse(path.read_bytes()) if path.exists() else ({}, [])


def parse(data: bytes) -> tuple[dict[str, Entry], list[int]]:
    """`read` for a manifest's bytes from any source."""
    entries: dict[str, Entry] = {}
    broken: list[int] = []
    lines = data.split(b'\n')
    # Anything after the last line break is an incomplete line.
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        entry = _parse(line) if number < len(lines) else None
        if entry is None:
            broken.append(number)
        else:
            entries[entry.path] = entry
    return entries, broken


def write(root: AnyPath, entries: Iterable[Entry]) -> None:
    """Replaces the manifest atomically."""
    atomic.write_text(pathlib.Path(root) / MANIFEST_FILE, ''.join(map(as_line, entries)))


def append(root: AnyPath, entries: Iterable[Entry]) -> None:
    """Appends `Entry`s to a manifest: all of their lines or none, even with concurrent appends.

    Raises:
        OSError: it cannot be written, such as on a full disk; the manifest is then unchanged.
    """
    data = ''.join(map(as_line, entries)).encode()
    descriptor = os.open(
        pathlib.Path(root) / MANIFEST_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b'\n':
            data = b'\n' + data  # keeps a killed run's incomplete line separate
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _parse(line):
    """The `Entry` of a line, or None."""
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {field.name: type(getattr(entry, field.name)) for field in dataclasses.fields(entry)}
    return (
        entry if kinds == {'path': str, 'num_bytes': int, 'crc32c': str, 'source': dict} else None
    )


def as_line(entry: Entry) -> str:
    """An `Entry`'s line of the file."""
    return json.dumps(dataclasses.asdict(entry)) + '\n'
