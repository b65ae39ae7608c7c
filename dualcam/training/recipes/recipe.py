"""What `run.train` asks of a recipe: how a kind of run is made from its parameters and data."""

import abc
import pathlib
from typing import Any, ClassVar

import keras

from dualcam.data.sources import datasets
from dualcam.training import steps

NETWORK = 'network'  # the key of the network that a run is trained for


class Recipe(abc.ABC):
    """One kind of run.

    Its parameters are a frozen dataclass with the field `loop`, a `loop.LoopParams`; its data
    have `info`, a `datasets.DatasetInfo`, and `described()`.

    Attributes:
        kind: how run.json calls it.
        frontend_version: of the code that makes its networks' input. Runs of another version are
            refused.
    """

    kind: ClassVar[str]
    frontend_version: ClassVar[int]

    @abc.abstractmethod
    def params_from_json(self, fields: dict) -> Any:
        """The parameters, from what run.json holds of them."""

    def check(self, params: Any, teacher: Any) -> None:
        """A `ValueError` if a teacher is missing, or given but not wanted."""
        del params
        if teacher is not None:
            raise ValueError(f'a {self.kind} run has no teacher')

    @abc.abstractmethod
    def clips(self, params: Any, data: Any, folder: pathlib.Path, teacher: Any) -> tuple[Any, Any]:
        """Training and validation clips; the latter None where there are none.

        Statistics that the networks' input is normalised with are written to the folder, unless
        they are there.
        """

    @abc.abstractmethod
    def networks(
        self, params: Any, num_classes: int, folder: pathlib.Path
    ) -> dict[str, keras.Model]:
        """The networks that learn, randomly initialised: `NETWORK`, and others by their roles."""

    def start(self, params: Any, data: Any, networks: dict[str, keras.Model]) -> None:  # noqa: B027
        """Gives the networks the weights that training starts from, where it has any."""

    def joined(self, networks: dict[str, keras.Model]) -> keras.Model:
        """All networks as the one model that checkpoints hold."""
        return networks[NETWORK]

    @abc.abstractmethod
    def step(self, params: Any, networks: dict[str, keras.Model], teacher: Any) -> steps.Step:
        """What is learned from a batch."""

    def keep(self, params: Any) -> str:
        """Which epoch's weights are chosen, see `loop.fit`."""
        del params
        return 'best'

    def export(  # noqa: B027
        self, params: Any, network: keras.Model, info: datasets.DatasetInfo, folder: pathlib.Path
    ) -> None:
        """Writes the trained network as a SavedModel, if it needs only a microphone."""
