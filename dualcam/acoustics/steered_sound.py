"""Sound beamformed towards a direction, as a single signal.

Every microphone is delayed so that waves from the direction line up, and all are averaged. Delays
of fractional samples use windowed sinc filters, exact to -70 dB up to 0.85 of half the sample rate.
Sound from elsewhere, and microphone noise, is attenuated by up to the array's gain.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import scipy.fft

from dualcam.acoustics import microphones

_HALF_TAPS = 32
_KAISER_BETA = 8.0
_STEP_S = 0.05  # between positions of a moving source


class Steerer:
    """Beamforms blocks of a recording towards a fixed or moving direction.

    Args:
        array: the microphones.
        rate_hz: of the sound.
        direction_at: maps time in the recording, seconds, to a unit vector [3].
        focus_m: distance of the source; None for plane waves.
    """

    def __init__(
        self,
        array: microphones.MicArray,
        rate_hz: float,
        direction_at: Callable[[float], np.ndarray],
        focus_m: float | None = None,
    ) -> None:
        self._array, self._rate_hz, self._focus_m = array, rate_hz, focus_m
        self._direction_at = direction_at
        reach_s = np.linalg.norm(array.positions_m, axis=1).max() / microphones.SPEED_OF_SOUND
        self.margin = int(np.ceil(reach_s * rate_hz)) + _HALF_TAPS
        self._hop = max(256, round(_STEP_S * rate_hz))
        self._size = scipy.fft.next_fast_len(2 * self._hop + 4 * self.margin, real=True)
        # Pieces cross-fade: their half-overlapping windows add up to one.
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self._hop) + 0.5) / self._hop)
        self._window = np.concatenate([ramp, ramp[::-1]])
        self._last: tuple[bytes, np.ndarray] = (b'', np.zeros(0))

    def steer(self, sound: np.ndarray, first: int = 0) -> np.ndarray:
        """The beamformed part of a recording.

        Args:
            sound: [margin + samples + margin, mics], including the sound before and after; zeros
                beyond the recording.
            first: number of the first sample after the margin.

        Returns:
            [samples] float32.
        """
        hop, count = self._hop, len(sound) - 2 * self.margin
        made = np.zeros(max(count, 0))
        # Pieces lie on a fixed grid of the recording, so the result does not depend on block sizes.
        for start in range(first // hop * hop - hop, first + count, hop):
            low = start - first  # of the piece, relative to the first output sample
            piece = np.zeros((2 * (hop + self.margin), self._array.num_mics), np.float32)
            there = slice(max(low, 0), min(low + len(piece), len(sound)))
            piece[there.start - low : there.stop - low] = sound[there]
            summed = self._window * self._aligned(piece, (start + hop) / self._rate_hz)
            into = slice(max(low, 0), min(low + 2 * hop, count))
            if into.start < into.stop:
                made[into] += summed[into.start - low : into.stop - low]
        return made.astype(np.float32)

    def stream(self, blocks: Iterable[np.ndarray], first: int = 0) -> Iterator[np.ndarray]:
        """Beamforms consecutive blocks [samples, mics]; yields as many samples as it gets."""
        margin = self.margin
        held = np.zeros((margin, self._array.num_mics), np.float32)
        for block in blocks:
            held = np.concatenate([held, block])
            ready = len(held) - 2 * margin
            if ready > 0:
                yield self.steer(held, first)
                held, first = held[ready:], first + ready
        held = np.concatenate([held, np.zeros((margin, held.shape[1]), np.float32)])
        if len(held) > 2 * margin:
            yield self.steer(held, first)

    def _aligned(self, piece, middle_s):
        """[samples] mean of the aligned microphones of a piece with margins."""
        direction = np.asarray(self._direction_at(middle_s), np.float64)
        key = direction.tobytes()
        if key != self._last[0]:
            delays_s = microphones.steering_delays(
                self._array.positions_m, direction, self._focus_m
            )
            filters = _delay_filters(-delays_s * self._rate_hz, self.margin)
            self._last = key, scipy.fft.rfft(filters, self._size, axis=1)
        spectra = scipy.fft.rfft(piece, self._size, axis=0)
        summed = np.einsum('km,mk->k', spectra, self._last[1]) / self._array.num_mics
        whole = scipy.fft.irfft(summed, self._size)
        return whole[2 * self.margin : 2 * self.margin + 2 * self._hop]


def _delay_filters(delays, margin):
    """[filters, 2 margin + 1] that delay by given numbers of samples, plus `margin`."""
    time = np.arange(2 * margin + 1) - margin - np.asarray(delays)[:, None]
    inside = np.clip(1 - np.square(time / _HALF_TAPS), 0, None)
    window = np.where(inside > 0, np.i0(_KAISER_BETA * np.sqrt(inside)), 0) / np.i0(_KAISER_BETA)
    filters = np.sinc(time) * window
    return filters / filters.sum(axis=1, keepdims=True)
