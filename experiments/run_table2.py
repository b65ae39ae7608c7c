"""WACV 2020, Table 2: OurSoundNet from hard labels (G) and from DualCamNet's soft labels (D).

    python experiments/run_table2.py --records=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]

Four training settings (each scenario, and all), tested on their own test split and on all data of
the other scenarios. HOURS
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))     # run from the checkout

from experiments import command
from experiments.runs import Run
from experiments.tables import Table


def columns(train_on):
    """The runs of one training setting: the teacher itself, and the students."""
    teacher = Run('dualcamnet', 'hard', train_on)
    return {'DualCamNet': teacher,
            'G': Run('oursoundnet', 'G', train_on),
            'D': Run('oursoundnet', 'D', train_on, teacher)}


TABLE = Table(
    title='WACV 2020, Table 2: OurSoundNet', file_name='table2', columns=columns,
    published={'DualCamNet': ('wacv2020_table1.csv', 'dualcamnet'),
               'G': ('wacv2020_table2_oursoundnet.csv', 'G'),
               'D': ('wacv2020_table2_oursoundnet.csv', 'D')})

if __name__ == '__main__':
    command.run(TABLE, networks=('dualcamnet', 'oursoundnet'))
