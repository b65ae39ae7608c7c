"""Simulated array recordings: sources at known positions."""

import numpy as np

from dualcam.acoustics import geometry_files, views

RATE_HZ = 48_000
SPEED_OF_SOUND = 343.0


def noise(num_samples, rng, rate_hz=RATE_HZ, band_hz=(500, 6000)):
    """Noise of a band, mean square 1."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hz = np.fft.rfftfreq(num_samples, 1 / rate_hz)
    spectrum[(hz < band_hz[0]) | (hz > band_hz[1])] = 0
    signal = np.fft.irfft(spectrum, num_samples)
    return signal / np.sqrt(np.mean(np.square(signal)))


def heard(signal, positions_m, place_deg, distance_m=1.5, rate_hz=RATE_HZ):
    """[samples, mics] of a source at (azimuth, elevation), as loud as at the array's centre.

    Delays are applied in the frequency domain, exact for a periodic signal.
    """
    source_m = distance_m * views.direction(*place_deg)
    delays_s = (np.linalg.norm(source_m - positions_m, axis=1) - distance_m) / SPEED_OF_SOUND
    hz = np.fft.rfftfreq(len(signal), 1 / rate_hz)
    turned = np.fft.rfft(signal)[:, None] * np.exp(-2j * np.pi * hz[:, None] * delays_s)
    return np.fft.irfft(turned, len(signal), axis=0)


def heard_moving(signal, positions_m, azimuths_deg, distance_m=1.5, rate_hz=RATE_HZ):
    """[samples, mics] of a moving source on the horizon, given an azimuth per sample."""
    slopes = np.tan(np.deg2rad(azimuths_deg))
    directions = np.stack([slopes, np.zeros_like(slopes), np.ones_like(slopes)], axis=1)
    sources_m = distance_m * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    time_s = np.arange(len(signal)) / rate_hz
    channels = []
    for position in positions_m:
        delay_s = (np.linalg.norm(sources_m - position, axis=1) - distance_m) / SPEED_OF_SOUND
        channels.append(np.interp(time_s - delay_s, time_s, signal))
    return np.stack(channels, axis=1)


def uma16_take(places_deg, seconds, rng, rate_hz=RATE_HZ, noise_rms=0.01, rms=0.1):
    """[samples, 16] float32 of independent noise sources in front of a UMA-16."""
    positions_m = geometry_files.uma16().positions_m
    size = round(seconds * rate_hz)
    sound = noise_rms * rng.standard_normal((size, 16))
    for place in places_deg:
        sound += heard(rms * noise(size, rng, rate_hz), positions_m, place, rate_hz=rate_hz)
    return sound.astype(np.float32)
