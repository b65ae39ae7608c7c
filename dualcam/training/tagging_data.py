"""Data of a tagging run."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualcam.data.clips import clip_sets, tagged_clips
from dualcam.data.signal import channel_statistics, logmel
from dualcam.files.path_types import AnyPath
from dualcam.training import run_data


@dataclasses.dataclass(frozen=True, eq=False)
class TaggingData(run_data.Data):
    """Tagged clips; the lists contain rows of a `tagged_packer.TaggedStore`.

    Attributes:
        features: {'visual': ..., 'soundnet': ..., 'vggish': ...}, the available ones: arrays
            [store's clips, steps, features].
    """

    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    _content, _unit = 'clips', 'clips'

    def clips(
        self, params: Any, folder: pathlib.Path, teacher: np.ndarray | None = None
    ) -> tuple[clip_sets.Clips, clip_sets.Clips | None]:
        """See `run_data.Data`; for a `TaggingParams`, without a teacher's predictions."""
        run_data.keep_stats(
            folder / 'stats',
            lambda: tagged_clips.cut(
                self.store, self.training, logmel.LogMelFrontend(params.frontend), memory_bytes=0
            ).raw_batches(),
        )
        return (
            self.cut(params, self.training, folder, params.crop_s),
            self.cut(params, self.validation, folder),
        )

    def cut(
        self,
        params: Any,
        rows: Sequence[int] | np.ndarray,
        folder: pathlib.Path,
        crop_s: int | None = None,
    ) -> clip_sets.Clips:
        """Clips of a run, normalised by the statistics in its folder.

        Args:
            params: a `TaggingParams`.
            rows: [n] of the store.
            folder: of the run.
            crop_s: see `TaggingParams`.

        Raises:
            ValueError: features that the run needs are not available.
        """
        names = [name for name in params.sound if name != 'audio']
        names += ['visual'] if params.sees else []
        missing = sorted(set(names) - set(self.features))
        if missing:
            raise ValueError(
                f'{params.network} takes {", ".join(missing)}, which the data lack; '
                f'they have {", ".join(self.features) or "sound alone"}'
            )
        features = {name: self.features[name] for name in names}
        return tagged_clips.cut(self.store, rows, frontend(params, folder), features, crop_s)

    def _named(self, files):
        return np.asarray(files, '<i8').tobytes()


def frontend(params: Any, folder: AnyPath) -> logmel.LogMelFrontend:
    """A run's front end (`TaggingParams`), with the statistics in its folder."""
    return logmel.LogMelFrontend(
        params.frontend, channel_statistics.load(pathlib.Path(folder) / 'stats', 'mean', 'std_dev')
    )
