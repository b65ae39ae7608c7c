"""Sources of live sound: a sound device, or a recording replayed in real time.

A source runs in its own thread and passes blocks on as they arrive. Blocks that are not fetched in
time are dropped, the oldest first, and counted, so memory stays constant for hours.
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
_WAIT_S = 1.0  # between attempts to find a disconnected device
_STILL_S = 2.0  # without a block, a device counts as disconnected


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """A block of sound.

    Attributes:
        samples: [samples, channels] float32.
        position: number of its first sample since the source began, dropped samples included.
        heard_at: `time.time()` of its last sample.
    """

    samples: np.ndarray
    position: int
    heard_at: float


class BlockQueue:
    """A queue of blocks between two threads.

    Args:
        most_s: longest sound that may wait.

    Attributes:
        dropped: number of blocks that were not fetched in time.
    """

    def __init__(self, most_s: float = 0.5) -> None:
        self._blocks: collections.deque[Block] = collections.deque()
        self._most = max(1, round(most_s / BLOCK_S))
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, block: Block) -> None:
        """Adds a block; drops the oldest ones if there is no room."""
        with self._changed:
            if len(self._blocks) >= self._most:
                self._blocks.popleft()
                self.dropped += 1
            self._blocks.append(block)
            self._changed.notify()

    @property
    def waiting_s(self) -> float:
        """Approximate length of the waiting sound, seconds."""
        return len(self._blocks) * BLOCK_S

    def take(self, timeout_s: float) -> Block | None:
        """Removes and returns the oldest block; None on timeout."""
        with self._changed:
            if not self._blocks:
                self._changed.wait(timeout_s)
            return self._blocks.popleft() if self._blocks else None


class Tee:
    """Several queues that each get every block; `lost` counts blocks lost by the device."""

    def __init__(self, *queues: BlockQueue) -> None:
        self._queues = queues
        self.lost = 0

    def put(self, block: Block) -> None:
        """Adds a block to every queue."""
        for queue in self._queues:
            queue.put(block)


class Replay:
    """A recording replayed as if it came from a device, repeatedly by default.

    Attributes:
        name: shown on the page.
        rate_hz, num_channels: of the sound.
        state: a message for the page, empty if all is well.

    Args:
        recording: the recording.
        pace: times real time.
        loop: whether to start over at the end.
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
        """Emits blocks until the recording ends or `stop` is called."""
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
    """A sound device with any number of channels, through python-sounddevice.

    Attributes:
        name, rate_hz, num_channels, state: as for `Replay`.

    Args:
        wanted: the device's number or part of its name; None for the default device.
        channels: see `recordings.parse_channels`; None for all.
        rate_hz: None for the device's own.

    Raises:
        ValueError: python-sounddevice is missing, or there is no such device.
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
        """Emits blocks until stopped; waits for a device that was unplugged to return."""
        self._position = 0
        while not stopped.is_set():
            try:
                self._record(queue, stopped)
            except (self._sound.PortAudioError, ValueError, OSError) as error:
                self.state = f'{self.name} is disconnected ({error}); waiting for it'
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
            raise ValueError('not found')
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
                    raise ValueError('no more sound')

    def _find(self):
        try:
            found = self._sound.query_devices(self._wanted, 'input')
        except (self._sound.PortAudioError, ValueError):
            return None
        return found if found['max_input_channels'] else None

    def _look_again(self):
        # PortAudio lists devices only when it starts.
        self._sound._terminate()
        self._sound._initialize()


Source = Replay | Device
OpenSource = Callable[[], Source]


def _sounddevice():
    return microphone.load_sounddevice('a sound device', 'live', '; or --replay=FILE')
