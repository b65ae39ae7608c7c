"""The 14 sounds compared: a common scale, consistent persons, and distinguishable classes."""

import itertools

import numpy as np
import pytest
import scipy.signal
from sklearn.neighbors import KNeighborsClassifier

from dualcam.data import schema
from dualcam.data.sources import datasets
from records.synthetic import sources, subjects

RATE_HZ = schema.ARRAY_RATE_HZ
NUM_ACTIONS = len(datasets.AVIA_CLASSES)
FRAME = schema.SAMPLES_PER_FRAME


def sound_of(action, subject=0, take=0, duration_s=4):
    rng = np.random.default_rng([take, subject, action])
    return sources.parametric_source(action, subjects.subject(subject), duration_s, rng)


def active_level_db(sound):
    """RMS over the video frames within 20 dB of the loudest."""
    power = np.square(sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)).mean(axis=1)
    return 10 * np.log10(power[power > power.max() / 100].mean())


def coarse_features(sound):
    """Levels of bands, their spread in time, and rhythm from 0.25 to 16 Hz (of 4 s)."""
    _, _, power = scipy.signal.spectrogram(sound, RATE_HZ, nperseg=256, noverlap=128)
    edges = np.unique(np.geomspace(2, len(power), 13).astype(int))
    bands = np.stack([power[a:b].mean(axis=0) for a, b in itertools.pairwise(edges)])
    level_db = 10 * np.log10(bands + 1e-12)
    mean_db = 10 * np.log10(bands.mean(axis=1) + 1e-12)
    envelope = np.sqrt(power.sum(axis=0))
    rhythm = np.abs(np.fft.rfft(envelope / envelope.mean() - 1))[1:64]
    rhythm = rhythm[: len(rhythm) // 7 * 7].reshape(7, -1).mean(axis=1)
    return np.concatenate([mean_db - mean_db.mean(), level_db.std(axis=1), np.log(rhythm)])


def test_no_action_is_drowned_by_another():
    levels_db = [
        np.mean([active_level_db(sound_of(a, s)) for s in range(3)]) for a in range(NUM_ACTIONS)
    ]
    assert np.ptp(levels_db) < 12


def test_actions_are_told_apart_on_people_never_heard_before():
    """Nearest neighbours, trained on subjects 0 - 5 and tested on 6 - 8; chance is 7 %."""
    features, labels, people = [], [], []
    for action in range(NUM_ACTIONS):
        for person in range(subjects.NUM_SUBJECTS):
            features.append(coarse_features(sound_of(action, person)))
            labels.append(action)
            people.append(person)
    features, labels, people = map(np.array, (features, labels, people))
    seen = people < 6
    features = (features - features[seen].mean(axis=0)) / features[seen].std(axis=0)
    neighbours = KNeighborsClassifier(3).fit(features[seen], labels[seen])
    assert neighbours.score(features[~seen], labels[~seen]) > 0.7


@pytest.mark.parametrize('action', range(NUM_ACTIONS))
def test_takes_of_a_second_or_less_hold_sound(action):
    """The shortest takes still contain an action, and lengths are rounded, not truncated."""
    for duration_s in (0.75, 1, 1.3):
        sound = sound_of(action, duration_s=duration_s)
        assert sound.shape == (round(duration_s * RATE_HZ),)
        assert np.isfinite(sound).all()
    heard = [np.abs(sound_of(action, take=take, duration_s=2)).max() > 1e-3 for take in range(5)]
    assert all(heard)


def test_subjects_keep_their_voice_and_lips_from_take_to_take():
    """Whistles of one person are closer to each other than those of different people."""
    people = sorted(range(subjects.NUM_SUBJECTS), key=lambda i: subjects.subject(i).whistle_hz)
    low, high = people[0], people[-1]

    def median_hz(person, take):
        hz, _, power = scipy.signal.spectrogram(
            sound_of(3, person, take, duration_s=10), RATE_HZ, nperseg=1024
        )
        loud = power.sum(axis=0) > 0.1 * power.sum(axis=0).max()
        return np.median(hz[power[:, loud].argmax(axis=0)])

    assert max(median_hz(low, t) for t in range(4)) < min(median_hz(high, t) for t in range(4))


def test_subjects_depend_on_index_and_seed_alone():
    assert subjects.subject(3, seed=1) == subjects.subject(3, seed=1)
    assert subjects.subject(3, seed=1) != subjects.subject(3, seed=2)
    pitches_hz = [subjects.subject(i).pitch_hz for i in range(subjects.NUM_SUBJECTS)]
    assert min(pitches_hz) < 150 < 170 < max(pitches_hz)
    with pytest.raises(ValueError, match='subject -1: expected 0 - 8'):
        subjects.subject(-1)


def test_negative_actions_do_not_count_from_the_end():
    with pytest.raises(ValueError, match='action -1: expected 0 - 13'):
        sources.parametric_source(-1, subjects.subject(0), 1, np.random.default_rng(0))
