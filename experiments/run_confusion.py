"""WACV 2020, supplement: confusion matrices of networks trained on all scenarios.

    python experiments/run_confusion.py --records=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]

Teachers and students, and ResNet-50 trained and tested on each scenario; networks that need video
are left out if the records have none. The runs are those of Tables 1 - 3: runs that they have
trained in the same --out are reused. With several seeds the counts are summed.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from experiments.shared import command

_TEACHERS = (
    ('DualCamNet', 'dualcamnet'),
    ('ResNet-50', 'resnet50'),
    ('Temporal ResNet-50', 'temporal_resnet50'),
    ('AVNet', 'avnet'),
)


def matrices():
    """[(title, run, test)]; a test that is the training setting means its test split."""
    from experiments.wacv2020.runs import SCENARIOS, Run

    sound, video = (Run(network, 'hard', 'all') for network in ('dualcamnet', 'resnet50'))
    return [
        *((title, Run(network, 'hard', 'all'), 'all') for title, network in _TEACHERS),
        *(
            (f'{title} {words}', Run(network, column, 'all', teacher), 'all')
            for title, network in (('HearNet', 'hearnet'), ('OurSoundNet', 'oursoundnet'))
            for words, column, teacher in (
                ('from labels (G)', 'G', None),
                ('from DualCamNet (D)', 'D', sound),
                ('from ResNet-50 (R)', 'R', video),
            )
        ),
        *(('ResNet-50', Run('resnet50', 'hard', scenario), scenario) for scenario in SCENARIOS),
    ]


def _body(options, preset, seeds, cluster):
    from experiments.shared import confusion, parallel, workers

    wanted = matrices()
    workshop = command.open_workshop(options, preset, [run for _, run, _ in wanted])
    if workers.follow(workshop):
        return
    possible = [one for one in wanted if workshop.source.can_train(one[1])]
    if len(possible) < len(wanted):
        blank = [run.train_on for _, run, _ in wanted if not workshop.source.has(run.train_on)]
        reasons = [f'there are no records of {", ".join(dict.fromkeys(blank))}'] if blank else []
        if len(possible) < len(wanted) - len(blank):
            reasons.append(command.NEEDS_VIDEO)
        print(f'Left out: {len(wanted) - len(possible)} matrices; {"; ".join(reasons)}')
    pieces = parallel.by_teacher([(run, (test,)) for _, run, test in possible], seeds)
    parallel.train_ahead(workshop, pieces, options.jobs, cluster)
    filled = confusion.fill(possible, workshop, seeds)
    folder = pathlib.Path(options.out) / confusion.FOLDER
    confusion.write_matrices(filled, workshop.info.classes, workshop.note, folder)
    table = confusion.table(filled, workshop.note, command.described(workshop))
    print('\n' + command.write(table, options, seeds, workshop.store.digest, folder))
    print(
        f'{command.written(table, options, folder)}, and a .png and .csv for each matrix; in '
        'TensorBoard: make tensorboard, Images'
    )


if __name__ == '__main__':
    command.start(_body, video=True, soundnet=True, jobs=True, on_cluster=True, networks=True)
