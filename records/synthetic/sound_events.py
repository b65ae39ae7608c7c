"""Elementary sounds of actions, all at 12,288 Hz: modes, bursts, glides, and placement."""

from collections.abc import Iterable, Sequence

import numpy as np
import scipy.signal

from dualcam.data import schema

RATE_HZ = schema.ARRAY_RATE_HZ


def seconds(duration_s: float) -> np.ndarray:
    """Time of each sample."""
    return np.arange(max(1, round(duration_s * RATE_HZ))) / RATE_HZ


def decay(duration_s: float, tau_s: float) -> np.ndarray:
    """An exponential that starts within a quarter of a millisecond."""
    time = seconds(duration_s)
    return np.exp(-time / tau_s) * np.minimum(1.0, time / 0.00025)


def modes(
    frequencies_hz: Iterable[float],
    taus_s: Iterable[float],
    gains: Iterable[float],
    duration_s: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A struck body: decaying sines of random phase, without those above 6 kHz."""
    time = seconds(duration_s)
    sound = np.zeros_like(time)
    for hz, tau_s, gain in zip(frequencies_hz, taus_s, gains, strict=True):
        if hz < RATE_HZ / 2 * 0.97:
            sound += (
                gain
                * np.sin(2 * np.pi * hz * time + rng.uniform(0, 2 * np.pi))
                * np.exp(-time / tau_s)
            )
    return sound * np.minimum(1.0, time / 0.00025)


def band_noise(
    low_hz: float, high_hz: float, num_samples: int, rng: np.random.Generator, order: int = 2
) -> np.ndarray:
    """White noise through a Butterworth band pass, RMS 1."""
    high_hz = min(high_hz, RATE_HZ / 2 * 0.98)
    sections = scipy.signal.butter(order, [low_hz, high_hz], 'bandpass', fs=RATE_HZ, output='sos')
    noise = scipy.signal.sosfilt(sections, rng.standard_normal(num_samples + 256))[256:]
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def burst(low_hz: float, high_hz: float, tau_s: float, rng: np.random.Generator) -> np.ndarray:
    """A decaying burst of noise."""
    envelope = decay(6 * tau_s, tau_s)
    return band_noise(low_hz, high_hz, len(envelope), rng) * envelope


def place(
    sound: np.ndarray | list[np.ndarray],
    starts_s: Iterable[float],
    num_samples: int,
    gains: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """A sum of `sound` (one array, or one for each start) at the given times."""
    result = np.zeros(num_samples)
    for i, start_s in enumerate(starts_s):
        event = sound[i] if isinstance(sound, list) else sound
        start = round(start_s * RATE_HZ)
        if 0 <= start < num_samples:
            count = min(len(event), num_samples - start)
            result[start : start + count] += (1.0 if gains is None else gains[i]) * event[:count]
    return result


def regular_times(
    rate_hz: float, jitter: float, duration_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Times about 1 / rate_hz apart; `jitter` is the relative deviation."""
    gaps = np.maximum(0.15, 1 + jitter * rng.standard_normal(int(duration_s * rate_hz * 2) + 4))
    times = rng.uniform(0, 1 / rate_hz) + np.cumsum(gaps / rate_hz) - gaps[0] / rate_hz
    return times[times < duration_s]


def poisson_impulses(
    rate_hz: float | np.ndarray, num_samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Impulses of heavy-tailed strength, `rate_hz` per second on average (may vary by sample)."""
    hits = rng.random(num_samples) < np.broadcast_to(rate_hz, num_samples) / RATE_HZ
    return hits * rng.standard_normal(num_samples) * rng.exponential(1.0, num_samples)


def resonate(
    signal: np.ndarray, frequencies_hz: Iterable[float], bandwidths_hz: Iterable[float]
) -> np.ndarray:
    """The signal through parallel two-pole resonances, each of peak gain 1."""
    result = np.zeros_like(signal)
    for hz, bandwidth_hz in zip(frequencies_hz, bandwidths_hz, strict=True):
        if hz < RATE_HZ / 2 * 0.95:
            b, a = scipy.signal.iirpeak(hz, hz / bandwidth_hz, fs=RATE_HZ)
            result += scipy.signal.lfilter(b, a, signal)
    return result


def smooth_noise(rate_hz: float, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random curve, standard deviation about 1, that turns `rate_hz` times per second."""
    points = max(4, int(num_samples / RATE_HZ * rate_hz * 2) + 4)
    curve = np.interp(
        np.linspace(0, points - 1, num_samples), np.arange(points), rng.standard_normal(points)
    )
    return curve
