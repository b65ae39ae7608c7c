"""What a run that tags learns from; the counterpart of `run_data.RunData`."""

import dataclasses
import hashlib
import pathlib
from typing import Any

import numpy as np

from dualcam.data.clips import tagging_clips
from dualcam.data.signal import channel_statistics, logmel
from dualcam.data.sources import datasets
from dualcam.data.stores import tagging_store
from dualcam.files.path_types import AnyPath


@dataclasses.dataclass(frozen=True, eq=False)
class TaggingData:
    """What a run learns from.

    Attributes:
        store: a `tagging_store.TaggingStore`.
        training, validation: [n] rows of it.
        features: {'visual': ..., 'soundnet': ..., 'vggish': ...}, as far as they are there: arrays
            [store's clips, steps, features].
        info: the data set.
    """

    store: tagging_store.TaggingStore
    training: np.ndarray
    validation: np.ndarray
    features: dict
    info: datasets.DatasetInfo

    def cut(
        self, params: Any, rows: np.ndarray, folder: pathlib.Path, crop_s: int | None = None
    ) -> tagging_clips.TaggingClips:
        """Clips of a run, normalised by the statistics in its folder.

        Args:
            params: a `TaggingParams`.
            rows: [n] of the store.
            folder: of the run.
            crop_s: see `TaggingParams`.

        Returns:
            `tagging_clips.TaggingClips`.

        Raises:
            ValueError: features that the run takes are not there.
        """
        wanted = [name for name in params.sound if name != 'audio']
        wanted += ['visual'] if params.sees else []
        missing = sorted(set(wanted) - set(self.features))
        if missing:
            raise ValueError(
                f'{params.network} takes {", ".join(missing)}, which the data lack; '
                f'they have {", ".join(self.features) or "sound alone"}'
            )
        return tagging_clips.TaggingClips(
            self.store,
            rows,
            frontend(params, folder),
            {name: self.features[name] for name in wanted},
            crop_s,
        )

    def gather_stats(self, params: Any, folder: pathlib.Path) -> None:
        """Statistics of the training sounds, which normalise them, unless they are there."""
        if not (folder / 'stats').exists():
            sounds = tagging_clips.TaggingClips(
                self.store, self.training, logmel.LogMelFrontend(params.frontend), memory_bytes=0
            )
            channel_statistics.save(
                folder / 'stats', channel_statistics.gather(sounds.raw_batches())
            )

    def described(self) -> dict:
        """What run.json says of it."""
        return {
            'clips': self.store.digest,
            'lists': {
                name: {
                    'clips': len(rows),
                    'sha256': hashlib.sha256(np.asarray(rows, '<i8').tobytes()).hexdigest(),
                }
                for name, rows in (('training', self.training), ('validation', self.validation))
            },
        }


def frontend(params: Any, folder: AnyPath) -> logmel.LogMelFrontend:
    """The `logmel.LogMelFrontend` of a run, with the statistics in its folder."""
    return logmel.LogMelFrontend(
        params.frontend, channel_statistics.load(pathlib.Path(folder) / 'stats', 'mean', 'std_dev')
    )
