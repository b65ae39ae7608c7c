import numpy as np
import pytest
import python_speech_features

from dualcam.acoustics import beamforming, cepstra

pytestmark = pytest.mark.numeric


def test_one_direction_equals_python_speech_features(rng):
    frames = rng.standard_normal((5, 1024)) * 1e4
    power = np.abs(beamforming.frame_spectra(frames)) ** 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    expected = np.concatenate(
        [
            python_speech_features.mfcc(
                frame,
                12_288,
                winlen=1024 / 12_288,
                winstep=1024 / 12_288,
                numcep=12,
                nfilt=26,
                nfft=1024,
                lowfreq=200,
                preemph=0,
                ceplifter=0,
                appendEnergy=False,
                winfunc=lambda n: window,
            )
            for frame in frames
        ]
    )
    # The package divides powers by the transform's length.
    got = cepstra.power_to_cepstra(power / 1024)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_twice_the_pressure_moves_only_the_first_channel(rng):
    power = rng.random((4, 512)) + 0.1
    moved = cepstra.power_to_cepstra(4 * power) - cepstra.power_to_cepstra(power)
    np.testing.assert_allclose(moved[:, 0], np.log(4) * np.sqrt(26), rtol=1e-4)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-4)


def test_silence_is_finite_and_wrong_bins_are_refused():
    assert np.isfinite(cepstra.power_to_cepstra(np.zeros((36, 48, 512)))).all()
    with pytest.raises(ValueError, match='512'):
        cepstra.power_to_cepstra(np.zeros((3, 513)))
