"""Targets on which ECCV 2020's features are evaluated: its records, AVIA's, or sound files."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from dualcam import models
from dualcam.data.clips import record_parts
from dualcam.data.sources import takes
from dualcam.evaluation import neighbours
from experiments.eccv2020 import features, runs, tables
from experiments.shared import evaluators, results, transfer, workshops

# What a store needs for a network on sound.
_STORED = {'acoustic': 'acoustic', 'spectrogram': 'audio'}
_CLIPS = 'clips of 2 s, mean ± deviation over the seeds.'


class Target(Protocol):
    """The data on which a table evaluates features.

    Attributes:
        name: of the data.
        note: its description in titles.
        explained: meaning of the numbers.
        classes: names of the classes to predict.
        confusions: {(a `Spec.line`, seed): counts [classes, classes]} of lines that were scored;
            empty if no classes are predicted, as in retrieval.
    """

    name: str
    note: str
    explained: str
    classes: Sequence[str]
    confusions: dict[tuple[tables.Line, int], np.ndarray]

    def score(self, spec: tables.Spec, seed: int) -> dict[str, results.Outcome]:
        """{column: outcome} of a line, whose networks are trained if necessary; empty if the
        records lack its inputs."""

    def baselines(self, seeds: Sequence[int]) -> list[results.Row]:
        """Our own rows: scores of chance, or of an untrained network."""


class Records:
    """Clips of records: those of ACIVW on which the networks are trained, or others.

    Args:
        workshop: for `runs.Source`.
        judged: records on which features are evaluated; None for the workshop's own.
        by_training: {`tables.SELF`, ...: name of the evaluator}.
        explained: see `Target`.

    Attributes:
        predictions: {(a `Spec.line`, seed): of the test clips, [clips] int64}, for the lines in
            `confusions`.
    """

    def __init__(
        self,
        workshop: workshops.Workshop,
        judged: runs.Target | None,
        by_training: dict[str, str],
        explained: str,
    ):
        self._workshop, self._judged = workshop, judged or workshop.source
        self._by_training, self.explained = by_training, explained
        self.name, self.note = self._judged.info.name, ''
        self.classes, self.confusions, self.predictions = self._judged.info.classes, {}, {}
        if judged is not None:
            self.note = f'; target: {self.name}, {judged.info.origin}'
        self._labels = [runs.labels(self._judged.store, part) for part in self._judged.windows]
        self._takes = takes.of_records(
            self._judged.store, self._judged.windows[2][:, 0], self._judged.info.take_rule
        )
        self._known = {}

    def test_origin(self) -> record_parts.RecordOrigin:
        """The test clips, for their pictures and sound."""
        return record_parts.RecordOrigin(self._judged.store, self._judged.windows[2])

    def score(self, spec, seed):
        """See `Target`."""
        network, name, _ = tables.ROWS[spec.key]
        needed = set() if name == features.VISION else {_STORED[models.network(network).input]}
        if name != features.SOUND:
            needed.add('frames')
        if not needed <= set(self._judged.store.arrays):
            return {}
        if name == features.PAIRS:
            tests = self._workshop.scores(spec.run, [runs.CORRESPONDENCE], seed)
            tested = tests[runs.CORRESPONDENCE]
            return {evaluators.ACCURACY: [(tested.right, tested.takes)]}
        evaluator = self._by_training[spec.training]
        if evaluator == evaluators.CLASSIFIER:
            tested = self._workshop.scores(spec.run, [runs.TEST], seed)[runs.TEST]
            found = self._judge(evaluator, predictions=lambda: tested.predictions)
            return self._kept(spec, seed, found)
        extractor = runs.features_of(self._workshop, spec.run, seed)
        if evaluator == evaluators.RETRIEVAL:
            return _tests(self._judge(evaluator, maps=lambda: self._maps(extractor)))
        # Audio-visual rows use the networks of audio rows: their features are computed together.
        if (spec.run, seed) not in self._known:
            wanted = {name}
            if spec.training == tables.SELF and 'frames' in self._judged.store.arrays:
                wanted = {features.SOUND, features.BOTH}
                if 'l3' in spec.key:
                    wanted = {features.SOUND, features.VISION}
            self._known = {(spec.run, seed): self._features(extractor, wanted)}
        parts = self._known[spec.run, seed]
        found = self._judge(evaluator, features=lambda: [part[name] for part in parts])
        return self._kept(spec, seed, found)

    def baselines(self, seeds):
        """Rows for chance, in retrieval, and for randomly initialised networks."""
        evaluator = self._by_training[tables.OWN]
        if evaluator == evaluators.RETRIEVAL:
            chance = {
                column: results.Cell((share,), clips=len(self._labels[2]))
                for column, share in evaluators.chance_ranks(self._labels[2]).items()
            }
            rows = [tables.Spec('chance', tables.OWN).row(chance)]
            named = (('dualcamnet_eccv', 'DualCamNet'), ('hearnet_eccv', 'HearNet'))
        else:
            rows, named = [], (('hearnet_eccv', 'HearNet'),)

        def judge(pair, _):
            if evaluator == evaluators.RETRIEVAL:
                return _tests(self._judge(evaluator, maps=lambda: self._maps(pair)))
            parts = self._features(pair, {features.SOUND})
            heard = [part[features.SOUND] for part in parts]
            return _tests(self._judge(evaluator, features=lambda: heard))

        return rows + [
            _untrained_row(self._workshop, network, name, seeds, judge) for network, name in named
        ]

    def _judge(self, evaluator, **given):
        subject = evaluators.Subject(
            self._labels, self._takes, self._judged.info.num_classes, ks=neighbours.ECCV_KS, **given
        )
        return evaluators.judge(evaluator, subject)

    def _kept(self, spec, seed, found):
        """The tests of a line; stores their predictions."""
        judged = found[evaluators.ACCURACY]
        self.confusions[spec.line, seed] = judged.confusion
        self.predictions[spec.line, seed] = judged.predictions
        return _tests(found)

    def _features(self, extractor, wanted):
        """{name: features} of training, validation and test clips."""
        return [
            extractor.of(self._judged.store, windows, wanted) for windows in self._judged.windows
        ]

    def _maps(self, pair):
        return pair.maps(self._judged.store, self._judged.windows[2])


class Sounds:
    """Sound files, each represented by the mean unit-length feature of its 2 s windows."""

    explained = (
        'Accuracy of k-NN on files, each represented by the mean unit-length feature of its 2 s '
        'windows; mean ± deviation over seeds and splits.'
    )

    def __init__(self, workshop: workshops.Workshop, options: Any):
        kind, folder = transfer.read_target(options.target)
        self._workshop = workshop
        self._target = transfer.Target(
            transfer.find_target(kind, folder),
            f'{options.out}/cache/embeddings',
            options.max_bad,
            neighbours.ECCV_KS,
        )
        self.note, self.name = f'; target: {folder}', pathlib.Path(folder).name
        self.classes, self.confusions = self._target.sound_set.classes, {}

    def score(self, spec, seed):
        """See `Target`."""
        judged = self._judge(runs.features_of(self._workshop, spec.run, seed), seed)
        self.confusions[spec.line, seed] = judged.confusion
        return {evaluators.ACCURACY: judged.tests(evaluators.KNN)}

    def baselines(self, seeds):
        """A row for HearNet, randomly initialised."""

        def judge(extractor, seed):
            judged = self._judge(extractor, seed)
            return {evaluators.ACCURACY: judged.tests(evaluators.KNN)}

        return [_untrained_row(self._workshop, 'hearnet_eccv', 'HearNet', seeds, judge)]

    def _judge(self, extractor, seed):
        listener = extractor.listener()
        return self._target.judge(*self._target.by_listener(listener, features.UNIT), seed)


def _tests(judged):
    """{column: `results.Outcome`} of {column: `evaluators.Judged`}."""
    return {column: [one.test] for column, one in judged.items()}


def _untrained_row(workshop, network, name, seeds, judge):
    """A row for a randomly initialised network; `judge` maps features to {column: outcome}."""
    found = [judge(runs.untrained_features(workshop, network, seed), seed) for seed in seeds]
    return tables.Spec(f'{name}, untrained', tables.OWN).row(
        {column: results.of_tests([one[column] for one in found]) for column in found[0]}
    )


def _of_records(by_training, explained):
    return lambda workshop, _: Records(workshop, None, by_training, explained)


def _of_avia(workshop, options):
    judged = runs.Target(options.target, f'{options.out}/cache', options.flip_target)
    return Records(
        workshop, judged, _all(evaluators.KNN), f'Accuracy of k-NN on features of {_CLIPS}'
    )


def _all(evaluator):
    return dict.fromkeys((tables.SELF, tables.SUPERVISED, tables.OWN), evaluator)


# By table: a function of the workshop and the flags.
TARGETS: dict[int, Callable[[workshops.Workshop, Any], Target]] = {
    1: _of_records(
        _all(evaluators.RETRIEVAL),
        'Fraction of sounds with a picture of their class among the k nearest.',
    ),
    2: _of_records(
        _all(evaluators.KNN) | {tables.SUPERVISED: evaluators.CLASSIFIER},
        f'Accuracy of the supervised networks themselves, and of k-NN on the features of the '
        f'others, on {_CLIPS}',
    ),
    3: _of_avia,
    4: Sounds,
}
