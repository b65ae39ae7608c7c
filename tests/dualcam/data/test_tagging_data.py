"""Tagged clips from lists and records to batches: labels, stores, stretches, frames' features."""

import os
import pathlib

import keras
import numpy as np
import pytest

from dualcam import models
from dualcam.data import stores
from dualcam.data.clips import tagged_clips
from dualcam.data.packers import tagged_packer
from dualcam.data.signal import channel_statistics, logmel, video
from dualcam.data.sources import tagging_lists
from dualcam.features import frame_features
from dualcam.models import frame_networks
from dualcam.training import frame_network, loop
from dualcam.training.recipes import tagging_steps
from tests.helpers.tagged_clips import COLOURS, INFO, write_records

LABELS = [(0,), (1, 2), (2,), (0, 1, 2), (1,)]
CLIP_S = 3
PACKER = tagged_packer.TaggedPacker(INFO.num_classes)


@pytest.fixture
def paths(tmp_path, rng):
    return write_records(tmp_path / 'records', LABELS, CLIP_S, rng)


@pytest.fixture
def store(paths, tmp_path):
    return stores.open_store(paths, PACKER, tmp_path / 'cache')


def features_of(store, width=4):
    """[clips, seconds, width] numbers that encode their clip and second."""
    clip, second = np.indices((len(store.paths), CLIP_S))
    return np.repeat((10.0 * clip + second)[..., None], width, axis=2).astype(np.float32)


def test_both_kinds_of_list_say_the_same(tmp_path):
    classes = ('Car', 'Air horn, truck horn', 'Bus')
    rows = tmp_path / 'rows.csv'
    rows.write_text(
        'a_0.000_10.000.wav\t0.000\t10.000\tBus\nb.wav\t30.000\t40.000\tCar\n'
        'a_0.000_10.000.wav\t0.000\t10.000\tAir horn, truck horn\n'
    )
    assert tagging_lists.read_list(rows, classes) == [
        tagging_lists.ListedClip('a_0.000_10.000', (1, 2), 1),
        tagging_lists.ListedClip('b', (0,), 2),
    ]
    comma = tmp_path / 'comma.csv'
    comma.write_text('\ufefffilename\tevent_labels\na.wav\tBus, Car\n\nb\tCar;Car\n', 'utf-8')
    assert tagging_lists.read_list(comma, classes) == [
        tagging_lists.ListedClip('a', (0, 2), 2),
        tagging_lists.ListedClip('b', (0,), 4),
    ]
    test = tmp_path / 'test.csv'
    test.write_text('filename\tonset\toffset\tevent_label\nquiet.wav\t\t\t\n')
    assert tagging_lists.read_list(test, classes) == [tagging_lists.ListedClip('quiet', (), 2)]
    test.write_text('\n')
    with pytest.raises(ValueError, match='lists no clip'):
        tagging_lists.read_list(test, classes)


_BY_EVENT = [
    ['filename', 'onset', 'offset', 'event_label'],
    ['a.wav', '0.000', '10.000', 'Air horn, truck horn'],
    ['b.MP4', '0.500', '2.000', 'Bus'],
    ['a.wav', '1.000', '2.000', 'Car'],
]
_BY_CLIP = [['filename', 'event_labels'], ['a.wav', 'Car,Bus'], ['x/b.MP4', 'Bus']]


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('separator', ['\t', ',', ';'])
@pytest.mark.parametrize('quoted', [False, True])
@pytest.mark.parametrize('rows, labels', [(_BY_EVENT, (0, 1)), (_BY_CLIP, (0, 2))])
def test_lists_are_the_same_whatever_program_saved_them(
    rows, labels, quoted, separator, end, encoding, tmp_path
):
    """Also commas without quotes, as when the tabs of a list were replaced."""
    text = end.join(separator.join(f'"{cell}"' if quoted else cell for cell in row) for row in rows)
    path = tmp_path / 'list.csv'
    path.write_bytes((text + end + separator * (len(rows[0]) - 1) + end).encode(encoding))
    found = tagging_lists.read_list(path, ('Car', 'Air horn, truck horn', 'Bus'))
    assert [(clip.name, clip.labels) for clip in found] == [('a', labels), ('b', (2,))]


def test_published_class_lists():
    assert (tagging_lists.DCASE2017.num_classes, tagging_lists.DCASE2018.num_classes) == (17, 10)
    for info in tagging_lists.DATASETS.values():
        assert len(set(info.classes)) == info.num_classes


def test_labels_are_multi_hot_and_clips_are_held_out():
    np.testing.assert_array_equal(tagging_lists.multi_hot([(0, 2), ()], 3), [[1, 0, 1], [0, 0, 0]])
    kept, held = tagging_lists.hold_out(30, 0.2, seed=3)
    assert len(held) == 6 and sorted([*kept, *held]) == list(range(30))
    again = tagging_lists.hold_out(30, 0.2, seed=3)
    np.testing.assert_array_equal(held, again[1])
    assert not np.array_equal(held, tagging_lists.hold_out(30, 0.2, seed=4)[1])
    with pytest.raises(ValueError, match='leaves 0 and 3'):
        tagging_lists.hold_out(3, 0.1, 0)


def test_a_store_maps_what_the_records_hold_and_reads_them_once(store, paths, tmp_path):
    assert (
        store.arrays['audio'].shape == (5, CLIP_S * 32_000)
        and store.arrays['audio'].dtype == np.int16
    )
    assert store.num_frames == CLIP_S and store.clip_s == CLIP_S
    np.testing.assert_array_equal(store.columns['label'], tagging_lists.multi_hot(LABELS, 3))
    assert store.columns['name'][2] == 'clip_002'
    np.testing.assert_array_equal(store.waveforms([1]) * 32_768, store.arrays['audio'][[1]])
    np.testing.assert_array_equal(store.rows(paths[::-1]), [4, 3, 2, 1, 0])
    records = (tmp_path / 'cache').glob('tagged-*/audio.npy')
    before = {path: path.stat().st_mtime_ns for path in records}
    again = stores.open_store(paths[::-1] * 2, PACKER, tmp_path / 'cache')
    assert again.digest == store.digest
    assert {path: path.stat().st_mtime_ns for path in before} == before
    os.utime(paths[0], ns=(1, 1))  # changed records are packed anew
    assert stores.open_store(paths, PACKER, tmp_path / 'cache').digest != store.digest


def test_records_that_do_not_go_together_are_named(paths, tmp_path, rng):
    other = write_records(tmp_path / 'other', [(0,)], 2, rng)
    with pytest.raises(ValueError, match=r'clip_000\.tfrecord: \d+ samples and \d frames, but'):
        stores.open_store(paths + other, PACKER, tmp_path / 'cache')
    with pytest.raises(ValueError, match='3 labels, but there are 17 classes'):
        stores.open_store(
            paths,
            tagged_packer.TaggedPacker(tagging_lists.DCASE2017.num_classes),
            tmp_path / 'cache',
        )
    assert not [path for path in (tmp_path / 'cache').iterdir() if path.name[0] == '.']


def test_bad_records_are_left_out_on_request(store, paths, tmp_path, rng):
    other = write_records(tmp_path / 'shorter', [(0,)], 2, rng)
    pathlib.Path(paths[1]).write_bytes(b'damaged')
    everything = paths + other
    with pytest.raises(ValueError, match=r'clip_001\.tfrecord: not a whole record'):
        stores.open_store(everything, PACKER, tmp_path / 'cache')
    with pytest.raises(ValueError, match='2 of 6 records are bad, where at most 1 may be'):
        stores.open_store(everything, PACKER, tmp_path / 'cache', max_bad=1)
    for _ in range(2):  # packed, then from the cache
        rest = stores.open_store(everything, PACKER, tmp_path / 'cache', max_bad=2)
        assert rest.skipped.keys() == {paths[1], other[0]}
        assert rest.note == '; 2 damaged files left out'
        good = [path for path in paths if path != paths[1]]
        np.testing.assert_array_equal(rest.rows(good), rest.good_rows)
        for held, whole in ((rest.arrays, store.arrays), (rest.columns, store.columns)):
            for name in held:
                np.testing.assert_array_equal(
                    held[name][rest.rows(good)], whole[name][store.rows(good)]
                )
    with pytest.raises(ValueError, match='2 of 6 records are bad, where at most 0 may be'):
        stores.open_store(everything, PACKER, tmp_path / 'cache')


@pytest.mark.parametrize('memory_bytes', [0, 1 << 30])
def test_batches_hold_what_the_front_end_makes_of_each_clip(store, memory_bytes):
    features = {'visual': features_of(store), 'vggish': np.ones((5, 7, 2, 3), np.float32)}
    rows = np.array([3, 0, 4])
    clips = tagged_clips.cut(
        store, rows, logmel.LogMelFrontend(), features, memory_bytes=memory_bytes
    )
    assert len(clips) == 3
    np.testing.assert_array_equal(clips.columns['label'], store.columns['label'][rows])
    first, second = clips.batches(2)
    assert first['clip'].numpy().tolist() == [0, 1] and second['clip'].numpy().tolist() == [2]
    assert set(first['input']) == {'audio', 'visual', 'vggish'}
    assert first['input']['audio'].shape == (2, 192, 64)
    assert all(value.dtype == 'float32' for value in first['input'].values())
    assert second['input']['vggish'].shape == (1, 7, 2, 3)
    np.testing.assert_array_equal(second['label'], store.columns['label'][[4]])
    np.testing.assert_allclose(
        second['input']['audio'][0], logmel.log_mel(store.waveforms([4]))[0], atol=1e-4
    )
    np.testing.assert_array_equal(first['input']['visual'], features['visual'][[3, 0]])
    assert clips.waveform(1).shape == (CLIP_S * 32_000,)
    spec = clips.batches(2).element_spec['input']
    assert spec['audio'].shape.as_list() == [None, 192, 64]
    assert spec['visual'].shape.as_list() == [None, 3, 4]


def test_seeds_decide_the_order_and_the_stretches(store):
    visual = features_of(store)
    clips = tagged_clips.cut(
        store, np.arange(5), logmel.LogMelFrontend(), {'visual': visual}, crop_s=1
    )
    whole = logmel.log_mel(store.waveforms(np.arange(5))).numpy()

    def one_pass(seed):
        (batch,) = clips.batches(5, seed)
        starts = batch['input']['visual'].numpy()[:, 0, 0] % 10
        for clip, start, audio, seen in zip(
            batch['clip'].numpy(),
            starts.astype(int),
            *(batch['input'][k].numpy() for k in ('audio', 'visual')),
            strict=True,
        ):
            assert seen[0, 0] // 10 == clip  # features, sound and label go together
            np.testing.assert_allclose(audio, whole[clip, 64 * start : 64 * (start + 1)], atol=1e-4)
        np.testing.assert_array_equal(batch['label'], store.columns['label'][batch['clip'].numpy()])
        return batch['clip'].numpy().tolist(), starts.tolist()

    assert one_pass(None) == ([0, 1, 2, 3, 4], [1.0] * 5)  # the middle
    assert one_pass((7, 0)) == one_pass((7, 0)) != one_pass((7, 1))
    seen = {
        (clip, start)
        for epoch in range(30)
        for clip, start in zip(*one_pass((7, epoch)), strict=True)
    }
    assert len(seen) == 15  # every stretch of every clip comes up


def test_stretches_that_cannot_be_cut_are_refused(store):
    front = logmel.LogMelFrontend()
    for crop_s in (0, 4, 1.5):
        with pytest.raises(ValueError, match=rf'stretches of {crop_s} s from clips of 3 s'):
            tagged_clips.cut(store, [0], front, crop_s=crop_s)
    with pytest.raises(ValueError, match='features vggish: 7 steps'):
        tagged_clips.cut(store, [0], front, {'vggish': np.ones((5, 7, 2))}, crop_s=2)
    with pytest.raises(ValueError, match='no clips'):
        tagged_clips.cut(store, [], front)


def test_bands_are_standardised_by_the_training_set(store):
    plain = tagged_clips.cut(store, np.arange(4), logmel.LogMelFrontend())
    gathered = channel_statistics.gather(plain.raw_batches())
    front = logmel.LogMelFrontend(statistics=(gathered.mean, gathered.std_dev))
    (batch,) = tagged_clips.cut(store, np.arange(4), front).batches(4)
    audio = batch['input']['audio'].numpy()
    np.testing.assert_allclose(audio.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(audio.std(axis=(0, 1)), 1, atol=1e-3)


def colour_network(seed=0):
    """Returns the mean colour of a frame times random weights."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(5, use_bias=False)(x), name='colour')


def test_features_of_frames_equal_the_network_and_are_kept(store, paths, tmp_path):
    network = colour_network()
    kept = frame_features.of_tagged_clips(store, network, tmp_path / 'features')
    assert kept.array.shape == (5, CLIP_S, 5)
    weights = network.get_weights()[0]
    for row, labels in enumerate(LABELS):
        for second in range(CLIP_S):
            colour = np.array(COLOURS[labels[second % len(labels)]]) - video.MEANS  # RGB
            np.testing.assert_allclose(kept.array[row, second], colour @ weights, atol=4.0)
    os.unlink(paths[1])
    again = frame_features.of_tagged_clips(store, network, tmp_path / 'features')  # reads nothing
    np.testing.assert_array_equal(again.array, kept.array)
    with pytest.raises(ValueError, match=r'clip_001\.tfrecord'):
        frame_features.of_tagged_clips(store, colour_network(1), tmp_path / 'features')


def test_chosen_frames_come_by_row_then_by_frame(store):
    pixels = store.pixels([3, 1, 1], [2, 1, 0], (6, 8))
    assert pixels.shape == (3, 6, 8, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(
        pixels.mean(axis=(1, 2)), [COLOURS[1], COLOURS[2], COLOURS[2]], atol=4
    )


@pytest.mark.slow
def test_the_small_network_learns_from_training_clips_only_once(paths, tmp_path, rng):
    labels = [(i % 3,) for i in range(12)]
    paths = write_records(tmp_path / 'more', labels, 2, rng)
    store = stores.open_store(paths, PACKER, tmp_path / 'cache')
    params = frame_network.FrameTrainingParams(epochs=12, batch_size=4, share=1.0)
    rows, folder = np.arange(9), tmp_path / 'networks'
    kept, what = frame_network.visual_features(store, rows, folder, params=params)
    assert kept.array.shape == (12, 2, frame_networks.SMALL_FEATURES)
    assert 'no weights of VGG-16 given' in what
    # Unseen clips are nearest to those of their own colour.
    flat = kept.array.mean(axis=1)
    for row in range(9, 12):
        nearest = np.square(flat[:9] - flat[row]).sum(axis=1).argmin()
        assert labels[nearest] == labels[row]
    files = sorted(folder.glob('*.weights.h5'))
    again, _ = frame_network.visual_features(store, rows, folder, params=params)
    np.testing.assert_array_equal(again.array, kept.array)
    frame_network.train_small(store, np.arange(8), folder, params)
    assert len(files) == 1 and len(list(folder.glob('*.weights.h5'))) == 2


def tiny_vgg(weights):
    """A network with the relevant layers of VGG-16, 64 pixels wide."""
    assert weights is None
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.AveragePooling2D(32)(inputs)
    x = keras.layers.Dense(6, activation='relu', name='fc2')(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(4, activation='softmax', name='predictions')(x))


@pytest.mark.parametrize('layer', ['fc2', 'predictions'])
def test_vgg_is_fed_as_keras_feeds_it_with_weights_of_a_file(layer, tmp_path, monkeypatch, rng):
    monkeypatch.setattr(keras.applications, 'VGG16', tiny_vgg)
    keras.utils.set_random_seed(5)
    trained = tiny_vgg(None)
    trained.save_weights(tmp_path / 'vgg.weights.h5')
    network = frame_networks.vgg16(tmp_path / 'vgg.weights.h5', layer)
    frames = rng.uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    fed = keras.applications.vgg16.preprocess_input(frames.copy())
    want = keras.Model(trained.input, trained.get_layer(layer).output)(fed)
    got = network(video.subtract_means(frames, bgr=True))
    np.testing.assert_allclose(got, want, atol=0.05, rtol=1e-3)  # means to two or three digits
    (tmp_path / 'wrong.weights.h5').write_text('text')
    with pytest.raises(ValueError, match=r'wrong\.weights\.h5: not the weights of keras'):
        frame_networks.vgg16(tmp_path / 'wrong.weights.h5', layer)
    with pytest.raises(ValueError, match=r'none\.h5: no such file'):
        frame_networks.vgg16(tmp_path / 'none.h5', layer)
    with pytest.raises(ValueError, match="layer 'fc3'"):
        frame_networks.vgg16(None, 'fc3')


@pytest.mark.slow
def test_the_real_vgg_has_the_papers_feature_sizes():
    for layer, size in frame_networks.VGG_LAYERS.items():
        network = frame_networks.vgg16(None, layer)
        assert network.output_shape == (None, size) and network.name == f'vgg16_{layer}'
        keras.backend.clear_session()


@pytest.mark.slow
def test_clips_go_through_the_loop_to_teacher_and_student(store, tmp_path):
    front = logmel.LogMelFrontend()
    clips = tagged_clips.cut(store, np.arange(5), front, {'visual': features_of(store)}, crop_s=1)
    teacher = models.build('tagging_teacher', 3, width=1 / 32, visual_size=4)
    student = models.build('tagging_student', 3, width=1 / 32)
    params = loop.LoopParams(epochs=1, batch_size=3)
    whole = tagged_clips.cut(store, np.arange(5), front, {'visual': features_of(store)})
    (record,) = loop.fit(
        tagging_steps.MutualStep(teacher, student),
        clips,
        whole,
        params,
        tmp_path,
        loop.make_optimizer(params, len(clips)),
    )
    assert np.isfinite(record['validation/total']) and 0 <= record['validation/mAP'] <= 1
