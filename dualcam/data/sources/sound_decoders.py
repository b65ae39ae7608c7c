"""Any sound file, or the sound of a video, decoded block by block at its own rate.

libsndfile first, then FFmpeg's libraries for what it does not know; `sound_formats` says which
files. WAV files that were not finished are read as far as they go, with a warning.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
import soundfile

from dualcam.data.sources import sound_formats, unfinished_files
from dualcam.files import progress_bars, text_files
from dualcam.files.path_types import AnyPath

_BLOCK_S = 10.0
_LOWEST_RATE_HZ = 1000  # what announces less is damaged, and would grow beyond all bounds
_LENGTH_UNKNOWN = 1 << 60
_SAY_DURATION = ('matroska', 'avi', 'asf', 'flv', 'mov')
_ERRORS = (soundfile.SoundFileError, OSError, RuntimeError)


class BadSound(ValueError):
    """A file that holds no sound, or cannot be read; the message names it."""


def bad(path: AnyPath, what: str) -> BadSound:
    """The error for a file; its name is one that every terminal and text file can hold."""
    return BadSound(f'{text_files.printable_name(path)}: {what}')


def open_blocks(path: AnyPath) -> tuple[int, Iterator[np.ndarray]]:
    """A file's sample rate, and its sound.

    Args:
        path: of the file.

    Returns:
        Hz, and an iterator of blocks [samples, channels] float32, about ten seconds each, full
        scale 1 for whole numbers.

    Raises:
        BadSound: it is no sound file, or, while its blocks are read, it is damaged.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(sound_formats.HEAD_BYTES)
    except OSError as error:
        raise bad(path, f'cannot be read ({error.strerror})') from error
    kind = sound_formats.kind_of(head)
    if kind:
        raise bad(path, f'not a readable sound file: {kind}')
    demuxer = sound_formats.demuxer_of(head)
    mended = unfinished_files.unfinished(path) if demuxer in ('wav', 'au') else None
    if mended:
        _warn(path, mended.describe())
    readers = [
        # Bytes: as text, a name that is not UTF-8 would be refused.
        lambda: _of_libsndfile(
            path, unfinished_files.Mended(path, mended) if mended else os.fsencode(path)
        )
    ]
    if demuxer:
        readers.append(lambda: _of_ffmpeg(path, demuxer))
    if _is_mp3(demuxer, head):
        readers.reverse()  # libsndfile guesses how long it is, and stops there
    messages = []
    for read in readers:
        try:
            return _checked(path, *read())
        except _ERRORS as error:
            messages.append(_reason(error))
    if demuxer == 'mov':
        messages.append('a recording that was stopped before its end lacks its index')
    raise bad(path, f'not a readable sound file ({"; ".join(messages)})')


def _is_mp3(demuxer, head):
    code = head[20:22] if head[12:16] == b'fmt ' else b''
    return demuxer == 'mp3' or (demuxer == 'wav' and code in (b'\x50\0', b'\x55\0'))


def _checked(path, rate_hz, blocks):
    if rate_hz < _LOWEST_RATE_HZ:
        blocks.close()
        raise bad(path, f'{rate_hz} samples a second; expected {_LOWEST_RATE_HZ} or more')
    return rate_hz, blocks


def _of_libsndfile(path, source):
    file = soundfile.SoundFile(source)
    if file.frames >= _LENGTH_UNKNOWN:  # FLAC of a stream, whose end it does not find
        file.close()
        raise OSError('libsndfile: of unknown length')

    def blocks():
        with file, contextlib.closing(source) if hasattr(source, 'close') else file:
            while True:
                try:
                    block = file.read(int(_BLOCK_S * file.samplerate), 'float32', always_2d=True)
                except _ERRORS as error:
                    raise bad(path, f'damaged ({_reason(error)})') from error
                if not len(block):
                    return
                yield block

    return file.samplerate, blocks()


def _of_ffmpeg(path, demuxer):
    import av  # not above: few files need its libraries

    stack = contextlib.ExitStack()
    try:
        # The open file, not its name: that might be taken for an address, or not be UTF-8.
        file = stack.enter_context(open(path, 'rb'))  # noqa: SIM115
        container = stack.enter_context(av.open(file, format=demuxer, metadata_errors='replace'))
        if not container.streams.audio:
            raise bad(path, 'holds no sound, only pictures or text')
        stream = container.streams.audio[0]
        announced_s = _announced_s(container, stream, demuxer)
        frames = _frames(path, container, stream)
        first = next(frames, None)
        if first is None:
            raise bad(path, 'has no samples')
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
                        raise bad(path, 'changes its rate or channels on the way')
                    held.append(_samples(frame))
                    count += len(held[-1])
                    num_samples += len(held[-1])
                    if count >= _BLOCK_S * rate_hz:
                        yield np.concatenate(held)
                        held, count = [], 0
            # IndexError: a stream that PyAV did not know when it opened the file.
            except (av.FFmpegError, IndexError) as error:
                raise bad(path, f'damaged ({_reason(error)})') from error
        if held:
            yield np.concatenate(held)
        there_s = num_samples / rate_hz
        if there_s < announced_s - max(0.5, 0.02 * announced_s):
            _warn(
                path,
                f'is shorter than announced: {there_s:.1f} s of {announced_s:.1f} s are there and '
                'are read',
            )

    return rate_hz, blocks()


def _frames(path, container, stream):
    """Decoded frames; where a file ends within its last packet, what is before it."""
    import av

    failed = None
    for packet in container.demux(stream):
        if failed and packet.size:
            raise failed  # more follows: it is damaged, not cut
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            failed = error
    if failed:
        _warn(path, 'ends within a packet of sound; what is before it is read')


def _announced_s(container, stream, demuxer):
    """How long a container says its sound is; 0 where it does not know, or only guesses."""
    if demuxer not in _SAY_DURATION:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.streams.video or not container.duration else container.duration / 1e6


def _reason(error):
    """What a library says, without the file's name."""
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


def _warn(path, text):
    progress_bars.write(f'warning: {text_files.printable_name(path)}: {text}', sys.stderr)
