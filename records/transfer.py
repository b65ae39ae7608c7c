"""Copies a folder of records to or from an object store, and resumes where it was stopped.

    python -m records.transfer --from=s3://BUCKET/avia --to=DIR
    python -m records.transfer --from=DIR --to=gs://BUCKET/avia

URLs are those of fsspec: s3:// and gs:// need the packages s3fs and gcsfs (`pip install
'dualcam[s3]'`, `'dualcam[gcs]'`), which find credentials as their stores' own tools do;
--storage_options passes them anything else, such as the address of another server.

Every record listed in `manifest.jsonl` is checked against its CRC-32C while it is copied; other
files, and records without a manifest, by size. A file gets its final name once it is complete, and
the manifest comes last: if it is there, so is everything that it lists. An existing file of the
same size, and with the same line in both manifests if it has one, is not copied again. A file that
differs is an error unless --overwrite is given. Nothing is ever deleted.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import posixpath
import shutil
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import google_crc32c
from absl import app, flags

from dualcam.cli import errors
from dualcam.files import atomic, locking, progress_bars
from records import manifest

_BLOCK_BYTES = 4 << 20
_DEFAULT_THREADS = 16
_MOST_NAMED = 10
# Stores in which files appear atomically anyway, and renaming would copy them.
_OBJECT_STORES = {'s3', 's3a', 'gs', 'gcs', 'abfs', 'az', 'adl'}
_EXTRAS = {'s3': 's3', 's3a': 's3', 'gs': 'gcs', 'gcs': 'gcs'}


@dataclasses.dataclass(frozen=True)
class Transferred:
    """Result of a transfer.

    Attributes:
        num_files: number of files copied.
        num_bytes: of these.
        num_existing: number of files that already existed.
        failed: {path: reason} of files that could not be copied.
        has_manifest: whether the source has one, so that records were checked by CRC-32C.
    """

    num_files: int
    num_bytes: int
    num_existing: int
    failed: dict[str, str]
    has_manifest: bool


def transfer(
    source: str,
    target: str,
    threads: int = _DEFAULT_THREADS,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Transferred:
    """Copies all files below a folder or a URL to another one, except hidden files.

    Args:
        source: folder or URL of the records.
        target: likewise; a folder is created if necessary.
        threads: number of files copied at a time.
        overwrite: replace files that differ.
        storage_options: passed to fsspec for every URL.

    Raises:
        ValueError: fsspec cannot open a URL; the source is empty; files at the target differ; a
            name leads out of the folder.
        OSError: the disk lacks room, or a store does not respond.
    """
    here, there = _Place(source, storage_options), _Place(target, storage_options)
    sizes = here.sizes()
    if not sizes:
        raise ValueError(f'{source}: no files in it; expected a folder of records')
    has_manifest = sizes.pop(manifest.MANIFEST_FILE, None) is not None  # goes last
    lines = here.manifest()
    entries, broken = manifest.parse(lines)
    if broken:
        raise ValueError(
            f'{here.join(manifest.MANIFEST_FILE)}: line {broken[0]} is damaged; '
            'python -m records.verify --repair fixes it where the records are'
        )
    with there.held():
        existing, known = there.sizes(), manifest.parse(there.manifest())[0]
        missing, differing = [], []
        for path, size in sizes.items():
            if path not in existing:
                missing.append(path)
            elif existing[path] != size or (
                path in known and path in entries and known[path].crc32c != entries[path].crc32c
            ):
                differing.append(path)
        if differing and not overwrite:
            raise ValueError(
                f'{target}: {len(differing)} existing files differ, such as {differing[0]}'
                '; choose another folder, or --overwrite'
            )
        wanted = sorted([*missing, *differing])
        there.check_room(sum(sizes[path] for path in wanted))
        failed = _copy_all(here, there, wanted, sizes, entries, threads)
        if has_manifest and not failed:
            others = [entry for path, entry in known.items() if path not in entries]
            with there.writing(manifest.MANIFEST_FILE) as file:
                file.write(''.join(map(manifest.as_line, others)).encode() + lines)
    copied = [path for path in wanted if path not in failed]
    return Transferred(
        len(copied),
        sum(sizes[path] for path in copied),
        len(sizes) - len(wanted),
        failed,
        has_manifest,
    )


def _copy_all(here, there, paths, sizes, entries, threads) -> dict[str, str]:
    """{path: reason} of those that failed."""
    failed: dict[str, str] = {}
    stopped = threading.Event()
    with (
        progress_bars.bar(
            total=sum(sizes[path] for path in paths), unit='B', unit_scale=True, desc=there.name
        ) as bar,
        concurrent.futures.ThreadPoolExecutor(threads) as pool,
    ):
        lock = threading.Lock()

        def advance(num_bytes):
            if stopped.is_set():
                raise OSError('stopped')
            with lock:
                bar.update(num_bytes)

        futures = {
            pool.submit(_copy, here, there, path, sizes[path], entries.get(path), advance): path
            for path in paths
        }
        try:
            for future in concurrent.futures.as_completed(futures):
                try:
                    future.result()
                except Exception as error:  # stores raise anything
                    failed[futures[future]] = str(error) or type(error).__name__
        except BaseException:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return dict(sorted(failed.items()))


def _copy(here, there, path, size, entry, advance):
    """Copies one file.

    Raises:
        ValueError: it differs from the manifest.
    """
    checksum, count = google_crc32c.Checksum(), 0
    with here.reading(path) as read, there.writing(path) as written:
        while block := read.read(_BLOCK_BYTES):
            checksum.update(block)
            count += len(block)
            written.write(block)
            advance(len(block))
        if count != size:
            raise ValueError(f'{here.join(path)}: {count} bytes, where {size} were announced')
        crc = checksum.digest().hex()
        if entry is not None and (count, crc) != (entry.num_bytes, entry.crc32c):
            raise ValueError(
                f'{here.join(path)}: {count} bytes with the CRC-32C {crc}; the manifest says '
                f'{entry.num_bytes} with {entry.crc32c}: damaged; python -m records.verify '
                '--repair converts it again where the records were made'
            )
    if there.size_of(path) != size:
        raise OSError(f'{there.join(path)}: not {size} bytes after writing; call again')


class _Place:
    """A folder, or a URL of fsspec's."""

    def __init__(self, name: str, options: Mapping[str, Any] | None):
        import fsspec

        self.name = name
        if '://' not in name:
            self._protocol, self._root = 'file', os.path.abspath(os.path.expanduser(name))
            self._files = fsspec.filesystem('file')
            return
        self._protocol = name.partition('://')[0]
        try:
            self._files, self._root = fsspec.core.url_to_fs(name, **dict(options or {}))
        except ImportError as error:
            extra = _EXTRAS.get(self._protocol)
            raise ValueError(
                f'{name}: {error}'
                + (f"; pip install -c constraints.txt 'dualcam[{extra}]'" if extra else '')
            ) from error
        except (ValueError, TypeError) as error:
            raise ValueError(f'{name}: {error}') from error
        self._root = self._root.rstrip('/')

    @property
    def _is_folder(self):
        return self._protocol == 'file'

    def join(self, path: str) -> str:
        """A file's full name, for messages."""
        return f'{self.name.rstrip("/")}/{path}'

    def _full(self, path):
        return f'{self._root}/{path}'

    def sizes(self) -> dict[str, int]:
        """{path below the root: bytes} of all files that are not hidden."""
        self._files.invalidate_cache()
        try:
            found = self._files.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        sizes = {}
        prefix = self._root.lstrip('/') + '/'
        for full, about in found.items():
            full = full.lstrip('/')
            if not full.startswith(prefix):
                continue  # the root itself is a file
            path = full[len(prefix) :]
            parts = path.split('/')
            if any(part in ('', '.', '..') for part in parts):
                raise ValueError(f'{self.join(path)}: a name that leads out of its folder')
            if not any(part.startswith('.') for part in parts):
                sizes[path] = int(about['size'])
        return dict(sorted(sizes.items()))

    def size_of(self, path: str) -> int:
        """Size of a file, queried again."""
        full = self._full(path)
        self._files.invalidate_cache(full)
        return int(self._files.info(full)['size'])

    def manifest(self) -> bytes:
        """Bytes of the manifest; empty if there is none."""
        try:
            return self._files.cat_file(self._full(manifest.MANIFEST_FILE))
        except FileNotFoundError:
            return b''

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Locks a folder; stores have no locks."""
        if not self._is_folder:
            yield
            return
        with locking.held_folder(self._root, 'writes to it'):
            yield

    def check_room(self, num_bytes: int) -> None:
        """Raises an `OSError` if there is too little room."""
        if self._is_folder and num_bytes > shutil.disk_usage(self._root).free:
            raise OSError(
                f'{self.name}: {num_bytes / 1e9:.1f} GB are to be written, more than is free'
            )

    def reading(self, path: str) -> Any:
        """A file opened for reading in blocks."""
        return self._files.open(self._full(path), 'rb', block_size=_BLOCK_BYTES)

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[Any]:
        """A file opened for writing, which gets its final name unless an error is raised."""
        full = self._full(path)
        if self._is_folder:
            atomic.make_folder(pathlib.Path(full).parent)
            with atomic.writing_file(full) as partial, open(partial, 'wb') as file:
                yield file
            return
        if self._protocol in _OBJECT_STORES:
            file = self._files.open(full, 'wb', autocommit=False)
            try:
                yield file
                file.close()
                file.commit()
            except BaseException:
                with contextlib.suppress(Exception):
                    file.closed = True
                    file.discard()
                raise
            return
        folder, name = posixpath.split(full)
        unfinished = f'{folder}/{atomic.partial_name(name).name}'
        self._files.makedirs(folder, exist_ok=True)
        try:
            with self._files.open(unfinished, 'wb') as file:
                yield file
            self._files.mv(unfinished, full)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(unfinished)
            raise


def main(_: list[str]) -> int:
    """Runs the command."""
    options = flags.FLAGS
    try:
        storage_options = json.loads(options.storage_options or '{}')
        if not isinstance(storage_options, dict):
            raise ValueError('not an object')
    except ValueError as error:
        raise ValueError(
            f'--storage_options={options.storage_options}: {error}; expected JSON such as '
            '{"endpoint_url": "http://127.0.0.1:9000"}'
        ) from error
    if options.threads < 1:
        raise ValueError(f'--threads={options.threads}: expected 1 or more')
    done = transfer(
        str(options['from'].value), options.to, options.threads, options.overwrite, storage_options
    )
    for path, reason in list(done.failed.items())[:_MOST_NAMED]:
        print(f'not copied: {path}: {reason}')
    if len(done.failed) > _MOST_NAMED:
        print(f'not copied: {len(done.failed) - _MOST_NAMED} more')
    print(
        f'{done.num_files} files copied ({done.num_bytes / 1e6:.1f} MB), '
        f'{done.num_existing} already existed, {len(done.failed)} failed'
        + ('' if done.has_manifest else '; no manifest: only sizes were compared')
        + f': {options.to}'
    )
    return 1 if done.failed else 0


if __name__ == '__main__':
    flags.DEFINE_string('from', None, 'Folder or URL of the records.', required=True)
    flags.DEFINE_string('to', None, 'Folder or URL to copy them to.', required=True)
    flags.DEFINE_integer('threads', _DEFAULT_THREADS, 'Number of files copied at a time.')
    flags.DEFINE_bool('overwrite', False, 'Replace existing files that differ.')
    flags.DEFINE_string('storage_options', None, "JSON with fsspec's options for the store.")
    app.run(errors.clean_errors(main))
