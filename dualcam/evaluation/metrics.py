"""Scores of predictions."""

import numpy as np
import scipy.special
import sklearn.metrics


def accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Fraction of clips whose largest logit is the label's.

    Args:
        labels: [clips] integers.
        logits: [clips, classes].

    Returns:
        A float from 0 to 1.
    """
    return float(sklearn.metrics.accuracy_score(labels, np.argmax(logits, axis=-1)))


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean cross-entropy of the labels, in nats.

    Args:
        labels: [clips] integers.
        logits: [clips, classes].

    Returns:
        A float.
    """
    log_shares = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=-1)
    return float(-np.mean(log_shares[np.arange(len(labels)), labels]))


def confusion(labels: np.ndarray, answers: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts of each prediction for each class.

    Args:
        labels, answers: [clips] integers from 0 to num_classes - 1.
        num_classes: classes without clips get rows and columns of zeros.

    Returns:
        [classes, classes] int64; the row is the label, the column the prediction.
    """
    return sklearn.metrics.confusion_matrix(labels, answers, labels=np.arange(num_classes))
