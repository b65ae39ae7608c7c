"""WACV 2020, supplement: grid search of learning rate, temperature and imitation.

    python experiments/grid_search.py --records=DIR --out=DIR --network=hearnet --train_on=all \\
        [--column=D] [--preset=demo] [--learning_rates=1e-3,1e-4,1e-5] \\
        [--temperatures=1,2,5,10] [--imitations=0,0.25,0.5,0.75,1] [--seeds=0]

Chooses on the validation split. Trains one student per point and seed: 51 at the values above (at
imitation 0 the temperature has no effect), and their teacher once; for column G, one per learning
rate. A stopped search resumes. The result is in <out>/grid/<network>-<column>-<train_on>/.
"""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from absl import flags

from experiments.shared import command


def _body(options, preset, seeds, cluster):
    from experiments.shared import grids, workers

    search = grids.Search(options.network, options.column, options.train_on)
    if grids.TEACHERS[search.column] is None:
        for name in ('temperatures', 'imitations'):
            if options[name].present:
                raise ValueError(
                    f'--{name}: column {search.column} has no teacher to imitate; '
                    'omit it, or choose --column=D'
                )
    grid = grids.points(
        search.column,
        grids.read_numbers('learning_rates', options.learning_rates, 0, math.inf),
        grids.read_numbers('temperatures', options.temperatures, 0, math.inf),
        grids.read_numbers('imitations', options.imitations, 0, 1, low_is_in=True),
    )
    wanted = [search.run(point) for point in grid]
    workshop = command.open_workshop(options, preset, wanted)
    if not workshop.source.can_train(wanted[0]):
        raise ValueError(f'--column={options.column}: {command.NEEDS_VIDEO}')
    if workers.follow(workshop):
        return
    if cluster is not None:
        _train_on(cluster, workshop, wanted, seeds)
    found = grids.fill(search, grid, workshop, seeds, options.out)
    folder = search.folder(options.out)
    table = grids.table(search, found, workshop.note, command.described(workshop))
    print('\n' + command.write(table, options, seeds, workshop.store.digest, folder))
    print(
        f'{command.written(table, options, folder)}; runs: {options.out}/runs; in TensorBoard: '
        f'--logdir={folder}/tensorboard, HParams'
    )
    print(f'chosen: {grids.chosen(found)}')


def _train_on(cluster, workshop, wanted, seeds):
    """Trains the points' runs on a cluster, after their teacher."""
    from dualcam.training import loop
    from experiments.shared import parallel
    from experiments.wacv2020 import runs

    teachers = {run.teacher for run in wanted} - {None}
    for pieces in (
        [[(teacher, (), seed)] for teacher in teachers for seed in seeds],
        [[(run, [runs.VALIDATION], seed)] for run in wanted for seed in seeds],
    ):
        # Runs that diverge are listed later, by `grids.fill`.
        parallel.train_ahead(workshop, pieces, 1, cluster, left_out=(loop.NotFinite,))


if __name__ == '__main__':
    flags.DEFINE_string('network', None, 'hearnet or oursoundnet.', required=True)
    flags.DEFINE_string(
        'train_on', None, 'scenario_1, scenario_2, scenario_3 or all.', required=True
    )
    flags.DEFINE_string(
        'column', 'D', 'G: from labels; D: from labels and DualCamNet; R: and ResNet-50.'
    )
    flags.DEFINE_list('learning_rates', ['1e-3', '1e-4', '1e-5'], 'Of Adam.')
    flags.DEFINE_list('temperatures', ['1', '2', '5', '10'], "T, of the teacher's predictions.")
    flags.DEFINE_list(
        'imitations', ['0', '0.25', '0.5', '0.75', '1'], "lambda, the teacher's share."
    )
    command.start(
        _body,
        video=True,
        soundnet=True,
        on_cluster=True,
        networks=True,
        seeds=dict.fromkeys(command.SEEDS, (0,)),
    )
