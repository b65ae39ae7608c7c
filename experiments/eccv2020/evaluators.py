"""How ECCV 2020's features are judged: by retrieval, and by neighbours on three kinds of data."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from dualcam import models
from dualcam.evaluation import neighbours, retrieval
from experiments.eccv2020 import features, runs, tables
from experiments.shared import results, takes, transfer

_ACCURACY = 'accuracy'
# What a store holds of what a network on sound takes.
_STORED = {'acoustic': 'acoustic', 'spectrogram': 'audio'}


class Evaluator(Protocol):
    """How a table judges features.

    Attributes:
        note: what a title says of the target.
        explained: what the numbers are.
        target: name of what is tested on.
    """

    note: str
    explained: str
    target: str

    def score(self, spec: tables.Spec, seed: int) -> dict[str, results.Outcome]:
        """{column: outcome} of a line, whose networks are trained if need be; empty where the
        records lack what it sees."""

    def baselines(self, seeds: Sequence[int]) -> list[results.Row]:
        """Rows of our own: what chance, or a network that learned nothing, would give."""


def _untrained(workshop, network, name, seeds, judge):
    """A row for a randomly initialised network; `judge` gives {column: outcome} of features."""
    found = [judge(workshop.untrained(network, seed), seed) for seed in seeds]
    return tables.Spec(f'{name}, untrained', tables.OWN).row(
        {column: results.of_tests([one[column] for one in found]) for column in found[0]}
    )


class Retrieval:
    """Table 1: rank-k retrieval among the test clips.

    Attributes:
        note, explained, target: see `Evaluator`.
    """

    note = ''
    explained = 'Share of sounds that have a picture of their class among the k nearest.'

    def __init__(self, workshop, _):
        self._workshop, self.target = workshop, workshop.info.name
        self._labels = runs.labels(workshop.store, workshop.windows[2])
        self._takes = takes.of_records(workshop.store, workshop.windows[2][:, 0])

    def score(self, spec, seed):
        """See `Evaluator`."""
        return self._ranks(tables.extractor(spec, self._workshop, seed))

    def baselines(self, seeds):
        """Rows for chance and for randomly initialised networks."""
        chance = tables.Spec('chance', tables.OWN).row(
            {
                f'rank {k}': results.Cell((share,), clips=len(self._labels))
                for k, share in retrieval.chance(self._labels).items()
            }
        )
        return [
            chance,
            *(
                _untrained(self._workshop, network, name, seeds, lambda pair, _: self._ranks(pair))
                for network, name in (
                    ('dualcamnet_eccv', 'DualCamNet'),
                    ('hearnet_eccv', 'HearNet'),
                )
            ),
        ]

    def _ranks(self, pair):
        heard, seen = pair.maps(self._workshop.store, self._workshop.windows[2])
        if seen.ndim == 4:
            ranks = retrieval.ranks(heard, seen, self._labels)
        else:
            ranks = retrieval.ranks_of_features(
                *(
                    part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
                    for part in (heard, seen)
                ),
                self._labels,
            )
        return {f'rank {k}': [(ranks.places <= k, self._takes)] for k in ranks.ks}


class OwnRecords:
    """Table 2: k-NN on the records that the networks learn from, by video.

    Attributes:
        note, explained, target: see `Evaluator`.
    """

    note = ''
    explained = 'Accuracy of k-NN on features of clips of 2 s, mean ± deviation over the seeds.'

    def __init__(self, workshop, _):
        self._workshop, self._judged, self.target = workshop, workshop, workshop.info.name
        self._known = {}

    def score(self, spec, seed):
        """See `Evaluator`."""
        network, name, _ = tables.ROWS[spec.key]
        needed = set() if name == features.VISION else {_STORED[models.network(network).input]}
        if name != features.SOUND:
            needed.add('frames')
        if not needed <= set(self._judged.store.arrays):
            return {}
        # Audio-visual rows have the networks of audio rows: their features come with those.
        key = spec.training, spec.key.removeprefix('audio_visual_'), spec.alpha, seed
        if key not in self._known:
            wanted = {name}
            if spec.training == tables.SELF and 'frames' in self._judged.store.arrays:
                wanted = (
                    {features.SOUND, features.BOTH}
                    if 'l3' not in spec.key
                    else {features.SOUND, features.VISION}
                )
            self._known = {
                key: self._features(tables.extractor(spec, self._workshop, seed), wanted)
            }
        return self._neighbours(self._known[key], name)

    def baselines(self, seeds):
        """A row for HearNet randomly initialised."""
        return [
            _untrained(
                self._workshop,
                'hearnet_eccv',
                'HearNet',
                seeds,
                lambda pair, _: self._neighbours(
                    self._features(pair, {features.SOUND}), features.SOUND
                ),
            )
        ]

    def _features(self, extractor, wanted):
        """Features of training, validation and test clips."""
        return [
            extractor.of(self._judged.store, windows, wanted) for windows in self._judged.windows
        ]

    def _neighbours(self, parts, name):
        pairs = [
            (part[name], runs.labels(self._judged.store, windows))
            for part, windows in zip(parts, self._judged.windows, strict=True)
        ]
        outcome = neighbours.nearest_neighbours(
            *pairs, self._judged.info.num_classes, neighbours.ECCV_KS, plain=True
        )
        windows = self._judged.windows[2]
        names = takes.of_records(self._judged.store, windows[:, 0])
        return {_ACCURACY: [(outcome.answers == pairs[2][1], names)]}


class OtherRecords(OwnRecords):
    """Table 3: k-NN on AVIA's records, of networks that learned from ACIVW."""

    def __init__(self, workshop, options):
        super().__init__(workshop, options)
        self._judged = runs.Target(options.target, f'{options.out}/cache', options.flip_target)
        self.target = self._judged.info.name
        self.note = f'; target: {self.target}, {self._judged.info.origin}'


class Sounds:
    """Table 4: k-NN on files of sound, each the mean of its windows of 2 s."""

    explained = 'Accuracy of k-NN on files, mean ± deviation over seeds and splits.'

    def __init__(self, workshop, options):
        kind, folder = transfer.read_target(options.target)
        self._workshop = workshop
        self._target = transfer.Target(
            transfer.find_target(kind, folder),
            f'{options.out}/cache/embeddings',
            options.max_bad,
            neighbours.ECCV_KS,
            plain=True,
        )
        self.note, self.target = f'; target: {folder}', pathlib.Path(folder).name

    def score(self, spec, seed):
        """See `Evaluator`."""
        return self._judge(tables.extractor(spec, self._workshop, seed), seed)

    def baselines(self, seeds):
        """A row for HearNet randomly initialised."""
        return [_untrained(self._workshop, 'hearnet_eccv', 'HearNet', seeds, self._judge)]

    def _judge(self, extractor, seed):
        judged = self._target.judge(
            *self._target.by_listener(extractor.listener(), 'embedding'), seed
        )
        return {_ACCURACY: judged.tests(transfer.KNN)}


# By table.
EVALUATORS: dict[int, Callable[..., Evaluator]] = {
    1: Retrieval,
    2: OwnRecords,
    3: OtherRecords,
    4: Sounds,
}
