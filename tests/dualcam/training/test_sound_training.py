import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from dualcam import losses
from dualcam.data import audio
from dualcam.data.clips import record_clips, sound_clips
from dualcam.data.packers import sound_packer
from dualcam.data.signal import augmentation, frontends, mfcc
from dualcam.data.sources import datasets, sound_folders
from dualcam.training import loop, recipes, run, run_data
from dualcam.training.recipes import supervised
from tests.helpers.sound_folders import write_esc

CLASSES = ('dog bark', 'rain')
PLAIN = frontends.Frontend('spectrogram', 'log', band_limited=False)


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sounds')
    write_esc(folder / 'esc', seconds=1.5)
    return sound_packer.open_sounds(sound_folders.find_sounds(folder / 'esc'), folder / 'cache')[0]


def params(**changes):
    return supervised.RunParams(
        'hearnet',
        record_clips.ClipParams(1, 1, 1),
        loop.LoopParams(8, 8, 1e-3, schedule='cosine'),
        normalisation='log',
        band_limited=False,
        augment=augmentation.Augmentation(mixup=0.3),
        **changes,
    )


def data_of(store, training=slice(0, None, 2), validation=slice(1, None, 2)):
    rows = np.arange(len(store.paths))
    info = datasets.DatasetInfo('toy', CLASSES, 'toy', 0)
    return run_data.SoundData(store, rows[training], rows[validation], info)


def test_clips_without_changes_are_the_files(store):
    windows = sound_clips.windows(store, [3, 5], 22_050)
    assert windows.tolist() == [[3, 0], [3, 11_025], [5, 0], [5, 11_025]]
    made = sound_clips.cut(store, windows, 22_050, PLAIN, augmentation.Augmentation())
    [batch] = made.batches(8)
    assert batch['label'].numpy().tolist() == store.columns['label'][[3, 3, 5, 5]].tolist()
    signal = store.clip(5, 11_025, 22_050)
    spectrum = audio.spectrogram(tf.constant(signal / np.abs(signal).max() * 256))
    np.testing.assert_allclose(batch['input'][3], np.log1p(spectrum), rtol=1e-4, atol=1e-3)


def test_changes_depend_on_seed_epoch_and_clip_only(store):
    windows = sound_clips.windows(store, np.arange(8), 22_050)
    made = sound_clips.cut(store, windows, 22_050, PLAIN, augmentation.Augmentation())

    def epoch(number, batch_size):
        found = {}
        for batch in made.batches(batch_size, (0, number)):
            found |= {int(c): x.numpy() for c, x in zip(batch['clip'], batch['input'], strict=True)}
        return found

    first, again, other = epoch(0, 4), epoch(0, 5), epoch(1, 4)
    assert set(first) == set(range(16))
    for clip in first:
        np.testing.assert_allclose(first[clip], again[clip], atol=1e-4)
        assert np.abs(first[clip] - other[clip]).max() > 0.1


def test_a_short_clip_moves_in_a_circle_and_a_long_one_along_its_file(rng):
    plan = augmentation.Augmentation()
    lengths = np.array([100, 1000, 100, 1000] * 50)
    starts = augmentation.starts(plan, rng.random(200), lengths, 100)
    assert starts[::2].max() < 100 and starts[::2].min() >= 0
    assert 100 < starts[1::2].max() <= 900
    still = dataclasses.replace(plan, shift=False)
    assert not augmentation.starts(still, rng.random(200), lengths, 100).any()


def test_gains_masks_and_shares_keep_their_limits():
    plan = augmentation.Augmentation(gain_db=6.0, time_mask_s=0.1, frequency_mask_bins=8, mixup=0.4)
    draws = augmentation.draw(plan, (3, 4), 300)
    db = 20 * np.log10(draws.gain)
    assert (
        db.shape == (300, 1)
        and np.abs(db).max() <= 6.001
        and db.std() == pytest.approx(12 / 12**0.5, rel=0.15)
    )
    masked = (
        augmentation.mask(plan, tf.ones([300, 200, 64]), draws.times, draws.channels, 100).numpy()
        == 0
    )
    times, bins = masked.all(axis=2).sum(axis=1), masked.all(axis=1).sum(axis=1)
    assert 10 < times.max() <= 22 and 8 < bins.max() <= 18 and times.min() < 5
    shares = draws.other_share
    assert shares.shape == (300, 1) and shares.min() >= 0 and 0.3 < shares.max() <= 0.5
    assert not augmentation.draw(augmentation.Augmentation(), (3, 4), 5).other_share.any()


def test_the_loss_of_mixed_clips_is_that_of_their_parts(rng):
    logits = rng.standard_normal((4, 3)).astype(np.float32)
    labels, others, shares = [0, 1, 2, 0], [1, 1, 0, 2], np.array([0.0, 0.3, 0.5, 0.1], np.float32)
    logs = special.log_softmax(logits, axis=1)
    rows = np.arange(4)
    want = -np.mean((1 - shares) * logs[rows, labels] + shares * logs[rows, others])
    got = losses.mixed_cross_entropy(labels, others, shares, logits)
    assert float(got) == pytest.approx(want, rel=1e-5)
    plain = losses.mixed_cross_entropy(labels, others, np.zeros(4, np.float32), logits)
    assert float(plain) == pytest.approx(float(losses.cross_entropy(labels, logits)), rel=1e-6)


def test_statistics_are_of_what_the_network_sees(store, tmp_path):
    made = data_of(store)
    training, validation = made.clips(params(), tmp_path)
    seen = np.concatenate(list(training.raw_batches()))
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), 0.0, atol=2e-3)
    deviation = seen.std(axis=(0, 1))
    assert np.all((np.abs(deviation - 1) < 1e-2) | (deviation < 1))
    assert len(training) == len(validation) == 24


@pytest.mark.slow
def test_a_student_learns_two_tones_and_is_exported(store, tmp_path):
    made = data_of(store)
    run.train(recipes.SUPERVISED, params(), made, tmp_path / 'run')
    history = loop_history(tmp_path / 'run')
    assert max(h['validation/accuracy'] for h in history) == 1.0
    rates = [h['learning_rate'] for h in history]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 1e-5
    assert (tmp_path / 'run' / 'saved_model' / '1' / 'saved_model.pb').exists()
    described = run.described(tmp_path / 'run')
    assert described == run.Description('supervised', params(), CLASSES)
    run.train(recipes.SUPERVISED, params(), made, tmp_path / 'run')  # complete: nothing to do
    with pytest.raises(ValueError, match='no acoustic images'):
        made.clips(params(), tmp_path / 'run', np.zeros((1, 2)))


@pytest.mark.usefixtures('without_exports')
def test_without_validation_the_last_epoch_counts(store, tmp_path):
    short = dataclasses.replace(params(), loop=loop.LoopParams(2, 8, 1e-3))
    run.train(recipes.SUPERVISED, short, data_of(store, slice(0, 4), slice(0, 0)), tmp_path / 'run')
    history = loop_history(tmp_path / 'run')
    assert loop.chosen_epoch(history) == 1
    assert not any(key.startswith('validation') for key in history[0])


def loop_history(folder):
    return json.loads((folder / 'metrics.json').read_text())['history']


def test_mfcc_statistics_tell_tones_apart_whatever_their_loudness(rng):
    def tone(hz, gain):
        time = np.arange(22_050) / 22_050
        return gain * np.sin(2 * np.pi * hz * time) + 1e-3 * gain * rng.standard_normal(22_050)

    low, loud, high = (mfcc.statistics(tone(*x)) for x in ((300, 0.1), (300, 0.9), (3000, 0.1)))
    assert low.shape == (80,) and low.dtype == np.float32
    assert np.linalg.norm(low - loud) < 0.1 * np.linalg.norm(low - high)
    assert np.isfinite(mfcc.statistics(rng.standard_normal(200))).all()


def test_a_wrong_schedule_is_named():
    with pytest.raises(ValueError, match='expected constant or cosine'):
        loop.LoopParams(schedule='linear')
