"""Features of tagged clips' frames (AAAI 2021): worked out once a frame, kept on disk."""

import functools

import numpy as np

from dualcam.data.records import tagging_records
from dualcam.data.signal import video
from dualcam.features import frame_features


def open_features(store, network, folder):
    """Features of all frames of a store's clips, worked out as far as they are not kept yet.

    Frames are brought to the network's size as a whole, whatever their shape: what sounds may be
    at the side.

    Args:
        store: a `tagging_store.TaggingStore`.
        network: a Keras model from [frames, height, width, 3], RGB less `video.MEANS`, to
            [frames, features].
        folder: where the features are kept, by the network's weights and the clips.

    Returns:
        A `features.KeptFeatures`; its `array` is [clips, frames, features].

    Raises:
        ValueError: a record cannot be read; the message names it.
    """
    read = functools.partial(tagging_records.read_frames, size=network.input_shape[1:3])
    kept = frame_features.KeptFeatures(
        store.paths,
        store.num_frames,
        network,
        folder,
        store.digest,
        read,
        functools.partial(video.subtract_means, bgr=True),
    )  # frames are RGB already
    rows, frames = np.indices(kept.array.shape[:2]).reshape(2, -1)
    kept.require(rows, frames)
    return kept


def read_frames(store, rows, frames, size):
    """Chosen frames of a store.

    Args:
        store: a `tagging_store.TaggingStore`.
        rows: [n] of it.
        frames: [n] numbers of frames, from 0; no frame of a row twice.
        size: (height, width).

    Returns:
        [n, height, width, 3] uint8 RGB, ordered by row, then by frame.
    """
    records, place = np.unique(rows, return_inverse=True)
    chosen = [np.sort(np.asarray(frames)[place == i]) for i in range(len(records))]
    found = tagging_records.read_frames([store.paths[row] for row in records], chosen, size)
    return np.concatenate([np.rint(pixels).astype(np.uint8) for pixels in found])
