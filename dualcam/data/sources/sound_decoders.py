"""Decodes any sound file, or a video's audio track, block by block at its own sample rate.

libsndfile comes first, then FFmpeg's libraries for formats that it does not know; `sound_formats`
identifies the files. Truncated or unfinished files are read as far as they go, with a warning.
"""

import contextlib
import dataclasses
import errno
import os
from collections.abc import Generator, Iterator

import numpy as np
import soundfile

from dualcam.data.sources import sound_formats
from dualcam.files import announced_lengths, progress_bars, text_files, unfinished_files
from dualcam.files.announced_lengths import Announced
from dualcam.files.path_types import AnyPath

_BLOCK_S = 10.0
_LOWEST_RATE_HZ = 1000  # a lower announced rate means damage, and would grow without bounds
_LENGTH_UNKNOWN = 1 << 60
_SAY_SAMPLES = ('tta', 'wv', 'ape')  # announce their length to the sample
_SAY_DURATION = (
    'matroska', 'avi', 'flv', 'mov', 'rm', 'mxf', 'tak', 'mpc', 'mpc8', 'dsf', 'qoa', *_SAY_SAMPLES,
)  # fmt: skip
_ERRORS = (soundfile.SoundFileError, OSError, RuntimeError)


class BadSound(ValueError):
    """A file has no sound or is unreadable; the message names it."""


def bad(path: AnyPath, what: str) -> BadSound:
    """The error for a file, with its name made printable."""
    return BadSound(f'{text_files.printable_name(path)}: {what}')


@dataclasses.dataclass
class _Reading:
    """A file that is being read.

    Attributes:
        rate_hz: its rate.
        blocks: [samples, channels] each.
        announced: the length announced by its container.
        ends_early: it ends within an audio packet; known once it was read.
    """

    rate_hz: int
    blocks: Generator[np.ndarray, None, None]
    announced: Announced = announced_lengths.UNKNOWN
    ends_early: bool = False


def open_blocks(path: AnyPath) -> tuple[int, Iterator[np.ndarray]]:
    """Opens a file; returns its sample rate and its sound.

    Args:
        path: of the file.

    Returns:
        Hz, and an iterator of blocks [samples, channels] float32, about ten seconds each; integers
        are scaled to full scale 1. If the file is shorter than it announces, a warning follows the
        last block; `announced_lengths` lists the formats that announce no length.

    Raises:
        BadSound: it is not a sound file, or, while reading its blocks, it turns out to be damaged.
    """
    try:
        with open(path, 'rb') as file:
            kind = sound_formats.kind_of(file.read(sound_formats.HEAD_BYTES))
        head = sound_formats.read_head(path)
        announced = announced_lengths.announced(path, head)
    except OSError as error:
        raise bad(path, f'cannot be read ({error.strerror})') from error
    if kind or not head:
        raise bad(path, f'not a readable sound file: {kind or "a tag with nothing after it"}')
    demuxer = sound_formats.demuxer_of(head)
    mended = unfinished_files.unfinished(path) if demuxer in ('wav', 'au') else None
    if mended:
        progress_bars.warn(path, mended.describe())
        announced = announced_lengths.UNKNOWN
    readers = []
    if demuxer != 'mp3':  # libsndfile guesses its length, stops there, and writes to stderr
        # As bytes: a string with a name that is not UTF-8 would be refused.
        source = unfinished_files.Mended(path, mended) if mended else os.fsencode(path)
        readers.append(lambda: _of_libsndfile(path, source, demuxer))
    if demuxer:
        readers.append(lambda: _of_ffmpeg(path, demuxer))
    if demuxer == 'wav' and head[12:16] == b'fmt ' and head[20:22] in (b'\x50\0', b'\x55\0'):
        readers.reverse()  # MP3 likewise
    messages = []
    for read in readers:
        try:
            reading = read()
        except _ERRORS as error:
            messages.append(_reason(error))
            continue
        if reading.rate_hz < _LOWEST_RATE_HZ:
            reading.blocks.close()
            raise bad(
                path, f'{reading.rate_hz} samples per second; expected {_LOWEST_RATE_HZ} or more'
            )
        if announced is not announced_lengths.UNKNOWN:
            reading.announced = announced
        return reading.rate_hz, _whole(path, reading)
    if demuxer == 'mov':
        messages.append('an interrupted recording lacks its index')
    raise bad(path, f'not a readable sound file ({"; ".join(messages)})')


def _whole(path, reading):
    """Yields a file's blocks, then warns if the file is truncated."""
    count = 0
    with contextlib.closing(reading.blocks):
        for block in reading.blocks:
            count += len(block)
            yield block
    missing = reading.announced.missing(count / reading.rate_hz)
    if missing is None and reading.ends_early:
        missing = 'ends within an audio packet; everything before it is read'
    if missing:
        progress_bars.warn(path, missing)


def _of_libsndfile(path, source, demuxer):
    file = soundfile.SoundFile(source)
    if file.frames >= _LENGTH_UNKNOWN:  # streamed FLAC, whose end it does not find
        file.close()
        raise OSError('libsndfile: of unknown length')

    def blocks():
        with file, contextlib.closing(source) if hasattr(source, 'close') else file:
            count = 0
            while True:
                try:
                    block = file.read(int(_BLOCK_S * file.samplerate), 'float32', always_2d=True)
                except _ERRORS as error:
                    if demuxer != 'flac':
                        raise bad(path, f'damaged ({_reason(error)})') from error
                    break
                if not len(block):
                    return
                count += len(block)
                yield block
        # libsndfile returns nothing of the block in which a truncated FLAC file ends.
        yield from _rest_of_flac(path, reading, count)

    reading = _Reading(file.samplerate, blocks())
    return reading


def _rest_of_flac(path, reading, first):
    """Blocks from the sample `first` on, up to where the file is truncated."""
    try:
        rest = _of_ffmpeg(path, 'flac')
    except _ERRORS as error:
        raise bad(path, f'damaged ({_reason(error)})') from error
    at = 0
    for block in rest.blocks:
        at += len(block)
        if at > first:
            yield block[max(0, len(block) - (at - first)) :]
    reading.ends_early = rest.ends_early


def _of_ffmpeg(path, demuxer):
    import av  # imported here: few files need its libraries

    reading, stack = _Reading(0, _nothing()), contextlib.ExitStack()
    try:
        source = stack.enter_context(contextlib.closing(_Source(path)))
        container = stack.enter_context(av.open(source, format=demuxer, metadata_errors='replace'))
        if not container.streams.audio:
            raise bad(path, 'contains no audio, only pictures or text')
        stream = container.streams.audio[0]
        if demuxer == 'flac':  # by default it plays frames with wrong checksums
            stream.codec_context.options = {'err_detect': 'crccheck+explode'}
        reading.announced = _announced(container, stream, demuxer)
        frames = _frames(container, stream, source, reading)
        first = next(frames, None)
        if first is None:
            raise bad(path, 'has no samples')
        if demuxer == 'flac' and first.pts is None:
            raise bad(path, 'damaged (at its beginning)')
    except BaseException as error:
        stack.close()
        if isinstance(error, IndexError | av.FFmpegError):
            raise OSError(f'FFmpeg: {_reason(error)}') from error
        raise
    rate_hz, channels = first.sample_rate, first.layout.nb_channels

    def blocks():
        held, count = [_samples(first)], 0
        num_samples = len(held[0])
        with stack:
            try:
                for frame in frames:
                    if (frame.sample_rate, frame.layout.nb_channels) != (rate_hz, channels):
                        raise bad(path, 'its rate or number of channels changes within the file')
                    if demuxer == 'flac' and frame.pts != first.pts + num_samples:
                        raise bad(path, f'damaged (after {num_samples} samples)')
                    held.append(_samples(frame))
                    count += len(held[-1])
                    num_samples += len(held[-1])
                    if count >= _BLOCK_S * rate_hz:
                        yield np.concatenate(held)
                        held, count = [], 0
            # IndexError: a stream that PyAV did not know about when it opened the file.
            except (av.FFmpegError, IndexError) as error:
                raise bad(path, f'damaged ({_reason(error)})') from error
            if source.error:
                raise bad(path, f'cannot be read ({source.error.strerror})')
        if held:
            yield np.concatenate(held)

    reading.rate_hz, reading.blocks = rate_hz, blocks()
    return reading


def _nothing() -> Generator[np.ndarray, None, None]:
    yield from ()


class _Source:
    """A file object for PyAV, which would print exceptions of read and seek with a traceback.

    Attributes:
        error: raised by reading, or None; the file appears to end there.
    """

    def __init__(self, path: AnyPath) -> None:
        self._file = open(path, 'rb')  # noqa: SIM115, closed with this one
        self._size = os.fstat(self._file.fileno()).st_size
        self.error: OSError | None = None

    @property
    def is_at_end(self) -> bool:
        """Whether the whole file was read."""
        return self._file.tell() >= self._size

    def read(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except OSError as error:
            self.error = error
            return b''

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):  # damaged files seek anywhere
            return -errno.EINVAL

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _frames(container, stream, source, reading):
    """Decoded frames; if a file ends within its last packet, those before it."""
    import av

    failed = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            # WavPack's packets are checked for completeness before they are passed on.
            if not (source.is_at_end and reading.announced.seconds):
                raise
            reading.ends_early = True
            return
        if packet is None:
            break
        if failed and packet.size:
            raise failed  # more follows: it is damaged, not truncated
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            failed = error
    reading.ends_early = failed is not None


def _announced(container, stream, demuxer):
    """The length announced by a container, unless it is unknown or guessed."""
    if demuxer not in _SAY_DURATION:
        return announced_lengths.UNKNOWN
    if demuxer == 'avi':  # its duration is limited to what is present
        seconds = float(stream.frames * stream.time_base)
    elif stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.streams.video or not container.duration:
        return announced_lengths.UNKNOWN
    else:
        seconds = container.duration / 1e6
    exact = demuxer in _SAY_SAMPLES
    return Announced(seconds, 0.001 if exact else announced_lengths.loose_tolerance_s(seconds))


def _reason(error):
    """A library's message, without the file's name."""
    text = getattr(error, 'error_string', None) or getattr(error, 'strerror', None) or str(error)
    return text.rstrip('.')


def _samples(frame):
    """[samples, channels] float32 of a decoded frame."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if values.dtype.kind == 'u':
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == 'i':
        return (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    return np.ascontiguousarray(values, np.float32)
