"""The length that a sound file's header announces, to detect truncated files.

An interrupted copy or a full disk leaves a file whose header announces more than there is; decoders
read what is there and report nothing. `unfinished_files` handles WAV files, and FFmpeg's libraries
know the length of most containers that they read. This module handles the rest.

What cannot be detected: IRCAM, PVF and PAF, MPEG audio without a Xing, Info or VBRI header, AAC,
AC-3, AMR, transport and programme streams announce nothing; only a truncated last packet shows.
Ogg announces nothing either, but its last page is marked. Open sizes, as left by writers into a
pipe, mean the rest of the file, and so do sizes of 2 GB in formats of the last century. In a
Creative Voice file of many blocks, completely missing blocks are not noticed.
"""

import dataclasses
import os
import re
from collections.abc import Iterator
from typing import Literal

from dualcam.files.path_types import AnyPath

_OPEN = 0x7F00_0000 - 4096  # sox's and libsndfile's sizes for pipes are larger
_OPEN_64 = 1 << 62
_MOST_CHUNKS = 1000
_LONGEST_PAGE = 27 + 255 + 255 * 255
_END_OF_STREAM = 4
_W64_RIFF = b'riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00'
_W64_DATA = b'data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a'
_ASF_FILE = bytes.fromhex('a1dcab8c47a9cf118ee400c00c205365')
_MP3_RATES_HZ = (44_100, 48_000, 32_000)
_MP3_SLACK = 3  # frames that an encoder's delay and padding may take up


@dataclasses.dataclass(frozen=True)
class Announced:
    """What a file announces about its own length.

    Attributes:
        seconds: of its sound; 0 if it does not say.
        tolerance_s: a difference to ignore.
        announced_bytes, held_bytes: of its sound, announced and present, if the header gives bytes.
        lacks_end: its length is unknown, but its end is missing.
    """

    seconds: float = 0.0
    tolerance_s: float = 0.0
    announced_bytes: int = 0
    held_bytes: int = 0
    lacks_end: bool = False

    def missing(self, there_s: float) -> str | None:
        """The warning if there is less than announced.

        Args:
            there_s: seconds that were read.
        """
        if self.held_bytes < self.announced_bytes:
            # The bytes that are present lasted `there_s`.
            whole_s = there_s * self.announced_bytes / max(1, self.held_bytes)
            return describe(there_s, whole_s)
        if there_s < self.seconds - self.tolerance_s:
            return describe(there_s, self.seconds)
        if self.lacks_end:
            return (
                'was truncated or never finished, as its last page is missing: '
                f'{there_s:.1f} s are present and are read'
            )
        return None


UNKNOWN = Announced()


def describe(there_s: float, announced_s: float) -> str:
    """The warning for a file that is shorter than announced."""
    digits = 1 if announced_s - there_s >= 0.1 else 4
    return (
        f'is shorter than announced: {there_s:.{digits}f} s of {announced_s:.{digits}f} s '
        'are present and are read'
    )


def announced(path: AnyPath, head: bytes) -> Announced:
    """The length announced by a file's header.

    Args:
        path: of the file.
        head: its first bytes, after any ID3 tag.

    Returns:
        The length; `UNKNOWN` if the header does not say.

    Raises:
        OSError: the file cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        if head[:4] == b'FORM' and head[8:12] in (b'AIFF', b'AIFC'):
            return _of_chunks(_big_chunks(file, size), b'SSND', size, _OPEN)
        if head[:4] == b'FORM' and head[8:12] in (b'8SVX', b'16SV'):
            return _of_chunks(_big_chunks(file, size), b'BODY', size, _OPEN)
        if head[:4] == b'caff':
            return _of_chunks(_caf_chunks(file, size), b'data', size, _OPEN_64)
        if head[:16] == _W64_RIFF:
            return _of_chunks(_w64_chunks(file, size), _W64_DATA, size, _OPEN_64)
        if head[:4] in (b'.snd', b'dns.'):
            order: Literal['big', 'little'] = 'big' if head[:1] == b'.' else 'little'
            begin, length = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))
            return _of_bytes(begin, length, size, _OPEN)
        if head.startswith(b'Creative Voice File\x1a'):
            return _of_voc(file, int.from_bytes(head[20:22], 'little'), size)
        if head[:4] == b'OggS':
            return Announced(lacks_end=not _ends_marked(file, size))
    if head[:7] == b'NIST_1A':
        return _of_nist(head)
    if head[:4] == b'2BIT':
        rate_hz = int.from_bytes(head[23:26], 'big')
        return _of_samples(int.from_bytes(head[26:30], 'big'), rate_hz)
    if head[:4] == b'fLaC':
        fields = int.from_bytes(head[18:26], 'big')  # 20 bits of rate, 8 of others, 36 of length
        return _of_samples(fields & (1 << 36) - 1, fields >> 44)
    if head[:16] == b'0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel':
        return _of_asf(head)
    if len(head) > 4 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # layer 3
        return _of_mp3(head)
    return UNKNOWN


def _of_samples(count, rate_hz, slack=0.5):
    """Length given as a number of samples, of which `slack` are ignored."""
    return Announced(count / rate_hz, slack / rate_hz) if count and rate_hz else UNKNOWN


def _of_bytes(begin, length, size, is_open):
    """Length of sound that begins at an offset and has a number of bytes by its header.

    Numbers from `is_open` on mean: up to the end of the file.
    """
    held = size - begin
    if not 0 < length < is_open or held < 0:
        return UNKNOWN
    return Announced(announced_bytes=length, held_bytes=min(length, held))


def _of_chunks(chunks, name, size, is_open):
    """Length by the chunk that contains the sound; other chunks are skipped."""
    for found, begin, length in chunks:
        if found == name:
            return _of_bytes(begin, length, size, is_open)
    return UNKNOWN


def _big_chunks(file, size) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, length) of the chunks of an IFF file; odd lengths are padded."""
    yield from _walk(file, size, 12, 4, 4, 'big', lambda begin, length: begin + length + length % 2)


def _caf_chunks(file, size) -> Iterator[tuple[bytes, int, int]]:
    yield from _walk(file, size, 8, 4, 8, 'big', lambda begin, length: begin + length)


def _w64_chunks(file, size) -> Iterator[tuple[bytes, int, int]]:
    """The same for W64: lengths without the 24-byte header; chunks begin at multiples of 8."""
    walk = _walk(
        file, size, 40, 16, 8, 'little', lambda begin, length: begin - 24 + (length + 7) // 8 * 8
    )
    for name, begin, length in walk:
        yield name, begin, length - 24


def _walk(file, size, at, name_bytes, length_bytes, order, following):
    """(name, start, length) of chunks; `following` gives the start of the next one."""
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(name_bytes + length_bytes)
        if len(header) < name_bytes + length_bytes:
            return
        begin, length = at + len(header), int.from_bytes(header[name_bytes:], order)
        yield header[:name_bytes], begin, length
        at = following(begin, length)
        if not begin <= at < size:
            return


def _of_voc(file, at, size):
    """Length by Creative's blocks: a kind, three bytes of length; kind 0 ends the file."""
    total = held = 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(4)
        if len(header) < 4 or not header[0]:
            break
        begin, length = at + 4, int.from_bytes(header[1:], 'little')
        if header[0] in (1, 2, 9):
            total += length
            held += min(length, size - begin)
        at = begin + length
    return Announced(announced_bytes=total, held_bytes=held)


def _of_nist(head):
    count, rate_hz = (
        re.search(rb'^%s -i (\d{1,12})\s*$' % name, head, re.MULTILINE)
        for name in (b'sample_count', b'sample_rate')
    )
    return _of_samples(int(count[1]), int(rate_hz[1])) if count and rate_hz else UNKNOWN


def _of_asf(head):
    """Length by the file properties object: play time in 100 ns, preroll in ms, flags."""
    at = head.find(_ASF_FILE)
    body = head[at + 64 : at + 92]
    if at < 0 or len(body) < 28 or body[24] & 1:  # a broadcast of unknown length
        return UNKNOWN
    play, preroll = int.from_bytes(body[:8], 'little'), int.from_bytes(body[16:24], 'little')
    seconds = play / 1e7 - preroll / 1e3
    return Announced(seconds, loose_tolerance_s(seconds)) if seconds > 0 else UNKNOWN


def loose_tolerance_s(seconds: float) -> float:
    """Tolerance for containers, which include other streams and encoder delays."""
    return max(0.5, 0.02 * seconds)


def _of_mp3(head):
    """Length by the number of frames that the encoder stored in the first one."""
    version, mode = head[1] >> 3 & 3, head[3] >> 6
    rate_index = head[2] >> 2 & 3
    if version == 1 or rate_index == 3:  # reserved
        return UNKNOWN
    is_mpeg1 = version == 3
    rate_hz = _MP3_RATES_HZ[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    side_bytes = (17 if mode == 3 else 32) if is_mpeg1 else (9 if mode == 3 else 17)
    tag = head[4 + side_bytes :][:12]
    if tag[:4] in (b'Xing', b'Info') and len(tag) == 12 and tag[7] & 1:
        frames = int.from_bytes(tag[8:], 'big')
    elif head[36:40] == b'VBRI':
        frames = int.from_bytes(head[50:54], 'big')
    else:
        return UNKNOWN
    samples = 1152 if is_mpeg1 else 576
    return _of_samples(frames * samples, rate_hz, _MP3_SLACK * samples)


def _ends_marked(file, size):
    """Whether an Ogg file's last page is complete and marked as the last one of its stream."""
    begin = max(0, size - 2 * _LONGEST_PAGE)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(b'OggS')
    if at < 0 or len(tail) < at + 27:
        return False
    count = tail[at + 26]
    end = at + 27 + count + sum(tail[at + 27 : at + 27 + count])
    return end <= len(tail) and bool(tail[at + 5] & _END_OF_STREAM)
