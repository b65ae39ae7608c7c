"""ESC-10, or any folder of sound with folds: students trained from scratch on sound alone.

    python experiments/run_esc10.py --input=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]
        [--records=DIR]

Each fold is tested on once, by students that learned from all others (published baseline: a random
forest on MFCC, five folds, Piczak 2015). Beside them the floor that learning must beat, k nearest
neighbours and a linear probe on statistics of MFCC, and the same two on the students' features.
With --records, simulated from recordings of some folds of the same set
(records.synthetic --sources=DIR --folds=1,2), also students that learned on those records, from
labels (G) and from DualCamNet too (D), as they are and trained on with the clips; on the folds
that the records do not hold.

To expect with the demo preset on folds 1 - 3 of ESC-10: HearNet 0.75, k nearest neighbours on MFCC
0.57, a linear probe 0.67.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command

NETWORKS = (('HearNet', 'hearnet'), ('OurSoundNet', 'oursoundnet'))
ACCURACY = 'accuracy'
# Piczak 2015, ESC-10, five folds: random forest on MFCC, and people.
PUBLISHED = (
    ('random forest on MFCC (Piczak 2015, 5 folds)', 0.727),
    ('people (Piczak 2015)', 0.957),
)


def _body(options, _, seeds):
    from dualcam.data.sources import sound_folders
    from experiments.shared import results, transfer
    from experiments.sounds import sound_runs

    found = sound_folders.find_sounds(options.input)
    preset = command.chosen_preset(options, sound_runs.PRESETS[options.preset])
    workshop = sound_runs.SoundWorkshop(found, options.out, preset, options.max_bad)
    target = transfer.Target(workshop.store.sound_set, f'{options.out}/cache/embeddings')
    rows = []
    note = (
        f'Data: {workshop.info.name}, {len(workshop.store.sound_set.sounds)} recordings, '
        f'tested on {", ".join(split.name for split in workshop.splits)}'
    )
    note += f'; {preset.note}' if preset.note else ''
    outcomes = target.judge(*target.by_mfcc())
    rows.append(
        results.Row(
            'MFCC statistics', '', transfer.scores(outcomes), note=transfer.chosen_k(outcomes)
        )
    )
    for title, network in NETWORKS:
        accuracies, counts, features = [], 0, {transfer.KNN: [], transfer.PROBE: []}
        for seed in seeds:
            params = workshop.params(network, seed)
            for number, split in enumerate(workshop.splits):
                accuracies.append(workshop.score(params, split))
                counts = counts + workshop.confusion(params, split)
                of_split = target.judge(
                    *target.by_listener(workshop.listener(params, split), 'embedding'), only=number
                )
                for column, parts in transfer.scores(of_split).items():
                    features[column] += parts
        rows.append(
            results.Row(
                title, f'{workshop.info.name}, other folds', {ACCURACY: accuracies, **features}
            )
        )
        results.write_counts(
            counts,
            workshop.info.classes,
            f'{title}, all folds',
            note,
            f'{options.out}/esc10',
            title,
        )
    if options.records:
        rows += _taught_rows(options, seeds, workshop)
    rows += [results.Row(name, '', {}, accuracy) for name, accuracy in PUBLISHED]
    print(
        '\n'
        + results.write(
            rows,
            (ACCURACY, transfer.KNN, transfer.PROBE),
            f'Students on a folder of sound. {note}',
            'Accuracy over the test files, mean ± deviation over folds and seeds: of the trained '
            'network itself, and of its features (or MFCC) with k-NN and a linear probe. A blank '
            'was not measured.',
            options.out,
            'esc10',
        )
    )
    for message in workshop.store.skipped:
        print('left out:', message)
    print(
        f'written: {options.out}/esc10.md, .csv, .json, .png; confusion matrices: '
        f'{options.out}/esc10/; runs: {options.out}/runs'
    )


def _taught_rows(options, seeds, workshop):
    """Students of simulated records, on the folds whose recordings those do not hold."""
    from dualcam.inference import students
    from dualcam.training import run
    from experiments.shared import results, runs
    from experiments.wacv2020 import presets

    teacher = runs.Run('dualcamnet', 'hard', 'all')
    wanted = {
        (title, column): runs.Run(network, column, 'all', teacher if column == 'D' else None)
        for title, network in NETWORKS[:1]
        for column in 'GD'
    }
    arrays = command.open_workshop(
        options,
        command.chosen_preset(options, presets.preset_named(options.preset)),
        list(wanted.values()),
    )
    if arrays.info.classes != workshop.info.classes:
        raise ValueError(f'{options.records}: its classes are not those of {options.input}')
    untouched = [
        split
        for split in workshop.splits
        if arrays.info.folds and not any(split.name == f'fold {fold}' for fold in arrays.info.folds)
    ]
    if not untouched:
        raise ValueError(
            f'{options.records}: made from recordings of every fold, so that none is '
            'left to test on; make them with records.synthetic --folds=1,2 (make '
            'tfrecords SOURCES=DIR FOLDS=1,2)'
        )
    rows, where = [], f'simulated array, folds {",".join(map(str, arrays.info.folds))}'
    for (title, column), one in wanted.items():
        as_is, trained_on = [], []
        for seed in seeds:
            folder = arrays.train(one, seed)
            listener = students.open_listener(folder)
            model, (like, _) = run.load(folder), run.described(folder)
            start = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
            params = workshop.params(one.network, seed, like)
            for split in untouched:
                as_is.append(workshop.score_listener(listener, split))
                trained_on.append(workshop.score(params, split, start, folder.name))
        tested = ', '.join(split.name for split in untouched)
        rows.append(
            results.Row(f'{title} {column}', where, {ACCURACY: as_is}, note=f'tested on {tested}')
        )
        rows.append(
            results.Row(
                f'{title} {column}, trained on with the clips',
                where,
                {ACCURACY: trained_on},
                note=f'tested on {tested}',
            )
        )
    return rows


if __name__ == '__main__':
    flags.DEFINE_string('input', None, 'Folder of sound.', required=True)
    command.start(_body, records=False)
