"""The runs behind the tables: each is trained and tested once, and shared by all tables.

A run is a small frozen dataclass that states what is trained on what, and with which teacher: its
fields are the paper's, `teacher` is the teacher's own run or None. A `Source` knows the data and
turns a run into parameters and data; the `Workshop` trains and tests it in a folder whose name ends
in a digest of all parameters and data, so that equal runs of different tables share one folder.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, Protocol

import keras
import numpy as np

from dualcam.data.clips import record_clips
from dualcam.data.sources import datasets
from dualcam.export import model_cards
from dualcam.reports import run_page, run_reports
from dualcam.training import hosts, run_data, run_folder
from dualcam.training.recipes import Recipe, distillation
from dualcam.training.run import load, train
from experiments.shared import workers

_NETWORKS_KEPT = 2  # a teacher and a student at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Specification:
    """A source's specification of a run.

    Attributes:
        recipe: see `run.train`.
        params: likewise; they include the seed.
        data: likewise; runs on the same data share one object.
        name: of its folder, to which the digest is appended.
        made_of: anything else that affects the result, such as names of features.
    """

    recipe: Recipe
    params: Any
    data: Any
    name: str
    made_of: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Resolved:
    """A run with everything needed to train and test it.

    Attributes:
        run: the requested run.
        recipe, params, data: see `Specification`.
        folder: its folder, which may not exist yet.
        teacher: its teacher, or None.
    """

    run: Any
    recipe: Recipe
    params: Any
    data: Any
    folder: pathlib.Path
    teacher: 'Resolved | None'

    @property
    def seed(self) -> int:
        """The seed of the run and its teacher."""
        return self.params.loop.seed


class Outcome(Protocol):
    """A test's result, which is saved in a file, see `outcomes`."""

    def save(self, path: pathlib.Path) -> None: ...

    @classmethod
    def load(cls, path: pathlib.Path) -> Any: ...

    @classmethod
    def is_saved(cls, path: pathlib.Path) -> bool: ...


class Source(Protocol):
    """A data set and the runs trained on it.

    Attributes:
        info: the `datasets.DatasetInfo`.
        store: contains all records or files.
        note: for titles: the data, and the training if it is not the paper's.
        run_type: class of its runs.
    """

    info: datasets.DatasetInfo
    store: Any
    run_type: type

    @property
    def note(self) -> str: ...

    def specify(self, run: Any, seed: int) -> Specification:
        """The recipe, parameters and data of a run."""

    def teaching(self, workshop: 'Workshop', resolved: Resolved) -> Any:
        """The `teacher` argument of `run.train` for a run that has one."""

    def file_of(self, test: str) -> tuple[str, type[Outcome]]:
        """Name of a test's file in a run's folder, and the type of its content."""

    def test(self, workshop: 'Workshop', resolved: Resolved, test: str) -> Outcome:
        """Tests a run, which is trained if necessary."""


class Workshop:
    """Trains and tests the runs of one source.

    Args:
        source: the data set.
        out: folder for the runs.
        profile: trace some steps of each new run for TensorBoard's profile page.
        reopen: recreates the workshop in another process; None if not needed.

    Attributes:
        source, out, reopen: as above.
    """

    def __init__(
        self,
        source: Source,
        out: str | pathlib.Path,
        profile: bool = False,
        reopen: 'Callable[[], Workshop] | None' = None,
    ):
        self.source, self.out, self.reopen = source, pathlib.Path(out), reopen
        self._profile = profile
        self._resolved: dict[tuple[Hashable, int], Resolved] = {}
        self._described: dict[Any, Any] = {}
        self._networks: dict[pathlib.Path, keras.Model] = {}

    @property
    def info(self) -> datasets.DatasetInfo:
        """The data set."""
        return self.source.info

    @property
    def store(self) -> Any:
        """All records or files of the data set."""
        return self.source.store

    @property
    def note(self) -> str:
        """A note for titles, see `Source`."""
        return self.source.note

    def resolve(self, run: Any, seed: int) -> Resolved:
        """The `Resolved` run, computed once per seed."""
        if (run, seed) not in self._resolved:
            teacher = self.resolve(run.teacher, seed) if run.teacher else None
            made = self.source.specify(run, seed)
            if made.data not in self._described:
                self._described[made.data] = made.data.described()
            content = json.dumps(
                [
                    made.recipe.kind,
                    dataclasses.asdict(made.params),
                    teacher.folder.name if teacher else '',
                    self._described[made.data],
                    made.made_of,
                ]
            )
            digest = hashlib.sha256(content.encode()).hexdigest()[:8]
            folder = self.out / 'runs' / f'{made.name}-{digest}'
            self._resolved[run, seed] = Resolved(
                run, made.recipe, made.params, made.data, folder, teacher
            )
        return self._resolved[run, seed]

    def folder(self, run: Any, seed: int) -> pathlib.Path:
        """A run's folder, which may not exist yet."""
        return self.resolve(run, seed).folder

    def train(self, run: Any, seed: int) -> pathlib.Path:
        """Trains a run if necessary; returns its folder."""
        self.network(self.resolve(run, seed))
        return self.folder(run, seed)

    def network(self, resolved: Resolved) -> keras.Model:
        """The network of a run, which is trained if necessary."""
        folder = resolved.folder
        if folder not in self._networks:
            while len(self._networks) >= _NETWORKS_KEPT:
                del self._networks[next(iter(self._networks))]
            self._networks[folder] = self._trained(resolved)
        return self._networks[folder]

    def scores(self, run: Any, tests: Iterable[str], seed: int) -> dict[str, Any]:
        """Trains a run if necessary, and tests it.

        Args:
            run: of the source.
            tests: names of the source's tests.
            seed: of the run and its teacher.

        Returns:
            {test: outcome}, see `outcomes`.
        """
        resolved = self.resolve(run, seed)
        found, is_new = {}, False
        for test in tests:
            name, outcome = self.source.file_of(test)
            path = resolved.folder / name
            if not outcome.is_saved(path):
                is_new = True
                self.source.test(self, resolved, test).save(path)
            found[test] = outcome.load(path)
        if is_new:
            run_page.write(resolved.folder)
            model_cards.renew_of_run(resolved.folder)
        return found

    def has_scores(self, run: Any, tests: Collection[str], seed: int) -> bool:
        """Whether results on all these tests exist; without tests, whether the run is trained."""
        folder = self.folder(run, seed)
        if not tests:
            return run_folder.is_complete(folder)
        return all(
            outcome.is_saved(folder / name) for name, outcome in map(self.source.file_of, tests)
        )

    def record_logits(self, resolved: Resolved) -> np.ndarray:
        """A teacher's logits of every record, [records, classes], computed once."""
        path = self._predictions_file(resolved.folder)
        if path.exists():
            return np.load(path)
        params = one_second(resolved.params)
        network = self.network(resolved)
        if params.clips != resolved.params.clips:
            network = run_data.build(params, self.info.num_classes, resolved.folder)
            network.set_weights(self.network(resolved).get_weights())
        return self.record_predictions(network, params, resolved.folder)

    def record_predictions(
        self, network: keras.Model, params: Any, folder: pathlib.Path
    ) -> np.ndarray:
        """Outputs of a network on 1 s clips for every record, computed once."""
        return distillation.record_predictions(
            network,
            run_data.second_clips(params, self.store, folder),
            self._predictions_file(folder),
        )

    def _predictions_file(self, folder):
        return folder / f'answers_{self.store.digest}.npy'

    def _trained(self, resolved: Resolved) -> keras.Model:
        folder = resolved.folder
        if run_folder.is_complete(folder):
            if hosts.is_chief() and not (folder / run_page.FILE).exists():
                run_page.write(folder)
            return load(folder)
        teacher = self.source.teaching(self, resolved) if resolved.teacher else None
        print(f'training  {folder.name}')
        workers.announce(resolved.run, resolved.seed)
        return train(
            resolved.recipe,
            resolved.params,
            resolved.data,
            folder,
            teacher,
            folder.name.rpartition('-')[0],
            self._profile,
            [run_reports.observe],
        )


def one_second(params: Any) -> Any:
    """Parameters of the same network for single records."""
    if params.clips.sample_length == 1:
        return params
    return dataclasses.replace(params, clips=record_clips.ClipParams(1, 1, 1))
