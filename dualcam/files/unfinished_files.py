"""WAV and Sun AU files whose headers do not state how much sound they contain.

A recorder writes the sizes when it stops. If its battery dies first, they stay zero or at an older
value, although the sound is there; if the disk fills up or a copy is interrupted, they announce
more than there is. `unfinished` detects both by walking over the chunks; `Mended` reads such a file
with the right sizes, without changing it.
"""

import dataclasses
import io
import os
from typing import Any

from dualcam.files import announced_lengths
from dualcam.files.path_types import AnyPath

_MOST_CHUNKS = 1000
_LONGEST_FORM = 4096
_OPEN = (0xFFFF_FFFF, 0x7FFF_F000)  # written by streaming writers instead of a size
_LARGEST = 0xFFFF_FFFF


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A file whose header does not describe its sound correctly.

    Attributes:
        form: a WAV file's fmt chunk, empty if there is none before the sound; an AU file's
            header.
        data_at: offset of the sound.
        announced: its bytes according to the header.
        held: its bytes that are present.
    """

    form: bytes
    data_at: int
    announced: int
    held: int

    @property
    def _is_au(self):
        return self.form.startswith(b'.snd')

    def header(self) -> bytes:
        """A minimal header with the right sizes."""
        left_open = b'\xff' * 4
        if self._is_au:
            return self.form[:8] + left_open + self.form[12:]
        known = self.held <= _LARGEST
        body = b'WAVE' + self.form + b'data'
        body += self.held.to_bytes(4, 'little') if known else left_open
        return b'RIFF' + min(len(body) + self.held, _LARGEST).to_bytes(4, 'little') + body

    @property
    def is_cut(self) -> bool:
        """Whether there is less than announced."""
        return self.held < self.announced

    def describe(self) -> str:
        """The warning, in seconds if the header allows."""
        rate = 0 if self._is_au else int.from_bytes(self.form[16:20], 'little')
        if self.is_cut and rate:
            return announced_lengths.describe(self.held / rate, self.announced / rate)
        there, announced = (
            f'{count / rate:.1f} s' if rate else f'{count} bytes'
            for count in (self.held, self.announced)
        )
        if self.is_cut:
            return f'is shorter than announced: {there} of {announced} are present and are read'
        if self.held == self.announced:
            return 'has a chunk of odd size without padding; is read anyway'
        return (
            f'was not finished: its header announces {self.announced} bytes of sound, but {there} '
            'are present and are read'
        )


def unfinished(path: AnyPath) -> Unfinished | None:
    """What is wrong with the header of a WAV or AU file; None if nothing is.

    Open sizes of streaming writers mean the rest of the file and are valid.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        head = file.read(12)
        if head[:4] == b'.snd':
            data_at, announced = (int.from_bytes(head[at : at + 4], 'big') for at in (4, 8))
            if announced or not 24 <= data_at < size:
                return None
            file.seek(0)
            return Unfinished(file.read(data_at), data_at, announced, size - data_at)
        if head[:4] not in (b'RIFF', b'RF64', b'BW64') or head[8:] != b'WAVE':
            return None
        form, large, at, unpadded = b'', None, 12, False
        for _ in range(_MOST_CHUNKS):
            file.seek(at)
            header = file.read(8)
            if len(header) < 8:
                return None
            name, length = header[:4], int.from_bytes(header[4:], 'little')
            if name == b'fmt ' and length <= _LONGEST_FORM:
                form = header + file.read(length + length % 2)
            elif name == b'ds64':
                large = int.from_bytes(file.read(16)[8:], 'little')
            elif name == b'data':
                break
            at += 8 + length
            if length % 2:
                file.seek(at)
                if file.read(4) == b'data':
                    unpadded = True
                else:
                    at += 1
        else:
            return None
        data_at, rest = at + 8, size - at - 8
        if length in _OPEN:
            if large is None or head[:4] == b'RIFF' or large >= 2**63:
                length = rest
            else:
                length = large
        if length > rest:
            return Unfinished(form, data_at, length, rest)
        file.seek(data_at + length + length % 2)
        if more_follows(length, rest, file.read(8)):
            return Unfinished(form, data_at, length, rest)
    return Unfinished(form, data_at, length, length) if unpadded else None


def more_follows(announced: int, rest: int, following: bytes) -> bool:
    """Whether the sound continues past its announced end.

    Args:
        announced: bytes of the data chunk by its header.
        rest: bytes of the file from the start of the sound.
        following: the 8 bytes after the announced end.

    Returns:
        True if no other chunk follows, and more than was announced: interrupted writers leave zero
        or an old size. A few bytes of a tag are not sound.
    """
    left = rest - announced - announced % 2
    if left < max(announced, 1):
        return False
    is_chunk = (
        len(following) == 8
        and all(0x20 <= byte < 0x7F for byte in following[:4])
        and int.from_bytes(following[4:], 'little') <= left - 8
    )
    return not is_chunk


class Mended(io.RawIOBase):
    """A read-only view of a file with a corrected header."""

    def __init__(self, path: AnyPath, found: Unfinished):
        self._file = open(path, 'rb')  # noqa: SIM115, closed with this one
        self._head = found.header()
        self._data_at, self._size, self._at = found.data_at, len(self._head) + found.held, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        data = self._head[self._at : self._at + count]
        if len(data) < count:
            self._file.seek(self._data_at + self._at + len(data) - len(self._head))
            data += self._file.read(count - len(data))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
