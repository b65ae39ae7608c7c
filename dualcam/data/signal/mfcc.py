"""MFCC statistics: features of a sound that need no training.

The classic baseline for learned embeddings (ESC-10's own baselines use MFCC, Piczak 2015).
"""

import numpy as np
import numpy.typing as npt
import python_speech_features

from dualcam.data import audio

NUM_CEPSTRA = 20


def statistics(signal: npt.ArrayLike) -> np.ndarray:
    """Mean and deviation over time of MFCCs and their differences.

    25 ms Hamming windows every 10 ms, 40 mel bands up to 11,025 Hz, 20 coefficients, the signal
    scaled to a largest magnitude of 1.

    Args:
        signal: [samples] at 22,050 Hz, not silent.

    Returns:
        [80] float32.
    """
    samples = np.asarray(signal, np.float64)
    samples = samples / np.abs(samples).max()
    shortest = int(0.06 * audio.SAMPLE_RATE_HZ)  # differences need a few windows
    samples = np.pad(samples, (0, max(0, shortest - len(samples))))
    cepstra = python_speech_features.mfcc(
        samples,
        audio.SAMPLE_RATE_HZ,
        winlen=0.025,
        winstep=0.01,
        numcep=NUM_CEPSTRA,
        nfilt=40,
        nfft=1024,
        winfunc=np.hamming,
    )
    change = np.diff(cepstra, axis=0)
    return np.concatenate(
        [part for values in (cepstra, change) for part in (values.mean(axis=0), values.std(axis=0))]
    ).astype(np.float32)
