"""WACV 2020, supplement: confusion matrices of networks trained on all scenarios.

    python experiments/run_confusion.py --records=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]

The runs are those of Tables 2 and 3: what they have trained in the same --out is not trained
again. With several seeds the counts are summed.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))     # run from the checkout

from experiments import command, matrices, runs
from experiments.runs import Run

_TEACHER = Run('dualcamnet', 'hard', 'all')

# (title, run, test); a test that is the training setting means its test split.
MATRICES = [
    ('DualCamNet', _TEACHER, 'all'),
    ('HearNet from labels (G)', Run('hearnet', 'G', 'all'), 'all'),
    ('HearNet from DualCamNet (D)', Run('hearnet', 'D', 'all', _TEACHER), 'all'),
    ('OurSoundNet from labels (G)', Run('oursoundnet', 'G', 'all'), 'all'),
    ('OurSoundNet from DualCamNet (D)', Run('oursoundnet', 'D', 'all', _TEACHER), 'all'),
]


def _body(options, preset, seeds):
    workshop = runs.Workshop(options.records, options.out, preset, matrices.networks(MATRICES))
    made = matrices.fill(MATRICES, workshop, seeds)
    folder = f'{options.out}/{matrices.FOLDER}'
    print('\n' + matrices.write(made, workshop, options.out))
    print(f'written: {folder}/confusion.md, and a .png and .csv for each matrix; in TensorBoard: '
          'make tensorboard, Images')


if __name__ == '__main__':
    command.start(_body)
