"""From a run's parameters to what its network sees, and to the network itself.

`run.py` trains and keeps; what clips, statistics and options `supervised.RunParams` mean, is here.
"""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np

from dualcam import models
from dualcam.data import schema
from dualcam.data.clips import record_clips as clips_lib
from dualcam.data.signal import channel_statistics, frontends
from dualcam.data.sources import datasets
from dualcam.data.stores import record_store


@dataclasses.dataclass(frozen=True, eq=False)
class RunData:
    """What a run learns from.

    Attributes:
        store: holds all records.
        training, validation: record paths in their lists' order.
        info: the data set.
        start: {layer: its weights} that training starts from; the other layers are drawn.
    """

    store: record_store.Store
    training: list[str]
    validation: list[str]
    info: datasets.DatasetInfo
    start: dict = dataclasses.field(default_factory=dict)

    def clips(self, params, folder, teacher_logits=None):
        """Training and validation clips; statistics they are normalised by land in the folder."""
        rows, windows = self.windows(params)
        gather_stats(params, self.store, rows, windows[0], folder)
        made = []
        for chosen in windows:
            columns = {}
            if teacher_logits is not None:
                columns['teacher_logits'] = teacher_logits[chosen].mean(axis=1)
            made.append(cut(params, self.store, chosen, folder, columns))
        return made

    def windows(self, params):
        """How the lists are cut.

        Args:
            params: has `clips` and `loop`.

        Returns:
            (rows of the training sequences [sequences, seconds], [windows of the training clips,
            windows of the validation clips], both [clips, seconds]).
        """
        rows, valid_rows = (
            clips_lib.sequence_rows(self.store, paths, params.clips.total_length)
            for paths in (self.training, self.validation)
        )
        return rows, [
            clips_lib.training_windows(rows, params.clips, params.loop.seed),
            clips_lib.inference_windows(valid_rows, params.clips),
        ]

    def described(self):
        """What run.json says of it: digests of the records and the lists."""
        root = os.path.commonpath(self.store.paths)
        return {
            'records': self.store.digest,
            'lists': {
                name: {
                    'records': len(paths),
                    'sha256': hashlib.sha256(
                        '\n'.join(os.path.relpath(p, root) for p in paths).encode()
                    ).hexdigest(),
                }
                for name, paths in (('training', self.training), ('validation', self.validation))
            },
        }


def test_clips(params, store, paths, folder):
    """Clips of a list as the run of this folder takes them, cut without overlap."""
    rows = clips_lib.sequence_rows(store, paths, params.clips.total_length)
    return cut(params, store, clips_lib.inference_windows(rows, params.clips), folder)


def record_clips(params, store, folder):
    """Every record of a store as a clip of the run of this folder, a teacher of one second."""
    return cut(params, store, np.arange(len(store.paths))[:, None], folder)


def asked_frames(params, store, training, others):
    """Which frames' features a run on video and its tests need.

    Args:
        params: a `supervised.RunParams`.
        store: holds the records.
        training: record paths of its training list.
        others: record paths of the lists that are cut without overlap.

    Returns:
        (rows of the store [n], numbers of frames [n]).
    """
    if 'features' not in kind_of(params):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    second, frame = np.divmod(
        models.network(params.network).frames(**_options(params)), schema.FRAMES_PER_SECOND
    )
    windows = [
        clips_lib.training_windows(
            clips_lib.sequence_rows(store, training, params.clips.total_length),
            params.clips,
            params.loop.seed,
        )
    ]
    for paths in others:
        rows = clips_lib.sequence_rows(store, paths, params.clips.total_length)
        windows.append(clips_lib.inference_windows(rows, params.clips))
    windows = np.concatenate(windows)
    return windows[:, second].reshape(-1), np.tile(frame, len(windows))


def frontend(params, folder=None):
    """The `frontend.Frontend` of a student's run.

    Args:
        params: a `supervised.RunParams`.
        folder: of the run, with the statistics that spectrograms are normalised with; None
            leaves them as they are.
    """
    kind, statistics = models.network(params.network).input, None
    if kind == 'spectrogram' and folder is not None:
        names = frontends.NORMALISATIONS[params.normalisation]
        statistics = channel_statistics.load(pathlib.Path(folder) / 'stats', *names)
    return frontends.Frontend(
        kind,
        params.normalisation,
        statistics,
        params.band_limited,
        models.network(params.network).spectrogram,
    )


def cut(params, store, windows, folder, columns=None):
    """Windows of a store as clips of the network of the run of this folder.

    Args:
        params: a `supervised.RunParams`.
        store: holds the records.
        windows: [clips, seconds] rows of it.
        folder: of the run, with its statistics.
        columns: {name: [clips, ...]} that go along with each clip.

    Returns:
        `clips.Clips`.
    """
    kind = kind_of(params)
    frames = None
    if any(part in kind for part in ('features', 'video', 'frames')):
        frames = models.network(params.network).frames(**_options(params))
    ears = frontend(params, folder) if kind in ('waveform', 'spectrogram') else None
    return clips_lib.Clips(store, windows, kind, ears, columns, frames)


def gather_stats(params, store, rows, windows, folder):
    """Statistics of the training set that the input is normalised with, unless they are there."""
    kind = kind_of(params)
    if kind == 'spectrogram' and not (folder / 'stats').exists():
        whole = clips_lib.inference_windows(rows, params.clips)
        channel_statistics.save(
            folder / 'stats',
            channel_statistics.gather(
                clips_lib.Clips(store, whole, kind, frontend(params)).raw_batches()
            ),
        )
    if not params.standardise:
        return
    if 'acoustic' in kind and not (folder / 'stats').exists():
        acoustic = store.arrays['acoustic']
        channel_statistics.save(
            folder / 'stats', channel_statistics.gather(acoustic[row] for row in rows.reshape(-1))
        )
    if 'features' in kind and not (folder / 'stats_features').exists():
        frames = models.network(params.network).frames(**_options(params))
        channel_statistics.save(
            folder / 'stats_features',
            channel_statistics.gather(
                clips_lib.Clips(store, windows, 'features', frames=frames).raw_batches()
            ),
        )


def build(params, num_classes, folder):
    """The network of a run, with the statistics in its folder."""
    kind, options = kind_of(params), _trained_options(params, folder)
    if 'features' not in kind:
        return models.build(params.network, num_classes, **options)
    if params.standardise:
        mean, deviation = channel_statistics.load(folder / 'stats_features', 'mean', 'std_dev')
        # A feature that hardly moves in training would otherwise be blown up where it does.
        options['feature_stats'] = mean, np.maximum(deviation, 1e-3 * deviation.max())
    return models.build_head(params.network, num_classes, **options)


def build_map(params, folder):
    """Likewise, the network that learns correspondence, `models.build_map`."""
    return models.build_map(params.network, **_trained_options(params, folder))


def kind_of(params):
    """What clips are cut to for this run."""
    kind = models.network(params.network).clips
    return kind.replace('features', 'video') if params.batch_norm == 'authors' else kind


def _options(params):
    return dict(params.options) | {'seconds': params.clips.sample_length}


def _trained_options(params, folder):
    """`_options`, and those that the training set decides."""
    options = _options(params)
    if params.standardise and 'acoustic' in kind_of(params):
        names = 'mean', 'std_dev'
        options |= dict(zip(names, channel_statistics.load(folder / 'stats', *names), strict=True))
    if models.network(params.network).masks_bins:
        options['bins_heard'] = frontend(params, folder).bins_heard
    return options
