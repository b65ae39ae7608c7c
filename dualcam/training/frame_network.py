"""The frame features of AAAI 2021's visual branch: VGG-16's, or those of a small substitute.

The paper uses VGG-16 trained on ImageNet. Without that file a small network is trained here to
predict a training clip's labels from each of its frames; labels of sounds without a visible source
are noise to it. Every run must state its kind of features: `visual_features` returns the text.
"""

import dataclasses
import hashlib
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf

from dualcam.data.packers import tagged_packer
from dualcam.data.signal import video
from dualcam.features import frame_features
from dualcam.files import atomic, progress_bars
from dualcam.files.path_types import AnyPath
from dualcam.models import frame_networks, weights
from dualcam.training import nonfinite, optimizers

STAND_IN = (
    'frames seen by a small network that learned from the training clips (no weights of '
    'VGG-16 given)'
)


@dataclasses.dataclass(frozen=True)
class FrameTrainingParams:
    """How the small network is trained: Adam, with cosine decay of the rate to zero.

    Frames are flipped and shifted at random.
    """

    epochs: int = 24
    batch_size: int = 16
    learning_rate: float = 2e-3
    share: float = 0.25  # of the frames per epoch; those of a clip differ little
    max_frames: int = 20_000  # drawn from all training clips; 38 KB of memory each
    seed: int = 0


def visual_features(
    store: tagged_packer.TaggedStore,
    training_rows: np.ndarray,
    folder: AnyPath,
    weights: AnyPath | None = None,
    layer: str = 'fc2',
    params: FrameTrainingParams = FrameTrainingParams(),
) -> tuple[frame_features.KeptFeatures, str]:
    """Features of all frames of a store, and their description.

    Args:
        store: a `tagged_packer.TaggedStore`.
        training_rows: [n] rows of it on which the substitute may be trained.
        folder: where networks and features are cached.
        weights: a file with VGG-16's weights, or None.
        layer: of VGG-16, 'fc2' or 'predictions'.
        params: a `FrameTrainingParams`, for the substitute.

    Returns:
        (a `frame_features.KeptFeatures`, one line for titles and run.json).
    """
    if weights is not None:
        network, what = frame_networks.vgg16(weights, layer), f'frames seen by VGG-16 ({layer})'
    else:
        network, what = train_small(store, training_rows, folder, params), STAND_IN
    return frame_features.of_tagged_clips(store, network, folder), what


def train_small(
    store: tagged_packer.TaggedStore,
    rows: np.ndarray,
    folder: AnyPath,
    params: FrameTrainingParams = FrameTrainingParams(),
) -> keras.Model:
    """The substitute for VGG-16, trained unless it is cached.

    Args:
        store: a `tagged_packer.TaggedStore`.
        rows: [n] rows of it to train on.
        folder: of its cached weights, keyed by the clips and the parameters.
        params: a `FrameTrainingParams`.

    Returns:
        A `keras.Model` from [frames, 112, 112, 3] to features [frames, 128].
    """
    keras.utils.set_random_seed(params.seed)
    tagger, seen = frame_networks.small(store.columns['label'].shape[1])
    made_of = json.dumps([store.digest, np.sort(rows).tolist(), dataclasses.asdict(params)])
    name = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    path = pathlib.Path(folder) / f'frame-network-{name}{weights.ENDING}'
    if path.exists():
        tagger.load_weights(path)
        return seen
    frames, labels = _training_frames(store, rows, params)
    _learn(tagger, frames, labels, params)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.writing_file(path, weights.ENDING) as partial:
        tagger.save_weights(partial)
    return seen


def _training_frames(store, rows, params):
    """Pixels [n, 112, 112, 3] uint8 and labels [n, classes] of frames drawn from clips."""
    rng = np.random.default_rng(params.seed)
    places = np.stack(
        np.meshgrid(np.sort(rows), np.arange(store.num_frames), indexing='ij'), -1
    ).reshape(-1, 2)
    drawn = np.sort(rng.permutation(len(places))[: params.max_frames])
    rows, frames = places[drawn].T  # sorted by row, then by frame
    side = frame_networks.SMALL_SIDE
    return store.pixels(rows, frames, (side, side)), store.columns['label'][rows]


def _learn(tagger, pixels, labels, params):
    size = params.batch_size
    num_frames = max(1, round(params.share * len(pixels)))
    optimizer = optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(
            params.learning_rate, params.epochs * -(-num_frames // size)
        )
    )
    optimizer.build(tagger.trainable_variables)

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(frames, hot):
        with tf.GradientTape() as tape:
            logits = tagger(video.subtract_means(frames, bgr=True), training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(hot, logits))
        optimizer.apply_gradients(
            zip(
                tape.gradient(loss, tagger.trainable_variables),
                tagger.trainable_variables,
                strict=True,
            )
        )
        return loss

    bar = progress_bars.bar(range(params.epochs), desc='small image network', unit='epoch')
    for epoch in bar:
        rng = np.random.default_rng([params.seed, epoch])
        order, losses = rng.permutation(len(pixels))[:num_frames], []
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            losses.append(float(train_step(_moved(pixels[chosen], rng), labels[chosen])))
            if not np.isfinite(losses[-1]):
                raise nonfinite.NotFinite(
                    f'the small network on frames: epoch {epoch + 1}, step '
                    f'{len(losses)}: the loss is {losses[-1]}; lower its '
                    'learning rate'
                )
        bar.set_postfix(refresh=False, loss=f'{np.mean(losses):.3f}')


def _moved(frames, rng):
    """Frames, half of them mirrored, each shifted circularly."""
    reach = frames.shape[1] // 14
    return np.stack(
        [
            np.roll(frame[:, ::flip], shift, (0, 1))
            for frame, flip, shift in zip(
                frames,
                rng.choice([-1, 1], len(frames)),
                rng.integers(-reach, reach + 1, (len(frames), 2)),
                strict=True,
            )
        ]
    )
