"""Contents of results.html for students on a folder of sound files, from their tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.shared import comparison_pages, outcomes, run_comparisons, workshops
from experiments.sounds import runs

_LONGEST_S = 10  # of an embedded file
_TRAINING_ACCURACY = 'train/accuracy'


def gather(
    students: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
    tests: Mapping[str, Sequence[Sequence[outcomes.Tested]]],
    workshop: workshops.Workshop,
    seeds: Sequence[int],
) -> comparison_pages.Compared:
    """Curves of the students; confusion differences and files on which two of them disagree.

    Args:
        students: {name: its network}, for those trained on the folder alone.
        pairs: (a, b), names in `tests`; both tested on the same files.
        tests: {name: for each seed, its test of each split}.
        workshop: that trained the students.
        seeds: of the runs.
    """
    curves = run_comparisons.curves(
        {
            name: [
                workshop.folder(runs.Run(network, split), seed)
                for seed in seeds
                for split in range(len(workshop.source.splits))
            ]
            for name, network in students.items()
        },
        _TRAINING_ACCURACY,
    )
    num_classes = workshop.info.num_classes
    counts = {
        name: sum(one.confusion(num_classes) for of_seed in of_seeds for one in of_seed)
        for name, of_seeds in tests.items()
    }
    return comparison_pages.Compared(
        workshop.info.classes,
        f'test files of {workshop.info.name}',
        seeds,
        [comparison_pages.Curves('trained on the other folds', curves)],
        [comparison_pages.Difference(a, b, counts[a], counts[b]) for a, b in pairs],
        disagreements=[
            _disagreement((a, b), (tests[a][0], tests[b][0]), workshop) for a, b in pairs
        ],
        curves_heading='Training accuracy',
        curves_note='For augmented training clips; all files except those tested are used for '
        'training, so there are no validation clips. Mean over folds.',
    )


def _disagreement(names, tests, workshop):
    classes, store = workshop.info.classes, workshop.store
    files = [path for one in tests[0] for path in one.files]
    assert files == [path for one in tests[1] for path in one.files], 'tested on the same files'
    labels = np.concatenate([one.labels for one in tests[0]])

    def clip(number, said):
        (row,) = store.rows([files[number]])
        rate_hz = comparison_pages.Clip.rate_hz  # of the store too
        samples = min(int(store.lengths[row]), _LONGEST_S * rate_hz)
        return comparison_pages.Clip(
            run_comparisons.below(files[number], workshop.source.sound_set.root),
            classes[labels[number]],
            said,
            None,
            store.clip(row, 0, samples),
        )

    return run_comparisons.disagreement(
        names,
        labels,
        tuple(np.concatenate([one.predictions for one in of_run]) for of_run in tests),
        clip,
        classes,
    )
