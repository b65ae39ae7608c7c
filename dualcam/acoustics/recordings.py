"""Multichannel recordings, streamed: sound files, acoular's HDF5, audio tracks of video files.

Sound files are those that libsndfile reads (WAV of any depth, EXTENSIBLE and RF64, W64, FLAC, CAF,
...), HDF5 has `time_data` [samples, channels] with the attribute `sample_freq`, and for any other
file PyAV reads the first audio stream. A truncated sound file, or one whose header was never
finished, is read as far as it goes, with a warning. Blocks are float32 [samples, channels];
integers are scaled to full scale 1, HDF5 is unscaled. Only a few blocks are held in memory: an hour
of 64 channels at 48 kHz is 44 GB.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import soundfile
import soxr

from dualcam.acoustics.microphones import MicArray
from dualcam.files import announced_lengths, progress_bars, unfinished_files
from dualcam.files.path_types import AnyPath

HDF5_SUFFIXES = ('.h5', '.hdf5', '.hdf', '.he5')
MEDIA_SUFFIXES = (
    '.mp4',
    '.m4v',
    '.mov',
    '.mkv',
    '.mka',
    '.webm',
    '.avi',
    '.m4a',
    '.aac',
    '.ts',
    '.mts',
    '.m2ts',
    '.mxf',
    '.wmv',
    '.wma',
    '.flv',
    '.3gp',
)
_BLOCK_S = 1.0
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1000.0, 1e7
_MOST_CHANNELS = 4096
_HEAD_BYTES = 4096
_LOUDEST = 1e30  # the square of a larger number may overflow float32


class BadRecording(ValueError):
    """A file is not a recording of the array; the message names it."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """A sound file; each method call opens it separately.

    Attributes:
        path: of the file.
        rate_hz: samples per second of a channel.
        num_samples: per channel, as announced by the file; containers may be slightly off.
        file_channels: number of channels in the file.
        channels: those that are read, from 0, in this order.
    """

    path: pathlib.Path
    rate_hz: float
    num_samples: int
    file_channels: int
    channels: tuple[int, ...]

    @property
    def num_channels(self) -> int:
        """Number of channels in a block."""
        return len(self.channels)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.rate_hz

    def blocks(
        self,
        block_samples: int | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        rate_hz: float | None = None,
    ) -> Iterator[np.ndarray]:
        """The sound, block by block.

        Args:
            block_samples: samples to read at a time; None for one second.
            start_s, end_s: the part to read; None for the end of the file.
            rate_hz: of the output; None for the file's own. Otherwise it is resampled (soxr,
                high quality), aligned with the original.

        Yields:
            [samples, channels] float32; all of `block_samples` but the last, unless resampled.

        Raises:
            BadRecording: the file cannot be read, or has samples that are not finite.
        """
        first = max(0, round(start_s * self.rate_hz))
        last = None if end_s is None else round(end_s * self.rate_hz)
        block_samples = block_samples or max(1, round(_BLOCK_S * self.rate_hz))
        blocks = self._checked(_reader(self.path)(self, first, last, block_samples), first)
        if rate_hz is None or rate_hz == self.rate_hz:
            yield from blocks
            return
        resampler = soxr.ResampleStream(self.rate_hz, rate_hz, self.num_channels, 'float32', 'HQ')
        for block in blocks:
            converted = resampler.resample_chunk(np.ascontiguousarray(block))
            if len(converted):
                yield converted
        rest = resampler.resample_chunk(np.zeros((0, self.num_channels), np.float32), last=True)
        if len(rest):
            yield rest

    def read(self, first: int, count: int) -> np.ndarray:
        """Reads samples, [count, channels] float32; zeros before the start and after the end."""
        samples = np.zeros((count, self.num_channels), np.float32)
        start, place = max(first, 0), max(-first, 0)
        if first + count > start:
            reader = _reader(self.path)(self, start, first + count, count)
            for block in self._checked(reader, start):
                samples[place : place + len(block)] = block
                place += len(block)
        return samples

    def _checked(self, blocks, first):
        for block in blocks:
            if not len(block):
                continue
            if not np.abs(block).max() < _LOUDEST:
                bad = ~(np.abs(block) < _LOUDEST)
                row, column = np.argwhere(bad)[0]
                raise BadRecording(
                    f'{self.path}: channel {self.channels[column] + 1} has a sample of '
                    f'{block[row, column]:g} at {(first + row) / self.rate_hz:.3f} s; expected '
                    'finite numbers'
                )
            first += len(block)
            yield block


def open_recording(path: AnyPath, channels: str | None = None) -> Recording:
    """Opens a recording, with a selection of channels.

    Args:
        path: of the file.
        channels: see `parse_channels`; None for all.

    Raises:
        BadRecording: it is not a readable recording.
        ValueError: the channels do not exist.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise BadRecording(f'{path}: no such file')
    rate_hz, num_samples, count = _reader(path).describe(path)
    if not _LOWEST_RATE_HZ <= rate_hz <= _HIGHEST_RATE_HZ:
        raise BadRecording(f'{path}: {rate_hz:g} samples per second; expected 1 kHz or more')
    if not 1 <= count <= _MOST_CHANNELS:
        raise BadRecording(f'{path}: {count} channels; expected 1 - {_MOST_CHANNELS}')
    if num_samples < 1:
        raise BadRecording(f'{path}: has no samples')
    shorter = _shorter_than_announced(path, num_samples / rate_hz)
    if shorter:
        progress_bars.warn(path, shorter)
    try:
        chosen = parse_channels(channels, count)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return Recording(path, rate_hz, num_samples, count, chosen)


def parse_channels(text: str | None, count: int) -> tuple[int, ...]:
    """Parses a channel selection; returns channels from 0, in the requested order.

    Args:
        text: comma-separated channels and ranges, from 1: 1-8,12,11 selects ten in this order; -3
            and -3-5 drop channels, from all of them if nothing is selected. None for all.
        count: number of channels available.

    Raises:
        ValueError: a channel does not exist or occurs twice, or none is left.
    """
    if text is None or not text.strip():
        return tuple(range(count))
    picked: list[int] = []
    dropped: set[int] = set()
    for part in text.replace(' ', '').split(','):
        match = re.fullmatch(r'(-?)(\d{1,5})(?:-(\d{1,5}))?', part)
        if match is None:
            raise ValueError(
                f'--channels={text}: {part!r} is not a channel; expected 1-8,12 or, to drop, -5'
            )
        first = int(match[2])
        last = int(match[3] or first)
        step = 1 if last >= first else -1
        numbers = list(range(first, last + step, step))
        if min(numbers) < 1 or max(numbers) > count:
            raise ValueError(f'--channels={text}: {part}, but the channels are 1 - {count}')
        if match[1]:
            dropped.update(number - 1 for number in numbers)
        else:
            picked += [number - 1 for number in numbers]
    if len(set(picked)) < len(picked):
        raise ValueError(f'--channels={text}: a channel occurs twice')
    chosen = tuple(one for one in picked or range(count) if one not in dropped)
    if not chosen:
        raise ValueError(f'--channels={text}: none of {count} is left')
    return chosen


def match_array(recording: Recording, array: MicArray) -> MicArray:
    """The array layout for a recording's channels, in order.

    If there are as many channels as microphones, they correspond in order. If channels of a file
    with one channel per microphone were dropped, so are their microphones.

    Raises:
        ValueError: channels and layout do not fit.
    """
    if recording.num_channels == array.num_mics:
        return array
    if recording.file_channels == array.num_mics:
        return MicArray(array.name, array.positions_m[list(recording.channels)])
    chosen = (
        ''
        if recording.num_channels == recording.file_channels
        else f' of {recording.file_channels}'
    )
    hint = (
        f'; --channels=1-{array.num_mics} selects the first ones'
        if recording.num_channels > array.num_mics
        else ''
    )
    raise ValueError(
        f'{recording.path}: {recording.num_channels} channels{chosen}, but the array '
        f'"{array.name}" has {array.num_mics} microphones{hint}'
    )


@contextlib.contextmanager
def unpacked(recording: Recording, folder: AnyPath) -> Iterator[Recording]:
    """A recording with random access.

    The compressed sound of video files is decoded to a W64 file in a folder, and removed
    afterwards; other files are used directly.
    """
    if not isinstance(_reader(recording.path), _Media):
        yield recording
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix='.sound-', suffix='.w64') as file:
        count = recording.num_channels
        rate_hz = round(recording.rate_hz)
        with soundfile.SoundFile(file.name, 'w', rate_hz, count, 'FLOAT', format='W64') as sound:
            for block in recording.blocks():
                sound.write(block)
        yield open_recording(file.name)


class _SoundFiles:
    """libsndfile."""

    @staticmethod
    def describe(path):
        with _sound_file(path) as file:
            return float(file.samplerate), file.frames, file.channels

    def __call__(self, recording, first, last, block_samples):
        with _sound_file(recording.path) as file:
            file.seek(min(first, file.frames))
            while last is None or first < last:
                wanted = block_samples if last is None else min(block_samples, last - first)
                try:
                    block = file.read(wanted, 'float32', always_2d=True)
                except (soundfile.SoundFileError, RuntimeError) as error:
                    raise BadRecording(f'{recording.path}: damaged ({error})') from error
                yield _picked(block, recording)
                first += len(block)
                if len(block) < wanted:
                    return


class _Hdf5:
    """acoular's time data."""

    @staticmethod
    def describe(path):
        with _time_data(path) as data:
            return float(np.ravel(data.attrs['sample_freq'])[0]), *data.shape

    def __call__(self, recording, first, last, block_samples):
        with _time_data(recording.path) as data:
            last = len(data) if last is None else min(last, len(data))
            for start in range(first, last, block_samples):
                try:
                    block = data[start : min(start + block_samples, last)]
                except (OSError, RuntimeError) as error:
                    raise BadRecording(f'{recording.path}: damaged ({error})') from error
                with np.errstate(over='ignore'):  # callers report overflow
                    block = block.astype(np.float32, copy=False)
                yield _picked(block, recording)


class _Media:
    """The first audio stream of a file that PyAV reads."""

    @staticmethod
    def describe(path):
        with _sound_stream(path) as (container, stream):
            rate_hz = stream.codec_context.sample_rate
            if stream.duration is not None:
                duration_s = float(stream.duration * stream.time_base)
            else:
                duration_s = (container.duration or 0) / 1e6
            return float(rate_hz), round(duration_s * rate_hz), stream.codec_context.channels

    def __call__(self, recording, first, last, block_samples):
        import av  # imported here: few callers need its libraries

        held: list[np.ndarray] = []
        position = count = 0
        with _sound_stream(recording.path) as (container, stream):
            try:
                for frame in container.decode(stream):
                    samples = _frame_samples(frame)
                    skipped = max(0, first - position)
                    position += len(samples)
                    stop = len(samples) if last is None else len(samples) - max(0, position - last)
                    if skipped < stop:
                        held.append(_picked(samples[skipped:stop], recording))
                        count += len(held[-1])
                    if count >= block_samples:
                        joined = np.concatenate(held)
                        whole = count // block_samples * block_samples
                        for start in range(0, whole, block_samples):
                            yield joined[start : start + block_samples]
                        held, count = [joined[whole:]], count - whole
                    if last is not None and position >= last:
                        break
            except av.FFmpegError as error:
                raise BadRecording(f'{recording.path}: damaged ({error})') from error
        if count:
            yield np.concatenate(held)


def _reader(path):
    suffix = pathlib.Path(path).suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return _Hdf5()
    return _Media() if suffix in MEDIA_SUFFIXES else _SoundFiles()


def _picked(block, recording):
    if recording.channels == tuple(range(recording.file_channels)):
        return block
    return block[:, list(recording.channels)]


def _shorter_than_announced(path, there_s):
    """The warning for a sound file that contains less than its header announces, or None."""
    if not isinstance(_reader(path), _SoundFiles):
        return None
    unfinished = unfinished_files.unfinished(path)
    if unfinished:
        return unfinished.describe()
    with open(path, 'rb') as file:
        head = file.read(_HEAD_BYTES)
    return announced_lengths.announced(path, head).missing(there_s)


@contextlib.contextmanager
def _sound_file(path):
    with contextlib.ExitStack() as stack:
        try:
            # As bytes: a string with a name that is not UTF-8 would be refused.
            source: Any = os.fsencode(path)
            unfinished = unfinished_files.unfinished(path)
            if unfinished:
                source = stack.enter_context(unfinished_files.Mended(path, unfinished))
            file = stack.enter_context(soundfile.SoundFile(source))
        except (soundfile.SoundFileError, OSError, RuntimeError, TypeError) as error:
            raise BadRecording(
                f'{path}: not a recording ({error}); expected WAV, W64, FLAC, '
                f"acoular's HDF5 ({', '.join(HDF5_SUFFIXES)}) or a video file with sound"
            ) from error
        yield file


@contextlib.contextmanager
def _time_data(path):
    try:
        file = h5py.File(path, 'r')
    except (OSError, RuntimeError) as error:
        raise BadRecording(f'{path}: not an HDF5 file ({error})') from error
    with file:
        data = file.get('time_data')
        good = (
            isinstance(data, h5py.Dataset)
            and data.ndim == 2
            and data.dtype.kind in 'iuf'
            and np.size(data.attrs.get('sample_freq', ())) == 1
        )
        if not good:
            raise BadRecording(
                f'{path}: contains {", ".join(file) or "nothing"}; expected time_data [samples, '
                'channels] of numbers with the attribute sample_freq, as acoular writes it'
            )
        try:
            float(np.ravel(data.attrs['sample_freq'])[0])
        except (TypeError, ValueError) as error:
            raise BadRecording(f'{path}: sample_freq is not a number ({error})') from error
        yield data


@contextlib.contextmanager
def _sound_stream(path):
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadRecording(f'{path}: not a file that PyAV reads ({error})') from error
    with container:
        if not container.streams.audio:
            raise BadRecording(f'{path}: has no audio track')
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise BadRecording(f'{path}: no decoder for its audio; convert it first')
        yield container, stream


def _frame_samples(frame):
    """[samples, channels] float32 of a decoded frame; integers scaled to full scale 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind == 'f':
        return values.T.astype(np.float32)
    if values.dtype == np.uint8:
        return (values.T.astype(np.float32) - 128.0) / 128.0
    return values.T.astype(np.float32) / -float(np.iinfo(values.dtype).min)
