"""Whole video frames: resized, packed once, cut together with sound and acoustic images."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from dualcam.data import stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images, frontends, video
from records import writer


@pytest.mark.parametrize('height, width', [(480, 640), (240, 320), (100, 300), (300, 100)])
def test_frames_of_any_size_are_resized_to_cover_and_cut_in_the_middle(height, width):
    # Brightness increases along both axes, so that a pixel encodes its position.
    rows, cols = np.mgrid[:height, :width] + 0.5
    frame = np.stack([255 * rows / height, 255 * cols / width, 0 * rows], -1).astype(np.uint8)
    fitted = video.fit(frame[None])
    assert fitted.shape == (1, 224, 298, 3) and fitted.dtype == np.uint8
    scale = max(224 / height, 298 / width)
    places = [
        (np.arange(size) + 0.5 - size / 2) / scale / whole + 0.5
        for size, whole in ((224, height), (298, width))
    ]
    np.testing.assert_allclose(fitted[0, :, 150, 0], 255 * places[0], atol=2.5)
    np.testing.assert_allclose(fitted[0, 100, :, 1], 255 * places[1], atol=2.5)
    assert video.fit(fitted) is fitted


def test_the_resize_is_bicubic(rng):
    frame = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    want = np.asarray(Image.fromarray(frame).resize((298, 224), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(video.fit(frame[None])[0], want)


@pytest.fixture(scope='module', params=[(224, 298), (48, 64)])
def paths(request, tmp_path_factory):
    """Four consecutive records with frames of uniform brightness: 12 * record + frame."""
    rng, found = np.random.default_rng(0), []
    for i in range(4):
        frames = {
            'acoustic': list(rng.standard_normal((12, 36, 48, 12)).astype(np.float32)),
            'audio': list(rng.integers(-(10**6), 10**6, (12, 1, 1024)).astype(np.int32)),
            'video': [
                np.full((*request.param, 3), 12 * i + frame, np.uint8)
                + np.array([0, 60, 120], np.uint8)
                for frame in range(12)
            ],
        }
        path = tmp_path_factory.getbasetemp() / f'{request.param[0]}' / f'Data_{i + 1:03d}.tfrecord'
        writer.write_record(
            path, writer.second_to_example({'action': 1, 'location': 0, 'subject': 0}, frames)
        )
        found.append(str(path))
    return found


@pytest.fixture(scope='module')
def store(paths, tmp_path_factory):
    return stores.open_store(
        paths,
        record_packer.RecordPacker(['acoustic', 'audio', 'frames']),
        tmp_path_factory.mktemp('cache'),
    )


def test_first_and_last_frame_of_each_record_are_packed(store):
    frames = store.arrays['frames']
    assert frames.shape == (4, 2, 224, 298, 3) and frames.dtype == np.uint8
    want = (12 * np.arange(4)[:, None] + video.KEPT_FRAMES)[..., None] + [0, 60, 120]
    np.testing.assert_array_equal(frames[:, :, 100, 100], want)
    assert np.ptp(frames, axis=(2, 3)).max() == 0


def test_no_record_is_read_again(store, paths, monkeypatch, tmp_path):
    stores.open_store(paths, record_packer.RecordPacker(['frames']), tmp_path)
    monkeypatch.setattr(reading, 'read_seconds', None)
    again = stores.open_store(paths, record_packer.RecordPacker(['frames']), tmp_path)
    np.testing.assert_array_equal(again.arrays['frames'], store.arrays['frames'])


@pytest.mark.parametrize(
    'seconds, want', [(1, [0]), (2, [0, 23]), (3, [0, 12, 35]), (4, [0, 12, 35, 47])]
)
def test_a_clip_takes_the_packed_frame_nearest_to_the_authors_pick(store, seconds, want):
    windows = np.arange(seconds)[None]
    (batch,) = record_clips.cut(store, windows, ['frames']).batches(4)
    assert batch['input'].shape == (1, seconds, 224, 298, 3)
    reds = batch['input'].numpy()[0, :, 100, 100, 0] + video.MEANS[0]
    np.testing.assert_allclose(reds - 120, want, atol=1e-4)


def test_frames_are_rgb_without_the_means_or_the_authors_bgr(store):
    windows = np.array([[1, 2], [2, 3], [0, 1]])
    ours, theirs = (
        np.concatenate(
            [b['input'] for b in record_clips.cut(store, windows, ['frames'], bgr=bgr).batches(2)]
        )
        for bgr in (False, True)
    )
    brightness = np.array([[12, 35], [24, 47], [0, 23]])
    for got, colours in ((ours, [120, 60, 0]), (theirs, [0, 60, 120])):
        want = brightness[..., None] + np.subtract(colours, video.MEANS)
        np.testing.assert_allclose(got[:, :, 7, 7], want, atol=1e-4)


@pytest.mark.parametrize('budget', [1 << 30, 0])
def test_two_inputs_come_from_the_same_seconds(store, budget):
    windows = np.array([[1, 2], [0, 1], [2, 3]])
    ears = frontends.Frontend('spectrogram', 'mean_std', (np.zeros(257), np.full(257, 2.0)))
    for sound in ('spectrogram', 'acoustic'):
        inputs = [sound, 'frames']
        both = record_clips.cut(store, windows, inputs, ears, memory_bytes=budget)
        alone = [record_clips.cut(store, windows, [part], ears) for part in inputs]
        for batch, *parts in zip(
            both.batches(2, (3, 1)), *(one.batches(2, (3, 1)) for one in alone), strict=True
        ):
            assert set(batch['input']) == {sound, 'frames'}
            for name, part in zip(inputs, parts, strict=True):
                np.testing.assert_array_equal(batch['clip'], part['clip'])
                np.testing.assert_allclose(
                    batch['input'][name], part['input'], rtol=1e-4, atol=1e-2
                )


def test_acoustic_images_are_flipped_where_they_are_to_be_and_only_there(store):
    windows = np.array([[1, 2]])
    plain, flipped = (
        record_clips.cut(dataclasses.replace(store, mirrored=mirrored), windows, ['acoustic'])
        for mirrored in (False, True)
    )
    images = store.arrays['acoustic'][1:3].reshape(1, 24, 36, 48, 12)
    np.testing.assert_array_equal(next(iter(plain.batches(1)))['input'], images)
    turned = next(iter(flipped.batches(1)))['input'].numpy()
    for row, col in ((0, 0), (35, 47), (10, 3)):
        np.testing.assert_array_equal(turned[:, :, row, col], images[:, :, 35 - row, 47 - col])
    # What is displayed has the same orientation as the network's input.
    np.testing.assert_array_equal(flipped.images(0), turned[0])
    np.testing.assert_array_equal(acoustic_images.flip(acoustic_images.flip(images)), images)


def test_records_without_video_are_named(tmp_path):
    path = tmp_path / 'Data_001.tfrecord'
    writer.write_record(
        path,
        writer.second_to_example(
            {'action': 0, 'location': 0, 'subject': 0},
            {'audio': list(np.zeros((12, 1, 1024), np.int32))},
        ),
    )
    with pytest.raises(ValueError, match=r'Data_001\.tfrecord: not a whole record with video'):
        stores.open_store([str(path)], record_packer.RecordPacker(['frames']), tmp_path / 'cache')
    assert not list((tmp_path / 'cache').iterdir())
