"""Parametric sounds of AVIA's 14 actions, impulsive or tonal like the real ones.

Each take draws its own events, materials and strengths around its subject's. The result is pressure
at 1 m, scaled so that the loud parts (frames within 20 dB of the loudest) have an RMS of 0.1 for
every action, with a variation of 3 dB between takes.
"""

import numpy as np
import scipy.signal

from dualcam.data import schema
from dualcam.data.sources import datasets
from records.synthetic import sound_events, subjects

_RATE_HZ = schema.ARRAY_RATE_HZ


def parametric_source(
    action: int, subject: subjects.Subject, duration_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Dry sound of an action.

    Args:
        action: from 0 to 13, in the order of `datasets.AVIA_CLASSES`.
        subject: a `subjects.Subject`.
        duration_s: of the sound.
        rng: a `numpy.random.Generator`; the same state gives the same sound.

    Returns:
        [duration_s * 12,288] float64; see the module docstring.

    Raises:
        ValueError: there is no such action.
    """
    if not 0 <= action < len(_SOURCES):
        raise ValueError(
            f'action {action}: expected 0 - {len(_SOURCES) - 1}, '
            f'{datasets.AVIA_CLASSES[0]} to {datasets.AVIA_CLASSES[-1]}'
        )
    return to_common_level(_SOURCES[action](subject, float(duration_s), rng), rng)


def to_common_level(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sound [samples] high-passed at 40 Hz and scaled as in the module docstring."""
    sound = sound - scipy.signal.lfilter([0.02], [1, -0.98], sound)  # nothing below 40 Hz
    power = np.square(sound[: len(sound) // 256 * 256].reshape(-1, 256)).mean(axis=1)
    loud = power[power > power.max() * 0.01]
    return sound * (0.1 * 10 ** (rng.uniform(-3, 3) / 20) / (np.sqrt(loud.mean()) + 1e-12))


def _length(duration_s):
    return round(duration_s * _RATE_HZ)


def _clapping(subject, duration_s, rng):
    hand_hz = rng.uniform(900, 1500) * subject.brightness
    times = sound_events.regular_times(2.6 * subject.tempo, 0.08, duration_s, rng)
    claps = []
    for _ in times:
        noise = sound_events.burst(400, 5500, rng.uniform(0.006, 0.012), rng)
        claps.append(
            noise * 0.5 + sound_events.resonate(noise, [hand_hz * rng.uniform(0.95, 1.05)], [400])
        )
    return sound_events.place(claps, times, _length(duration_s), rng.uniform(0.7, 1.2, len(times)))


def _snapping(subject, duration_s, rng):
    snap_hz = rng.uniform(1900, 2700) * subject.brightness
    times = sound_events.regular_times(1.9 * subject.tempo, 0.12, duration_s, rng)
    snaps = [
        sound_events.resonate(
            sound_events.burst(1200, 5800, 0.002, rng),
            [snap_hz * rng.uniform(0.96, 1.04), snap_hz * 1.7],
            [250, 500],
        )
        for _ in times
    ]
    # The finger slides before it hits the palm.
    slide = 0.08 * sound_events.band_noise(2500, 5500, 500, rng) * np.linspace(0, 1, 500)
    return sound_events.place(
        snaps, times, _length(duration_s), rng.uniform(0.6, 1.3, len(times))
    ) + sound_events.place(slide, np.maximum(0, times - 0.04), _length(duration_s))


_VOWELS_HZ = np.array(
    [
        (730, 1090, 2440, 3400),
        (270, 2290, 3010, 3600),
        (300, 870, 2240, 3300),
        (530, 1840, 2480, 3500),
        (570, 840, 2410, 3300),
        (640, 1190, 2390, 3400),
    ]
)


def _speaking(subject, duration_s, rng):
    count = _length(duration_s)
    voiced, frication = np.zeros(count), np.zeros(count)
    formants_hz = np.zeros((4, count))
    start = 0
    while start < count:
        size = round(rng.uniform(0.12, 0.26) / subject.tempo * _RATE_HZ)
        stop = min(count, start + size)
        shape = np.sin(np.linspace(0, np.pi, stop - start)) ** 0.5
        voiced[start:stop] = shape * rng.uniform(0.6, 1.0)
        vowel = _VOWELS_HZ[rng.integers(len(_VOWELS_HZ))] * subject.formant_scale
        formants_hz[:, start:stop] = vowel[:, None]
        if rng.random() < 0.35:  # a fricative leads
            lead = min(stop - start, round(0.07 * _RATE_HZ))
            voiced[start : start + lead] *= 0.1
            frication[start : start + lead] = rng.uniform(0.2, 0.5)
        start = stop
        if rng.random() < 0.12:  # a breath
            pause = round(rng.uniform(0.1, 0.45) * _RATE_HZ)
            formants_hz[:, start : start + pause] = vowel[:, None]
            start += pause
    pitch_hz = subject.pitch_hz * np.exp(0.10 * sound_events.smooth_noise(1.5, count, rng))
    phase = np.cumsum(pitch_hz) / _RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    glottis = scipy.signal.lfilter([1.0], [1, -0.95], pulses) + 0.02 * rng.standard_normal(count)
    source = glottis * scipy.signal.lfilter([0.01], [1, -0.99], voiced)
    # Formants glide: the signal goes through the filters of each stretch, and stretches cross-fade.
    block = 512
    result = np.zeros(count + 2 * block)
    window = np.hanning(2 * block + 1)[:-1]
    padded = np.concatenate([source, np.zeros(2 * block)])
    for begin in range(0, count, block):
        hz = formants_hz[:, min(begin + block, count - 1)]
        hz = np.where(hz > 0, hz, _VOWELS_HZ[0])
        part = sound_events.resonate(padded[begin : begin + 2 * block] * window, hz, hz * 0.06 + 50)
        result[begin : begin + 2 * block] += part
    hiss = sound_events.band_noise(3000, 5900, count, rng) * scipy.signal.lfilter(
        [0.02], [1, -0.98], frication
    )
    voice = result[:count]
    return voice / (np.abs(voice).max() + 1e-9) + 0.25 * hiss


def _whistling(subject, duration_s, rng):
    count = _length(duration_s)
    time = np.arange(count) / _RATE_HZ
    steps = np.repeat(rng.integers(-5, 6, int(duration_s * 3) + 2), _RATE_HZ // 3)[:count]
    glide = scipy.signal.lfilter([0.002], [1, -0.998], steps - steps[0]) + steps[0]
    hz = (
        subject.whistle_hz
        * 2 ** (glide / 12)
        * (1 + 0.008 * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time))
    )
    phase = 2 * np.pi * np.cumsum(hz) / _RATE_HZ
    breath = np.clip(1.4 + sound_events.smooth_noise(1.0, count, rng), 0.0, 1.0)
    breath = scipy.signal.lfilter([0.004], [1, -0.996], breath)
    tone = np.sin(phase) + 0.03 * np.sin(2 * phase)
    return breath * (tone + 0.02 * sound_events.band_noise(800, 4000, count, rng))


def _kendama(subject, duration_s, rng):
    wood_hz = rng.uniform(1100, 1500) * subject.brightness
    times = sound_events.regular_times(1.1 * subject.tempo, 0.2, duration_s, rng)
    knocks, starts, gains = [], [], []
    for time_s in times:
        for gap_s, gain in (
            (0.0, 1.0),
            (rng.uniform(0.06, 0.13), 0.6),
            (rng.uniform(0.17, 0.24), 0.25),
        ):
            tone = wood_hz * rng.uniform(0.97, 1.03)
            knocks.append(
                sound_events.modes(
                    [tone, tone * 1.58, tone * 2.41],
                    [0.012, 0.008, 0.005],
                    [1, 0.7, 0.5],
                    0.06,
                    rng,
                )
            )
            starts.append(time_s + gap_s)
            gains.append(gain * rng.uniform(0.7, 1.2))
    return sound_events.place(knocks, starts, _length(duration_s), gains)


def _clicking(subject, duration_s, rng):
    click_hz = rng.uniform(3300, 4300) * subject.brightness
    times = sound_events.regular_times(2.4 * subject.tempo, 0.25, duration_s, rng)
    clicks, starts, gains = [], [], []
    for time_s in times:
        gap_s = rng.uniform(0.07, 0.12)
        for offset_s, hz, gain in ((0.0, click_hz, 1.0), (gap_s, click_hz * 1.18, 0.7)):
            clicks.append(
                sound_events.modes(
                    [hz, hz * 0.61, hz * 1.35], [0.0016, 0.002, 0.001], [1, 0.4, 0.5], 0.012, rng
                )
            )
            starts.append(time_s + offset_s)
            gains.append(gain * rng.uniform(0.8, 1.2))
    return sound_events.place(clicks, starts, _length(duration_s), gains)


def _typing(subject, duration_s, rng):
    times = sound_events.regular_times(7.5 * subject.tempo, 0.5, duration_s, rng)
    times = times[
        rng.random(len(times))
        < np.where(np.sin(times * 2.1 + rng.uniform(0, 6)) > -0.7, 0.95, 0.25)
    ]
    case_hz = rng.uniform(260, 380) * subject.brightness
    keys = []
    for _ in times:
        key_hz = rng.uniform(1500, 2600) * subject.brightness
        keys.append(
            sound_events.modes(
                [key_hz, key_hz * 1.5, case_hz], [0.003, 0.002, 0.010], [0.7, 0.4, 0.6], 0.05, rng
            )[:600]
            + 0.5 * np.pad(sound_events.burst(1500, 5500, 0.002, rng), (0, 600))[:600]
        )
    return sound_events.place(keys, times, _length(duration_s), rng.uniform(0.4, 1.2, len(times)))


def _knocking(subject, duration_s, rng):
    door_hz = rng.uniform(170, 260) * subject.brightness
    starts, gains, time_s = [], [], rng.uniform(0, 0.4)
    while time_s < duration_s:
        for _ in range(rng.integers(2, 6)):
            starts.append(time_s)
            gains.append(rng.uniform(0.7, 1.1))
            time_s += rng.uniform(0.16, 0.22) / subject.tempo
        time_s += rng.uniform(0.3, 0.7)
    thuds = [
        sound_events.modes(
            [door_hz, door_hz * 1.8, door_hz * 2.9, door_hz * 4.1],
            [0.035, 0.025, 0.014, 0.008],
            [1, 0.8, 0.5, 0.3],
            0.15,
            rng,
        )
        + 0.15 * np.pad(sound_events.burst(300, 2500, 0.003, rng), (0, 1843))[:1843]
        for _ in starts
    ]
    return sound_events.place(thuds, starts, _length(duration_s), gains)


def _hammering(subject, duration_s, rng):
    metal_hz = rng.uniform(1600, 2300) * subject.brightness
    partials = metal_hz * np.array([1.0, 1.47, 2.09, 2.56, 0.63])
    times = sound_events.regular_times(2.0 * subject.tempo, 0.06, duration_s, rng)
    strikes = [
        sound_events.modes(
            partials * rng.uniform(0.995, 1.005),
            [0.09, 0.07, 0.05, 0.04, 0.10],
            rng.uniform(0.4, 1.0, 5),
            0.4,
            rng,
        )
        + 0.8 * sound_events.modes([140, 230], [0.03, 0.02], [1, 0.6], 0.4, rng)
        for _ in times
    ]
    return sound_events.place(
        strikes, times, _length(duration_s), rng.uniform(0.8, 1.1, len(times))
    )


def _peanut_breaking(subject, duration_s, rng):
    count = _length(duration_s)
    times = sound_events.regular_times(1.15 * subject.tempo, 0.25, duration_s, rng)
    cracks = []
    for _ in times:
        size = round(0.35 * _RATE_HZ)
        time = np.arange(size) / _RATE_HZ
        rate_hz = 700 * np.exp(-time / 0.02) + 90 * np.exp(-time / 0.12)
        shell_hz = rng.uniform(1300, 2100) * subject.brightness
        crumbs = sound_events.poisson_impulses(rate_hz, size, rng) * (
            np.exp(-time / 0.03) + 0.25 * np.exp(-time / 0.15)
        )
        cracks.append(sound_events.resonate(crumbs, [shell_hz, shell_hz * 2.1], [900, 1500]))
    return sound_events.place(cracks, times, count, rng.uniform(0.6, 1.2, len(times)))


def _paper_ripping(subject, duration_s, rng):
    count = _length(duration_s)
    result = np.zeros(count)
    time_s = rng.uniform(0, 0.3)
    while time_s < duration_s:
        length_s = rng.uniform(0.35, 1.1) / subject.tempo
        size = round(length_s * _RATE_HZ)
        along = np.linspace(0, 1, size)
        tears = (
            sound_events.poisson_impulses(300 + 2200 * along, size, rng)
            * (0.35 + along)
            * np.minimum(1, (1 - along) * 12)
        )
        low = sound_events.resonate(tears, [1400 * subject.brightness], [1400])
        high = sound_events.resonate(tears, [3600 * subject.brightness], [2400])
        result += sound_events.place((1 - along) * low + along * 1.5 * high, [time_s], count)
        time_s += length_s + rng.uniform(0.15, 0.6)
    return result


def _plastic_crumpling(subject, duration_s, rng):
    count = _length(duration_s)
    activity = np.clip(
        1.0 + 0.8 * sound_events.smooth_noise(2.0 * subject.tempo, count, rng), 0.05, 3.0
    )
    crackles = sound_events.poisson_impulses(140 * activity, count, rng)
    sheet_hz = rng.uniform(3000, 4200) * subject.brightness
    return sound_events.resonate(
        crackles, [sheet_hz, min(5500, sheet_hz * 1.35), sheet_hz * 0.55], [900, 1200, 900]
    )


def _paper_shaking(subject, duration_s, rng):
    count = _length(duration_s)
    time = np.arange(count) / _RATE_HZ
    rate_hz = rng.uniform(3.2, 4.6) * subject.tempo
    phase = np.cumsum(rate_hz * (1 + 0.08 * sound_events.smooth_noise(1.0, count, rng))) / _RATE_HZ
    swing = np.abs(np.sin(np.pi * phase)) ** 1.5
    flutter = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(38, 60) * time)
    rustle = sound_events.band_noise(350, 1900 * subject.brightness, count, rng)
    return (0.15 + swing) * flutter * rustle


def _stick_dropping(subject, duration_s, rng):
    bar_hz = rng.uniform(480, 800) * subject.brightness
    bar = bar_hz * np.array([1.0, 2.76, 5.40])
    hits, starts, gains = [], [], []
    for drop_s in sound_events.regular_times(0.85 * subject.tempo, 0.12, duration_s, rng):
        gap_s, gain, time_s = rng.uniform(0.20, 0.28), 1.0, drop_s
        while gap_s > 0.018:
            hits.append(
                sound_events.modes(
                    bar * rng.uniform(0.98, 1.02),
                    [0.035, 0.02, 0.008],
                    rng.uniform(0.4, 1.0, 3),
                    0.16,
                    rng,
                )
            )
            starts.append(time_s)
            gains.append(gain)
            time_s += gap_s
            gap_s *= rng.uniform(0.62, 0.74)
            gain *= rng.uniform(0.6, 0.8)
    return sound_events.place(hits, starts, _length(duration_s), gains)


_SOURCES = (
    _clapping,
    _snapping,
    _speaking,
    _whistling,
    _kendama,
    _clicking,
    _typing,
    _knocking,
    _hammering,
    _peanut_breaking,
    _paper_ripping,
    _plastic_crumpling,
    _paper_shaking,
    _stick_dropping,
)
