"""WACV 2020, Table 4: the students' features transferred to another data set, by k-NN.

    python experiments/run_table4.py --records=DIR --out=DIR --target=dcase2018:DIR
        [--preset=demo] [--seeds=0,1,2] [--soundnet=soundnet5.weights.h5]
    python experiments/run_table4.py --records=DIR --out=DIR --target=folder:DIR

Rows: students trained with DualCamNet on all scenarios of the records, as feature extractors (mean
over each file's windows); SoundNet-5 if its weights are given, with conv5 if the file was imported
as soundnet5; and two untrained baselines, MFCC statistics and randomly initialised students. k is
odd and chosen on validation data; unnormalised features are compared with those of training files
(--standardise changes both). Published values are shown for the papers' target, DCASE 2018 task 1A:
its development set, fold 1. A folder with ESC's fold names is tested on each fold, any other on a
fifth of its files.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command

COLUMNS = ('k-NN', 'linear probe')
_TITLE = 'WACV 2020, Table 4: features transferred to another data set'


def _body(options, preset, seeds, cluster):
    import keras

    from dualcam import models
    from dualcam.data.signal import frontends
    from dualcam.inference import network_students, students
    from experiments.shared import evaluators, parallel, results, transfer, workers
    from experiments.wacv2020 import runs

    kind, folder = transfer.read_target(options.target)
    found = transfer.find_target(kind, folder)
    teacher = runs.Run('dualcamnet', 'hard', 'all')
    wanted = {
        name: runs.Run(network, 'D', 'all', teacher)
        for name, network in (('HearNet', 'hearnet'), ('OurSoundNet', 'oursoundnet'))
    }
    workshop = command.open_workshop(options, preset, list(wanted.values()))
    if workers.follow(workshop):
        return
    pieces = [[(one, (), seed) for one in wanted.values()] for seed in seeds]
    parallel.train_ahead(workshop, pieces, 1, cluster)
    target = transfer.Target(
        found,
        f'{options.out}/cache/embeddings',
        options.max_bad,
        [int(k) for k in options.ks],
        plain=not options.standardise,
    )
    published = {}
    if kind == 'dcase2018':
        published = {
            line['features']: {results.PUBLISHED_KEY: float(line['accuracy'])}
            for line in results.read_published('wacv2020_table4_dcase2018.csv')
        }

    def row(name, trained_on, features, key=None):
        judged = {seed: target.judge(*of_seed, seed) for seed, of_seed in features.items()}
        cells = {
            column: results.of_tests(
                [one.tests(column) for one in judged.values()],
                published.get(key) if column == evaluators.KNN else None,
            )
            for column in COLUMNS
        }
        ks = '; '.join(dict.fromkeys(one.chosen_k for one in judged.values()))
        made.append(results.Row((name, trained_on), cells, note=ks))
        results.write_counts(
            sum(one.confusion for one in judged.values()),
            found.classes,
            f'{name}, k-NN',
            note,
            f'{options.out}/table4',
            name.lower(),
        )

    note = f'{workshop.note}; target: {pathlib.Path(folder).name}'
    made = []
    row('MFCC statistics', '', {seed: target.by_mfcc() for seed in seeds})
    for name, one in wanted.items():
        untrained = {}
        for seed in seeds:
            keras.utils.set_random_seed(seed)
            model = models.build(one.network, workshop.info.num_classes)
            # Without a training set, their own range is the only one to normalise by.
            frontend = frontends.Frontend(models.network(one.network).input)
            untrained[seed] = target.by_listener(
                network_students.from_model(
                    model, frontend, 5, workshop.info.classes, f'{name}, untrained'
                ),
                'fc1',
            )
        row(f'{name} fc1, untrained', '', untrained)
    for name, one in wanted.items():
        listeners = {seed: students.open_listener(workshop.train(one, seed)) for seed in seeds}
        for layer in ('fc1', *(['conv4'] if one.network == 'oursoundnet' else [])):
            row(
                f'{name} {layer}',
                workshop.info.name,
                {seed: target.by_listener(listener, layer) for seed, listener in listeners.items()},
                f'{one.network}_{layer}',
            )
    if options.soundnet:
        model = runs.open_soundnet(options.soundnet)
        layers = ['conv4', 'conv5'] if model.name == 'soundnet5' else ['conv4']
        frontend = frontends.Frontend('waveform', band_limited=False)
        listener = network_students.from_model(model, frontend, 5, (), options.soundnet)
        for layer in layers:
            row(
                f'SoundNet-5 {layer}',
                'Flickr-SoundNet',
                {seeds[0]: target.by_listener(listener, layer)},
                f'soundnet5_{layer}',
            )
        if 'conv5' not in layers:
            print(
                f'SoundNet-5 conv5: left blank, {options.soundnet} has conv1 - conv4 only; '
                'dualcam import-weights --model=soundnet5 also imports conv5'
            )
    shown = {one.key[0] for one in made}
    made += [
        results.Row((name, trained_on), {evaluators.KNN: results.Cell(beside=published[key])})
        for key, name, trained_on in (
            ('soundnet5_conv4', 'SoundNet-5 conv4', 'Flickr-SoundNet'),
            ('soundnet5_conv5', 'SoundNet-5 conv5', 'Flickr-SoundNet'),
            ('mesaros2018_baseline', 'Mesaros et al. 2018', 'DCASE 2018'),
            ('liping2018', 'Liping et al. 2018', 'DCASE 2018'),
            ('golubkov2018', 'Golubkov et al. 2018', 'DCASE 2018'),
        )
        if key in published and name not in shown
    ]
    by_name = {one.key[0]: one for one in made}
    pairs = [
        (by_name[f'{name} fc1'], by_name[other])
        for name in wanted
        for other in (f'{name} fc1, untrained', 'MFCC statistics')
    ] + [(by_name['HearNet fc1'], by_name['OurSoundNet fc1'])]
    table = results.Table(
        'table4',
        f'{_TITLE}. {note}',
        f'Accuracy on {len(found.sounds)} files in {len(found.classes)} classes, mean ± deviation '
        f'over splits and seeds. {results.HOW_SURE}; a blank was not measured.',
        ('name', 'trained_on'),
        COLUMNS,
        made,
        results.compare_rows(
            pairs, COLUMNS, workshop.info.name, pathlib.Path(folder).name, lambda one: one.key[0]
        ),
        beside=[('published', evaluators.KNN, results.PUBLISHED_KEY)],
        extra=command.described(workshop),
    )
    print('\n' + command.write(table, options, seeds, workshop.store.digest))
    for message in target.skipped:
        print('left out:', message)
    print(
        f'{command.written(table, options)}; confusion matrices and accuracy of each class: '
        f'{options.out}/table4/'
    )


if __name__ == '__main__':
    flags.DEFINE_string('target', None, 'dcase2018:DIR or folder:DIR.', required=True)
    flags.DEFINE_list('ks', ['1', '3', '5', '7', '9'], 'Odd k to choose from.')
    flags.DEFINE_bool(
        'standardise',
        False,
        'k-NN: normalise features to zero mean and unit deviation, and use validation files as '
        'neighbours too once k is chosen.',
    )
    command.start(_body, soundnet=True, on_cluster=True, networks=True)
