"""Video frames and a frozen network's features of them."""

import os

import keras
import numpy as np
import pytest

from dualcam.data import stores
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.signal import video
from dualcam.features import frame_features
from tests.helpers import small_records

pytestmark = pytest.mark.numeric


@pytest.fixture
def paths(rng, tmp_path):
    return [
        small_records.write_second(
            tmp_path / f'Data_{i + 1:03d}.tfrecord', small_records.noise(rng, ['audio', 'video'])
        )
        for i in range(3)
    ]


@pytest.fixture
def store(paths, tmp_path):
    return stores.open_store(paths, record_packer.RecordPacker(['audio']), tmp_path / 'cache')


def small_network(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Conv2D(4, 7, 7, activation='relu')(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name='small')


def test_chosen_frames_are_read(paths):
    chosen = [[0, 11], [], [5]]
    seconds = list(reading.read_seconds(paths, ['video']))
    for got, second, frames in zip(
        reading.read_frames(paths, chosen), seconds, chosen, strict=True
    ):
        np.testing.assert_array_equal(got, second['video'][frames])


def test_features_equal_the_network_and_are_kept(store, paths, tmp_path):
    network = small_network()
    made = frame_features.FrameFeatures(store, network, tmp_path / 'features', batch_size=4)
    rows, frames = [2, 0, 0, 0, 0, 2], [5, 0, 3, 7, 11, 5]
    made.require(rows, frames)
    seconds = list(reading.read_seconds(paths, ['video']))
    for row, frame in zip(rows, frames, strict=True):
        want = network(video.preprocess(seconds[row]['video'][frame][None]))[0]
        np.testing.assert_allclose(made.array[row, frame], want, rtol=1e-5, atol=1e-4)
    assert not made.array[1].any() and not made.array[0, 1].any()  # not requested
    for path in paths[:1] + paths[2:]:
        os.unlink(path)
    again = frame_features.FrameFeatures(store, network, tmp_path / 'features')
    again.require(rows, frames)  # reads no record
    np.testing.assert_array_equal(again.array[rows, frames], made.array[rows, frames])
    again.require([1], [4])
    with pytest.raises(ValueError, match=r'Data_001\.tfrecord'):
        again.require([0], [1])


def test_other_weights_have_other_features(store, tmp_path):
    one = frame_features.FrameFeatures(store, small_network(0), tmp_path)
    two = frame_features.FrameFeatures(store, small_network(1), tmp_path)
    theirs = frame_features.FrameFeatures(store, small_network(0), tmp_path, bgr=True)
    for made in (one, two, theirs):
        made.require([0], [0])
    assert np.abs(one.array[0, 0] - two.array[0, 0]).max() > 1e-3
    assert np.abs(one.array[0, 0] - theirs.array[0, 0]).max() > 1e-3
    assert len(list(tmp_path.glob('small-*.npy'))) == 6


def test_records_without_video_are_named(rng, tmp_path):
    path = small_records.write_second(
        tmp_path / 'Data_001.tfrecord', small_records.noise(rng, ['audio'])
    )
    store = stores.open_store([path], record_packer.RecordPacker(['audio']), tmp_path / 'cache')
    made = frame_features.FrameFeatures(store, small_network(), tmp_path)
    with pytest.raises(ValueError, match=r'Data_001\.tfrecord: not a whole record with video'):
        made.require([0], [0])


def test_frame_numbers():
    np.testing.assert_array_equal(video.spread_frames(60, 5), [0, 14, 29, 44, 59])
    np.testing.assert_array_equal(video.strided_frames(2, 6), [3, 9, 15, 21])
    np.testing.assert_array_equal(video.strided_frames(1, 1), np.arange(12))


@pytest.mark.parametrize('height, width', [(480, 640), (640, 480), (256, 256), (100, 300)])
def test_the_middle_of_any_frame(height, width):
    # A picture that shows where it was cropped: red counts columns, green rows.
    rows, cols = np.mgrid[:height, :width]
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 2] = cols * 255 / width
    frame[..., 1] = rows * 255 / height
    got = video.preprocess(frame).numpy() + np.array(video.MEANS)
    assert got.shape == (224, 224, 3)
    scale = 256 / min(height, width)
    share = 224 / (width * scale) * 255
    assert got[112, -1, 0] - got[112, 0, 0] == pytest.approx(share, abs=3)
    assert got[112, 112, 0] == pytest.approx(127.5, abs=3)
    assert got[112, 112, 1] == pytest.approx(127.5, abs=3)
    assert np.all(np.abs(got[..., 2]) < 1e-3)
