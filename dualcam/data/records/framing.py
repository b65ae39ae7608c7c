"""The layers of a record file below its example: GZIP, and TFRecord's framing, each checked.

Intel's ISA-L inflates, about twice as fast as zlib, and checks GZIP's CRC-32; google-crc32c
those of the framing.
"""

import struct

import google_crc32c
from isal import isal_zlib

_GZIP_MAGIC = b'\x1f\x8b'
_MOST_BYTES = 1 << 30  # of a record; a second of video takes 11 MB
_HEADER, _FOOTER = struct.Struct('<QI'), struct.Struct('<I')


class Damaged(ValueError):
    """What is wrong with a record.

    Attributes:
        kind: a short name for it, the same for all of its kind.
    """

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def framed(serialized):
    """What a TFRecord file holds of a serialized example, a list of bytes."""
    length = struct.pack('<Q', len(serialized))
    return [
        length,
        _FOOTER.pack(_masked_crc(length)),
        serialized,
        _FOOTER.pack(_masked_crc(serialized)),
    ]


def inflated(data):
    """A record file's TFRecord.

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
    except isal_zlib.error as error:
        raise Damaged('gzip', f'the GZIP data are damaged ({error})') from error
    if inflater.unconsumed_tail:
        raise Damaged('foreign', f'inflates to more than {_MOST_BYTES} bytes')
    if not inflater.eof:
        raise Damaged('truncated', f'ends within its GZIP data, after {len(data)} bytes')
    if inflater.unused_data:
        raise Damaged(
            'trailing', f'{len(inflater.unused_data)} bytes follow the end of its GZIP data'
        )
    return payload


def _what_else(data):
    """What a file that is not GZIP seems to be, for the message."""
    try:
        next(unframed(data), None)
    except Damaged:
        return ''
    return ' but an uncompressed TFRecord'


def unframed(payload):
    """Yields the serialized examples of a TFRecord.

    Raises:
        Damaged: 'truncated' or 'crc'.
    """
    start = 0
    while start < len(payload):
        header = payload[start : start + _HEADER.size]
        if len(header) < _HEADER.size:
            raise Damaged('truncated', 'its TFRecord ends within a length')
        length, length_crc = _HEADER.unpack(header)
        if _masked_crc(header[:8]) != length_crc:
            raise Damaged('crc', 'the CRC-32C of a length is wrong: damaged, or no TFRecord')
        start += _HEADER.size
        serialized, footer = (
            payload[start : start + length],
            payload[start + length : start + length + _FOOTER.size],
        )
        if len(footer) < _FOOTER.size:
            raise Damaged('truncated', f'its TFRecord ends within an example of {length} bytes')
        if _masked_crc(serialized) != _FOOTER.unpack(footer)[0]:
            raise Damaged('crc', 'the CRC-32C of an example is wrong')
        start += length + _FOOTER.size
        yield serialized


def _masked_crc(data):
    """TFRecord's checksum: rotated by 15 bits, with a constant added."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
