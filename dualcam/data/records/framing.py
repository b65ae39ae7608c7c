"""The layers of a record file below its example: GZIP and TFRecord framing, each checked.

Intel's ISA-L decompresses, about twice as fast as zlib, and checks GZIP's CRC-32; google-crc32c
checks those of the framing.
"""

import struct
from collections.abc import Iterator

import google_crc32c
from isal import igzip, isal_zlib

from dualcam.files.path_types import AnyPath

_GZIP_MAGIC = b'\x1f\x8b'
_MOST_BYTES = 1 << 30  # of a record; a second of video takes 11 MB
_MOST_AT_A_TIME = 1 << 26  # of an example in a stream; ten seconds of sound take 0.9 MB
_HEADER, _FOOTER = struct.Struct('<QI'), struct.Struct('<I')


class Damaged(ValueError):
    """A record is damaged; the message says how.

    Attributes:
        kind: a short name for this kind of damage.
    """

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


def framed(serialized: bytes) -> list[bytes]:
    """The serialized examples of a TFRecord file, a list of bytes."""
    length = struct.pack('<Q', len(serialized))
    return [
        length,
        _FOOTER.pack(_masked_crc(length)),
        serialized,
        _FOOTER.pack(_masked_crc(serialized)),
    ]


def inflated(data: bytes) -> bytes:
    """Decompresses a record file to its TFRecord.

    Raises:
        Damaged: 'empty', 'not_gzip', 'truncated', 'gzip', 'trailing' or 'foreign'.
    """
    if not data:
        raise Damaged('empty', 'the file is empty')
    if data[:2] != _GZIP_MAGIC[: len(data)]:
        raise Damaged('not_gzip', f'this file is not GZIP{_what_else(data)}')
    inflater = isal_zlib.decompressobj(wbits=31)
    try:
        payload = inflater.decompress(data, _MOST_BYTES)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # wrong stubs
        raise Damaged('gzip', f'the GZIP data are damaged ({error})') from error
    if inflater.unconsumed_tail:
        raise Damaged('foreign', f'decompresses to more than {_MOST_BYTES} bytes')
    if not inflater.eof:
        raise Damaged('truncated', f'ends within its GZIP data, after {len(data)} bytes')
    if inflater.unused_data:
        raise Damaged(
            'trailing', f'{len(inflater.unused_data)} bytes follow the end of its GZIP data'
        )
    return payload


def read_stream(path: AnyPath) -> Iterator[bytes]:
    """Yields the serialized examples of a record file while decompressing, for hours of sound.

    `inflated` and `unframed` give more precise errors for a record that fits in memory.

    Raises:
        Damaged: 'gzip', 'truncated', 'crc' or 'foreign'.
        OSError: the file cannot be opened.
    """
    with open(path, 'rb') as packed, igzip.IGzipFile(fileobj=packed) as file:
        try:
            while header := file.read(_HEADER.size):
                length = _length_of(header)
                if length > _MOST_AT_A_TIME:
                    raise Damaged('foreign', f'announces an example of {length} bytes')
                content = file.read(length + _FOOTER.size)
                yield _checked(content[:length], content[length:], length)
        except (EOFError, OSError, isal_zlib.IsalError) as error:  # type: ignore[misc]
            raise Damaged('gzip', f'the GZIP data are damaged ({error})') from error


def _what_else(data):
    """A guess at what a file that is not GZIP is, for the message."""
    try:
        next(unframed(data), None)
    except Damaged:
        return ''
    return ' but an uncompressed TFRecord'


def unframed(payload: bytes) -> Iterator[bytes]:
    """Yields the serialized examples of a TFRecord.

    Raises:
        Damaged: 'truncated' or 'crc'.
    """
    start = 0
    while start < len(payload):
        length = _length_of(payload[start : start + _HEADER.size])
        start += _HEADER.size
        footer = payload[start + length : start + length + _FOOTER.size]
        yield _checked(payload[start : start + length], footer, length)
        start += length + _FOOTER.size


def _length_of(header):
    """The length in bytes of the example after a header."""
    if len(header) < _HEADER.size:
        raise Damaged('truncated', 'its TFRecord ends within a length')
    length, length_crc = _HEADER.unpack(header)
    if _masked_crc(header[:8]) != length_crc:
        raise Damaged('crc', 'the CRC-32C of a length is wrong: damaged, or not a TFRecord')
    return length


def _checked(serialized, footer, length):
    """The example itself, checked against its footer."""
    if len(footer) < _FOOTER.size:
        raise Damaged('truncated', f'its TFRecord ends within an example of {length} bytes')
    if _masked_crc(serialized) != _FOOTER.unpack(footer)[0]:
        raise Damaged('crc', 'the CRC-32C of an example is wrong')
    return serialized


def _masked_crc(data):
    """TFRecord's checksum: rotated by 15 bits, with a constant added."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
