"""Audio-visual features and the triplet losses on them (ECCV 2020).

A sound and a picture are two maps over the same 12 x 16 positions, or a sound is one vector used at
all of them. Their product highlights what sounds in the picture: summed over positions it is the
pair's audio-visual feature, to which the sound's own feature must be close if both come from one
video, and far otherwise. The networks are in `models/`; `training/recipes/correspondence.py`
decides when each loss is used.
"""

import tensorflow as tf


def audio_features(audio: tf.Tensor) -> tf.Tensor:
    """Unit-length features of sounds.

    Args:
        audio: maps [sounds, rows, cols, channels], or vectors [sounds, channels], which pass a
            ReLU before they are used at every position.

    Returns:
        [sounds, channels]; all-zero inputs stay zero.
    """
    if len(audio.shape) == 2:
        return tf.math.l2_normalize(tf.nn.relu(audio), axis=-1)
    return tf.math.l2_normalize(tf.reduce_sum(audio, axis=[1, 2]), axis=-1)


def audio_visual_features(audio: tf.Tensor, video: tf.Tensor) -> tf.Tensor:
    """Unit-length features of all pairs of a sound and a picture.

    The sum over positions of (sound * picture) * picture, channel by channel, is a matrix product
    of the sounds and the squared pictures in each channel; the products themselves, 400 MB for a
    batch of 64, are never materialised.

    Args:
        audio: as for `audio_features`.
        video: maps [pictures, rows, cols, channels].

    Returns:
        [sounds, pictures, channels]; all-zero products stay zero.
    """
    energy = tf.square(video)
    if len(audio.shape) == 2:
        products = tf.nn.relu(audio)[:, None] * tf.reduce_sum(energy, axis=[1, 2])
    else:
        products = tf.einsum('iyxc,jyxc->ijc', audio, energy)
    return tf.math.l2_normalize(products, axis=-1)


def own_audio_visual_features(audio: tf.Tensor, video: tf.Tensor) -> tf.Tensor:
    """Unit-length features of each sound with the picture of its own clip.

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
    """Similarity of a picture and a sound: the cosine at each position.

    Args:
        audio: as for `audio_features`.
        video: maps [clips, rows, cols, channels] of the same clips.

    Returns:
        [clips, rows, cols], 0 - 1 as neither is negative; 0 if one is zero.
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
        samples: [samples, channels], or, if they depend on the anchor, [anchors, samples,
            channels].

    Returns:
        [anchors, samples].
    """
    return tf.reduce_sum(tf.square(samples - anchors[:, None]), axis=-1)


def same_video(labels: tf.Tensor, videos: tf.Tensor) -> tf.Tensor:
    """Which clips are from the same video.

    Args:
        labels: [clips] integers.
        videos: [clips] integers; different classes may use the same numbers.

    Returns:
        [clips, clips] booleans, also true for a clip and itself.
    """
    return (labels[:, None] == labels) & (videos[:, None] == videos)


def all_triplets(
    distances: tf.Tensor, positive: tf.Tensor, margin: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean loss of the active triplets, whose positive is not closer by the margin.

    Args:
        distances: [anchors, samples], see `squared_distances`.
        positive: [anchors, samples] booleans, see `same_video`; other samples are negatives.
        margin: of squared distances.

    Returns:
        (loss, share of active triplets), scalars; both 0 if none is active.
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
    """Mean over anchors of the loss with the farthest positive and the closest negative.

    Args:
        distances, positive, margin: as for `all_triplets`. An anchor without negatives has no
            loss.

    Returns:
        (loss, share), scalars. As in the authors' code, the share is the number of anchors with a
        loss divided by that of all triplets, so it is far below that of `all_triplets`.
    """
    farthest = tf.reduce_max(tf.where(positive, distances, float('-inf')), axis=1)
    nearest = tf.reduce_min(tf.where(positive, float('inf'), distances), axis=1)
    losses = tf.nn.relu(farthest - nearest + margin)  # [anchors]
    own = tf.reduce_sum(tf.cast(positive, tf.float32), axis=1)
    triplets = tf.reduce_sum(own * (tf.cast(tf.shape(positive)[1], tf.float32) - own))
    return tf.reduce_mean(losses), _count(losses > 0.0) / tf.maximum(triplets, 1.0)


def _count(flags):
    return tf.reduce_sum(tf.cast(flags, tf.float32))
