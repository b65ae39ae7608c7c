"""Acoustic scenes: the three scenarios of AVIA, simulated physically (WACV 2020).

The actor stays near the centre of the view, like the people in AVIA: each subject has a position in
each scenario, 1.2 - 1.8 m away, moves slowly around it, and performs each action at its natural
height (a mouth is higher than a keyboard). Everything else comes from elsewhere:

1. anechoic chamber: free field, faint hiss, a fan at the side;
2. open-space office: a shoebox room (six wall reflections of the actor, a diffuse tail by
   Sabine's formula), colleagues at the sides who speak, type, click, knock and shuffle paper,
   and a diffuse ventilation noise;
3. terrace: one reflection from the ground, traffic along the horizon, independent wind noise in
   each microphone, someone hammering, whistling or talking at the sides.

Levels are ratios at the array centre over a take, so that quiet actions are not drowned out. They
leave room for a teacher with 128 microphones to improve on one: over takes of all actions, the
actor is above everything else, from 200 Hz to 6.1 kHz and per band, by

| | one microphone | image, at the actor | gain, 0.2 - 0.8 kHz | 0.8 - 2 kHz | 2 - 6.1 kHz |
|---|---|---|---|---|---|
| anechoic chamber | 17 dB | 28 dB | 4 dB | 13 dB | 21 dB |
| open-space office | 4 dB | 11 dB | 1 dB | 11 dB | 23 dB |
| terrace | -3 dB | 5 dB | 3 dB | 9 dB | 20 dB |

128 microphones gain 10 log10(128) = 21 dB over independent or diffuse noise, and less at
wavelengths that are not small compared with 0.45 m. In the chamber one microphone suffices; in the
office and on the terrace, where others are as loud as the actor but elsewhere, it does not, but the
image does. That is where supervision by the array can help, and why subjects stand near the centre,
as in AVIA. Levels were chosen by this table, not by any network's score.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.signal

from dualcam.acoustics.microphones import SPEED_OF_SOUND
from dualcam.data import schema
from records.synthetic import propagation

_RATE_HZ = schema.ARRAY_RATE_HZ

# Height of an action above the subject's centre, metres, in class order.
_ACTION_HEIGHT_M = (
    0.05,
    0.05,
    0.30,
    0.30,
    0.0,
    -0.05,
    -0.15,
    0.10,
    -0.10,
    -0.05,
    0.0,
    0.0,
    0.05,
    -0.30,
)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """The surroundings of a take.

    Attributes:
        name: display name.
        room_m: width, height and depth of a shoebox, or None.
        absorption: share of the energy that a wall absorbs.
        ground_m: distance of the ground below the array, or None.
        ground_gain: pressure reflection factor of the ground.
        others: classes of sound that others at the sides may make.
        num_others: number of others in a take.
        others_db: level of the actor above all others together, from - to.
        diffuse_db: level of the actor above noise from all around.
        traffic_db: level of the actor above traffic, or None.
        wind_db: level of the actor above each microphone's own wind noise, or None.
        hiss_db: level of the actor above each microphone's electric noise.
    """

    name: str
    room_m: tuple[float, float, float] | None = None
    absorption: float = 0.35
    ground_m: float | None = None
    ground_gain: float = 0.7
    others: tuple[int, ...] = ()
    num_others: int = 0
    others_db: tuple[float, float] = (0.0, 0.0)
    diffuse_db: float = 40.0
    traffic_db: float | None = None
    wind_db: float | None = None
    hiss_db: float = 30.0


# Actions of the colleagues in the office: speaking, clicking, typing, knocking, paper shaking;
# on the terrace: snapping fingers, speaking, whistling, hammering, plastic crumpling.
SCENARIOS = (
    Scenario('anechoic chamber', others=(), diffuse_db=18.0, hiss_db=20.0),
    Scenario(
        'open-space office',
        room_m=(7.0, 2.9, 6.0),
        others=(2, 5, 6, 7, 12),
        num_others=2,
        others_db=(-3.0, 4.0),
        diffuse_db=8.0,
    ),
    Scenario(
        'terrace',
        ground_m=1.2,
        others=(1, 2, 3, 8, 11),
        num_others=2,
        others_db=(-5.0, 2.0),
        diffuse_db=12.0,
        traffic_db=2.0,
        wind_db=6.0,
    ),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Take:
    """A simulated recording.

    Attributes:
        frames: [frames, mics, 1024] int32, 2**19 per unit of pressure, clipped at 24 bits.
        path_m: [frames, 3] position of the actor's sound.
        levels: [frames] 0 - 1, how loud it is.
    """

    frames: np.ndarray
    path_m: np.ndarray
    levels: np.ndarray


def record_take(
    scenario: Scenario,
    sound: np.ndarray,
    others: Sequence[np.ndarray],
    path_m: np.ndarray,
    positions_m: np.ndarray,
    rng: np.random.Generator,
) -> Take:
    """Simulates one take.

    Args:
        scenario: a `Scenario`.
        sound: [samples] the actor's dry sound, a multiple of 1024.
        others: dry sounds of the same length, one per other person.
        path_m: [frames + 1, 3] position of the actor's sound, see `wander`.
        positions_m: [mics, 3].
        rng: a `numpy.random.Generator`.

    Returns:
        A `Take`.
    """
    num_frames = len(sound) // schema.SAMPLES_PER_FRAME
    actor = propagation.PointSource(sound, path_m)
    dense = propagation.oversample(sound)
    sources = [actor, *_reflections(scenario, actor)]
    reference = _rms(propagation.heard_at_centre(actor, len(sound), dense))

    if scenario.num_others:
        shares = rng.dirichlet(np.full(len(others), 3.0))
        over_db = rng.uniform(*scenario.others_db)
        for other, share in zip(others, shares, strict=True):
            place_m = _aside(rng)
            level = reference * _gain(-over_db) * np.sqrt(share) * np.linalg.norm(place_m)
            sources.append(propagation.PointSource(other * (level / _rms(other)), place_m[None]))
    sources += _diffuse(scenario, actor, reference, rng)
    if scenario.traffic_db is not None:
        sources += _traffic(len(sound), reference * _gain(-scenario.traffic_db), rng)

    signals = propagation.microphone_signals(sources, positions_m, num_frames, {id(sound): dense})
    hiss = reference * _gain(-scenario.hiss_db)
    wind = None
    if scenario.wind_db is not None:
        wind = _Wind(len(sound), reference * _gain(-scenario.wind_db), rng)
    counts = np.empty(signals.shape, np.int32)
    low, high = np.float32(-(2**23)), np.float32(2**23 - 1)  # with int, NumPy 1 clips as float64
    for signal, count in zip(signals, counts, strict=True):  # one microphone fits the cache
        signal += _white(len(sound), hiss, rng)
        if wind:
            signal += wind.at_a_microphone(rng)
        signal *= 2.0**19
        count[:] = np.clip(signal, low, high, out=signal)
    frames = counts.reshape(len(counts), num_frames, -1).transpose(1, 0, 2)
    return Take(frames, path_m[:-1], levels(sound))


def levels(sound: np.ndarray) -> np.ndarray:
    """How loud each frame of a sound [samples] is compared with the loudest, [frames] 0 - 1."""
    loudness = np.sqrt(np.square(sound.reshape(-1, schema.SAMPLES_PER_FRAME)).mean(axis=1))
    return np.clip(loudness / (loudness.max() + 1e-12), 0.0, 1.0)


def subject_home(rng: np.random.Generator) -> np.ndarray:
    """Position of a subject in a scenario, [3] m."""
    return np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.15, 0.1), rng.uniform(1.2, 1.8)])


def wander(
    home_m: np.ndarray, action: int, num_points: int, rng: np.random.Generator
) -> np.ndarray:
    """A slow random walk around a home position.

    Args:
        home_m: [3] this subject's position in this scenario.
        action: from 0; beyond the 14 actions its height repeats.
        num_points: frames + 1.
        rng: a `numpy.random.Generator`.

    Returns:
        [points, 3] m.
    """
    base_m = home_m + rng.normal(0.0, 0.10, 3)
    base_m[1] += _ACTION_HEIGHT_M[action % len(_ACTION_HEIGHT_M)]
    seconds = np.arange(num_points) / schema.FRAMES_PER_SECOND
    rates_hz, phases = rng.uniform(0.05, 0.25, 3), rng.uniform(0, 2 * np.pi, 3)
    reach_m = rng.uniform(0.02, 0.10, 3)
    return base_m + reach_m * np.sin(2 * np.pi * rates_hz * seconds[:, None] + phases)


def _aside(rng):
    """An off-centre position: 22 - 65 degrees to a side, 2 - 4 m away."""
    azimuth = np.deg2rad(rng.uniform(22.0, 65.0)) * rng.choice([-1.0, 1.0])
    elevation = np.deg2rad(rng.uniform(-12.0, 15.0))
    return rng.uniform(2.0, 4.0) * np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )


def _reflections(scenario, actor):
    """First-order images of the actor in the room's walls or the ground."""
    if scenario.room_m is not None:
        width_m, height_m, depth_m = scenario.room_m
        # The array is centred in front of the wall behind it, 1.2 m up and 0.6 m away from it.
        walls = [
            (0, -width_m / 2),
            (0, width_m / 2),
            (1, -1.2),
            (1, height_m - 1.2),
            (2, -0.6),
            (2, depth_m - 0.6),
        ]
        gain = np.sqrt(1.0 - scenario.absorption)
    elif scenario.ground_m is not None:
        walls, gain = [(1, -scenario.ground_m)], scenario.ground_gain
    else:
        return []
    images = []
    for axis, place_m in walls:
        path_m = actor.path_m.copy()
        path_m[:, axis] = 2 * place_m - path_m[:, axis]
        images.append(propagation.PointSource(actor.signal, path_m, gain))
    return images


def _diffuse(scenario, actor, reference, rng, num_waves=16):
    """Reverberation and diffuse noise, as plane waves from evenly spread directions."""
    num_samples = len(actor.signal)
    reverberation = np.zeros((num_waves, num_samples), np.float32)
    if scenario.room_m is not None:
        width_m, height_m, depth_m = scenario.room_m
        surface = 2 * (width_m * height_m + width_m * depth_m + height_m * depth_m)
        lost = surface * scenario.absorption
        decay_s = 0.161 * width_m * height_m * depth_m / lost  # Sabine's RT60
        seconds = np.arange(int(decay_s * _RATE_HZ)) / _RATE_HZ
        tails = rng.standard_normal((num_waves, len(seconds))) * 10 ** (-3 * seconds / decay_s)
        tails[:, : int(0.02 * _RATE_HZ)] = 0.0  # the six reflections are the early part
        # Energy of the reverberant field against that of the direct sound at 1 m: 16 pi / R.
        energy = 16 * np.pi * (1 - scenario.absorption) / lost
        tails *= np.sqrt(energy / np.square(tails).sum())
        reverberation = scipy.signal.oaconvolve(
            tails.astype(np.float32), actor.signal[None].astype(np.float32), axes=1
        )[:, :num_samples]
    noise = _coloured(rng.standard_normal((num_waves, num_samples), np.float32), -1.0)
    noise *= reference * _gain(-scenario.diffuse_db) / np.sqrt(num_waves) / _rms(noise)
    height = 1 - (2 * np.arange(num_waves) + 1) / num_waves
    turn = np.arange(num_waves) * np.pi * (3 - np.sqrt(5)) + rng.uniform(0, 2 * np.pi)
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(turn), height, flat * np.sin(turn)], axis=1)
    return [
        propagation.plane_wave_source(_roll(r + n), d)
        for r, n, d in zip(reverberation, noise, directions, strict=True)
    ]


def _traffic(num_samples, level, rng):
    """Cars along the horizon: rumble from a few directions that fades in and out."""
    waves = []
    for _ in range(3):
        azimuth = np.deg2rad(rng.uniform(-70.0, 70.0))
        rumble = _coloured(rng.standard_normal(num_samples), -3.0)
        seconds = np.arange(num_samples) / _RATE_HZ
        swell = 0.6 + 0.4 * np.sin(
            2 * np.pi * rng.uniform(0.05, 0.15) * seconds + rng.uniform(0, 2 * np.pi)
        )
        rumble *= swell * level / np.sqrt(3) / _rms(rumble * swell)
        waves.append(
            propagation.plane_wave_source(
                _roll(rumble), np.array([np.sin(azimuth), 0.02, np.cos(azimuth)])
            )
        )
    return waves


class _Wind:
    """Turbulence: noise in gusts that falls by 6 dB per octave above 100 Hz and below 40 Hz.

    Gusts are common to all microphones, turbulence is independent in each.
    """

    def __init__(self, num_samples, level, rng):
        low, high = np.exp(-2 * np.pi * np.array([100.0, 40.0]) / _RATE_HZ)
        self._filter = np.array([1.0, -1.0], np.float32), np.poly([low, high]).astype(np.float32)
        response = scipy.signal.lfilter(*self._filter, np.eye(1, _RATE_HZ)[0])
        seconds = np.arange(num_samples) / _RATE_HZ
        gusts = 0.6 + 0.4 * np.sin(2 * np.pi * 0.2 * seconds + rng.uniform(0, 2 * np.pi))
        self._gusts = (gusts / _rms(gusts) * level / np.sqrt(np.sum(response**2))).astype(
            np.float32
        )

    def at_a_microphone(self, rng):
        """[samples] float32."""
        white = _white(len(self._gusts), 1.0, rng)
        return scipy.signal.lfilter(*self._filter, white) * self._gusts


def _white(num_samples, level, rng):
    """White noise with a given RMS, [samples] float32.

    Uniformly distributed: five times as fast as normal, and also normal after a Fourier transform.
    """
    noise = rng.random(num_samples, np.float32)
    noise -= np.float32(0.5)
    noise *= np.float32(level * np.sqrt(12.0))
    return noise


def _coloured(white, slope_db_per_octave_above_100):
    """White noise [..., samples] tilted above 100 Hz; below it stays flat down to 40 Hz."""
    spectrum = scipy.fft.rfft(white, axis=-1)
    hz = np.fft.rfftfreq(white.shape[-1], 1 / _RATE_HZ)
    gain = np.maximum(hz, 100.0) ** (slope_db_per_octave_above_100 / (20 * np.log10(2)))
    gain[hz < 40.0] = 0.0
    gain /= gain.max()
    return scipy.fft.irfft(spectrum * gain.astype(white.dtype), n=white.shape[-1], axis=-1)


def _roll(signal, distance_m=50.0):
    """Removes the travel time of a far plane wave, as the sound started before the take."""
    return np.roll(signal, -round(distance_m / SPEED_OF_SOUND * _RATE_HZ))


def _rms(signal):
    return float(np.sqrt(np.mean(np.square(signal), dtype=np.float64))) + 1e-12


def _gain(level_db):
    return np.float32(10 ** (level_db / 20))
