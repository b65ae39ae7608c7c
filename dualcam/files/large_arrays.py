"""Large arrays: on disk, written row by row or memory-mapped, and in reused memory."""

import contextlib
import os
import pathlib
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from dualcam.files.path_types import AnyPath

_ALIGNED = 64  # bytes; TensorFlow does not copy arrays with this alignment
_MOST_BYTES = 512 << 20  # of memory to retain


class RowFile:
    """An .npy file that threads write row by row; it is on disk once the context exits.

    As fast as a mapped file, which would end the process with SIGBUS on a full disk.

    Args:
        path: of the file.
        dtype, shape: of the array.

    Raises:
        OSError: the disk lacks room for the array.
    """

    def __init__(self, path: AnyPath, dtype: npt.DTypeLike, shape: tuple[int, ...]):
        self._path, self._dtype, self._shape = path, np.dtype(dtype), tuple(shape[1:])
        self._row_bytes = _num_bytes(self._shape, self._dtype)
        _check_room(pathlib.Path(path), shape[0] * self._row_bytes)
        with open(path, 'wb') as file:
            np.lib.format.write_array_header_2_0(
                file,
                {
                    'descr': np.lib.format.dtype_to_descr(self._dtype),
                    'fortran_order': False,
                    'shape': tuple(shape),
                },
            )
            self._start = file.tell()
            file.truncate(self._start + shape[0] * self._row_bytes)  # zeros, until written

    def __enter__(self) -> 'RowFile':
        self._descriptor = os.open(self._path, os.O_WRONLY)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if kind is None:
                with _writing(self._path):
                    os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def write(self, row: int, value: npt.ArrayLike) -> None:
        """Writes an array [...] as one row.

        Raises:
            ValueError: the array does not have a row's shape.
            OSError: writing fails; the error names the file.
        """
        value = np.ascontiguousarray(value, self._dtype)
        if value.shape != self._shape:
            raise ValueError(f'row {row} of {self._path}: {value.shape}; expected {self._shape}')
        left, place = value.data.cast('B'), self._start + row * self._row_bytes
        with _writing(self._path):
            while left:
                count = os.pwrite(self._descriptor, left, place)
                left, place = left[count:], place + count


def mapped(path: pathlib.Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A memory-mapped array of zeros on disk; replaces a partial file left by a crash.

    Raises:
        OSError: the disk lacks room for the array.
    """
    if path.exists():
        try:
            array = np.load(path, mmap_mode='r+')
        except ValueError:
            array = None
        if array is not None and array.shape == shape and array.dtype == dtype:
            return array
    _check_room(path, _num_bytes(shape, dtype))
    array = np.lib.format.open_memmap(path, 'w+', dtype, shape)
    try:
        # Later, a page without disk space would end the process instead of raising an error.
        with open(path, 'r+b') as file:
            os.posix_fallocate(file.fileno(), 0, array.offset + array.nbytes)
    except OSError as error:
        path.unlink()
        raise _no_room(path, array.nbytes, error.strerror) from error
    return array


@contextlib.contextmanager
def _writing(path):
    try:
        yield
    except OSError as error:
        raise OSError(
            f'{path}: cannot be written ({error.strerror}); make room, or choose another folder'
        ) from error


def _check_room(path, needed):
    status = os.statvfs(path.parent)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise _no_room(path, needed, f'{free / 2**20:,.0f} are free')


def _no_room(path, needed, why):
    return OSError(
        f'{path}: {needed / 2**20:,.0f} MiB are not available ({why}); make room, or '
        'choose another folder'
    )


def keep_freed_memory() -> None:
    """Lets the process retain freed blocks of up to 31 MiB, the size of records, for reuse.

    glibc returns blocks to the system that are larger than any freed so far; getting such memory
    again, page by page, takes a third of the time of reading a record.
    """
    np.empty(31 << 20, np.uint8)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """An uninitialised array whose memory starts at a multiple of 64 bytes.

    Cache lines have 64 bytes, so a part of that size then touches one line instead of two.
    """
    return _within(np.empty(_num_bytes(shape, dtype) + _ALIGNED, np.uint8), shape, dtype)


class Buffers:
    """Arrays whose memory is reused once no array refers to it.

    TensorFlow uses them without a copy. The system hands out fresh memory page by page, which takes
    longer than filling it.

    Args:
        most_bytes: memory to retain at most.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES):
        self._most_bytes = most_bytes
        self._kept: list[np.ndarray] = []
        self._lock = threading.Lock()

    def take(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
        """An uninitialised array."""
        with self._lock:
            return _within(self._free(_num_bytes(shape, dtype) + _ALIGNED), shape, dtype)

    def _free(self, num_bytes):
        unused = [
            memory
            for memory, count in zip(self._kept, _references(self._kept), strict=True)
            if count == _UNUSED
        ]
        fits = [memory for memory in unused if num_bytes <= len(memory)]
        if fits:
            return min(fits, key=len)
        memory = np.empty(num_bytes, np.uint8)
        room = self._most_bytes - len(memory) - sum(map(len, self._kept))
        for other in unused:
            if room < 0:
                self._kept = [one for one in self._kept if one is not other]
                room += len(other)
        if room >= 0:
            self._kept.append(memory)
        return memory


def _within(memory, shape, dtype):
    start = -memory.ctypes.data % _ALIGNED
    return memory[start : start + _num_bytes(shape, dtype)].view(dtype).reshape(shape)


def _num_bytes(shape, dtype):
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def _references(arrays):
    """Number of references to each array, including the list's."""
    return [sys.getrefcount(array) for array in arrays]


(_UNUSED,) = _references([np.empty(1, np.uint8)])
