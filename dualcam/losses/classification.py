"""Classification losses: softened cross-entropies (WACV 2020), and the terms of mutual
learning with several labels per clip (AAAI 2021).

The latter are summed over classes or features and averaged over the batch: the AAAI paper weights
them all by 1, which balances them only if they are summed in the same way.
"""

import keras
import tensorflow as tf


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy for integer labels.

    Args:
        labels: [batch] integers.
        logits: [batch, classes].

    Returns:
        A scalar.
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def mixed_cross_entropy(
    labels: tf.Tensor, other_labels: tf.Tensor, other_shares: tf.Tensor, logits: tf.Tensor
) -> tf.Tensor:
    """Mean cross-entropy for clips mixed from two (Zhang et al., ICLR 2018).

    Args:
        labels, other_labels: [batch] integers.
        other_shares: [batch], 0 - 1, weight of the second clip.
        logits: [batch, classes].

    Returns:
        A scalar.
    """

    def of(which):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(which, logits)

    return tf.reduce_mean((1.0 - other_shares) * of(labels) + other_shares * of(other_labels))


def soft_cross_entropy(
    teacher_logits: tf.Tensor, student_logits: tf.Tensor, temperature: float
) -> tf.Tensor:
    """Mean cross-entropy of the student against a teacher's softened predictions.

    Args:
        teacher_logits, student_logits: [batch, classes]; only the teacher's are
            divided by the temperature, and there is no factor temperature**2, as in the
            authors' program.
        temperature: above 0.

    Returns:
        A scalar; no gradient reaches the teacher.
    """
    targets = tf.stop_gradient(tf.nn.softmax(teacher_logits / temperature))
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, student_logits))


def distillation(
    labels: tf.Tensor,
    student_logits: tf.Tensor,
    teacher_logits: tf.Tensor,
    imitation: float,
    temperature: float,
) -> tf.Tensor:
    """(1 - imitation) * cross-entropy with the labels + imitation * cross-entropy with the teacher.

    Args:
        labels: [batch] integers.
        student_logits, teacher_logits: [batch, classes].
        imitation: the paper's lambda, 0 - 1.
        temperature: the paper's T, above 0.

    Returns:
        A scalar, the sum of `distillation_terms`.
    """
    return tf.add_n(
        distillation_terms(labels, student_logits, teacher_logits, imitation, temperature)
    )


def distillation_terms(
    labels: tf.Tensor,
    student_logits: tf.Tensor,
    teacher_logits: tf.Tensor,
    imitation: float,
    temperature: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The two weighted terms of `distillation`: for the labels and for the teacher."""
    hard = cross_entropy(labels, student_logits)
    soft = soft_cross_entropy(teacher_logits, student_logits, temperature)
    return (1.0 - imitation) * hard, imitation * soft


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy for several labels per clip.

    Args:
        labels: [batch, classes], 0 - 1.
        logits: [batch, classes], before the sigmoid.

    Returns:
        A scalar, the sum over classes averaged over the batch, in nats.
    """
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)  # [batch, classes]
    return tf.reduce_mean(tf.reduce_sum(each, axis=-1))


def soft_binary_cross_entropy(peer_logits: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """`binary_cross_entropy` against a peer's probabilities; no gradient reaches the peer."""
    return binary_cross_entropy(tf.stop_gradient(tf.sigmoid(peer_logits)), logits)


def feature_distance(peer: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """Squared distance of a network's features from a peer's.

    Args:
        peer, own: [batch, features]; no gradient reaches the peer.

    Returns:
        A scalar, the sum over features averaged over the batch.
    """
    return tf.reduce_mean(tf.reduce_sum(tf.square(own - tf.stop_gradient(peer)), axis=-1))


def l2_penalty(kernels: list[keras.Variable], weight_decay: float = 5e-4) -> tf.Tensor:
    """weight_decay * sum of squares / 2 over kernels, as in the authors' programs."""
    return weight_decay * tf.reduce_sum([tf.nn.l2_loss(kernel) for kernel in kernels])
