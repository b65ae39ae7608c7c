"""The embedded ACIVW: distinguishable machines, different places, pictures aligned with sound."""

import dataclasses
import hashlib
import itertools
import shutil

import numpy as np
import pytest
import scipy.signal
import soundfile
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from dualcam.acoustics import band_beamforming, cepstra, microphones
from dualcam.data import schema, stores
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images
from dualcam.data.sources import datasets
from records import acivw_layout, convert_acivw, video_lists
from records.synthetic import acivw, acivw_scenes, acivw_sources, acivw_video, video

RATE_HZ = schema.ARRAY_RATE_HZ
LABELS = range(10)
NAMES = {name: i for i, name in enumerate(datasets.ACIVW_CLASSES)}


def sound_of(label, number=0, duration_s=4):
    return acivw_sources.acivw_source(label, duration_s, np.random.default_rng([number, label]))


def place_of(label, number=0, num_frames=24):
    return acivw_scenes.draw_place(label, num_frames, np.random.default_rng([number, label]))


# Sounds


@pytest.mark.parametrize('label', LABELS)
def test_a_sound_is_seeded_whole_and_of_the_common_level(label):
    for duration_s in (1, 4):
        sound = sound_of(label, duration_s=duration_s)
        assert sound.shape == (duration_s * RATE_HZ,) and np.isfinite(sound).all()
    np.testing.assert_array_equal(sound, sound_of(label))
    assert np.any(sound != sound_of(label, number=1))
    power = np.square(sound[: len(sound) // 256 * 256].reshape(-1, 256)).mean(axis=1)
    loud = power[power > power.max() / 100]
    assert 20 * np.log10(np.sqrt(loud.mean()) / 0.1) == pytest.approx(0, abs=3.1)
    # No second of it is silent.
    assert np.square(sound.reshape(4, -1)).max(axis=1).min() > 1e-3 * np.square(sound).max()


def features(sound):
    """Levels of 12 bands, their spread in time, and how tonal the spectrum is."""
    hz, _, power = scipy.signal.spectrogram(sound, RATE_HZ, nperseg=1024)
    edges = np.searchsorted(hz, np.geomspace(60, 6000, 13))
    bands = np.stack([power[a:b].mean(axis=0) for a, b in itertools.pairwise(edges)])
    mean_db = 10 * np.log10(bands.mean(axis=1) + 1e-15)
    spectrum_db = 10 * np.log10(power.mean(axis=1) + 1e-15)
    peaks_db = spectrum_db - scipy.signal.medfilt(spectrum_db, 31)
    return np.concatenate(
        [
            mean_db - mean_db.mean(),
            np.log(bands.std(1) / bands.mean(1)) * 5,
            np.sort(peaks_db)[-8::2],
        ]
    )


@pytest.mark.slow
def test_classes_are_told_apart_on_machines_never_heard_before():
    """Trained on 8 videos per class, tested on 4 others; chance is 10 %."""
    seen, asked = (
        [(label, number) for label in LABELS for number in numbers]
        for numbers in (range(8), range(8, 12))
    )
    x, y = (np.array([features(sound_of(*key)) for key in keys]) for keys in (seen, asked))
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    neighbours = KNeighborsClassifier(3).fit((x - mean) / deviation, [k[0] for k in seen])
    assert neighbours.score((y - mean) / deviation, [k[0] for k in asked]) > 0.8


def test_machines_of_a_class_have_their_own_pitch():
    pitches = []
    for number in range(6):
        hz, power = scipy.signal.welch(
            sound_of(NAMES['vacuum cleaner'], number), RATE_HZ, nperseg=4096
        )
        near = (hz > 280) & (hz < 620)
        pitches.append(hz[near][power[near].argmax()])
    assert np.ptp(pitches) > 60


def test_a_razor_hums_at_the_mains_and_a_fountain_at_nothing():
    def tonality(name):
        _, power = scipy.signal.welch(sound_of(NAMES[name]), RATE_HZ, nperseg=4096)
        return 10 * np.log10((power / scipy.signal.medfilt(power, 61)).max())

    assert tonality('razor') > 20 > 10 > tonality('fountain')
    correlation = np.correlate(*[sound_of(NAMES['razor'])[:8192]] * 2, 'full')[8191:]
    lags = np.arange(RATE_HZ // 140, RATE_HZ // 85)
    mains_hz = RATE_HZ / lags[correlation[lags].argmax()]
    assert min(abs(mains_hz / hz - 1) for hz in (100, 120)) < 0.05


def test_unknown_classes_are_refused():
    for label in (-1, 10):
        with pytest.raises(ValueError, match=f'class {label}: expected 0 - 9, train to traffic'):
            acivw_sources.acivw_source(label, 1, np.random.default_rng(0))


# Places


@pytest.mark.parametrize('label', LABELS)
def test_what_sounds_stays_in_the_view_and_above_the_ground(label):
    for number in range(20):
        place = place_of(label, number)
        for x, y in map(video.project, place.path_m):
            assert 0.1 * 640 < x < 0.9 * 640 and 0.1 * 480 < y < 0.9 * 480
        y_m = place.path_m[:, 1]
        scenario = place.scenario
        if place.indoors:
            width_m, height_m, depth_m = scenario.room_m
            assert np.abs(place.path_m[:, 0]).max() < width_m / 2
            assert y_m.min() > -1.2 and y_m.max() < height_m - 1.2
            assert place.path_m[:, 2].max() < depth_m - 0.6
        else:
            assert y_m.min() > -scenario.ground_m


def test_no_two_videos_are_in_one_place():
    places = [place_of(label, number) for label in LABELS for number in range(5)]
    assert len({tuple(p.path_m[0]) for p in places}) == len(places)
    assert len({p.scenario for p in places}) == len(places)
    assert {p.indoors for p in places} == {True, False}
    assert not any(place_of(NAMES['train'], n).indoors for n in range(20))
    gains_db = [20 * np.log10(p.gain / np.median(p.path_m[:, 2])) for p in places]
    assert -6 <= min(gains_db) < -4 and 4 < max(gains_db) <= 6


# Pictures


def frames_of(label, path_m, levels=(0.7, 0.7), seed=0, indoors=False):
    return list(
        acivw_video.render_frames(
            label, indoors, np.asarray(path_m), levels, np.random.default_rng(seed)
        )
    )


@pytest.mark.parametrize('label', LABELS)
def test_the_object_is_drawn_where_the_sound_is(label):
    z_m = np.mean(acivw_scenes.SETTINGS[label].distance_m)
    left, right = frames_of(label, z_m * np.array([[-0.3, 0.0, 1.0], [0.3, 0.0, 1.0]]))
    assert left.shape == acivw_video.SHAPE == (240, 320, 3) and left.dtype == np.uint8
    changed = np.abs(left.astype(int) - right).sum(axis=-1) > 20
    for x_m in (-0.3, 0.3):
        col, row = np.round(np.array(video.project((x_m, 0.0, 1.0))) / 2).astype(int)
        # A train is as long as the view, and a cart is only wire.
        assert changed[row - 12 : row + 13, col - 12 : col + 13].mean() > 0.2


def test_videos_of_a_class_look_different_and_repeat_by_seed():
    path_m = [[0.0, 0.0, 4.0]] * 2
    once, again, other = (frames_of(2, path_m, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once[0].astype(int) - other[0]).mean() > 10
    assert np.abs(once[0].astype(int) - once[1]).mean() < 4
    assert np.abs(once[0].astype(int) - frames_of(2, path_m, indoors=True)[0]).mean() > 10
    np.testing.assert_array_equal(frames_of(12, path_m), once)  # other sources borrow shapes


def test_what_leaves_the_view_does_not_stop_the_film():
    for label in LABELS:
        frames_of(
            label,
            [[x, y, 1.0] for x, y in ((-3, 0), (3, 0), (0, 3), (0, -3))],
            (0.0, 0.3, 0.6, 1.0),
        )


# The whole pipeline


@pytest.fixture(scope='module')
def beamformer():
    return band_beamforming.BandBeamformer(
        microphones.built_in_array(), microphones.look_directions(), cepstra.mel_filters(), 1.5
    )


@pytest.fixture(scope='module')
def job(tmp_path_factory):
    return acivw.Job(tmp_path_factory.mktemp('raw'), 0, 1, 3, None)


@pytest.mark.parametrize(
    'label, number', [(NAMES['drone'], 0), (NAMES['fountain'], 1), (NAMES['vacuum cleaner'], 2)]
)
def test_flipped_images_of_records_peak_at_the_drawn_object(
    label, number, job, beamformer, tmp_path
):
    """Simulated, written, converted, read: the loader's flips align sound and picture."""
    assert not job.is_complete((label, number))
    job.write((label, number), beamformer.array, beamformer)
    assert job.is_complete((label, number))
    raw = tmp_path / 'raw' / acivw_layout.video_name(label, number)
    shutil.copytree(job.out / acivw_layout.video_name(label, number), raw)
    modalities = schema.modalities_by_number([0, 1, 2])
    assert convert_acivw.convert(tmp_path / 'raw', tmp_path / 'out', modalities) == (1, 0, 0)
    path = str(next((tmp_path / 'out').rglob('*.tfrecord')))
    store = stores.open_store(
        [path], record_packer.RecordPacker(['acoustic', 'audio']), tmp_path / 'cache'
    )
    assert (store.columns['label'], store.columns['group']) == (label, number)

    take, place, rng = acivw.simulate_video(job, label, number, beamformer.array)
    np.testing.assert_array_equal(store.arrays['audio'][0], take.frames[:, 0])
    maps = acoustic_images.flip(store.arrays['acoustic'][0])[..., 0]  # [12, 36, 48]
    pictures = next(reading.read_seconds([path], ['video']))['video'][..., ::-1]
    # The same video with the object out of view shows which pixels belong to the object.
    empty = acivw_video.render_frames(
        label, place.indoors, take.path_m + [99.0, 0.0, 0.0], take.levels, rng
    )
    offsets, covered = [], []
    for image, picture, without, place_m in zip(maps, pictures, empty, take.path_m, strict=True):
        row, col = (i + 0.5 for i in np.unravel_index(image.argmax(), image.shape))
        x, y = video.project(place_m)
        offsets.append(np.hypot(col - x * 48 / 640, row - y * 36 / 480))
        without = Image.fromarray(without).resize((298, 224), Image.Resampling.BICUBIC)
        drawn = np.abs(picture.astype(int) - np.asarray(without)).sum(axis=-1) > 20
        assert 0.001 < drawn.mean() < 0.3
        at_row, at_col = round(row * 224 / 36), round(col * 298 / 48)
        covered.append(drawn[max(0, at_row - 10) : at_row + 11, max(0, at_col - 10) : at_col + 11])
    assert np.median(offsets) < 2  # acoustic pixels
    assert np.median([patch.mean() for patch in covered]) > 0.3


def test_seeds_decide_what_is_simulated(job, beamformer):
    once, again = (acivw.simulate_video(job, 3, 1, beamformer.array)[0].frames for _ in range(2))
    np.testing.assert_array_equal(once, again)
    for other in (dataclasses.replace(job, seed=1), job):
        number = 1 if other is not job else 2
        frames = acivw.simulate_video(other, 3, number, beamformer.array)[0].frames
        assert frames.shape == (12, 128, 1024) and np.any(frames != once)
    assert np.abs(once).max() < 2**23 - 1  # nothing is clipped


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file() and p.suffix != '.mat'
    }


@pytest.mark.slow
def test_real_recordings_take_the_place_of_the_sounds(tmp_path, command):
    for number, name in enumerate(('dog_bark', 'rain')):
        (tmp_path / 'sounds' / name).mkdir(parents=True)
        for i in range(3):
            noise = np.random.default_rng([number, i]).standard_normal(22_050) * 0.1
            soundfile.write(tmp_path / 'sounds' / name / f'{i}.wav', noise, 22_050)

    def simulate(out, *arguments):
        return command(
            '-m',
            'records.synthetic',
            f'--out={tmp_path}/{out}',
            '--layout=acivw',
            '--preset=smoke',
            f'--sources={tmp_path}/sounds',
            *arguments,
        )

    code, out, errors = simulate('one')
    assert code == 0, errors
    assert '6 takes of 2 s written, 0 already existed' in out
    info = datasets.read_description(tmp_path / 'one')
    assert info == datasets.DatasetInfo(
        'acivw_simulated', ('dog bark', 'rain'), 'real recordings, simulated array and places', 3
    )
    before = digests(tmp_path / 'one')
    # A video without its time file is incomplete; it is made again, with the same bytes.
    (tmp_path / 'one/class_1/data_002/video_time.txt').unlink()
    (tmp_path / 'one/class_1/data_002/audio/A_000003.dc').write_bytes(b'half')
    code, out, _ = simulate('one', '--processes=1')
    assert code == 0 and '1 takes of 2 s written, 5 already existed' in out
    assert digests(tmp_path / 'one') == before
    code, _, errors = simulate('one', '--seed=1')
    assert code == 1 and 'choose another --out' in errors
    code, _, errors = simulate('two', '--videos=4')
    assert code == 1 and '3 recordings for 4' in errors and '--videos' in errors


@pytest.mark.slow
def test_the_smoke_data_serve_lists_by_video(acivw_smoke):
    records = acivw_smoke / 'records'
    info = datasets.read_description(records)
    assert info.classes == datasets.ACIVW_CLASSES[:5]
    assert info.origin == 'simulated sounds, array and places'
    written = video_lists.write_video_lists(records, 2)
    assert list(written.values()) == [20, 10, 10]
    for path in written:
        seconds = list(reading.read_seconds(reading.read_list(path), ['audio']))
        videos = len(seconds) // 10
        assert sorted(int(s['label']) for s in seconds[::2]) == sorted([*range(5)] * videos)
        assert all(s['audio'].shape == (12, 1, 1024) for s in seconds)
