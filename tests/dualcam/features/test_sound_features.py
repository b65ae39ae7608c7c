"""Features of SoundNet-8 and VGGish, from files in their published formats."""

import numpy as np
import pytest

from dualcam.features import sound_features
from dualcam.models import vggish
from tests.helpers import goldens, numpy_layers, numpy_vggish, weight_files

pytestmark = pytest.mark.numeric

TIME_S = np.arange(32_000) / 32_000
TONES = np.stack([np.sin(2 * np.pi * hz * TIME_S) * 0.4 for hz in (440.0, 3000.0)])


def resampled(rate_hz):
    """The same tones at another sample rate."""
    time_s = np.arange(rate_hz) / rate_hz
    return np.stack([np.sin(2 * np.pi * hz * time_s) * 0.4 for hz in (440.0, 3000.0)])


def test_vggish_hears_the_clip_at_16_khz(tmp_path, monkeypatch):
    monkeypatch.setattr(vggish, '_HIDDEN', 16)
    arrays = {name: goldens.weights(name, shape) for name, shape in numpy_vggish.shapes_of(16)}
    path = weight_files.write_checkpoint(tmp_path / 'vggish_model.ckpt', arrays)
    features = sound_features.SoundFeatures('vggish', path, 1)
    got = features.of(TONES)
    assert got.shape == (2, 1, 128) and got.dtype == np.float32
    patches = vggish.patches(resampled(16_000).astype(np.float32))[:, 0]
    want = numpy_vggish.embeddings(patches.numpy(), arrays)
    np.testing.assert_allclose(got[:, 0], want, atol=0.02 * np.abs(want).max())
    many = features.of(np.concatenate([TONES] * 5))  # more than one batch
    np.testing.assert_allclose(many, np.concatenate([got] * 5), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r'shape \(2, 31999\); expected \[clips, 32000\], 1 s'):
        features.of(TONES[:, 1:])


def test_soundnet_hears_the_clip_at_22_khz_as_torch_would(tmp_path):
    arrays = weight_files.soundnet_8_arrays()
    variance = 'SoundNet/conv3/norm/moving_variance'  # so small that epsilon matters
    arrays[variance] = arrays[variance] * 1e-3
    path = weight_files.soundnet_file(tmp_path / 'soundnet8.t7', arrays, (0, 4, 8, 11, 14, 18, 21))
    got = sound_features.SoundFeatures('soundnet', path, 1).of(TONES)
    x = resampled(22_050)[..., None] * 256
    for number, (zeros, stride, pool) in enumerate(
        ((32, 2, 8), (16, 2, 8), (8, 2, 1), (4, 2, 1), (2, 2, 4), (2, 2, 1), (2, 2, 1)), 1
    ):
        scope = f'SoundNet/conv{number}'
        kernel = arrays[f'{scope}/weights'][:, 0].astype(np.float64)  # [taps, in, out]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, [(0, 0), (zeros, zeros), (0, 0)]), len(kernel), axis=1
        )[:, ::stride]
        x = np.einsum('btik,kio->bto', windows, kernel) + arrays[f'{scope}/biases']
        x = numpy_layers.relu(
            numpy_layers.normalise(
                x,
                *(
                    arrays[f'{scope}/norm/{part}']
                    for part in ('gamma', 'beta', 'moving_mean', 'moving_variance')
                ),
                epsilon=1e-5,
            )
        )
        x = x[:, : x.shape[1] // pool * pool]
        x = x.reshape(len(x), -1, pool, x.shape[-1]).max(axis=2)
    assert got.shape == x.shape and got.shape[::2] == (2, 1024)
    np.testing.assert_allclose(got, x, atol=0.02 * x.max())


def test_other_features_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'openl3': expected one of soundnet, vggish"):
        sound_features.SoundFeatures('openl3', tmp_path, 1)
    with pytest.raises(ValueError, match=r'none\.ckpt: no such checkpoint'):
        sound_features.SoundFeatures('soundnet', tmp_path / 'none.ckpt', 1)
