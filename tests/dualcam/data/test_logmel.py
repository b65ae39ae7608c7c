"""Log-mel spectrograms against NumPy, published numbers and invariants."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dualcam.data.signal import channel_statistics, logmel

pytestmark = pytest.mark.numeric

PARAMS = logmel.LogMelParams()


def independent_mel(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def independent_log_mel(signal, params):
    """Bin by bin and band by band, with NumPy's transform."""
    half = params.window // 2
    padded = np.pad(signal.astype(np.float64), half, 'reflect')
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(params.window) / params.window)
    marks = np.linspace(
        independent_mel(params.low_hz), independent_mel(params.high_hz), params.num_bands + 2
    )
    edges = np.interp(
        marks,
        [independent_mel(hz) for hz in np.arange(0, 16_001, 0.25)],
        np.arange(0, 16_001, 0.25),
    )
    rows = []
    for frame in range(len(signal) // params.hop):
        spectrum = np.fft.fft(padded[frame * params.hop :][: params.window] * taper)[: half + 1]
        power = np.abs(spectrum) ** 2
        row = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for number in range(half + 1):
                hz = number * params.sample_rate_hz / params.window
                if low < hz <= centre:
                    total += power[number] * (hz - low) / (centre - low) * 2 / (high - low)
                elif centre < hz < high:
                    total += power[number] * (high - hz) / (high - centre) * 2 / (high - low)
            row.append(10 * np.log10(max(total, params.floor)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    'params',
    [
        PARAMS,
        logmel.LogMelParams(
            sample_rate_hz=16_000, window=512, hop=160, num_bands=40, high_hz=7000.0, floor=1e-6
        ),
    ],
)
def test_log_mel_is_that_of_numpy(params, rng):
    signal = (0.1 * rng.standard_normal(5003)).astype(np.float32)
    want = independent_log_mel(signal, params)
    got = logmel.log_mel(signal, params).numpy()
    assert got.shape == (params.num_frames(5003), params.num_bands) == want.shape
    np.testing.assert_allclose(got, want, atol=2e-3)  # dB; edges are interpolated
    batch = tf.function(lambda x: logmel.log_mel(x, params))(signal[None])  # in a graph too
    np.testing.assert_allclose(batch[0], got, atol=1e-3)


def test_slaneys_scale_has_librosas_published_numbers():
    # Examples of librosa's documentation: hz_to_mel, and mel_frequencies(n_mels=40).
    np.testing.assert_allclose(logmel.hz_to_mel([60, 110, 220, 440]), [0.9, 1.65, 3.3, 6.6])
    forty = logmel.mel_to_hz(np.linspace(logmel.hz_to_mel(0), logmel.hz_to_mel(11_025), 40))
    np.testing.assert_allclose(
        forty[[1, 2, 11, 12, 14, 39]],
        [85.317, 170.635, 938.49, 1024.856, 1222.042, 11_025],
        atol=1e-3,
    )
    hz = np.linspace(0, 16_000, 333)
    np.testing.assert_allclose(logmel.mel_to_hz(logmel.hz_to_mel(hz)), hz, atol=1e-9)


def test_bands_have_equal_area_and_keep_to_their_range():
    wide = dataclasses.replace(PARAMS, window=1 << 15)  # fine enough to integrate
    bins_hz = np.linspace(0, 16_000, (1 << 14) + 1)
    filters = logmel.mel_filters(wide)
    np.testing.assert_allclose(filters.sum(axis=0) * bins_hz[1], 1.0, rtol=2e-3)
    assert not filters[(bins_hz < 50) | (bins_hz > 14_000)].any()
    assert logmel.mel_filters().any(axis=0).all()  # no band falls between bins


def test_ten_seconds_have_640_frames_and_lengths_may_be_unknown():
    assert PARAMS.num_frames(320_000) == 640 and PARAMS.frames_per_second == 64
    see = tf.function(logmel.log_mel, input_signature=[tf.TensorSpec([None, None], tf.float32)])
    assert see(np.zeros((2, 32_100), np.float32)).shape == (2, 64, 64)


def test_silence_is_the_floor_and_twice_the_pressure_six_decibels(rng):
    silence = logmel.log_mel(np.zeros(4000, np.float32))
    np.testing.assert_allclose(silence, -100, atol=1e-4)
    signal = (0.1 * rng.standard_normal(8000)).astype(np.float32)
    difference = logmel.log_mel(2 * signal) - logmel.log_mel(signal)
    np.testing.assert_allclose(difference, 20 * np.log10(2), atol=1e-3)


@pytest.mark.parametrize('hz', [100.0, 440.0, 3000.0, 12_000.0])
def test_a_tone_is_loudest_in_its_band(hz):
    tone = np.sin(2 * np.pi * hz * np.arange(32_000) / 32_000).astype(np.float32)
    middle = logmel.log_mel(tone)[32].numpy()
    edges_hz = logmel.mel_to_hz(np.linspace(logmel.hz_to_mel(50), logmel.hz_to_mel(14_000), 66))
    band = int(middle.argmax())
    assert edges_hz[band] < hz < edges_hz[band + 2]


def test_the_training_set_is_standardised_and_empty_bands_are_zero(rng):
    signals = (0.1 * rng.standard_normal((3, 32_000))).astype(np.float32)
    gathered = channel_statistics.gather([logmel.LogMelFrontend().hear(signals).numpy()])
    mean, deviation = gathered.mean, gathered.std_dev.copy()
    seen = logmel.LogMelFrontend(statistics=(mean, deviation)).hear(signals).numpy()
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(axis=(0, 1)), 1, atol=1e-4)
    deviation[5] = 0.0
    seen = logmel.LogMelFrontend(statistics=(mean, deviation)).hear(signals).numpy()
    assert not seen[..., 5].any() and np.isfinite(seen).all()
