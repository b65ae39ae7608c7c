"""The interface of a run's observers, such as reports, which training does not know about."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from dualcam.data.sources import datasets


@dataclasses.dataclass(frozen=True, eq=False)
class WatchedRun:
    """A run that is about to be trained.

    Attributes:
        folder: of the run.
        kind: of its recipe.
        params: its parameters.
        info: of its data set.
        validation: its validation clips, or None.
    """

    folder: pathlib.Path
    kind: str
    params: Any
    info: datasets.DatasetInfo
    validation: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """Names."""
        return tuple(self.info.classes)


class Observer(Protocol):
    """Observes one run. What it writes to the run's folder must not depend on interruptions.

    TensorBoard event files below the run's `tensorboard` are cut back to the last saved epoch
    before a run resumes, see `curve_files`.
    """

    def begin(self) -> None:
        """Called before the first epoch, not when a run resumes after it."""

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Called after each epoch, from 1, with the validation clips' labels and logits.

        Not called without validation clips, or if a step gives no logits.
        """

    def end(self, network: keras.Model, metrics: dict) -> None:
        """Called once the chosen weights are in place and the network is exported.

        Args:
            network: the trained network, in float32 on one device.
            metrics: future contents of metrics.json. It is written afterwards, so that a run counts
                as trained only if its observers have finished.
        """


MakeObserver = Callable[[WatchedRun], Observer]
