"""Where live sound comes from: a sound device, or a recording at the pace at which it was made.

A source runs in a thread of its own and hands blocks on as they come. What is not taken in time is
dropped, the oldest first, and counted: memory stays as it is for hours.
"""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from dualcam.acoustics import recordings
from dualcam.inference import microphone

BLOCK_S = 0.01
_WAIT_S = 1.0  # until a device that is gone is looked for again
_STILL_S = 2.0  # without a block, a device is gone


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Some sound.

    Attributes:
        samples: [samples, channels] float32.
        position: number of its first sample since the source began, those dropped included.
        heard_at: `time.time()` of its last sample.
    """

    samples: np.ndarray
    position: int
    heard_at: float


class BlockQueue:
    """Blocks on their way from one thread to another.

    Args:
        most_s: of sound that may wait.

    Attributes:
        dropped: blocks that were not taken in time.
    """

    def __init__(self, most_s: float = 0.5) -> None:
        self._blocks: collections.deque[Block] = collections.deque()
        self._most = max(1, round(most_s / BLOCK_S))
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, block: Block) -> None:
        """Adds a block; the oldest goes where there is no room."""
        with self._changed:
            if len(self._blocks) >= self._most:
                self._blocks.popleft()
                self.dropped += 1
            self._blocks.append(block)
            self._changed.notify()

    @property
    def waiting_s(self) -> float:
        """How much sound waits, about."""
        return len(self._blocks) * BLOCK_S

    def take(self, timeout_s: float) -> Block | None:
        """The oldest block; None if none comes in time."""
        with self._changed:
            if not self._blocks:
                self._changed.wait(timeout_s)
            return self._blocks.popleft() if self._blocks else None


class Tee:
    """Several queues that all get each block; `lost` is what the device lost."""

    def __init__(self, *queues: BlockQueue) -> None:
        self._queues = queues
        self.lost = 0

    def put(self, block: Block) -> None:
        """Adds a block to all."""
        for queue in self._queues:
            queue.put(block)


class Replay:
    """A recording as if it came from a device, again and again.

    Attributes:
        name: for the page.
        rate_hz, num_channels: of the sound.
        state: what there is to say, empty where all is well.

    Args:
        recording: the recording.
        pace: times real time.
        loop: start over at the end.
    """

    def __init__(
        self, recording: recordings.Recording, pace: float = 1.0, loop: bool = True
    ) -> None:
        self.name = recording.path.name
        self.rate_hz, self.num_channels = recording.rate_hz, recording.num_channels
        self.duration_s = recording.duration_s
        self.state = ''
        self._recording, self._pace, self._loop = recording, pace, loop

    def run(self, queue: Tee, stopped: threading.Event) -> None:
        """Puts blocks until the recording ends or it is stopped."""
        size = max(1, round(BLOCK_S * self.rate_hz))
        position, began = 0, time.monotonic()
        for samples in self._blocks(size):
            due = began + (position + len(samples)) / (self.rate_hz * self._pace)
            if (wait_s := due - time.monotonic()) > 0:
                stopped.wait(wait_s)
            if stopped.is_set():
                return
            queue.put(Block(samples, position, time.time()))
            position += len(samples)
        self.state = 'the recording has ended'

    def _blocks(self, size) -> Iterator[np.ndarray]:
        while True:
            yield from self._recording.blocks(size)
            if not self._loop:
                return


class Device:
    """A sound device of any number of channels, by python-sounddevice.

    Attributes:
        name, rate_hz, num_channels, state: as those of `Replay`.

    Args:
        wanted: number or part of the name of the device; None for the default one.
        channels: see `recordings.parse_channels`; None for all.
        rate_hz: None for the device's own.

    Raises:
        ValueError: no sounddevice, or no such device.
    """

    def __init__(
        self, wanted: str | None = None, channels: str | None = None, rate_hz: float | None = None
    ) -> None:
        self._sound = _sounddevice()
        self._wanted = int(wanted) if wanted is not None and wanted.isdigit() else wanted
        found = self._find()
        if found is None:
            known = [
                f'{one["index"]}: {one["name"]} ({one["max_input_channels"]} channels)'
                for one in self._sound.query_devices()
                if one['max_input_channels']
            ]
            raise ValueError(
                f'no sound device {wanted if wanted is not None else "to record from"}; there '
                f'are {"; ".join(known) or "none with inputs"}'
            )
        self.name = found['name']
        self._file_channels = int(found['max_input_channels'])
        self._chosen = list(recordings.parse_channels(channels, self._file_channels))
        self.rate_hz = float(rate_hz or found['default_samplerate'])
        self.num_channels = len(self._chosen)
        self.state = ''

    def run(self, queue: Tee, stopped: threading.Event) -> None:
        """Puts blocks until it is stopped; a device that is unplugged is waited for."""
        self._position = 0
        while not stopped.is_set():
            try:
                self._record(queue, stopped)
            except (self._sound.PortAudioError, ValueError, OSError) as error:
                self.state = f'{self.name} is gone ({error}); waiting for it'
            if stopped.wait(_WAIT_S):
                return
            self._look_again()

    def _record(self, queue, stopped):
        came_at = time.monotonic()

        def heard(data, frames, times, status):
            nonlocal came_at
            came_at = time.monotonic()
            queue.lost += bool(status and status.input_overflow)
            samples = np.array(data[:, self._chosen], np.float32)
            queue.put(Block(samples, self._position, time.time()))
            self._position += len(samples)

        found = self._find()
        if found is None:
            raise ValueError('not there')
        with self._sound.InputStream(
            device=found['index'],
            channels=self._file_channels,
            samplerate=self.rate_hz,
            blocksize=max(1, round(BLOCK_S * self.rate_hz)),
            dtype='float32',
            latency='low',
            callback=heard,
        ) as stream:
            self.state = ''
            while not stopped.wait(0.2):
                if not stream.active or time.monotonic() - came_at > _STILL_S:
                    raise ValueError('no more sound comes')

    def _find(self):
        try:
            found = self._sound.query_devices(self._wanted, 'input')
        except (self._sound.PortAudioError, ValueError):
            return None
        return found if found['max_input_channels'] else None

    def _look_again(self):
        # PortAudio makes its list of devices when it starts.
        self._sound._terminate()
        self._sound._initialize()


Source = Replay | Device
OpenSource = Callable[[], Source]


def _sounddevice():
    return microphone.load_sounddevice('a sound device', 'live', '; or --replay=FILE')
