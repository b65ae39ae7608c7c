"""Reads sound files as mono sound at 22,050 Hz or another rate: blocks, windows, whole files.

Any format, rate, channels and bit depth; hours need little memory. A file that is not audio raises
a `BadSound` that names it.

Silence is judged on the original recording, before resampling: the resampling filter rings before
and after each sound, and would make silence look like sound.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import soxr

from dualcam.data import schema
from dualcam.data.records import framing, protobufs
from dualcam.data.signal import windowing
from dualcam.data.sources import sound_decoders
from dualcam.files.path_types import AnyPath

BadSound = sound_decoders.BadSound  # raised by the readers here
_CANCELLED = 1e-4  # of a channel's range: the remainder when channels cancel each other
_LOUDEST = 1e30  # full scale is 1; sums of larger numbers may overflow


def read_blocks(path: AnyPath, rate_hz: int = schema.SOUND_RATE_HZ) -> Iterator[np.ndarray]:
    """Yields a file's mono sound, block by block.

    Channels are averaged; other rates are resampled (soxr, high quality).

    Args:
        path: a sound file, a video with sound, or a record of a sound.
        rate_hz: of the output.

    Yields:
        [samples] float32, about ten seconds each.

    Raises:
        BadSound: the file is unreadable, has a rate below 1 kHz, no samples, some that are not
            finite, or, raised at the end, only equal ones.
    """
    for _, _, block in _blocks(path, rate_hz):
        yield block


def _blocks(path, rate_hz):
    """Yields (the file's rate, mono block at that rate, the same part at `rate_hz`).

    Samples that the resampler holds back come with a later block, or an empty one at the end.
    """
    if str(path).endswith(schema.RECORD_SUFFIX):
        blocks = _record_blocks(path)
        own_rate_hz = schema.SOUND_RATE_HZ
    else:
        own_rate_hz, blocks = sound_decoders.open_blocks(path)
    resampler = None
    if own_rate_hz != rate_hz:
        resampler = soxr.ResampleStream(own_rate_hz, rate_hz, 1, 'float32', 'HQ')
    low, high, count, widest = np.inf, -np.inf, 0, 0.0
    for block in filter(len, blocks):
        if not np.abs(block).max() < _LOUDEST:
            raise sound_decoders.bad(
                path, f'has samples that are not finite, or beyond {_LOUDEST:g}'
            )
        own = block.mean(axis=1) if block.ndim > 1 and block.shape[1] > 1 else block.reshape(-1)
        low, high = min(low, own.min()), max(high, own.max())
        widest = max(widest, np.ptp(block, axis=0).max())
        block = resampler.resample_chunk(own) if resampler else own
        count += len(block)
        yield own_rate_hz, own, block
    if low == np.inf:
        raise sound_decoders.bad(path, 'has no samples')
    if high - low < _CANCELLED * widest:
        raise sound_decoders.bad(path, 'its channels cancel each other when averaged')
    if low == high:
        raise sound_decoders.bad(path, 'is silent throughout')
    if resampler:
        block = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if not count + len(block):
            raise sound_decoders.bad(path, f'is shorter than a sample at {rate_hz} Hz')
        yield own_rate_hz, np.zeros(0, np.float32), block


def read_sound(path: AnyPath, rate_hz: int = schema.SOUND_RATE_HZ) -> np.ndarray:
    """All of a file, [samples] float32; see `read_blocks`."""
    return np.concatenate(list(read_blocks(path, rate_hz)))


def check_bad(messages: Sequence[str], max_bad: int) -> None:
    """Raises a `ValueError` if there are more messages about bad files than allowed."""
    if len(messages) > max_bad:
        more = f' and {len(messages) - 3} more' if len(messages) > 3 else ''
        files, them = ('file', 'it') if len(messages) == 1 else ('files', 'them')
        raise ValueError(
            f'{len(messages)} bad {files}: {"; ".join(messages[:3])}{more}. To leave '
            f'{them} out: --max_bad={len(messages)}'
        )


def read_windows(
    path: AnyPath, clip_samples: int, hop_samples: int, rate_hz: int = schema.SOUND_RATE_HZ
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the windows of `windowing.starts` without holding the whole file in memory.

    Yields:
        (first sample, [clip_samples] float32), zeros after the end of a short file.

    Raises:
        BadSound: as `read_blocks`.
    """
    for start, window, _ in _windows(path, clip_samples, hop_samples, rate_hz):
        yield start, np.pad(window, (0, clip_samples - len(window)))


def _windows(path, clip_samples, hop_samples, rate_hz):
    """Yields (first sample, available part of the window, whether it is not silent)."""
    if not 1 <= hop_samples <= clip_samples:
        raise ValueError(
            f"a hop of {hop_samples} samples: expected 1 to a window's, {clip_samples}"
        )
    held, first, following = np.zeros(0, np.float32), 0, 0
    own, own_first, own_rate_hz = np.zeros(0, np.float32), 0, rate_hz

    def window(start, count):
        part = held[start - first : start - first + count]
        begin = start * own_rate_hz // rate_hz - own_first
        end = -(-(start + count) * own_rate_hz // rate_hz) - own_first
        return int(start), part, heard(own[begin:end])

    for own_rate_hz, own_block, block in _blocks(path, rate_hz):
        held, own = _joined(held, block), _joined(own, own_block)
        # One window is always held back: if nothing follows, it is the last one.
        while first + len(held) > following + clip_samples:
            yield window(following, clip_samples)
            following += hop_samples
            spare = max(0, min(following, first + len(held) - clip_samples) - first)
            held, first = held[spare:], first + spare
            spare = max(0, first * own_rate_hz // rate_hz - own_first)
            own, own_first = own[spare:], own_first + spare
    num_samples = first + len(held)
    if num_samples <= clip_samples:
        yield window(0, num_samples)
        return
    last = windowing.starts(num_samples, clip_samples, hop_samples)[-1]
    if last > following - hop_samples:  # not yielded yet
        yield window(last, clip_samples)


def _joined(before, after):
    """Both in a row; not copied if one is empty, as in files of one block."""
    if not len(before):
        return after
    return np.concatenate([before, after]) if len(after) else before


def heard(window: np.ndarray) -> bool:
    """Whether a signal is not silent; a constant is silence."""
    return len(window) > 0 and bool(np.ptp(window) > 0)


def read_heard_windows(
    path: AnyPath, clip_samples: int, hop_samples: int, rate_hz: int = schema.SOUND_RATE_HZ
) -> Iterator[tuple[int, np.ndarray]]:
    """`read_windows` without silent windows.

    For a file shorter than a window, a constant offset is removed before padding with zeros, as its
    end would otherwise be a step; networks' front ends remove that of whole windows.

    Raises:
        BadSound: as `read_windows`, or at the end if all windows were silent.
    """
    silent = True
    for start, part, is_heard in _windows(path, clip_samples, hop_samples, rate_hz):
        if is_heard:
            silent = False
            if len(part) < clip_samples:
                part = np.pad(_without_offset(part), (0, clip_samples - len(part)))
            yield start, part
    if silent:
        raise sound_decoders.bad(path, 'all its windows are silent')


def _without_offset(signal):
    """`frontends.without_offset` for one signal [samples]."""
    centred = signal - signal.mean(dtype=np.float64)
    is_offset = np.square(signal.mean()) > schema.SMALL_OFFSET**2 * np.mean(np.square(centred))
    return centred.astype(np.float32) if is_offset else signal


def _record_blocks(path):
    try:
        for serialized in framing.read_stream(path):
            feature = protobufs.parse_example(serialized).context.feature
            yield np.frombuffer(feature[schema.SOUND_DATA].bytes_list.value[0], '<f4')
    except (OSError, IndexError, ValueError) as error:
        raise sound_decoders.bad(
            path, f'not a whole record of a sound ({str(error).splitlines()[0]}); convert it again'
        ) from error
