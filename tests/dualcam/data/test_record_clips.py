import dataclasses

import numpy as np
import pytest

from dualcam.data import audio
from dualcam.data.clips import record_clips, record_parts
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends


def make_store(rng, folders=3, seconds=10, acoustic=False):
    """A store of noise, without files."""
    paths = tuple(
        f'/r/Action_{f:03d}/Data_{i + 1:03d}.tfrecord'
        for f in range(folders)
        for i in range(seconds)
    )
    arrays = {'audio': rng.integers(-(10**6), 10**6, (len(paths), 12, 1024)).astype(np.int32)}
    if acoustic:
        arrays['acoustic'] = rng.standard_normal((len(paths), 12, 36, 48, 12)).astype(np.float32)
    labels = {'label': np.repeat(np.arange(folders), seconds)}
    return record_packer.RecordStore(paths, labels, arrays, 'digest')


def test_windows_cover_and_follow(rng):
    store = make_store(rng)
    rows = record_clips.sequence_rows(store, store.paths, 10)
    np.testing.assert_array_equal(rows, np.arange(30).reshape(3, 10))
    params = record_clips.ClipParams(10, 3, 1)
    whole = record_clips.inference_windows(rows, params)
    assert whole.shape == (9, 3) and len(np.unique(whole)) == 27  # no overlap
    np.testing.assert_array_equal(np.diff(whole, axis=1), 1)
    np.testing.assert_array_equal(whole[:, 0] // 10, whole[:, -1] // 10)


def test_crops_are_seeded_stay_inside_and_differ(rng):
    rows = np.arange(400).reshape(40, 10)
    params = record_clips.ClipParams(10, 5, 6)
    first = record_clips.training_windows(rows, params, seed=3)
    np.testing.assert_array_equal(first, record_clips.training_windows(rows, params, seed=3))
    assert np.any(first != record_clips.training_windows(rows, params, seed=4))
    assert first.shape == (240, 5)
    np.testing.assert_array_equal(first[:, 0] // 10, first[:, -1] // 10)
    # Six crops of the six possible starts: each start once.
    assert all(len(set(first[i : i + 6, 0])) == 6 for i in range(0, 240, 6))
    # A sequence's crops do not depend on which others are in the list.
    np.testing.assert_array_equal(
        first[:12], record_clips.training_windows(rows[:2], params, seed=3)
    )


@pytest.mark.parametrize(
    'kind, shape',
    [('waveform', (44_100,)), ('spectrogram', (199, 257)), ('acoustic', (24, 36, 48, 12))],
)
def test_batches(rng, kind, shape):
    store = make_store(rng, acoustic=True)
    windows = np.array([[4, 5], [0, 1], [12, 13], [0, 1], [28, 29]])
    made = record_clips.cut(store, windows, [kind], columns={'extra': np.arange(5.0)})
    batches = list(made.batches(2))
    assert [b['input'].shape[0] for b in batches] == [2, 2, 1]
    assert batches[0]['input'].shape[1:] == shape
    np.testing.assert_array_equal(np.concatenate([b['label'] for b in batches]), [0, 0, 1, 0, 2])
    np.testing.assert_array_equal(np.concatenate([b['extra'] for b in batches]), np.arange(5.0))
    values = np.concatenate([b['input'] for b in batches])
    np.testing.assert_array_equal(values[1], values[3])
    frames = store.arrays['audio'][12:14].reshape(24, 1, 1024)
    want = {
        'waveform': lambda: audio.waveform(frames),
        'spectrogram': lambda: audio.spectrogram(audio.waveform(frames)),
        'acoustic': lambda: store.arrays['acoustic'][12:14].reshape(24, 36, 48, 12),
    }[kind]()
    np.testing.assert_allclose(values[2], want, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize('kind', ['waveform', 'spectrogram'])
def test_what_is_kept_in_memory_equals_what_is_worked_out_anew(rng, kind):
    store = make_store(rng)
    windows = np.array([[4, 5], [0, 1], [12, 13]])
    ears = frontends.Frontend(
        kind, statistics=(np.zeros(257, np.float32), np.full(257, 9.0, np.float32))
    )
    kept = record_clips.cut(store, windows, [kind], ears)
    anew = record_clips.cut(store, windows, [kind], ears, memory_bytes=0)
    for a, b in zip(kept.batches(2, (1, 2)), anew.batches(2, (1, 2)), strict=True):
        np.testing.assert_array_equal(a['clip'], b['clip'])
        np.testing.assert_allclose(a['input'], b['input'], rtol=1e-4, atol=1e-2)


def test_waveforms_are_made_once_for_all_runs_on_the_same_records(rng, monkeypatch):
    calls = []
    real = audio.waveform
    monkeypatch.setattr(audio, 'waveform', lambda frames: calls.append(len(frames)) or real(frames))
    store, other = make_store(rng), make_store(rng)
    windows, reverse = np.array([[4, 5], [0, 1], [12, 13]]), np.array([[12, 13], [0, 1], [4, 5]])

    def sound(store, windows):
        (values,) = record_clips.cut(store, windows, ['waveform']).raw_batches()
        return values

    first = sound(store, windows)
    assert calls == [3]
    np.testing.assert_array_equal(sound(store, reverse), first[::-1])
    assert calls == [3]
    assert not np.array_equal(sound(other, windows), first)
    monkeypatch.setattr(record_parts, '_SHARED_BYTES', first.nbytes)
    sound(store, windows[:2])  # takes the others' place
    sound(store, windows[:2])
    assert calls == [3, 3, 2]
    np.testing.assert_array_equal(sound(store, windows), first)
    assert calls == [3, 3, 2, 3]
    monkeypatch.setattr(record_parts, '_SHARED_BYTES', first.nbytes - 1)
    sound(store, windows[::2])
    sound(store, windows)  # too large to be held
    sound(store, windows)
    assert calls == [3, 3, 2, 3, 2, 3, 3]


def test_normalised_spectrograms_are_normalised_once(rng):
    store = make_store(rng)
    windows = np.array([[4, 5], [0, 1]])
    ears = frontends.Frontend(
        'spectrogram', statistics=(np.full(257, 2.0, np.float32), np.full(257, 6.0, np.float32))
    )
    plain = np.concatenate(list(record_clips.cut(store, windows, ['spectrogram']).raw_batches()))
    for budget in (1 << 30, 0):
        made = record_clips.cut(store, windows, ['spectrogram'], ears, memory_bytes=budget)
        got = np.concatenate(list(made.raw_batches()))
        np.testing.assert_allclose(got, (plain - 2) / 4, rtol=1e-4, atol=1e-3)


def test_order_is_the_seeds_and_epochs(rng):
    made = record_clips.cut(
        make_store(rng, folders=4), np.arange(40)[:, None], ['waveform'], memory_bytes=0
    )
    order = {e: np.concatenate([b['clip'] for b in made.batches(8, (0, e))]) for e in (0, 1)}
    again = np.concatenate([b['clip'] for b in made.batches(8, (0, 0))])
    np.testing.assert_array_equal(order[0], again)
    assert np.any(order[0] != order[1])
    np.testing.assert_array_equal(np.sort(order[1]), np.arange(40))


def test_lists_that_are_no_sequences_are_named(rng):
    store = make_store(rng)
    with pytest.raises(ValueError, match='num_seconds=7'):
        record_clips.sequence_rows(store, store.paths, 7)
    mixed = list(store.paths)
    mixed[3], mixed[4] = mixed[4], mixed[3]
    with pytest.raises(ValueError, match=r'Data_005.tfrecord does not follow .*Data_003'):
        record_clips.sequence_rows(store, mixed, 10)


@pytest.mark.parametrize(
    'change', [{'sample_length': 0}, {'sample_length': 11}, {'number_of_crops': 0}]
)
def test_impossible_clips_are_refused(change):
    with pytest.raises(ValueError, match='expected'):
        dataclasses.replace(record_clips.ClipParams(), **change)


def test_no_clips_are_refused(rng):
    with pytest.raises(ValueError, match='empty'):
        record_clips.cut(make_store(rng), np.zeros((0, 2), int), ['waveform'])


def test_half_of_the_mirrored_clips_are_other_ones_in_each_epoch(rng):
    store = make_store(rng, acoustic=True)
    windows = np.arange(30)[:, None]
    made = record_clips.cut(store, windows, ['acoustic'], mirrored=True)

    def seen(seed):
        """Whether each clip is mirrored, by its number."""
        found = np.zeros(30, bool)
        for batch in made.batches(8, seed):
            for number, images in zip(batch['clip'].numpy(), batch['input'].numpy(), strict=True):
                image = store.arrays['acoustic'][number]
                found[number] = np.array_equal(images, image[:, :, ::-1])
                assert found[number] or np.array_equal(images, image)
        return found

    first = seen((3, 0))
    assert 5 < first.sum() < 25
    np.testing.assert_array_equal(first, seen((3, 0)))
    assert np.any(first != seen((3, 1)))
    assert not seen(None).any()  # in validation and tests


def test_only_acoustic_images_are_mirrored(rng):
    with pytest.raises(ValueError, match='only acoustic images by themselves are mirrored'):
        record_clips.cut(
            make_store(rng, acoustic=True),
            np.array([[0]]),
            ['acoustic', 'waveform'],
            mirrored=True,
        )
