"""Audio-visual features and the triplet losses on them (ECCV 2020).

A sound and a picture are two maps over the same 12 x 16 places, or a sound is one vector that
stands at all of them. Their product says what of the picture sounds: summed over the places it is
the pair's audio-visual feature, to which the sound's own feature must be close where both come
from one video, and far elsewhere. The networks are in `models/`, when which loss counts is in
`training/recipes/correspondence.py`.
"""

import tensorflow as tf


def audio_features(audio: tf.Tensor) -> tf.Tensor:
    """Features of sounds, of length 1.

    Args:
        audio: maps [sounds, rows, cols, channels], or vectors [sounds, channels], which pass a
            ReLU before they stand at every place.

    Returns:
        [sounds, channels]; what is zero everywhere stays zero.
    """
    if len(audio.shape) == 2:
        return tf.math.l2_normalize(tf.nn.relu(audio), axis=-1)
    return tf.math.l2_normalize(tf.reduce_sum(audio, axis=[1, 2]), axis=-1)


def audio_visual_features(audio: tf.Tensor, video: tf.Tensor) -> tf.Tensor:
    """Features of all pairs of a sound and a picture, of length 1.

    The sum over places of (sound * picture) * picture, channel by channel, is a matrix product
    of the sounds and the squared pictures in each channel; the products themselves, 400 MB for
    a batch of 64, are never made.

    Args:
        audio: as for `audio_features`.
        video: maps [pictures, rows, cols, channels].

    Returns:
        [sounds, pictures, channels]; a product that is zero everywhere stays zero.
    """
    energy = tf.square(video)
    if len(audio.shape) == 2:
        products = tf.nn.relu(audio)[:, None] * tf.reduce_sum(energy, axis=[1, 2])
    else:
        products = tf.einsum('iyxc,jyxc->ijc', audio, energy)
    return tf.math.l2_normalize(products, axis=-1)


def own_audio_visual_features(audio: tf.Tensor, video: tf.Tensor) -> tf.Tensor:
    """Features of each sound with the picture of its own clip, of length 1.

    Args:
        audio: as for `audio_features`.
        video: maps [clips, rows, cols, channels] of the same clips.

    Returns:
        [clips, channels], the diagonal of `audio_visual_features`.
    """
    energy = tf.square(video)
    if len(audio.shape) == 2:
        products = tf.nn.relu(audio) * tf.reduce_sum(energy, axis=[1, 2])
    else:
        products = tf.reduce_sum(audio * energy, axis=[1, 2])
    return tf.math.l2_normalize(products, axis=-1)


def similarity(audio: tf.Tensor, video: tf.Tensor) -> tf.Tensor:
    """Where a picture looks like what is heard: the cosine at each place.

    Args:
        audio: as for `audio_features`.
        video: maps [clips, rows, cols, channels] of the same clips.

    Returns:
        [clips, rows, cols], 0 - 1 as neither is ever negative; 0 where one is zero.
    """
    if len(audio.shape) == 2:
        audio = tf.nn.relu(audio)[:, None, None]
    return tf.reduce_sum(
        tf.math.l2_normalize(audio, axis=-1) * tf.math.l2_normalize(video, axis=-1), axis=-1
    )


def squared_distances(anchors: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    """Squared Euclidean distances.

    Args:
        anchors: [anchors, channels].
        samples: [samples, channels], or, where they depend on the anchor, [anchors, samples,
            channels].

    Returns:
        [anchors, samples].
    """
    return tf.reduce_sum(tf.square(samples - anchors[:, None]), axis=-1)


def same_video(labels: tf.Tensor, videos: tf.Tensor) -> tf.Tensor:
    """Which clips are of one video.

    Args:
        labels: [clips] integers.
        videos: [clips] integers; two classes may number their videos alike.

    Returns:
        [clips, clips] booleans, true for a clip and itself too.
    """
    return (labels[:, None] == labels) & (videos[:, None] == videos)


def all_triplets(
    distances: tf.Tensor, positive: tf.Tensor, margin: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean loss of the triplets that have one: a positive not nearer by the margin.

    Args:
        distances: [anchors, samples], see `squared_distances`.
        positive: [anchors, samples] booleans, see `same_video`; other samples are negatives.
        margin: of squared distances.

    Returns:
        (loss, share of the triplets that have one), scalars; both 0 if none has.
    """
    gaps = distances[:, :, None] - distances[:, None] + margin  # [anchors, positives, negatives]
    valid = positive[:, :, None] & ~positive[:, None]
    active = valid & (gaps > 0.0)
    count = _count(active)
    total = tf.reduce_sum(tf.where(active, gaps, 0.0))
    return total / tf.maximum(count, 1.0), count / tf.maximum(_count(valid), 1.0)


def hardest_triplets(
    distances: tf.Tensor, positive: tf.Tensor, margin: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean over anchors of the loss with the farthest positive and the nearest negative.

    Args:
        distances, positive, margin: as for `all_triplets`. An anchor without negatives has no
            loss.

    Returns:
        (loss, share), scalars. As the authors count it, the share is that of anchors that have
        a loss in the number of all triplets, so it is far below that of `all_triplets`.
    """
    farthest = tf.reduce_max(tf.where(positive, distances, float('-inf')), axis=1)
    nearest = tf.reduce_min(tf.where(positive, float('inf'), distances), axis=1)
    losses = tf.nn.relu(farthest - nearest + margin)  # [anchors]
    own = tf.reduce_sum(tf.cast(positive, tf.float32), axis=1)
    triplets = tf.reduce_sum(own * (tf.cast(tf.shape(positive)[1], tf.float32) - own))
    return tf.reduce_mean(losses), _count(losses > 0.0) / tf.maximum(triplets, 1.0)


def _count(flags):
    return tf.reduce_sum(tf.cast(flags, tf.float32))
