"""ECCV 2020's networks in runs with labels, on seconds with completely different contents."""

import json

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from dualcam import models
from dualcam.data import audio, stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.signal import acoustic_images, channel_statistics
from dualcam.export import saved_models
from dualcam.training import loop, predictions, recipes, run, run_data
from dualcam.training.recipes import supervised

# network, how its spectrograms are normalised, options, learning rate
NETWORKS = [
    ('hearnet_eccv', 'mean_std', (), 1e-3),
    ('dualcamnet_eccv', 'min_max', (('frame_stride', 6),), 1e-4),
    ('resnet18_eccv', 'min_max', (('num_frames', 1), ('width', 0.25)), 1e-3),
    ('l3_audio', 'log', (('width', 0.25),), 1e-3),
    ('l3_vision', 'min_max', (('num_frames', 1), ('width', 0.25)), 1e-3),
]


def params(network, normalisation, options, rate, epochs):
    return supervised.RunParams(
        network,
        record_clips.ClipParams(2, 2, 1),
        loop.LoopParams(epochs, 3, rate),
        options=options,
        normalisation=normalisation,
        standardise=network == 'dualcamnet_eccv',
    )


@pytest.mark.parametrize('network, normalisation, options, rate', NETWORKS)
def test_a_run_learns_and_is_found_again(
    network, normalisation, options, rate, eccv_data, eccv_store, tmp_path
):
    wanted = params(network, normalisation, options, rate, 2 if network.startswith('l3') else 3)
    model = run.train(recipes.SUPERVISED, wanted, eccv_data, tmp_path)
    assert run.described(tmp_path).params == wanted
    history = json.loads((tmp_path / 'metrics.json').read_text())['history']
    assert history[-1]['train/total'] < history[0]['train/total']
    assert ('train/l2' in history[0]) == (network != 'dualcamnet_eccv')
    test = run_data.test_clips(wanted, eccv_store, eccv_data.validation, tmp_path)
    logits = predictions.predict(model, test)
    assert logits.shape == (2, 2)
    np.testing.assert_allclose(predictions.predict(run.load(tmp_path), test), logits, atol=1e-4)
    student = models.network(network).input == 'spectrogram'
    assert (tmp_path / 'saved_model' / '1').exists() == student
    # The run's acoustic images are aligned with the video.
    np.testing.assert_array_equal(
        test.images(0),
        acoustic_images.flip(eccv_store.arrays['acoustic'][12:14].reshape(24, 36, 48, 12)),
    )


def test_the_served_student_hears_with_its_own_front_end(eccv_data, tmp_path, rng):
    """Hop 219 and the training set's mean and deviation, written out in NumPy."""
    wanted = params('hearnet_eccv', 'mean_std', (), 1e-3, epochs=1)
    model = run.train(recipes.SUPERVISED, wanted, eccv_data, tmp_path)
    mean, deviation = channel_statistics.load(tmp_path / 'stats', 'mean', 'std_dev')
    served = tf.saved_model.load(str(tmp_path / 'saved_model' / '1')).signatures[
        saved_models.SIGNATURE
    ]
    time = np.arange(44_100) / 22_050
    signal = np.stack(
        [np.sin(2 * np.pi * hz * time) + 0.1 * rng.standard_normal(44_100) for hz in (500, 3000)]
    ).astype(np.float32)

    heard = audio.limit_band(signal).numpy().astype(np.float64)
    heard *= 256 / np.abs(heard).max(axis=1, keepdims=True)
    cut = np.lib.stride_tricks.sliding_window_view(heard, 440, axis=1)[:, ::219]
    magnitude = np.abs(np.fft.rfft(cut * scipy.signal.get_window('hann', 440), 512))
    assert magnitude.shape == (2, 200, 257)
    held = deviation > 1e-4 * deviation.max()
    seen = np.where(held, (magnitude - mean) / np.where(held, deviation, 1), 0)
    want = model(seen.astype(np.float32), training=False).numpy()
    got = served(waveform=tf.constant(signal * 1e-3))
    np.testing.assert_allclose(got['logits'], want, rtol=1e-3, atol=1e-3)
    assert got['embedding'].shape == (2, 128) and np.ptp(want, axis=0).max() > 1e-2


@pytest.mark.slow
def test_records_with_video_go_the_whole_way(smoke, tmp_path):
    """Acoustic images, sound and frames of the same records, none of which is read twice."""
    paths = sorted(map(str, (smoke / 'records').rglob('Data_00[12].tfrecord')))[:16]
    held = stores.open_store(
        paths, record_packer.RecordPacker(['acoustic', 'audio', 'frames']), tmp_path / 'cache'
    )
    rows = record_clips.sequence_rows(held, paths, 2)
    wanted = supervised.RunParams(
        'hearnet_eccv',
        record_clips.ClipParams(2, 2, 1),
        loop.LoopParams(1, 4, 1e-3),
        normalisation='mean_std',
    )
    run_data.gather_stats(wanted, held, rows, rows, tmp_path)
    made = record_clips.cut(
        held, rows, ['spectrogram', 'frames'], run_data.frontend(wanted, tmp_path)
    )
    (batch,) = made.batches(32)
    assert batch['input']['spectrogram'].shape == (8, 200, 257)
    assert batch['input']['frames'].shape == (8, 2, 224, 298, 3)
    (pixels,) = reading.read_frames(paths[1:2], [[11]])
    brightness = batch['input']['frames'].numpy()[0, 1].mean(axis=(0, 1))
    np.testing.assert_allclose(
        brightness + np.array([123.68, 116.78, 103.94]),
        pixels[0, ..., ::-1].mean(axis=(0, 1)),
        atol=3,
    )
