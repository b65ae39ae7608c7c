"""The interface of recipes for `run.train`: how a kind of run is built from parameters and data."""

import abc
import pathlib
from typing import Any, ClassVar

import keras

from dualcam.data.sources import datasets
from dualcam.training import steps

NETWORK = 'network'  # key of the network that the run produces


class Recipe(abc.ABC):
    """One kind of run.

    Its parameters are a frozen dataclass with the field `loop`, a `loop.LoopParams`; its data
    have `info`, a `datasets.DatasetInfo`, and `described()`.

    Attributes:
        kind: its name in run.json.
        frontend_version: of the code that makes its networks' input. Runs of other versions are
            refused.
    """

    kind: ClassVar[str]
    frontend_version: ClassVar[int]

    @abc.abstractmethod
    def params_from_json(self, fields: dict) -> Any:
        """The parameters, from run.json's entries."""

    def check(self, params: Any, teacher: Any) -> None:
        """Raises a `ValueError` if a teacher is missing, or given but not expected."""
        del params
        if teacher is not None:
            raise ValueError(f'a {self.kind} run has no teacher')

    @abc.abstractmethod
    def clips(self, params: Any, data: Any, folder: pathlib.Path, teacher: Any) -> tuple[Any, Any]:
        """Training and validation clips; the latter may be None.

        The statistics that normalise the networks' input are written to the folder, unless they
        exist.
        """

    @abc.abstractmethod
    def networks(
        self, params: Any, num_classes: int, folder: pathlib.Path
    ) -> dict[str, keras.Model]:
        """The trained networks, randomly initialised: `NETWORK`, and others by role."""

    def start(self, params: Any, data: Any, networks: dict[str, keras.Model]) -> None:  # noqa: B027
        """Loads the weights that training starts from, if any."""

    def joined(self, networks: dict[str, keras.Model]) -> keras.Model:
        """All networks as a single model for checkpoints."""
        return networks[NETWORK]

    @abc.abstractmethod
    def step(self, params: Any, networks: dict[str, keras.Model], teacher: Any) -> steps.Step:
        """The training step."""

    def keep(self, params: Any) -> str:
        """Which epoch's weights to choose, see `loop.fit`."""
        del params
        return 'best'

    def export(  # noqa: B027
        self, params: Any, network: keras.Model, info: datasets.DatasetInfo, folder: pathlib.Path
    ) -> None:
        """Exports the trained network as a SavedModel, if a microphone is all it needs."""
