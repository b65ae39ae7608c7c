"""Reads one array from a MATLAB file (level 5, which `save` and SciPy write).

SciPy's reader allocates whatever sizes a damaged file announces, and some damage crashes the
process. This one reads only an array of numbers up to a given size, and compares every announced
size with the bytes that are there.
"""

import math
import struct
import zlib

import numpy as np

_HEAD_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_DTYPES = {
    1: 'i1',
    2: 'u1',
    3: 'i2',
    4: 'u2',
    5: 'i4',
    6: 'u4',
    7: 'f4',
    9: 'f8',
    12: 'i8',
    13: 'u8',
}
_CLASSES = {
    6: 'f8',
    7: 'f4',
    8: 'i1',
    9: 'u1',
    10: 'i2',
    11: 'u2',
    12: 'i4',
    13: 'u4',
    14: 'i8',
    15: 'u8',
}
_NO_NUMBERS = {1: 'a cell', 2: 'a struct', 3: 'an object', 4: 'text', 5: 'a sparse matrix'}
_COMPLEX = 0x800
_LONGEST_HEAD = 4096  # bytes of flags, sizes and name of a variable


def read_array(data: bytes, name: str, max_values: int) -> np.ndarray | None:
    """Reads one array of a file.

    Args:
        data: bytes of the file.
        name: of the variable.
        max_values: largest number of values.

    Returns:
        An array of the stored type in native byte order; None if there is no such variable.

    Raises:
        ValueError: the file is damaged or of another kind, or the variable is not such an array.
    """
    order = {b'\0\1IM': '<', b'\1\0MI': '>'}.get(data[124:_HEAD_BYTES])
    if order is None or len(data) == _HEAD_BYTES:
        raise ValueError('not a MATLAB file of level 5 (save it with -v7 or -v6)')
    at = _HEAD_BYTES
    while at < len(data):
        kind, part, at = _element(data, at, order)
        if kind == _COMPRESSED:
            part = _inflated(part, _LONGEST_HEAD + 8 * max_values, order)
        elif kind != _MATRIX:
            raise ValueError(f'an element of type {kind} instead of a variable')
        found = _variable(part, name, max_values, order)
        if found is not None:
            return found
    return None


def _element(data, at, order):
    """(type, contents, start of the next one) of the element at a byte."""
    if at + 8 > len(data):
        raise ValueError(f'it ends at byte {len(data)}, within an element')
    kind, size = struct.unpack_from(f'{order}2I', data, at)
    if kind >> 16:  # up to four bytes are stored with the type and size, in eight
        kind, size, begin, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError(f'a small element of {size} bytes')
    else:
        begin = at + 8
        following = begin + size + (0 if kind == _COMPRESSED else -size % 8)
    if begin + size > len(data):
        raise ValueError(f'{size} bytes announced at byte {at}, but {len(data) - begin} are left')
    return kind, data[begin : begin + size], following


def _inflated(data, max_bytes, order):
    """The contents of a compressed variable, cut to `max_bytes`."""
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(data, 8 + max_bytes)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(found) < 8 + max_bytes and not stream.eof:
        raise ValueError('compressed bytes that end early')
    if len(found) < 8 or struct.unpack_from(f'{order}I', found)[0] != _MATRIX:
        raise ValueError('compressed bytes that contain no variable')
    return found[8:]


def _variable(data, name, max_values, order):
    """The array in the contents of a variable; None if it has another name."""
    kind, part, at = _element(data, 0, order)
    if kind != 6 or len(part) < 8:
        raise ValueError('a variable without its flags')
    flags = struct.unpack_from(f'{order}I', part)[0]
    kind, part, at = _element(data, at, order)
    if kind != 5 or not 8 <= len(part) <= _LONGEST_HEAD // 2 or len(part) % 4:
        raise ValueError('a variable without its sizes')
    shape = np.frombuffer(part, f'{order}i4').tolist()
    kind, part, at = _element(data, at, order)
    if kind != 1:
        raise ValueError('a variable without its name')
    if part.decode('latin-1') != name:
        return None
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX:
        what = _NO_NUMBERS.get(flags & 0xFF, 'no real numbers')
        raise ValueError(f'{name} is {what}')
    wanted = np.dtype(_CLASSES[flags & 0xFF])
    if min(shape) < 0 or math.prod(shape) > max_values:
        raise ValueError(f'{name} is {wanted} of shape {tuple(shape)}')
    kind, part, _ = _element(data, at, order)
    if kind not in _DTYPES:
        raise ValueError(f'{name} has elements of type {kind}')
    stored = np.dtype(_DTYPES[kind]).newbyteorder(order)  # small values are stored in a small type
    if len(part) != stored.itemsize * math.prod(shape):
        raise ValueError(f'{name} of shape {tuple(shape)} in {len(part)} bytes')
    return np.frombuffer(part, stored).astype(wanted).reshape(shape, order='F')
