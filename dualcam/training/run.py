"""A run is a folder: its parameters, checkpoints, curves, scores, and an exported student.

run.json         kind of recipe, parameters, seed, digests of the lists, versions, commit
checkpoints/     the latest state and the best weights, see `checkpoints.py`
tensorboard/     train and validation curves
stats/           training set statistics that normalise the input
saved_model/1/   the exported student, which takes raw waveforms, with its model card; only for
                 networks that need no more than a microphone
metrics.json     the curves and the chosen epoch; written last, so it marks the run as complete
.lock            locked by the process that trains the run

Everything else in a run's folder (predictions, examples, pictures, report.html) is written by its
observers, see `dualcam/reports`.
"""

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import keras

from dualcam.export import model_cards
from dualcam.training import hardware, hosts, loop, run_folder
from dualcam.training.observers import MakeObserver, WatchedRun
from dualcam.training.recipes import ALL, Recipe
from dualcam.training.recipes.recipe import NETWORK


@dataclasses.dataclass(frozen=True)
class Description:
    """A run, as its folder describes it.

    Attributes:
        kind: of its recipe, one of `recipes.ALL`.
        params: the parameters that were passed to `train`.
        classes: names.
    """

    kind: str
    params: Any
    classes: tuple[str, ...]


def train(
    recipe: Recipe,
    params: Any,
    data: Any,
    folder: str | pathlib.Path,
    teacher: Any = None,
    name: str = '',
    profile: bool = False,
    observers: Iterable[MakeObserver] = (),
) -> keras.Model:
    """Trains a network and fills the run's folder; resumes a stopped run.

    In distributed training, see `hosts.join`, all processes make the same call; the folder is
    shared by all of them, and only the chief writes to it.

    Args:
        recipe: one of `dualcam.training.recipes`; it defines params, data and teacher.
        params: everything that determines the outcome, besides the data.
        data: the training and validation data.
        folder: of the run; if the run is complete, nothing is done.
        teacher: what the recipe's teacher is, or None.
        name: for the progress bar.
        profile: see `loop.fit`.
        observers: functions from a `WatchedRun` to an `Observer`, such as `run_reports.observe`.

    Returns:
        The trained network.

    Raises:
        ValueError: the folder belongs to a run with different parameters or data; a teacher is
            missing, or given but not expected.
        loop.NotFinite, loop.Stopped, OSError: see `loop.fit`.
        hosts.LostPeer, hosts.FailedPeer: another process of the training is gone, or has failed.
    """
    folder = pathlib.Path(folder)
    recipe.check(params, teacher)
    with (
        hosts.watched(),
        run_folder.claimed_together(folder, recipe.kind, params, data) as is_trained,
    ):
        if not is_trained:
            return _train(recipe, params, data, folder, teacher, name, profile, observers)
    return load(folder)


def _train(recipe, params, data, folder, teacher, name, profile, observers):
    keras.utils.set_random_seed(params.loop.seed)
    with hosts.chief_first():  # training set statistics are computed once
        training, validation = recipe.clips(params, data, folder, teacher)
    num_classes = data.info.num_classes
    with hardware.building(params.loop):
        networks = recipe.networks(params, num_classes, folder)
        recipe.start(params, data, networks)
        step = recipe.step(params, networks, teacher)
        optimizer = loop.make_optimizer(params.loop, len(training))
    watching = []
    if hosts.is_chief():
        watched = WatchedRun(folder, recipe.kind, params, data.info, validation)
        watching = [observe(watched) for observe in observers]
    keep = recipe.keep(params)
    history = loop.fit(
        step, training, validation, params.loop, folder, optimizer, name, watching, profile, keep
    )
    network = hardware.settled(
        params.loop,
        networks[NETWORK],
        lambda: recipe.networks(params, num_classes, folder)[NETWORK],
    )
    with hosts.chief_first():
        if hosts.is_chief():
            recipe.export(params, network, data.info, folder)
            best = loop.chosen_epoch(history, keep, step.measure)
            metrics = run_folder.metrics(history, best, training, validation)
            for observer in watching:
                observer.end(network, metrics)
            model_cards.renew_of_run(folder, metrics)  # with the scores that the observers wrote
            run_folder.complete(folder, metrics)
    return network


def load(folder: str | pathlib.Path) -> keras.Model:
    """The trained network of a run's folder, with its best weights.

    Raises:
        ValueError: there is no such run.
    """
    return load_networks(folder)[NETWORK]


def load_networks(folder: str | pathlib.Path) -> dict[str, keras.Model]:
    """All trained networks of a run's folder, by their roles in its recipe.

    Raises:
        ValueError: there is no such run.
    """
    folder = pathlib.Path(folder)
    saved = described(folder)
    recipe = ALL[saved.kind]
    networks = recipe.networks(saved.params, len(saved.classes), folder)
    run_folder.restore_best(folder, recipe.joined(networks))
    return networks


def described(folder: str | pathlib.Path) -> Description:
    """The `Description` of a run's folder.

    Raises:
        ValueError: there is no such run, or another version of dualcam made it.
    """
    try:
        saved = run_folder.read(folder)
        recipe = ALL[saved['kind']]
        version = saved['params'].get('frontend_version', 1)
        if version != recipe.frontend_version:
            raise ValueError(
                f'its network was trained on the input of version {version} of the front end, '
                f'this is version {recipe.frontend_version}; train it again'
            )
        params = recipe.params_from_json(saved['params'])
        return Description(recipe.kind, params, tuple(saved['classes']))
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{folder}: not the folder of a run, or of one that another version of '
            f'dualcam made ({error!r})'
        ) from error
