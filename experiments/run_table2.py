"""WACV 2020, Table 2: OurSoundNet from hard labels (G), and with its teachers' soft labels.

    python experiments/run_table2.py --records=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]
        [--backbone=resnet50.weights.h5] [--soundnet=soundnet5.weights.h5]

D has DualCamNet as teacher, R ResNet-50; both teachers' own accuracies are included. Four
training settings (each scenario, and all), tested on their own test split and on all data of the
other scenarios. Records without video leave the columns of ResNet-50 blank.

The paper preset was not run: its data are only available on request.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from experiments.shared import command


def table():
    """The specification of the table, see `tables.Spec`."""
    from experiments.wacv2020 import tables

    return tables.student_spec(2, 'OurSoundNet', 'oursoundnet', 'wacv2020_table2_oursoundnet.csv')


if __name__ == '__main__':
    command.run(table, soundnet=True)
