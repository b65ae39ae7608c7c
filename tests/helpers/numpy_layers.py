"""Layers in double-precision NumPy, as references for networks."""

import numpy as np


def convolve(x, kernel, bias=0.0):
    """SAME convolution of [batch, rows, cols, in] by [rows, cols, in, out], odd sizes."""
    rows, cols = kernel.shape[:2]
    x = np.pad(
        np.asarray(x, np.float64), [(0, 0), (rows // 2, rows // 2), (cols // 2, cols // 2), (0, 0)]
    )
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, cols), axis=(1, 2))
    return np.einsum('brciuv,uvio->brco', windows, kernel) + bias


def pool(x):
    """Max pooling by 2 x 2; incomplete windows are dropped."""
    batch, rows, cols, channels = x.shape
    x = x[:, : rows // 2 * 2, : cols // 2 * 2]
    return x.reshape(batch, rows // 2, 2, cols // 2, 2, channels).max(axis=(2, 4))


def normalise(x, gamma, beta, mean=None, variance=None, epsilon=1e-3):
    """Batch normalisation over all axes but the last; uses batch statistics without a mean."""
    if mean is None:
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
    return (x - mean) / np.sqrt(np.asarray(variance, np.float64) + epsilon) * gamma + beta


def relu(x):
    """Negative values become zero."""
    return np.maximum(x, 0.0)


def sigmoid(x):
    """Logits to probabilities."""
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))
