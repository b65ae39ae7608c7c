"""Rates of correspondence training: losses and their memory, retrieval."""

import concurrent.futures
import multiprocessing
import pathlib
import resource
import time

import numpy as np
import tensorflow as tf

from benchmarks import measure
from dualcam.evaluation import retrieval
from dualcam.losses import triplet


def losses(_):
    """Losses and gradients of a batch of 64 maps; peer: all products materialised.

    Each variant runs in its own process, whose peak memory is read.
    """
    spent = []
    for direct in (False, True):
        with concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context('spawn')
        ) as pool:
            spent.append(pool.submit(_triplets, direct).result())
    (ours, memory), (others, other_memory) = spent
    yield measure.Row(
        'correspondence loss and gradients, batch of 64 maps',
        64 / ours,
        'clips/s',
        '5 times its peer',
        peer='all products materialised',
        peer_value=64 / others,
    )
    yield measure.Row(
        'its memory beyond the maps',
        memory,
        'MiB',
        'below 200',
        peer='all products materialised',
        peer_value=other_memory,
    )


def _triplets(direct, batch=64):
    """Seconds (median of 7) and MiB beyond the maps of a batch's loss and gradients."""

    def features(audio, video):
        if direct:
            return tf.math.l2_normalize(
                tf.reduce_sum(audio[:, None] * video * video, axis=[2, 3]), axis=-1
            )
        return triplet.audio_visual_features(audio, video)

    @tf.function(
        input_signature=[tf.TensorSpec([None, 12, 16, 128])] * 2 + [tf.TensorSpec([None], tf.int64)]
    )
    def gradients(audio, video, videos):
        with tf.GradientTape() as tape:
            tape.watch((audio, video))
            loss, _ = triplet.all_triplets(
                triplet.squared_distances(triplet.audio_features(audio), features(audio, video)),
                triplet.same_video(videos, videos),
                0.2,
            )
        return loss, tape.gradient(loss, (audio, video))

    rng, times = np.random.default_rng(0), []
    audio, video = (tf.constant(rng.random((batch, 12, 16, 128), np.float32)) for _ in range(2))
    videos = tf.constant(np.arange(batch) // 2)
    gradients(audio[:2], video[:2], tf.constant([0, 1], tf.int64))  # traces
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    before = pages * resource.getpagesize() / 2**20
    for _ in range(7):
        started = time.perf_counter()
        loss, _ = gradients(audio, video, videos)
        float(loss)
        times.append(time.perf_counter() - started)
    return float(np.median(times)), measure.largest_mib() - before


def retrieval_time(_):
    """Rank-k retrieval among 1,400 clips: sounds as maps, and as vectors."""
    rng = np.random.default_rng(0)
    maps, video = (rng.random((1400, 12, 16, 128), np.float32) for _ in range(2))
    labels = rng.integers(0, 10, 1400)
    for name, sounds, reach in (('maps', maps, 'below 2'), ('vectors', maps[:, 0, 0], '')):
        times = []
        for _ in range(measure.RUNS):
            started = time.perf_counter()
            retrieval.ranks(sounds, video, labels)
            times.append(time.perf_counter() - started)
        yield measure.row(f'retrieval among 1,400 clips, sounds as {name}', 's', times, reach=reach)
