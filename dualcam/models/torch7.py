"""A reader for Torch 7's binary files, as far as needed for stored networks.

Such a file is a tree of nil, numbers, strings, booleans, tables and objects; tensors point into
storages, and values that were written before are referred to by number. Only these are read:
nothing in the file is executed, functions are refused, and every length is checked against the rest
of the file before memory is allocated for it. Arrays are views of the file's own bytes, so a file
cannot grow in memory. Files are little-endian, as written on PCs; types, strings and tables have
32-bit counts, tensors 64-bit sizes, or 32-bit ones if the writing machine had no longer type.
"""

import dataclasses
import math
import pathlib
import struct

import numpy as np

from dualcam.files.path_types import AnyPath

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN = range(6)
_MAX_DEPTH = 100
_MAX_AXES = 16
_DTYPES = {
    'Double': '<f8',
    'Float': '<f4',
    'Half': '<f2',
    'Long': '<i8',
    'Int': '<i4',
    'Short': '<i2',
    'Char': '<i1',
    'Byte': '<u1',
}
_DTYPES |= {f'Cuda{kind}': dtype for kind, dtype in _DTYPES.items()} | {'Cuda': '<f4'}


@dataclasses.dataclass(eq=False)
class TorchObject:
    """An object other than a tensor or storage.

    Attributes:
        kind: its class, such as 'nn.Sequential'.
        fields: its contents, usually a dictionary.
    """

    kind: str
    fields: object = None


def read(path: AnyPath) -> object:
    """Reads a Torch 7 file.

    Args:
        path: of the file.

    Returns:
        None, numbers, strings, booleans, dictionaries, read-only arrays (tensors and storages)
        and `TorchObject`s.

    Raises:
        ValueError: the file is truncated or of another kind; the message names it.
    """
    path = pathlib.Path(path)
    data = path.read_bytes()
    try:
        return _Reader(data, '<q').value()
    except _Damaged as error:
        try:
            return _Reader(data, '<i').whole()
        except _Damaged:
            raise ValueError(f'{path}: not a whole Torch 7 file ({error})') from error


class _Damaged(Exception):
    """The bytes violate the format."""


class _Reader:
    def __init__(self, data, long_format):
        self._data, self._at, self._seen, self._depth = memoryview(data), 0, {}, 0
        self._long_format = long_format
        self._long_bytes = struct.calcsize(long_format)

    def whole(self):
        """The first value; bytes after it mean that the file is damaged."""
        found = self.value()
        if self._at < len(self._data):
            raise _Damaged(f'{len(self._data) - self._at} bytes follow')
        return found

    def value(self):
        """The next value."""
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return self._unpack('<d', 8)
        if kind == _STRING:
            return self._string()
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind not in (_TABLE, _OBJECT):
            raise _Damaged(
                f'a value of type {kind} at byte {self._at - 4}; functions and '
                'unknown types are not read'
            )
        index = self._int()
        if index in self._seen:
            return self._seen[index]
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Damaged(f'nested more than {_MAX_DEPTH} deep')
        found = self._table(index) if kind == _TABLE else self._object(index)
        self._depth -= 1
        return found

    def _table(self, index):
        table = self._seen[index] = {}
        for _ in range(self._count(self._int(), 8)):
            key = self.value()
            if not isinstance(key, str | float | bool):
                raise _Damaged(f'a table key of type {type(key).__name__}')
            table[int(key) if isinstance(key, float) and key.is_integer() else key] = self.value()
        return table

    def _object(self, index):
        name = self._string()
        if name.startswith('V '):  # a version, then the class
            name = self._string()
        if name.startswith('torch.') and name.endswith('Storage'):
            dtype = self._dtype(name, 'Storage')
            count = self._long()
            data = self._take(self._count(count, dtype.itemsize) * dtype.itemsize)
            self._seen[index] = np.frombuffer(data, dtype)
        elif name.startswith('torch.') and name.endswith('Tensor'):
            self._seen[index] = self._tensor(self._dtype(name, 'Tensor'))
        else:
            self._seen[index] = TorchObject(name)
            self._seen[index].fields = self.value()
        return self._seen[index]

    def _tensor(self, dtype):
        num_axes = self._count(self._int(), 2 * self._long_bytes)
        if num_axes > _MAX_AXES:
            raise _Damaged(f'a tensor of {num_axes} axes')
        shape = [self._long() for _ in range(num_axes)]
        strides = [self._long() for _ in range(num_axes)]
        offset = self._long() - 1
        storage = self.value()
        if storage is None or not num_axes:
            return np.zeros(0, dtype)
        if not isinstance(storage, np.ndarray) or storage.dtype != dtype or storage.ndim != 1:
            raise _Damaged('a tensor without a storage of its type')
        # An axis of length 1 has no stride, whatever the file says.
        strides = [stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
        last = offset + sum(
            (size - 1) * stride for size, stride in zip(shape, strides, strict=True)
        )
        if min(shape) < 1 or min(strides) < 0 or offset < 0 or last >= len(storage):
            raise _Damaged(
                f'a tensor of shape {shape}, strides {strides} from {offset} in a '
                f'storage of {len(storage)}'
            )
        if math.prod(shape) > len(storage):
            raise _Damaged(f'a tensor of shape {shape} in a storage of {len(storage)}')
        return np.lib.stride_tricks.as_strided(
            storage[offset:],
            shape,
            [dtype.itemsize * stride for stride in strides],
            writeable=False,
        )

    def _dtype(self, name, ending):
        kind = name.removeprefix('torch.').removesuffix(ending)
        if kind not in _DTYPES:
            raise _Damaged(f'an object of class {name}')
        return np.dtype(self._long_format if kind.endswith('Long') else _DTYPES[kind])

    def _string(self):
        return bytes(self._take(self._count(self._int(), 1))).decode('utf-8', 'replace')

    def _int(self):
        return self._unpack('<i', 4)

    def _long(self):
        return self._unpack(self._long_format, self._long_bytes)

    def _unpack(self, layout, size):
        return struct.unpack(layout, self._take(size))[0]

    def _count(self, count, item_bytes):
        """Returns `count` if the file is long enough for as many items."""
        if count < 0 or count * item_bytes > len(self._data) - self._at:
            raise _Damaged(
                f'{count} items announced at byte {self._at}, but '
                f'{len(self._data) - self._at} bytes are left'
            )
        return count

    def _take(self, size):
        if self._at + size > len(self._data):
            raise _Damaged(f'it ends at byte {len(self._data)}, before its announced end')
        part = self._data[self._at : self._at + size]
        self._at += size
        return part
