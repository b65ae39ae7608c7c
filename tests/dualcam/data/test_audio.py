import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from dualcam.data import audio
from dualcam.data.signal import channel_statistics, frontends

pytestmark = pytest.mark.numeric


def kaiser_best(signal):
    """An independent version of the authors' resampler: polyphase, double precision."""
    up, down = 3675, 2048
    m = np.arange(-64 * up, 64 * up + 1) / up
    r, b = 0.9475937167399596, 14.769656459379492
    h = r * np.sinc(r * m) * np.i0(b * np.sqrt(1 - (m / 64) ** 2)) / np.i0(b)
    return scipy.signal.resample_poly(signal, up, down, window=h / up)


@pytest.mark.parametrize('seconds', [1, 3, 5, 7])
def test_resampling_of_any_length_equals_polyphase_to_the_last_sample(rng, seconds):
    signal = rng.standard_normal(12_288 * seconds)
    want = kaiser_best(signal)[: 22_050 * seconds]
    got = audio.resample(tf.constant(signal, tf.float32)).numpy()
    assert got.shape == (22_050 * seconds,)
    assert 10 * np.log10(np.sum(want**2) / np.sum((got - want) ** 2)) > 100


def test_eager_and_pipeline_agree(rng):
    frames = rng.integers(-(2**20), 2**20, (4, 24, 2, 1024), dtype=np.int32)
    eager = audio.spectrogram(audio.waveform(frames)).numpy()
    pipeline = tf.data.Dataset.from_tensor_slices(frames).map(
        lambda f: audio.spectrogram(audio.waveform(f))
    )
    for one, batched in zip(pipeline, eager, strict=True):
        np.testing.assert_allclose(one, batched, rtol=1e-4, atol=1e-2)


def test_spectrogram_equals_scipy(rng):
    signal = rng.standard_normal(22_050).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(signal, 440)[::220]
    want = np.abs(np.fft.rfft(frames * scipy.signal.get_window('hann', 440), 512))
    np.testing.assert_allclose(audio.spectrogram(signal), want, atol=1e-4)


def test_only_microphone_0_counts_and_scale_does_not(rng):
    frames = rng.integers(-1000, 1000, (12, 3, 1024), dtype=np.int32)
    other = frames.copy()
    other[:, 1:] = 0
    np.testing.assert_array_equal(audio.waveform(frames), audio.waveform(other))
    np.testing.assert_allclose(audio.waveform(frames * 8), audio.waveform(frames), atol=1e-3)


def test_silence_stays_silent():
    assert np.all(audio.waveform(np.zeros((12, 1, 1024), np.int32)).numpy() == 0)


def test_broken_seconds_are_refused():
    with pytest.raises(ValueError, match='12'):
        audio.waveform(np.zeros((13, 1, 1024), np.int32))


@pytest.mark.parametrize('shape', [(350, 3), (70, 5, 3), (10, 7, 5, 3)])
def test_statistics_stream(rng, shape):
    values = rng.standard_normal(shape) * 10 + 3
    got = channel_statistics.gather(values[i : i + 10] for i in range(0, len(values), 10))
    flat = values.reshape(-1, 3)
    np.testing.assert_allclose(got.mean, flat.mean(0))
    np.testing.assert_allclose(got.std_dev, flat.std(0))
    np.testing.assert_array_equal(got.min, flat.min(0))
    np.testing.assert_array_equal(got.max, flat.max(0))
    assert got.count == 350
    with pytest.raises(ValueError, match='finite'):
        channel_statistics.gather([np.array([[np.nan]])])
    with pytest.raises(ValueError, match='no data'):
        channel_statistics.gather([])


def test_band_limit_keeps_what_the_array_can_hear(rng):
    time = np.arange(2 * 22_050) / 22_050
    low, high = np.sin(2 * np.pi * 3000 * time), np.sin(2 * np.pi * 7000 * time)
    got = audio.limit_band(tf.constant(low + high, tf.float32)).numpy()
    middle = slice(2000, -2000)
    np.testing.assert_allclose(got[middle], low[middle], atol=1e-3)
    # A sound resampled from 12,288 Hz only loses what is at the filter's edge.
    frames = (rng.standard_normal((24, 1, 1024)) * 1e4).astype(np.int32)
    signal = audio.waveform(frames)
    before, after = audio.spectrogram(signal), audio.spectrogram(audio.limit_band(signal))
    np.testing.assert_allclose(after[10:-10, :120], before[10:-10, :120], rtol=1e-2, atol=0.5)


@pytest.mark.parametrize('hop, frames', [(220, 199), (219, 200)])
def test_mean_and_deviation_leave_unheard_channels_at_zero(rng, hop, frames):
    """Records at 12,288 Hz contain only rounding errors above 6.2 kHz."""
    params = audio.SpectrogramParams(hop=hop)
    plain = frontends.Frontend('spectrogram', 'mean_std', transform=params)
    signal = audio.waveform((rng.standard_normal((6, 24, 1, 1024)) * 1e5).astype(np.int32))
    magnitudes = plain.see(signal).numpy()
    assert magnitudes.shape == (6, frames, 257)
    found = channel_statistics.gather(magnitudes)
    ears = frontends.Frontend(
        'spectrogram', 'mean_std', (found.mean, found.std_dev), transform=params
    )
    seen = ears.see(signal).numpy()
    np.testing.assert_allclose(seen[..., 1:130].mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(seen[..., 1:130].std(axis=(0, 1)), 1, atol=1e-4)
    assert not seen[..., 150:].any() and 140 < ears.bins_heard <= 150
    silence = ears.hear(signal * 0).numpy()
    np.testing.assert_allclose(silence[0, 0, :130], -(found.mean / found.std_dev)[:130], rtol=1e-5)
    assert not silence[..., 150:].any()
