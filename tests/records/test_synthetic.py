"""The embedded data: physics with known results, and plausible sounds."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
import scipy.signal
import soundfile
from PIL import Image

from dualcam.acoustics import band_beamforming, beamforming, microphones
from dualcam.data.sources import datasets, sound_folders
from records import avia_layout
from records.synthetic import (
    presets,
    propagation,
    recordings,
    scenes,
    sources,
    subjects,
    takes,
    video,
)

RATE_HZ = 12_288
CLASSES = {name: i for i, name in enumerate(datasets.AVIA_CLASSES)}


def sound_of(name, take=0, subject=0, duration_s=5):
    return sources.parametric_source(
        CLASSES[name], subjects.subject(subject), duration_s, np.random.default_rng(take)
    )


# Sources


@pytest.mark.parametrize('name', CLASSES)
def test_a_source_is_seeded_finite_and_loud_enough(name):
    sound = sound_of(name)
    assert sound.shape == (5 * RATE_HZ,) and np.isfinite(sound).all()
    np.testing.assert_array_equal(sound, sound_of(name))
    assert np.any(sound != sound_of(name, take=1)) and np.any(sound != sound_of(name, subject=1))
    power = np.square(sound.reshape(-1, 256)).mean(axis=1)
    loud = power[power > power.max() / 100]
    assert 20 * np.log10(np.sqrt(loud.mean()) / 0.1) == pytest.approx(0, abs=3.1)
    whole_seconds = np.square(sound_of(name, duration_s=20).reshape(20, -1)).max(axis=1)
    assert np.mean(whole_seconds > 1e-3 * whole_seconds.max()) >= 0.6


@pytest.mark.parametrize(
    'name',
    [
        'clapping',
        'snapping fingers',
        'playing kendama',
        'clicking',
        'typing',
        'knocking',
        'hammering',
        'peanut breaking',
        'stick dropping',
    ],
)
def test_what_is_impulsive_is_impulsive(name):
    sound = sound_of(name)
    assert np.abs(sound).max() / np.sqrt(np.mean(sound**2)) > 8


@pytest.mark.parametrize('name', ['whistling', 'paper shaking', 'speaking'])
def test_what_goes_on_is_not(name):
    sound = sound_of(name)
    assert np.abs(sound).max() / np.sqrt(np.mean(sound**2)) < 12


def test_whistling_is_tonal_and_paper_is_not():
    def tonality(name):
        _, _, spectra = scipy.signal.spectrogram(sound_of(name), RATE_HZ, nperseg=1024)
        loud = spectra[:, spectra.sum(0) > 0.1 * spectra.sum(0).max()]
        peaks = loud.argmax(axis=0)
        near = [
            loud[max(0, p - 4) : p + 5, i].sum() / loud[:, i].sum() for i, p in enumerate(peaks)
        ]
        return np.median(near)

    assert tonality('whistling') > 0.9
    assert tonality('paper shaking') < 0.4


@pytest.mark.parametrize('index', [0, 1, 4, 7])
def test_speech_has_its_subjects_pitch_and_formants(index):
    subject = subjects.subject(index)
    sound = sound_of('speaking', subject=index)
    frames = sound[:59_392].reshape(-1, 1024)
    frames = frames[np.square(frames).mean(1) > 0.3 * np.square(frames).mean(1).max()]
    lags = np.arange(RATE_HZ // 400, RATE_HZ // 70)
    pitches = []
    for frame in frames:
        correlation = np.correlate(frame, frame, 'full')[1023:]
        pitches.append(RATE_HZ / lags[correlation[lags].argmax()])
    ratio = np.median(pitches) / subject.pitch_hz
    assert min(abs(ratio - r) for r in (1.0, 0.5)) < 0.25
    _, spectrum = scipy.signal.welch(sound, RATE_HZ, nperseg=256)
    hz = np.fft.rfftfreq(256, 1 / RATE_HZ)
    assert spectrum[(hz > 250) & (hz < 1000)].mean() > 5 * spectrum[(hz > 4500)].mean()


def test_unknown_actions_and_subjects_are_refused():
    with pytest.raises(ValueError, match='0 - 13'):
        sources.parametric_source(14, subjects.subject(0), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match='0 - 8'):
        subjects.subject(9)
    assert len({dataclasses.astuple(subjects.subject(i)) for i in range(9)}) == 9


# Propagation


def test_a_still_source_arrives_when_and_as_loud_as_it_must(rng):
    mics = microphones.built_in_array()
    signal = scipy.signal.lfilter(*scipy.signal.butter(4, 0.8), rng.standard_normal(12 * 1024))
    place_m = np.array([0.4, -0.2, 1.5])
    got = propagation.microphone_signals(
        [propagation.PointSource(signal, place_m[None])], mics.positions_m, 12
    )
    spectrum = np.fft.rfft(signal, 32 * 1024)
    hz = np.fft.rfftfreq(32 * 1024, 1 / RATE_HZ)
    centre = round(np.linalg.norm(place_m) / 343 * RATE_HZ) / RATE_HZ
    for mic in (0, 60, 127):
        distance_m = np.linalg.norm(place_m - mics.positions_m[mic])
        delay_s = centre + (distance_m - np.linalg.norm(place_m)) / 343
        want = np.fft.irfft(spectrum * np.exp(-2j * np.pi * hz * delay_s) / distance_m)
        error = got[mic, 2000:-2000] - want[2000 : 12 * 1024 - 2000]
        assert np.sqrt(np.mean(error**2)) < 0.01 * np.std(want[: 12 * 1024])


def test_a_receding_source_is_lower_in_pitch():
    time = np.arange(24 * 1024) / RATE_HZ
    tone = np.sin(2 * np.pi * 1000 * time)
    path_m = np.zeros((25, 3))
    path_m[:, 2] = 1.0 + 10.0 * np.arange(25) / 12  # 10 m/s away
    heard = propagation.heard_at_centre(propagation.PointSource(tone, path_m), 24 * 1024)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 2**18))
    peak_hz = np.fft.rfftfreq(2**18, 1 / RATE_HZ)[spectrum.argmax()]
    assert peak_hz == pytest.approx(1000 / (1 + 10 / 343), abs=1.0)


@pytest.fixture(scope='module')
def beamformer():
    """Of the built-in array, whose steering takes seconds."""
    return beamforming.Beamformer(
        microphones.built_in_array(), microphones.look_directions(), focus_m=1.5
    )


@pytest.mark.slow
@pytest.mark.parametrize('scenario', scenes.SCENARIOS, ids=lambda s: s.name)
def test_the_camera_finds_the_actor_where_the_take_says(scenario, beamformer):
    """In most of a take's loud frames, the image's peak is at the actor."""
    rng = np.random.default_rng(5)
    sound = sound_of('paper shaking', duration_s=2)[: 24 * 1024]
    others = [
        sound_of('speaking', take=9, subject=4, duration_s=2)[: 24 * 1024]
    ] * scenario.num_others
    path_m = scenes.wander(np.array([0.2, 0.0, 1.5]), CLASSES['paper shaking'], 25, rng)
    mics_m = beamformer.array.positions_m
    take = scenes.record_take(scenario, sound, others, path_m, mics_m, rng)
    assert take.frames.dtype == np.int32 and take.frames.shape == (24, 128, 1024)
    images = beamformer.power(take.frames)[..., 80:160].sum(axis=-1)
    offsets = []
    for image, place_m, level in zip(images, take.path_m, take.levels, strict=True):
        if level > 0.5:
            row, col = np.unravel_index(image.argmax(), image.shape)
            want = video.project(place_m)
            offsets.append(
                np.hypot((col + 0.5) * 640 / 48 - want[0], (row + 0.5) * 480 / 36 - want[1])
            )
    assert len(offsets) >= 3
    assert np.median(offsets) < 2 * 13.4  # two acoustic pixels


def test_scenarios_rise_in_difficulty():
    """Level of the actor above everything else in one microphone, at the array centre."""
    shares = []
    for scenario in scenes.SCENARIOS:
        both = []
        for loud in (1.0, 1e-6):
            # Levels are relative to the actor: keep the other sources', and remove the actor.
            rng = np.random.default_rng(3)
            sound = sound_of('speaking', duration_s=2)[: 24 * 1024]
            other = [sound_of('typing', duration_s=2)[: 24 * 1024]] * scenario.num_others
            quiet = dataclasses.replace(
                scenario,
                hiss_db=scenario.hiss_db + 20 * np.log10(loud),
                diffuse_db=scenario.diffuse_db + 20 * np.log10(loud),
                others_db=tuple(x + 20 * np.log10(loud) for x in scenario.others_db),
                wind_db=scenario.wind_db and scenario.wind_db + 20 * np.log10(loud),
                traffic_db=scenario.traffic_db and scenario.traffic_db + 20 * np.log10(loud),
            )
            path_m = scenes.wander(np.array([0, 0, 1.5]), 2, 25, rng)
            take = scenes.record_take(
                quiet, sound * loud, other, path_m, np.zeros((1, 3)) + [[0.01, 0, 0]], rng
            )
            both.append(np.mean(np.square(take.frames.astype(float))))
        shares.append(10 * np.log10(both[0] / both[1] - 1))
    assert shares[0] > shares[1] + 5 > shares[2] + 5


def louder(scenario, by_db):
    """A scenario whose actor is louder by this much, relative to everything else."""
    names = ('others_db', 'diffuse_db', 'traffic_db', 'wind_db', 'hiss_db')
    levels = {name: getattr(scenario, name) for name in names}
    return dataclasses.replace(
        scenario,
        **{
            name: tuple(db + by_db for db in level) if name == 'others_db' else level + by_db
            for name, level in levels.items()
            if level is not None
        },
    )


@pytest.mark.parametrize(
    'scenario, heard_db',
    list(zip(scenes.SCENARIOS, (17, 4, -3), strict=True)),
    ids=lambda s: str(s)[:20],
)
def test_the_array_gains_what_the_scenes_promise(scenario, heard_db):
    """The table in `scenes`: the actor's level above all else, at one microphone and in images."""
    mics, grid = microphones.built_in_array(), microphones.look_directions()
    hz = np.arange(512) * 12.0
    edges = (200, 800, 2000, 6100)
    bands = np.array([(hz >= low) & (hz < high) for low, high in itertools.pairwise(edges)], float)
    beamformer = band_beamforming.BandBeamformer(mics, grid, bands, 1.5)
    one, image = [], []  # [takes][actor only, everything else only][bands]
    for seed, name in enumerate(['paper shaking', 'speaking', 'plastic crumpling']):
        energies = []
        for loudness, by_db in ((1.0, 100.0), (1e-5, -100.0)):
            rng = np.random.default_rng(seed)
            sound = loudness * sound_of(name, subject=seed, duration_s=1)
            others = takes.draw_others(scenario, 1, 0, rng)
            path_m = scenes.wander(scenes.subject_home(rng), CLASSES[name], 13, rng)
            take = scenes.record_take(
                louder(scenario, by_db), sound, others, path_m, mics.positions_m, rng
            )
            spectra = beamforming.frame_spectra(take.frames[:, 0])
            towards = path_m[6] / np.linalg.norm(path_m[6])
            pixel = (grid.directions @ towards).reshape(-1).argmax()
            images = beamformer.energies(take.frames).reshape(12, -1, len(bands))
            energies.append(
                ((np.abs(spectra) ** 2 @ bands.T).mean(axis=0), images[:, pixel].mean(axis=0))
            )
        (actor_one, actor_image), (rest_one, rest_image) = energies
        one.append(10 * np.log10(actor_one / rest_one))
        image.append(10 * np.log10(actor_image / rest_image))
        in_all = 10 * np.log10(actor_one.sum() / rest_one.sum())
        assert in_all == pytest.approx(heard_db, abs=6)
    gain_db = np.mean(image, axis=0) - np.mean(one, axis=0)
    assert 16 < gain_db[2] < 26 and 6 < gain_db[1] < 16 and -3 < gain_db[0] < 7
    assert gain_db[0] < gain_db[1] < gain_db[2]


# Video


def test_the_object_is_where_the_sound_is(rng):
    person = subjects.subject(0)
    places_m = np.array([[-0.4, 0.1, 1.4], [0.4, -0.1, 1.4]])
    for action in range(14):
        left, right = video.render_frames(
            action, person, 0, places_m, [0.8, 0.8], np.random.default_rng(0)
        )
        assert left.shape == (480, 640, 3) and left.dtype == np.uint8
        changed = np.abs(left.astype(int) - right).sum(axis=-1) > 20
        for place_m in places_m:
            col, row = np.round(video.project(place_m)).astype(int)
            assert changed[row - 8 : row + 9, col - 8 : col + 9].mean() > 0.4
    with pytest.raises(ValueError, match='location 3'):
        next(video.render_frames(0, person, 3, places_m, [1, 1], rng))


def test_jpeg_decodes_to_the_frame(tmp_path):
    frames = list(
        video.render_frames(
            8, subjects.subject(0), 2, np.array([[0, 0, 1.5]]), [0.5], np.random.default_rng(1)
        )
    )
    data = video.encode_jpeg(frames[0])
    back = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(back - frames[0]).mean() < 6
    (tmp_path / 'I_000001.jpeg').write_bytes(data)
    bgr = avia_layout.read_frame('video', tmp_path / 'I_000001.jpeg')
    np.testing.assert_array_equal(bgr[..., ::-1], back)


# Real recordings as sources


def write_recordings(folder, classes=('dog_bark', 'rain'), count=6, rate_hz=22_050):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            noise = np.random.default_rng([number, i]).standard_normal(rate_hz) * 0.1
            suffix = ('wav', 'flac', 'ogg')[i % 3]
            soundfile.write(folder / name / f'{i}.{suffix}', noise, rate_hz)


def test_no_recording_is_in_two_units(tmp_path):
    write_recordings(tmp_path, count=7)
    found = sound_folders.class_folders(tmp_path)
    assert list(found) == ['dog bark', 'rain']
    dealt = recordings.deal(found, 3, seed=0)
    for name, units in dealt.items():
        files = [f for unit in units for f in unit]
        assert sorted(files) == found[name] and len(set(files)) == len(files)
        assert min(map(len, units)) >= 2
    with pytest.raises(ValueError, match=r'"dog bark".*7 recordings for 8'):
        recordings.deal(found, 8, seed=0)
    sound = recordings.unit_sound(dealt['rain'][0], 5)
    assert sound.shape == (5 * RATE_HZ,)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.1, rel=0.1)


def test_bad_recordings_are_named(tmp_path):
    with pytest.raises(ValueError, match='no such folder'):
        sound_folders.class_folders(tmp_path / 'none')
    (tmp_path / 'a').mkdir()
    with pytest.raises(ValueError, match=r'0 class folders.*/a: no sound in this folder'):
        sound_folders.class_folders(tmp_path)
    (tmp_path / 'a' / 'x.wav').write_text('this is text')
    with pytest.raises(ValueError, match='two or more'):
        sound_folders.class_folders(tmp_path)
    with pytest.raises(ValueError, match=r'x\.wav: not a readable'):
        recordings.read_recording(tmp_path / 'a' / 'x.wav')
    soundfile.write(tmp_path / 'a' / 'y.wav', np.zeros(8000), 8000)
    with pytest.raises(ValueError, match=r'y\.wav: contains no sound'):
        recordings.read_recording(tmp_path / 'a' / 'y.wav')


def test_presets():
    assert presets.preset_named('demo').num_subjects >= 3
    for layout in ('acivw', 'acivw_recordings'):
        assert presets.preset_named('smoke', layout).num_videos >= 3  # lists are split by video
        with pytest.raises(ValueError, match=r'smoke, demo$'):
            presets.preset_named('paper', layout)
    with pytest.raises(ValueError, match='smoke, demo, paper'):
        presets.preset_named('huge')
