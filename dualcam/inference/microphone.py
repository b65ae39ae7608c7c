"""Windows of sound from the default microphone; needs the package sounddevice."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def windows(
    duration_s: float, clip_samples: int, rate_hz: int
) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Yields consecutive windows while recording.

    Args:
        duration_s: how long to record; at least one window is recorded.
        clip_samples: of a window.
        rate_hz: sample rate to record at.

    Yields:
        (start in seconds of the recording, [clip_samples] float32 mono, whether sound
        before it was lost because the computer was too slow).

    Raises:
        ValueError: sounddevice is missing, or there is no microphone.
    """
    if not duration_s > 0:
        raise ValueError(f'{duration_s} s of recording: expected more than 0')
    sounddevice = load_sounddevice('recording', 'microphone')
    count = max(1, round(duration_s * rate_hz / clip_samples))
    try:
        # Room for a window while the one before is being classified.
        with sounddevice.InputStream(
            rate_hz, channels=1, dtype='float32', latency=clip_samples / rate_hz
        ) as stream:
            for number in range(count):
                block, lost = stream.read(clip_samples)
                yield (number * clip_samples / rate_hz, np.asarray(block)[:, 0], bool(lost))
    except sounddevice.PortAudioError as error:
        raise ValueError(f'no microphone can be read at {rate_hz} Hz: {error}') from error


def load_sounddevice(purpose: str, extra: str, instead: str = '') -> Any:
    """The package sounddevice.

    Args:
        purpose: what needs it, for the message.
        extra: of dualcam that installs it.
        instead: what can be done without it.

    Raises:
        ValueError: the package or its PortAudio library is not installed.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: no PortAudio library
        raise ValueError(
            f'{purpose} needs the package sounddevice and PortAudio ({error}): pip install '
            f'"dualcam[{extra}]", apt-get install libportaudio2{instead}'
        ) from error
    return sounddevice
