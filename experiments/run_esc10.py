"""ESC-10, or any folder of audio files with folds: students trained from scratch.

    python experiments/run_esc10.py --input=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]
        [--records=DIR]

Each fold is tested once, with students trained on all others (published baseline: a random forest
on MFCC, five folds, Piczak 2015). For comparison: k nearest neighbours and a linear probe on MFCC
statistics, the baseline that training must beat, and the same two on the students' features.
With --records, simulated from recordings of some folds of the same data set
(records.synthetic --sources=DIR --folds=1,2), the table adds students trained on those records,
with labels only (G) and with DualCamNet as teacher (D), as they are and fine-tuned on the clips,
tested on the folds that the records do not contain.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command

NETWORKS = (('HearNet', 'hearnet'), ('OurSoundNet', 'oursoundnet'))
ACCURACY = 'accuracy'
FEATURES = ('k-NN', 'linear probe')
COLUMNS = (ACCURACY, *FEATURES)
# Piczak 2015, ESC-10, five folds: a random forest on MFCC, and human listeners.
PUBLISHED = (
    ('random forest on MFCC (Piczak 2015, 5 folds)', 0.727),
    ('people (Piczak 2015)', 0.957),
)


def _body(options, _, seeds, cluster):
    from dualcam.data.sources import sound_folders
    from dualcam.inference import students
    from experiments.shared import comparison_pages, parallel, results, transfer, workers
    from experiments.sounds import comparison, presets, runs

    found = sound_folders.find_sounds(options.input)
    preset = command.chosen_preset(options, presets.PRESETS[options.preset])
    workshop = runs.open_workshop(found, options.out, preset, options.max_bad, options.profile)
    source = workshop.source
    arrays = _open_arrays(options, workshop) if options.records else None
    if workers.follow(workshop, *([arrays] if arrays else [])):
        return
    pieces = [
        [(runs.Run(network, number), [runs.TEST], seed)]
        for seed in seeds
        for _, network in NETWORKS
        for number in range(len(source.splits))
    ]
    parallel.train_ahead(workshop, pieces, 1, cluster)
    # Unlike in the papers, features are normalised: networks' and MFCC statistics differ in scale.
    target = transfer.Target(source.sound_set, f'{options.out}/cache/embeddings', plain=False)
    rows = []
    judged = target.judge(*target.by_mfcc())
    cells = {column: results.of_tests([judged.tests(column)]) for column in FEATURES}
    rows.append(results.Row(('MFCC statistics', ''), cells, note=judged.chosen_k))
    of_students = {}  # {name: for each seed, its test of each split}
    for title, network in NETWORKS:
        tests, counts = {column: [] for column in COLUMNS}, 0
        of_students[title] = []
        for seed in seeds:
            of_seed = {column: [] for column in COLUMNS}
            of_students[title].append([])
            for number in range(len(source.splits)):
                one = runs.Run(network, number)
                tested = workshop.scores(one, [runs.TEST], seed)[runs.TEST]
                of_seed[ACCURACY].append((tested.right, tested.takes))
                of_students[title][-1].append(tested)
                counts = counts + tested.confusion(workshop.info.num_classes)
                listener = students.open_listener(workshop.folder(one, seed))
                features = target.by_listener(listener, 'embedding')
                judged = target.judge(*features, only=number)
                for column in FEATURES:
                    of_seed[column] += judged.tests(column)
            for column in COLUMNS:
                tests[column].append(of_seed[column])
        cells = {column: results.of_tests(of_seeds) for column, of_seeds in tests.items()}
        rows.append(results.Row((title, f'{workshop.info.name}, other folds'), cells))
        results.write_counts(
            counts,
            workshop.info.classes,
            f'{title}, all folds',
            source.note,
            f'{options.out}/esc10',
            title.lower(),
        )
    pairs = [(rows[1], rows[0]), (rows[2], rows[0]), (rows[1], rows[2])]
    names = [tuple(of_students)]
    if arrays:
        taught, of_taught = _taught_rows(options, seeds, workshop, arrays)
        rows += taught
        (g, g_on, d, d_on) = taught
        pairs += [(d, g), (d_on, g_on), (d_on, d)]
        of_students |= of_taught
        names.append((d.key[0], g.key[0]))
    rows += [
        results.Row((name, ''), {ACCURACY: results.Cell(beside={results.PUBLISHED_KEY: value})})
        for name, value in PUBLISHED
    ]
    table = results.Table(
        'esc10',
        f'Students on a folder of sound files. {source.note}',
        'Accuracy over the test files, mean ± deviation over folds and seeds: of the trained '
        'network itself, and of its features (or MFCC) with k-NN and a linear probe. '
        f'{results.HOW_SURE}; a blank was not measured.',
        ('name', 'trained_on'),
        COLUMNS,
        rows,
        results.compare_rows(pairs, COLUMNS, workshop.info.name, workshop.info.name),
        beside=[('published', ACCURACY, results.PUBLISHED_KEY)],
    )
    print('\n' + command.write(table, options, seeds, workshop.store.digest))
    for message in workshop.store.skipped:
        print('left out:', message)
    compared = comparison.gather(dict(NETWORKS), names, of_students, workshop, seeds)
    page = comparison_pages.write(table, compared, options.out)
    print(
        f'{command.written(table, options)}; confusion matrices: {options.out}/esc10/; '
        f'comparison of the runs: {page}; runs: {options.out}/runs'
    )


def _taught_runs():
    """{(title, column): `Run`} of students trained on simulated records."""
    from experiments.wacv2020.runs import Run

    teacher = Run('dualcamnet', 'hard', 'all')
    return {
        (title, column): Run(network, column, 'all', teacher if column == 'D' else None)
        for title, network in NETWORKS[:1]
        for column in 'GD'
    }


def _open_arrays(options, workshop):
    """The workshop of the simulated records, whose classes must be those of the audio folder."""
    from experiments.wacv2020 import presets

    arrays = command.open_workshop(
        options,
        command.chosen_preset(options, presets.preset_named(options.preset)),
        list(_taught_runs().values()),
    )
    if arrays.info.classes != workshop.info.classes:
        raise ValueError(f'{options.records}: its classes are not those of {options.input}')
    return arrays


def _taught_rows(options, seeds, workshop, arrays):
    """Students trained on simulated records, tested on the folds that those do not contain.

    Returns:
        (the rows, {name: for each seed, its test of each fold} of students without fine-tuning).
    """
    from dualcam.inference import students
    from experiments.shared import results
    from experiments.sounds import runs

    untouched = {
        number: split
        for number, split in enumerate(workshop.source.splits)
        if arrays.info.folds and not any(split.name == f'fold {fold}' for fold in arrays.info.folds)
    }
    if not untouched:
        raise ValueError(
            f'{options.records}: made from recordings of every fold, so none is left to '
            'test on; make them with records.synthetic --folds=1,2 (make '
            'tfrecords SOURCES=DIR FOLDS=1,2)'
        )
    rows, of_students = [], {}
    where = f'simulated array, folds {",".join(map(str, arrays.info.folds))}'
    for (title, column), one in _taught_runs().items():
        as_is, trained_on = [], []
        of_students[f'{title} {column}'] = []
        for seed in seeds:
            folder = arrays.train(one, seed)
            listener = students.open_listener(folder)
            found = [workshop.source.test_student(listener, split) for split in untouched.values()]
            as_is.append([(tested.right, tested.takes) for tested in found])
            of_students[f'{title} {column}'].append(found)
            found = [
                workshop.scores(runs.Run(one.network, number, str(folder)), [runs.TEST], seed)
                for number in untouched
            ]
            trained_on.append([(tests[runs.TEST].right, tests[runs.TEST].takes) for tests in found])
        tested = f'tested on {", ".join(split.name for split in untouched.values())}'
        for name, tests in (
            (f'{title} {column}', as_is),
            (f'{title} {column}, fine-tuned on the clips', trained_on),
        ):
            cells = {ACCURACY: results.of_tests(tests)}
            rows.append(results.Row((name, where), cells, note=tested))
    return rows, of_students


if __name__ == '__main__':
    flags.DEFINE_string('input', None, 'Folder of sound.', required=True)
    command.start(_body, records=False, on_cluster=True)
