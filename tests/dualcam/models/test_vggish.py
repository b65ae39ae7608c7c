"""VGGish: input and output reproduced in NumPy, weights by TensorFlow 1 names."""

import numpy as np
import pytest

from dualcam.models import vggish, weight_import, weights
from tests.helpers import goldens, numpy_vggish, weight_files

pytestmark = pytest.mark.numeric


@pytest.fixture
def small(monkeypatch):
    """The network with dense layers of 16, and weights for it."""
    monkeypatch.setattr(vggish, '_HIDDEN', 16)
    return vggish.build(), {
        name: goldens.weights(name, shape) for name, shape in numpy_vggish.shapes_of(16)
    }


def test_a_checkpoint_gives_the_numbers_of_its_weights(small, tmp_path, rng):
    model, arrays = small
    path = weight_files.write_checkpoint(
        tmp_path / 'vggish_model.ckpt',
        arrays | {'vggish/fc2/weights/Adam': np.zeros(3, np.float32), 'global_step': np.int64(4)},
    )
    report = weight_import.import_weights(path, model)
    assert set(report.taken) == set(arrays) and not report.missing and len(report.left) == 2
    patches = rng.standard_normal((2, 96, 64)).astype(np.float32)
    want = numpy_vggish.embeddings(patches, arrays)
    assert (want < 0).any()  # the last layer is linear
    np.testing.assert_allclose(model(patches), want, rtol=1e-4, atol=1e-5 * np.abs(want).max())


def test_a_checkpoint_without_a_layer_is_refused(small, tmp_path):
    model, arrays = small
    before = [variable.numpy() for variable in model.variables]
    some = {name: array for name, array in arrays.items() if 'conv4_2' not in name}
    weight_files.check_refused(
        weight_files.write_checkpoint(tmp_path / 'a.ckpt', some),
        model,
        before,
        'vggish/conv4/conv4_2/weights and 1 more of vggish missing',
    )


def test_published_size():
    """72 million values; names and shapes are those of the published checkpoint."""
    model = vggish.build()
    names = weights.tf1_names(model)
    assert {name: tuple(variable.shape) for name, variable in names.items()} == dict(
        numpy_vggish.shapes_of(4096)
    )
    assert model.count_params() == 72_141_184
    assert model.output_shape == (None, 128)


def mel_bank():
    """Triangles over HTK's mel, [257, 64]."""

    def to_mel(frequency):
        return 1127.0 * np.log(1.0 + frequency / 700.0)

    edges = np.linspace(to_mel(125.0), to_mel(7500.0), 66)
    bins = to_mel(np.arange(257) * 16_000 / 512)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0.0, np.minimum(rising, falling))
    bank[0] = 0.0
    return bank


def test_patches_equal_numpy(rng):
    signal = rng.uniform(-1, 1, (2, 40_000)).astype(np.float32)
    got = vggish.patches(signal).numpy()
    assert got.shape == (2, 2, 96, 64)  # 248 windows: two patches of 96
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for clip in range(2):
        frames = np.stack([signal[clip, 160 * i : 160 * i + 400] for i in range(192)])
        magnitude = np.abs(np.fft.rfft(frames * window, 512))
        want = np.log(magnitude @ mel_bank() + 0.01).reshape(2, 96, 64)
        np.testing.assert_allclose(got[clip], want, rtol=1e-3, atol=1e-3)


def test_patches_need_a_second_nearly():
    assert vggish.patches(np.zeros((1, 15_600), np.float32)).shape == (1, 1, 96, 64)
    with pytest.raises(ValueError, match='15599 samples; VGGish takes 15600'):
        vggish.patches(np.zeros((1, 15_599), np.float32))
    assert vggish.PatchParams().num_patches(160_000) == 10
    assert vggish.PatchParams().num_patches(0) == 0
