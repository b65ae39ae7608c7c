"""Audio-visual features and triplet losses in plain NumPy."""

import numpy as np


def naive_features(audio, video):
    """[sounds, pictures, channels] float64: explicit products, summed and normalised."""
    products = audio[:, None].astype(np.float64) * video * video
    features = products.sum(axis=(2, 3))
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-6)


def naive_losses(distances, positive, margin):
    """(all, its share, hardest, its share), triplet by triplet."""
    count = len(distances)
    losses = [
        distances[a, p] - distances[a, n] + margin
        for a in range(count)
        for p in range(count)
        for n in range(count)
        if positive[a, p] and not positive[a, n]
    ]
    active = [loss for loss in losses if loss > 0]
    hardest = [
        max(
            0.0,
            margin
            + max(distances[a][positive[a]])
            - min(distances[a][~positive[a]], default=np.inf),
        )
        for a in range(count)
    ]
    triplets = max(len(losses), 1)
    return (
        sum(active) / max(len(active), 1),
        len(active) / triplets,
        np.mean(hardest),
        np.count_nonzero(hardest) / triplets,
    )
