"""Parametric sounds of ACIVW's 10 classes: machines, vehicles and water.

Every video draws its own machine: pitch, speed, mixture of tones and noise, and timing of events.
So two videos of a class differ as two boats do, and classes are close to each other (a vacuum
cleaner with few tones resembles a hair dryer) without being the same. Scaled as in `sources`.
"""

import numpy as np

from dualcam.data import schema
from dualcam.data.sources import datasets
from records.synthetic import sound_events, sources

_RATE_HZ = schema.ARRAY_RATE_HZ


def acivw_source(label: int, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Dry sound of a class.

    Args:
        label: from 0 to 9, in the order of `datasets.ACIVW_CLASSES`.
        duration_s: of the sound.
        rng: a `numpy.random.Generator`; the same state gives the same sound.

    Returns:
        [duration_s * 12,288] float64, pressure at 1 m.

    Raises:
        ValueError: there is no such class.
    """
    if not 0 <= label < len(_SOURCES):
        raise ValueError(
            f'class {label}: expected 0 - {len(_SOURCES) - 1}, '
            f'{datasets.ACIVW_CLASSES[0]} to {datasets.ACIVW_CLASSES[-1]}'
        )
    num_samples = round(duration_s * _RATE_HZ)
    return sources.to_common_level(_SOURCES[label](num_samples, rng), rng)


def _harmonics(pitch_hz, gains, rng):
    """Sum of the harmonics 1, 2, ... of a pitch [samples], without those above 5.9 kHz."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / _RATE_HZ
    sound = np.zeros(len(pitch_hz))
    for number, gain in enumerate(gains, 1):
        if number * pitch_hz.max() < 5900:
            sound += gain * np.sin(number * phase + rng.uniform(0, 2 * np.pi))
    return sound / (np.sqrt(np.sum(np.square(gains)) / 2) + 1e-12)


def _falling(count, power, rng):
    """Randomised harmonic strengths that decrease with their number, for one machine."""
    return np.arange(1, count + 1) ** -power * rng.lognormal(0.0, 0.5, count)


def _train(count, rng):
    duration_s = count / _RATE_HZ
    rumble = sound_events.band_noise(50, 350, count, rng) * (
        1 + 0.3 * sound_events.smooth_noise(2, count, rng)
    )
    rolling = sound_events.band_noise(350, rng.uniform(1800, 3500), count, rng)
    # Two axles of a bogie, then those of the next one, over every joint of the rails.
    period_s = rng.uniform(0.55, 1.1)
    joints = np.arange(rng.uniform(0, period_s), duration_s, period_s)
    times = np.sort((joints[:, None] + period_s * np.array([0, 0.17, 0.42, 0.59])).ravel())
    ring_hz = rng.uniform(500, 900) * np.array([1.0, 2.3, 4.1])
    clack = sound_events.burst(120, 2200, 0.025, rng)
    clack = clack + 0.4 * sound_events.modes(
        ring_hz, [0.04, 0.03, 0.02], [1, 0.7, 0.4], 6 * 0.025, rng
    )
    clatter = sound_events.place(clack, times, count, rng.uniform(0.6, 1.2, len(times)))
    horn = np.zeros(count)
    if rng.random() < 0.5:
        base_hz = rng.uniform(280, 400)
        size = round(rng.uniform(0.6, 1.4) * _RATE_HZ)
        chord = sum(
            _harmonics(np.full(size, base_hz * ratio), _falling(8, 0.8, rng), rng)
            for ratio in (1.0, 1.26, 1.5)
        )
        chord *= np.minimum(1, np.minimum(np.arange(size), np.arange(size)[::-1]) / 500)
        horn = sound_events.place(chord, [rng.uniform(0, max(0.01, duration_s - 1.5))], count)
    return 0.8 * rumble + rng.uniform(0.25, 0.6) * rolling + 2.5 * clatter + 0.7 * horn


def _boat(count, rng):
    duration_s = count / _RATE_HZ
    times = sound_events.regular_times(rng.uniform(6, 13), 0.05, duration_s, rng)
    low_hz = rng.uniform(70, 130)
    putts = [
        sound_events.burst(low_hz * 0.6, low_hz * rng.uniform(4, 7), rng.uniform(0.015, 0.03), rng)
        for _ in times
    ]
    engine = sound_events.place(putts, times, count, rng.uniform(0.8, 1.2, len(times)))
    engine = engine + sound_events.resonate(
        engine, low_hz * np.array([1.0, 2.1, 3.9]), [40, 60, 120]
    )
    water = sound_events.band_noise(300, rng.uniform(1800, 3500), count, rng)
    water *= np.maximum(0.1, 1 + 0.6 * sound_events.smooth_noise(0.9, count, rng))
    return engine / (np.std(engine) + 1e-9) + rng.uniform(0.2, 0.5) * water


def _drone(count, rng):
    blades_hz = rng.uniform(140, 260)
    rotors = []
    for _ in range(4):
        waver = 1 + 0.012 * sound_events.smooth_noise(rng.uniform(1, 3), count, rng)
        rotors.append(
            _harmonics(
                blades_hz * rng.uniform(0.96, 1.04) * waver,
                _falling(18, rng.uniform(0.4, 0.8), rng),
                rng,
            )
        )
    wash = sound_events.band_noise(800, 5800, count, rng)
    return sum(rotors) / 2 + rng.uniform(0.25, 0.6) * wash


def _fountain(count, rng):
    duration_s = count / _RATE_HZ
    spray = sound_events.band_noise(
        rng.uniform(250, 600), rng.uniform(4500, 5900), count, rng, order=1
    )
    times = np.sort(rng.uniform(0, duration_s, rng.poisson(rng.uniform(25, 60) * duration_s)))
    pops = [
        sound_events.modes([rng.uniform(450, 2200)], [rng.uniform(0.005, 0.02)], [1.0], 0.06, rng)
        for _ in times
    ]
    bubbles = sound_events.place(pops, times, count, rng.exponential(1.0, len(times)))
    spray *= np.maximum(0.3, 1 + 0.12 * sound_events.smooth_noise(3, count, rng))
    return spray + rng.uniform(0.5, 1.2) * bubbles


def _drill(count, rng):
    duration_s = count / _RATE_HZ
    # The trigger is pulled for a second or two, let go, and pulled again.
    speed = np.zeros(count)
    start = -rng.uniform(0, 0.5)
    while start < duration_s:
        stop = start + rng.uniform(1.0, 2.5)
        speed[max(0, round(start * _RATE_HZ)) : max(0, round(stop * _RATE_HZ))] = 1.0
        start = stop + rng.uniform(0.15, 0.5)
    ease = np.exp(-np.arange(4000) / (0.06 * _RATE_HZ))
    speed = np.convolve(np.concatenate([np.full(4000, speed[0]), speed]), ease / ease.sum())[
        4000 : 4000 + count
    ]
    pitch_hz = rng.uniform(380, 720) * (0.25 + 0.75 * speed)
    motor = (
        _harmonics(
            pitch_hz * (1 + 0.01 * sound_events.smooth_noise(6, count, rng)),
            _falling(12, 0.7, rng),
            rng,
        )
        * speed
    )
    grinding = sound_events.band_noise(rng.uniform(1200, 1800), 5900, count, rng) * speed
    hammer = np.ones(count)
    if rng.random() < 0.6:
        hammer = (
            0.15
            + np.maximum(0, np.sin(np.cumsum(2 * np.pi * rng.uniform(22, 45) * speed) / _RATE_HZ))
            ** 3
            * 2.2
        )
    return motor + rng.uniform(0.5, 1.1) * grinding * hammer


def _razor(count, rng):
    mains_hz = rng.choice([100.0, 120.0]) * rng.uniform(0.97, 1.03)
    pitch_hz = mains_hz * (1 + 0.003 * sound_events.smooth_noise(2, count, rng))
    buzz = _harmonics(pitch_hz, _falling(40, 0.35, rng), rng)
    buzz = buzz + sound_events.resonate(
        buzz, rng.uniform([600, 1700, 3000], [1200, 2600, 4200]), [250, 400, 600]
    )
    load = np.maximum(0.5, 1 + 0.15 * sound_events.smooth_noise(1.5, count, rng))
    hairs = sound_events.resonate(
        sound_events.poisson_impulses(rng.uniform(20, 80), count, rng), [2500, 4200], [900, 1200]
    )
    return buzz * load + 1.5 * hairs


def _hair_dryer(count, rng):
    fan = sound_events.band_noise(
        rng.uniform(200, 500), rng.uniform(3500, 5800), count, rng, order=1
    )
    whine_hz = rng.uniform(1000, 2300) * (1 + 0.004 * sound_events.smooth_noise(1, count, rng))
    whine = _harmonics(whine_hz, [1.0, 0.4, 0.25], rng)
    swing = np.maximum(0.4, 1 + 0.25 * sound_events.smooth_noise(rng.uniform(0.5, 1.2), count, rng))
    return (fan + rng.uniform(0.25, 0.7) * whine) * swing


def _vacuum_cleaner(count, rng):
    stroke = sound_events.smooth_noise(rng.uniform(0.5, 1.0), count, rng)  # to and fro on the floor
    motor_hz = rng.uniform(300, 600) * (1 + 0.012 * stroke)
    motor = _harmonics(motor_hz, _falling(10, 0.9, rng), rng)
    air = sound_events.band_noise(120, rng.uniform(3500, 5500), count, rng, order=1)
    return (motor * rng.uniform(0.8, 1.4) + air) * np.maximum(0.5, 1 + 0.15 * stroke)


def _shopping_cart(count, rng):
    duration_s = count / _RATE_HZ
    pace = np.maximum(0.2, 1 + 0.4 * sound_events.smooth_noise(0.8, count, rng))
    hits = np.clip(
        sound_events.poisson_impulses(rng.uniform(60, 160) * pace, count, rng), -2.5, 2.5
    )
    wire_hz = rng.uniform(1300, 2000) * np.array([1.0, 1.47, 2.05, 2.8])
    rattle = sound_events.resonate(hits, wire_hz, [120, 150, 220, 300])
    wheels = sound_events.band_noise(180, rng.uniform(900, 1600), count, rng) * pace
    times = sound_events.regular_times(rng.uniform(1.2, 2.8), 0.4, duration_s, rng)
    bursts = [sound_events.burst(150, 3500, 0.02, rng) for _ in times]
    bumps = sound_events.place(bursts, times, count, rng.uniform(0.5, 1.5, len(times)))
    squeak = np.zeros(count)
    if rng.random() < 0.5:  # one dry wheel
        turn = (
            np.maximum(0, np.sin(2 * np.pi * rng.uniform(1.2, 2.2) * np.arange(count) / _RATE_HZ))
            ** 4
        )
        squeak = _harmonics(rng.uniform(1700, 2600) * (1 + 0.03 * turn), [1, 0.4], rng) * turn
    return (
        rattle / (np.std(rattle) + 1e-9)
        + rng.uniform(0.3, 0.7) * wheels
        + 1.5 * bumps
        + 0.4 * squeak
    )


def _traffic(count, rng):
    duration_s = count / _RATE_HZ
    time = np.arange(count) / _RATE_HZ
    sound = 0.15 * sound_events.band_noise(80, 1200, count, rng)
    passing = np.arange(rng.uniform(-1.0, 0.8), duration_s + 1.0, rng.uniform(1.3, 2.4))
    for middle_s in passing + rng.uniform(-0.3, 0.3, len(passing)):
        speed_m_s, aside_m = rng.uniform(9, 18), rng.uniform(4, 9)
        along_m = speed_m_s * (time - middle_s)
        distance_m = np.hypot(along_m, aside_m)
        pitch_hz = rng.uniform(55, 130) / (1 + speed_m_s * along_m / distance_m / 343.0)
        tyres = sound_events.band_noise(rng.uniform(400, 700), rng.uniform(1500, 2600), count, rng)
        engine = _harmonics(pitch_hz, _falling(14, 0.7, rng), rng)
        sound += (aside_m / distance_m) ** 1.5 * (tyres + rng.uniform(0.4, 1.0) * engine)
    if rng.random() < 0.35:
        size = round(rng.uniform(0.25, 0.6) * _RATE_HZ)
        horn = sum(
            _harmonics(np.full(size, hz), _falling(9, 0.6, rng), rng)
            for hz in rng.uniform(380, 440) * np.array([1.0, 1.24])
        )
        sound += 0.8 * sound_events.place(
            horn, [rng.uniform(0, max(0.01, duration_s - 0.6))], count
        )
    return sound


_SOURCES = (
    _train,
    _boat,
    _drone,
    _fountain,
    _drill,
    _razor,
    _hair_dryer,
    _vacuum_cleaner,
    _shopping_cart,
    _traffic,
)
