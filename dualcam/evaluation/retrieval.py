"""Retrieving the pictures that match a sound: rank-k retrieval (ECCV 2020).

A sound is compared with the audio-visual features that it forms with every picture (`triplet.py`);
it is a hit at k if one of the k nearest is of its class. The pair's own picture is a candidate.
Distances that decide a rank are computed in float64: sorted distances of a few hundred pictures are
1e-6 apart, below the precision of float32. Distances that differ only by rounding, of the given
features or of the arithmetic here, count as equal (`ties.py`).
"""

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Sequence

import numpy as np
import threadpoolctl

from dualcam.evaluation import ties

KS = (1, 2, 5, 10, 30)
_EPSILON = 1e-12  # of squared lengths, as in tf.math.l2_normalize
_GROUP = 16  # channels adjacent in memory: one cache line
_TILE = 128  # queries per matrix product, in one thread


@dataclasses.dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks at which queries found their class.

    Attributes:
        places: [queries] int64, from 1: rank of the nearest candidate of the query's class.
        ks: ranks to evaluate.
        labels: [queries].
    """

    places: np.ndarray
    ks: tuple[int, ...]
    labels: np.ndarray

    @property
    def shares(self) -> dict[int, float]:
        """{k: fraction of queries, 0 - 1, with one of their class among the k nearest}."""
        return self._shares(np.ones(len(self.labels), bool))

    @property
    def per_class(self) -> dict[int, dict[int, float]]:
        """{class: `shares` of its queries}."""
        return {int(label): self._shares(self.labels == label) for label in np.unique(self.labels)}

    def _shares(self, chosen):
        return {k: float(np.mean(self.places[chosen] <= k)) for k in self.ks}


def ranks(
    audio: np.ndarray,
    video: np.ndarray,
    labels: np.ndarray,
    ks: Sequence[int] = KS,
    block: int = 2048,
) -> Ranks:
    """Rank-k retrieval from each sound to audio-visual features.

    Args:
        audio: maps [clips, rows, cols, channels], or vectors [clips, channels], which pass a
            ReLU and are used at every position.
        video: maps [clips, rows, cols, channels] of the same clips.
        labels: [clips] integers.
        ks: ranks to evaluate.
        block: queries at a time; memory grows with block * clips, time hardly changes.

    Returns:
        A `Ranks`. Among equal distances, up to rounding, those of other classes count as nearer:
        identical features retrieve nothing.

    Raises:
        ValueError: numbers or sizes differ, a rank is below 1, or features are not finite.
    """
    labels = np.asarray(labels)
    if len(audio) != len(video) or len(audio) != len(labels):
        raise ValueError(
            f'{len(audio)} sounds, {len(video)} maps of video and {len(labels)} '
            'labels: expected as many of each'
        )
    if audio.shape[1:] not in (video.shape[1:], video.shape[3:]):
        raise ValueError(
            f'sounds {audio.shape[1:]}, maps of video {video.shape[1:]}: expected '
            'maps of one size, or vectors of as many channels'
        )
    if min(ks) < 1:
        raise ValueError(f'ranks {list(ks)}: expected 1 or more')
    tolerance, places = _tolerance(audio, video), []
    for first in range(0, len(labels), block):
        queries = slice(first, first + block)
        sounds = np.asarray(audio[queries])
        distances = _checked(_distances(sounds, video))
        if sounds.ndim == 4:
            _settle(distances, sounds, video, labels[queries, None] == labels, tolerance)
        places.append(_places(distances, labels[queries], labels, tolerance))
    return Ranks(np.concatenate(places), tuple(ks), labels)


def ranks_of_features(
    audio: np.ndarray, vision: np.ndarray, labels: np.ndarray, ks: Sequence[int] = KS
) -> Ranks:
    """Rank-k retrieval among features that do not depend on the sound, like L3-Net's.

    Args:
        audio, vision: [clips, features] of the same clips, compared by distance.
        labels, ks: as for `ranks`.

    Returns:
        A `Ranks`.
    """
    coarsest = _coarsest(audio, vision)
    audio, vision = (np.asarray(features, np.float64) for features in (audio, vision))
    distances = np.sum(vision**2, axis=1) - 2.0 * audio @ vision.T  # except for the query's own
    lengths = [np.linalg.norm(features, axis=1) for features in (audio, vision)]
    # Rounding a feature changes a squared distance by at most twice the distance times its length.
    scale = np.square(lengths[0][:, None] + lengths[1])
    tolerance = ties.tolerance(audio.shape[1] + 1, scale) + ties.tolerance(2, scale, coarsest)
    labels = np.asarray(labels)
    return Ranks(_places(distances, labels, labels, tolerance), tuple(ks), labels)


def chance(labels: np.ndarray, ks: Sequence[int] = KS) -> dict[int, float]:
    """{k: average of `Ranks.shares` for candidates in random order}."""
    labels = np.asarray(labels)
    total, shares = len(labels), {}
    own = np.sum(labels[:, None] == labels, axis=1)
    for k in ks:
        others = np.ones(total)  # probability that none of the first k is of the query's class
        for drawn in range(min(k, total)):
            others *= np.maximum(total - own - drawn, 0) / (total - drawn)
        shares[k] = float(np.mean(1.0 - others))
    return shares


def _tolerance(audio, video):
    """Largest difference of two equal distances of unit-length features (see `_distances`).

    Sums run over positions and channels, of products of three. The given features were rounded
    once: one rounding of a sound's map and two of a picture's squared one in a sum, as many again
    in its length, and one in the sound's own feature.
    """
    terms = int(np.prod(video.shape[1:])) + 8
    # |f|^2 + 2 |q| |f|, and 2 |q| |f|: maps are not negative, so nothing cancels in sums.
    return ties.tolerance(terms, 3.0) + ties.tolerance(7, 2.0, _coarsest(audio, video))


def _coarsest(*arrays):
    """The least precise of the arrays' types, float64 for integers."""
    kinds = [
        array.dtype if np.issubdtype(array.dtype, np.floating) else np.dtype(np.float64)
        for array in arrays
    ]
    return max(kinds, key=lambda kind: np.finfo(kind).eps)


def _places(distances, labels, candidates, tolerance):
    """Rank, from 1, of the nearest candidate of a query's class: [queries] int64."""
    own = labels[:, None] == candidates  # [queries, candidates]
    nearest = np.where(own, _checked(distances), np.inf).min(axis=1, keepdims=True)
    return 1 + np.sum(~own & (distances <= nearest + tolerance), axis=1)


def _checked(distances):
    if not np.isfinite(distances).all():
        raise ValueError('features are not finite')
    return distances


def _settle(distances, audio, video, own, tolerance):
    """Recomputes, in float64, those distances of maps that decide a rank.

    Args:
        distances: [queries, clips] by `_of_maps`, modified in place.
        audio, video: maps of the queries and the clips.
        own: [queries, clips], whether a clip is of the query's class.
        tolerance: within which distances count as equal.
    """
    places = int(np.prod(video.shape[1:3]))
    # `_of_maps` rounds a product as often as there are positions and channels in a group, its
    # square twice as often, of which the root takes half; both are sums of non-negative numbers.
    bound = ties.tolerance(2 * places + 3 * _GROUP, 1.0, np.float32)
    nearest = np.where(own, distances, np.inf).min(axis=1, keepdims=True)
    doubtful = np.abs(distances - nearest) <= 2.0 * bound + tolerance
    for query in np.flatnonzero((doubtful & ~own).any(axis=1)):
        sound = audio[query].astype(np.float64)
        feature = _normalised(sound.sum(axis=(0, 1))[None])[0]
        chosen = np.flatnonzero(doubtful[query])
        sums = np.stack(
            [
                np.einsum('yxc,yxc->c', sound, np.square(video[picture], dtype=np.float64))
                for picture in chosen
            ]
        )
        distances[query, chosen] = _of_sums(sums @ feature, np.sum(sums**2, axis=1))


def _distances(audio, video):
    """Squared distances of sounds to their features with every picture, [queries, clips].

    Minus the squared length of the sound's own feature, which is the same for all candidates.
    """
    if audio.ndim == 2:
        products, squares = _of_vectors(audio, video)
    else:
        products, squares = _of_maps(audio, video)
    return _of_sums(products, squares)


def _of_sums(products, squares):
    """Distances from the result of `_of_vectors`."""
    shortened = np.maximum(squares, _EPSILON)
    return squares / shortened - 2.0 * products / np.sqrt(shortened)


def _of_vectors(audio, video):
    """Products of audio-visual sums with the queries' features, and the sums' squared lengths."""
    audio = np.maximum(audio, 0.0, dtype=np.float64)
    energy = np.stack(
        [np.einsum('yxc,yxc->c', picture, picture, dtype=np.float64) for picture in video]
    )  # [clips, channels]
    return (audio * _normalised(audio)) @ energy.T, audio**2 @ energy.T**2


def _of_maps(audio, video):
    """`_of_vectors` for maps: a matrix product per channel."""
    queries, clips, channels = len(audio), len(video), audio.shape[-1]
    features = _normalised(audio.sum(axis=(1, 2), dtype=np.float64)).astype(np.float32)
    products, squares = np.zeros((2, queries, clips))

    def add(start, group, heard, seen):
        tile = slice(start, min(start + _TILE, queries))
        # Single precision within a few channels, whose sums fit the cache.
        part, weighed, some_products, some_squares = np.zeros(
            (4, tile.stop - start, clips), np.float32
        )
        for number, channel in enumerate(group):
            np.matmul(heard[number, tile], seen[number].T, out=part)
            np.multiply(part, features[tile, channel, None], out=weighed)
            some_products += weighed
            part *= part
            some_squares += part
        products[tile] += some_products
        squares[tile] += some_squares

    with (
        threadpoolctl.threadpool_limits(1, 'blas'),
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for first in range(0, channels, _GROUP):
            group = range(channels)[first : first + _GROUP]
            heard, seen = pool.map(lambda maps, group=group: _channels(maps, group), (audio, video))
            seen *= seen
            for _ in pool.map(
                functools.partial(add, group=group, heard=heard, seen=seen),
                range(0, queries, _TILE),
            ):
                pass
    return products, squares


def _channels(maps, group):
    """Some channels of maps, [channels, clips, places] float32, like networks' outputs.

    A product with ones moves channels to the first axis, in a fifth of a copy's time.
    """
    chosen = np.asarray(maps[..., group.start : group.stop], np.float32).reshape(-1, len(group))
    moved = np.matmul(np.eye(len(group), dtype=np.float32), chosen.T)
    return moved.reshape(len(group), len(maps), -1)


def _normalised(features):
    """[n, channels] of unit length; zeros stay zeros."""
    squares = np.sum(features**2, axis=1, keepdims=True)
    return features / np.sqrt(np.maximum(squares, _EPSILON))
