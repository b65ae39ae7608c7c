"""Scores of answers."""

import numpy as np
import sklearn.metrics


def accuracy(labels, logits):
    """Share of clips whose largest logit is the label's.

    Args:
        labels: [clips] integers.
        logits: [clips, classes].

    Returns:
        A float from 0 to 1.
    """
    return float(sklearn.metrics.accuracy_score(labels, np.argmax(logits, axis=-1)))
