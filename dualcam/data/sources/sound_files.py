"""Sound files to mono sound at 22,050 Hz or another rate: blocks, windows, whole files.

Any rate, channels and bit depth; hours fit in little memory. What is not sound is a `BadSound`
that names the file.
"""

import numpy as np
import soundfile
import soxr

from dualcam.data import schema
from dualcam.data.records import framing, protobufs
from dualcam.data.signal import windowing
from dualcam.data.sources import sound_folders

_BLOCK_S = 10.0
_LOUDEST = 1e30  # full scale is 1; sums of larger numbers would not be finite
_LOWEST_RATE_HZ = 1000  # what announces less is damaged, and would grow beyond all bounds


class BadSound(ValueError):
    """A file that holds no sound, or cannot be read; the message names it."""


def read_blocks(path, rate_hz=schema.SOUND_RATE_HZ):
    """Mono sound of a file, block by block.

    Channels are averaged; another rate is converted (soxr, high quality).

    Args:
        path: a sound file, or a record of one.
        rate_hz: of what comes out.

    Yields:
        [samples] float32, about ten seconds each.

    Raises:
        BadSound: the file cannot be read, has a rate below 1 kHz, no samples, some that are not
            finite, or all of them equal, which shows at its end.
    """
    if str(path).endswith(schema.RECORD_SUFFIX):
        blocks = _record_blocks(path)
        own_rate_hz = schema.SOUND_RATE_HZ
    else:
        own_rate_hz, blocks = _file_blocks(path)
    resampler = None
    if own_rate_hz != rate_hz:
        resampler = soxr.ResampleStream(own_rate_hz, rate_hz, 1, 'float32', 'HQ')
    low, high, count = np.inf, -np.inf, 0
    for block in filter(len, blocks):
        if not np.abs(block).max() < _LOUDEST:
            raise BadSound(
                f'{path}: has samples that are not finite, or beyond {_LOUDEST:g}; '
                'repair or remove it'
            )
        low, high = min(low, block.min()), max(high, block.max())
        block = resampler.resample_chunk(block) if resampler else block
        count += len(block)
        yield block
    if low == np.inf:
        raise BadSound(f'{path}: has no samples; remove it')
    if low == high:
        raise BadSound(f'{path}: is silent; repair or remove it')
    if resampler:
        block = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if not count + len(block):
            raise BadSound(f'{path}: is shorter than a sample at {rate_hz} Hz; remove it')
        yield block


def read_sound(path, rate_hz=schema.SOUND_RATE_HZ):
    """All of a file, [samples] float32; see `read_blocks`."""
    return np.concatenate(list(read_blocks(path, rate_hz)))


def check_bad(messages, max_bad):
    """Raises a `ValueError` where there are more messages about bad files than allowed."""
    if len(messages) > max_bad:
        more = f' and {len(messages) - 3} more' if len(messages) > 3 else ''
        raise ValueError(
            f'{len(messages)} bad files: {"; ".join(messages[:3])}{more}. To leave '
            f'them out: --max_bad={len(messages)}'
        )


def read_windows(path, clip_samples, hop_samples, rate_hz=schema.SOUND_RATE_HZ):
    """Windows of a file as `windows.starts` has them, without holding all of it.

    Yields:
        (first sample, [clip_samples] float32), zeros after the end of a short file.

    Raises:
        BadSound: as `read_blocks`.
    """
    if not 1 <= hop_samples <= clip_samples:
        raise ValueError(
            f"a hop of {hop_samples} samples: expected 1 to a window's, {clip_samples}"
        )
    held, first, following = np.zeros(0, np.float32), 0, 0
    for block in read_blocks(path, rate_hz):
        held = np.concatenate([held, block])
        # One window is always held back: it is the last one if nothing follows.
        while first + len(held) > following + clip_samples:
            yield following, held[following - first : following - first + clip_samples]
            following += hop_samples
            spare = max(0, min(following, first + len(held) - clip_samples) - first)
            held, first = held[spare:], first + spare
    num_samples = first + len(held)
    if num_samples <= clip_samples:
        yield 0, np.pad(held, (0, clip_samples - len(held)))
        return
    last = windowing.starts(num_samples, clip_samples, hop_samples)[-1]
    if last > following - hop_samples:  # not handed on yet
        yield int(last), held[last - first : last - first + clip_samples]


def heard(window):
    """Whether there is anything to be heard; a constant is silence."""
    return bool(np.ptp(window) > 0)


def read_heard_windows(path, clip_samples, hop_samples, rate_hz=schema.SOUND_RATE_HZ):
    """`read_windows` without those in which nothing is to be heard.

    Raises:
        BadSound: as `read_windows`, or at the end, where none was left.
    """
    silent = True
    for start, window in read_windows(path, clip_samples, hop_samples, rate_hz):
        if heard(window):
            silent = False
            yield start, window
    if silent:
        raise BadSound(f'{path}: nothing is to be heard in any window; repair or remove it')


def _file_blocks(path):
    """Rate and blocks [samples] float32 of a sound file."""
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if file.samplerate < _LOWEST_RATE_HZ:
        file.close()
        raise BadSound(
            f'{path}: {file.samplerate} samples a second; expected {_LOWEST_RATE_HZ} '
            'or more; repair or remove it'
        )

    def blocks():
        with file:
            while True:
                try:
                    block = file.read(int(_BLOCK_S * file.samplerate), 'float32', always_2d=True)
                except (soundfile.SoundFileError, OSError, RuntimeError) as error:
                    raise _unreadable(path, error) from error
                if not len(block):
                    return
                with np.errstate(all='ignore'):  # who takes the block looks at its numbers
                    block = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
                yield block

    return file.samplerate, blocks()


def _record_blocks(path):
    try:
        for serialized in framing.read_stream(path):
            feature = protobufs.parse_example(serialized).context.feature
            yield np.frombuffer(feature[schema.SOUND_DATA].bytes_list.value[0], '<f4')
    except (OSError, IndexError, ValueError) as error:
        raise BadSound(
            f'{path}: not a whole record of a sound '
            f'({str(error).splitlines()[0]}); convert it again'
        ) from error


def _unreadable(path, error):
    return BadSound(
        f'{path}: not a readable sound file ({error}); expected {", ".join(sound_folders.SUFFIXES)}'
    )
