"""ECCV 2020, Tables 1 - 4: features learned without labels, by retrieval and k-NN.

    python experiments/run_eccv2020.py --table=1|2 --records=DIR --out=DIR [--preset=demo]
        [--seeds=0,1,2] [--complete] [--lists=DIR]
    python experiments/run_eccv2020.py --table=3 --records=DIR --out=DIR --target=AVIA_RECORDS
    python experiments/run_eccv2020.py --table=4 --records=DIR --out=DIR
        --target=dcase2018:DIR|folder:DIR

Records are ACIVW's, or the embedded ones. Table 1: retrieval of pictures of a sound's class among
the audio-visual features of the test clips. Tables 2 - 4: k-NN on features of 2 s clips, k chosen
on validation clips, on ACIVW itself, on AVIA's records, and on whole sound files; the supervised
rows of Table 2 are the networks' own accuracies, and its last row is L3-Net's accuracy at deciding
whether sound and frames are from the same clip. All networks are trained on ACIVW; the paper has
five runs, as does the paper preset. The demo and smoke presets fill some rows; --complete fills all
of them.

With --complete the demo takes hours, most of them for L3-Net and ResNet-18 (not run at that size).
The paper preset was not run: its data are only available on request.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command

_TITLES = {
    1: 'from audio to audio-visual features',
    2: 'classifiers and k-NN on ACIVW',
    3: 'k-NN on AVIA',
    4: 'k-NN on DCASE 2018',
}
_FILES = {
    1: 'eccv2020_table1_retrieval.csv',
    2: 'eccv2020_table2_acivw.csv',
    3: 'eccv2020_table3_avia.csv',
    4: 'eccv2020_table4_dcase2018.csv',
}
_CORRESPONDENCE = 'eccv2020_l3_correspondence.csv'  # from the paper's text on Table 2
_ACCURACY = 'accuracy'
SEEDS = command.SEEDS | {'paper': (0, 1, 2, 3, 4)}


def _body(options, _, seeds, cluster):
    from dualcam.evaluation import retrieval
    from experiments.eccv2020 import comparison, presets, runs, tables, targets
    from experiments.shared import charts, comparison_pages, parallel, results, workers

    number = int(options.table)
    if number > 2 and not options.target:
        raise ValueError(
            f'--table={number} needs --target=DIR, '
            + ('records of AVIA' if number == 3 else 'as dcase2018:DIR or folder:DIR')
        )
    preset = command.chosen_preset(options, presets.preset_named(options.preset, options.complete))
    workshop = runs.open_workshop(
        options.records, options.out, preset, options.lists, options.max_bad, options.profile
    )
    command.list_skipped(workshop.store)
    if workers.follow(workshop):
        return
    columns, unit = {_ACCURACY: (_ACCURACY, 'std')}, 1.0
    if number == 1:
        unit = 100.0  # printed as percentages
        columns = {f'rank {k}': (f'rank_{k}', f'std_{k}') for k in retrieval.KS}
    target = targets.TARGETS[number](workshop, options)
    specs = tables.read_specs(_FILES[number], columns, unit)
    if number == 2:
        specs += tables.read_specs(_CORRESPONDENCE, columns)
    wanted = [(spec.run, ()) for spec in specs if tables.is_wanted(spec, preset)]
    parallel.train_ahead(workshop, parallel.by_teacher(wanted, seeds), options.jobs, cluster)
    rows = tables.fill(specs, target, preset, seeds)
    table = results.Table(
        f'eccv2020_table{number}',
        f'ECCV 2020, Table {number}: {_TITLES[number]}. {workshop.note}{target.note}',
        f'{target.explained} {results.HOW_SURE}; italics: published values; a blank was not '
        'measured.',
        ('features', 'training', 'alpha'),
        tuple(columns),
        rows,
        results.compare_rows(
            tables.pairs(rows), tuple(columns), workshop.info.name, target.name, tables.label
        ),
        measure='mean',
        extra={'preset': preset.name, 'records': workshop.store.digest},
        chart=charts.over_columns
        if number == 1
        else functools.partial(charts.over_key, key='alpha'),
    )
    print('\n' + command.write(table, options, seeds, workshop.store.digest))
    compared = comparison.gather(specs, rows, target, workshop, seeds)
    page = comparison_pages.write(table, compared, options.out)
    print(f'{command.written(table, options)}; comparison of the runs: {page}')
    print(f'runs: {options.out}/runs; curves: make tensorboard LOGS={options.out}/runs')


if __name__ == '__main__':
    flags.DEFINE_enum('table', '2', ['1', '2', '3', '4'], 'Number of the table.')
    flags.DEFINE_string('target', None, 'Data on which Tables 3 and 4 are evaluated.')
    flags.DEFINE_string(
        'lists',
        None,
        'Folder with training.txt, validation.txt and testing.txt, '
        'from any machine; default: lists by video.',
    )
    flags.DEFINE_bool('complete', False, 'Fill all rows, including those the preset leaves out.')
    flags.DEFINE_bool(
        'flip_target',
        False,
        "Table 3: also flip the acoustic images of the target, as the authors' loader always does.",
    )
    command.start(_body, jobs=True, on_cluster=True, seeds=SEEDS)
