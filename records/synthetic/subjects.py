"""The nine people of the embedded data: voice, movement and appearance."""

import dataclasses

import numpy as np

NUM_SUBJECTS = 9

_SKINS = ((244, 208, 177), (224, 172, 105), (198, 134, 66), (141, 85, 36), (92, 56, 30))
_HAIRS = ((28, 22, 20), (84, 52, 28), (150, 106, 60), (190, 170, 120), (110, 110, 112))


@dataclasses.dataclass(frozen=True)
class Subject:
    """One person.

    Attributes:
        pitch_hz: of the voice.
        formant_scale: 1 for an average vocal tract, more for a shorter one.
        whistle_hz: centre frequency of whistling.
        tempo: factor on the rate of repeated events.
        brightness: factor on the resonances of hits, tears and clicks.
        height_m: of the eyes above the hands at rest.
        skin, hair, shirt: RGB.
    """

    pitch_hz: float
    formant_scale: float
    whistle_hz: float
    tempo: float
    brightness: float
    height_m: float
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, ...]


def subject(index: int, seed: int = 0) -> Subject:
    """Subject `index`, from 0 to 8; the same for the same seed.

    Raises:
        ValueError: there is no such subject.
    """
    if not 0 <= index < NUM_SUBJECTS:
        raise ValueError(f'subject {index}: expected 0 - {NUM_SUBJECTS - 1}')
    rng = np.random.default_rng([seed, 4711, index])
    low_voice = bool(index % 2)
    return Subject(
        pitch_hz=float(rng.uniform(95, 140) if low_voice else rng.uniform(175, 240)),
        formant_scale=float(rng.uniform(0.94, 1.02) if low_voice else rng.uniform(1.08, 1.2)),
        whistle_hz=float(rng.uniform(1000, 1900)),
        tempo=float(rng.uniform(0.75, 1.3)),
        brightness=float(rng.uniform(0.8, 1.25)),
        height_m=float(rng.uniform(0.38, 0.48)),
        skin=_SKINS[int(rng.integers(len(_SKINS)))],
        hair=_HAIRS[int(rng.integers(len(_HAIRS)))],
        shirt=tuple(int(c) for c in rng.integers(30, 220, 3)),
    )
