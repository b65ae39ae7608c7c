"""From a run's parameters to its network's input, and to the network itself.

`run.py` trains and saves; this module makes the clips, statistics and network options that a
`supervised.RunParams` describes.
"""

import abc
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from dualcam import models
from dualcam.data import audio, schema
from dualcam.data.clips import clip_sets, record_clips, sound_clips
from dualcam.data.signal import channel_statistics, frontends
from dualcam.data.sources import datasets


@dataclasses.dataclass(frozen=True, eq=False)
class Data(abc.ABC):
    """The training and validation data of a run.

    Attributes:
        store: contains all files.
        training, validation: the files of the two lists, in order.
        info: the data set, for titles and exports.
        start: {layer: its weights} that training starts from; other layers are randomly
            initialised.
    """

    store: Any
    training: Any
    validation: Any
    info: datasets.DatasetInfo
    start: dict = dataclasses.field(default_factory=dict)
    _content: ClassVar[str]  # key of the store's digest in run.json
    _unit: ClassVar[str] = 'records'  # what the lists there count

    @abc.abstractmethod
    def clips(
        self, params: Any, folder: pathlib.Path, teacher: np.ndarray | None = None
    ) -> tuple[clip_sets.Clips, clip_sets.Clips | None]:
        """Training and validation clips; saves the statistics that normalise them to the folder.

        Args:
            params: a `supervised.RunParams`.
            folder: of the run.
            teacher: a teacher's logits [rows of the store, classes], or None.
        """

    def described(self) -> dict[str, Any]:
        """Entries for run.json: digests of the store's content and of the lists."""
        return {
            self._content: self.store.digest,
            'lists': {
                name: {
                    self._unit: len(files),
                    'sha256': hashlib.sha256(self._named(files)).hexdigest(),
                }
                for name, files in (('training', self.training), ('validation', self.validation))
            },
        }

    @abc.abstractmethod
    def _named(self, files: Any) -> bytes:
        """Bytes that identify a list's files, for its digest."""


class RunData(Data):
    """Records; the lists hold their paths."""

    _content = 'records'

    def clips(
        self, params: Any, folder: pathlib.Path, teacher: np.ndarray | None = None
    ) -> tuple[clip_sets.Clips, clip_sets.Clips | None]:
        rows, windows = self.windows(params)
        gather_stats(params, self.store, rows, windows[0], folder)
        training, validation = (
            cut(
                params,
                self.store,
                chosen,
                folder,
                {} if teacher is None else {'teacher_logits': teacher[chosen].mean(axis=1)},
                params.mirrored,
            )
            for chosen in windows
        )
        return training, validation

    def windows(self, params: Any) -> tuple[np.ndarray, list[np.ndarray]]:
        """Cuts the lists into windows.

        Args:
            params: has `clips` and `loop`.

        Returns:
            (rows of the training sequences [sequences, seconds], [windows of the training clips,
            windows of the validation clips], both [clips, seconds]).
        """
        rows, valid_rows = (
            record_clips.sequence_rows(self.store, paths, params.clips.total_length)
            for paths in (self.training, self.validation)
        )
        return rows, [
            record_clips.training_windows(rows, params.clips, params.loop.seed),
            record_clips.inference_windows(valid_rows, params.clips),
        ]

    def _named(self, files):
        root = os.path.commonpath(self.store.paths)
        return '\n'.join(os.path.relpath(path, root) for path in files).encode()


class SoundData(Data):
    """Audio files of a folder; the lists hold their rows.

    With an empty validation list, the last epoch's weights are chosen.
    """

    _content, _unit = 'sounds', 'files'

    def clips(
        self, params: Any, folder: pathlib.Path, teacher: np.ndarray | None = None
    ) -> tuple[clip_sets.Clips, clip_sets.Clips | None]:
        """See `Data.clips`; a teacher is not supported, and there may be no validation clips."""
        if teacher is not None:
            raise ValueError('a folder of sound has no acoustic images for a teacher')
        clip_samples = audio.num_samples(params.clips.sample_length)
        training, validation = (
            sound_clips.windows(self.store, rows, clip_samples)
            for rows in (self.training, self.validation)
        )
        if models.network(params.network).input == 'spectrogram':
            keep_stats(
                folder / 'stats',
                lambda: sound_clips.cut(
                    self.store, training, clip_samples, frontend(params)
                ).raw_batches(),
            )
        heard = frontend(params, folder)
        return (
            sound_clips.cut(self.store, training, clip_samples, heard, params.augment),
            sound_clips.cut(self.store, validation, clip_samples, heard)
            if len(validation)
            else None,
        )

    def _named(self, files):
        return '\n'.join(self.store.paths[row] for row in files).encode()


def test_clips(
    params: Any, store: Any, paths: Sequence[str], folder: pathlib.Path
) -> clip_sets.Clips:
    """A list's clips as inputs for the run in this folder, cut without overlap."""
    rows = record_clips.sequence_rows(store, paths, params.clips.total_length)
    return cut(params, store, record_clips.inference_windows(rows, params.clips), folder)


def second_clips(params: Any, store: Any, folder: pathlib.Path) -> clip_sets.Clips:
    """Every record of a store as a clip for the run in this folder, a teacher on 1 s clips."""
    return cut(params, store, np.arange(len(store.paths))[:, None], folder)


def asked_frames(
    params: Any, store: Any, training: Sequence[str], others: Iterable[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """The frames whose features a run on video and its tests need.

    Args:
        params: a `supervised.RunParams`.
        store: contains the records.
        training: record paths of its training list.
        others: record paths of the lists that are cut without overlap.

    Returns:
        (rows of the store [n], frame numbers [n]).
    """
    if 'features' not in inputs_of(params):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    second, frame = np.divmod(_frames(params), schema.FRAMES_PER_SECOND)
    windows = [
        record_clips.training_windows(
            record_clips.sequence_rows(store, training, params.clips.total_length),
            params.clips,
            params.loop.seed,
        )
    ]
    for paths in others:
        rows = record_clips.sequence_rows(store, paths, params.clips.total_length)
        windows.append(record_clips.inference_windows(rows, params.clips))
    windows = np.concatenate(windows)
    return windows[:, second].reshape(-1), np.tile(frame, len(windows))


def frontend(params: Any, folder: str | os.PathLike | None = None) -> frontends.Frontend:
    """The `frontends.Frontend` of a student's run.

    Args:
        params: a `supervised.RunParams`.
        folder: of the run, with the statistics that normalise spectrograms; None leaves
            spectrograms as they are.
    """
    kind, statistics = models.network(params.network).input, None
    assert kind is not None, 'a student has one input'
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


def cut(
    params: Any,
    store: Any,
    windows: np.ndarray,
    folder: pathlib.Path,
    columns: Mapping[str, np.ndarray] | None = None,
    mirrored: bool = False,
) -> clip_sets.Clips:
    """Windows of a store as clips for the network of the run in this folder.

    Args:
        params: a `supervised.RunParams`.
        store: contains the records.
        windows: [clips, seconds] rows of it.
        folder: of the run, with its statistics.
        columns: {name: [clips, ...]}, additional values for each clip.
        mirrored: see `record_clips.cut`.
    """
    inputs = inputs_of(params)
    frames = heard = None
    if {'features', 'video', 'frames'} & set(inputs):
        frames = _frames(params)
    if {'waveform', 'spectrogram'} & set(inputs):
        heard = frontend(params, folder)
    return record_clips.cut(store, windows, inputs, heard, columns, frames, mirrored=mirrored)


def gather_stats(
    params: Any, store: Any, rows: np.ndarray, windows: np.ndarray, folder: pathlib.Path
) -> None:
    """Saves the training set statistics that normalise the input, unless they exist.

    Args:
        params: a `supervised.RunParams`.
        store: contains the records.
        rows: [sequences, seconds] of the training list.
        windows: [clips, seconds] rows of the training clips.
        folder: of the run.
    """
    inputs = inputs_of(params)
    if 'spectrogram' in inputs:
        whole = record_clips.inference_windows(rows, params.clips)
        keep_stats(
            folder / 'stats',
            lambda: record_clips.cut(store, whole, inputs, frontend(params)).raw_batches(),
        )
    if params.standardise and 'acoustic' in inputs:
        acoustic = store.arrays['acoustic']
        keep_stats(folder / 'stats', lambda: (acoustic[row] for row in rows.reshape(-1)))
    if params.standardise and 'features' in inputs:
        frames = _frames(params)
        keep_stats(
            folder / 'stats_features',
            lambda: record_clips.cut(store, windows, ['features'], frames=frames).raw_batches(),
        )


def build(params: Any, num_classes: int, folder: pathlib.Path) -> keras.Model:
    """The network of a run, with the statistics in its folder."""
    inputs, options = inputs_of(params), _trained_options(params, folder)
    if 'features' not in inputs:
        return models.build(params.network, num_classes, **options)
    if params.standardise:
        mean, deviation = channel_statistics.load(folder / 'stats_features', 'mean', 'std_dev')
        # A feature that is almost constant in the training set would otherwise be amplified
        # wherever it does vary.
        options['feature_stats'] = mean, np.maximum(deviation, 1e-3 * deviation.max())
    return models.build_head(params.network, num_classes, **options)


def build_map(params: Any, folder: pathlib.Path) -> keras.Model:
    """Likewise, a network that learns correspondence, see `models.build_map`."""
    return models.build_map(params.network, **_trained_options(params, folder))


def inputs_of(params: Any) -> tuple[str, ...]:
    """Names of the inputs that this run's clips contain."""
    names = models.network(params.network).clip_parts
    video = params.batch_norm == 'authors'
    return tuple('video' if video and name == 'features' else name for name in names)


def keep_stats(folder: pathlib.Path, batches_of: Callable[[], Iterable[np.ndarray]]) -> None:
    """Saves the statistics of a function's batches to a folder, unless it exists."""
    if not folder.exists():
        channel_statistics.save(folder, channel_statistics.gather(batches_of()))


def _options(params):
    return dict(params.options) | {'seconds': params.clips.sample_length}


def _frames(params):
    """Numbers of the frames of a clip that a run's network takes."""
    numbers_of = models.network(params.network).frames
    assert numbers_of is not None, f'{params.network} takes no frames'
    return numbers_of(**_options(params))


def _trained_options(params, folder):
    """`_options`, and those that depend on the training set."""
    options = _options(params)
    if params.standardise and 'acoustic' in inputs_of(params):
        names = 'mean', 'std_dev'
        options |= dict(zip(names, channel_statistics.load(folder / 'stats', *names), strict=True))
    if models.network(params.network).masks_bins:
        options['bins_heard'] = frontend(params, folder).bins_heard
    return options
