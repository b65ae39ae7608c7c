"""WACV 2020, Table 1: the teachers, from hard labels.

    python experiments/run_table1.py --records=DIR --out=DIR [--preset=demo] [--seeds=0,1,2]
        [--backbone=resnet50.weights.h5]

DualCamNet gets acoustic images, ResNet-50 and Temporal ResNet-50 video, AVNet both. Four
training settings (each scenario, and all), tested on their own test split and on all data of the
other scenarios.

The paper preset was not run: its data are only available on request.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # run from the checkout

from experiments.shared import command

_NETWORKS = {
    'DualCamNet': 'dualcamnet',
    'ResNet-50': 'resnet50',
    'Temporal ResNet-50': 'temporal_resnet50',
    'AVNet': 'avnet',
}


def columns(train_on):
    """The runs of one training setting."""
    from experiments.wacv2020.runs import Run

    return {column: Run(network, 'hard', train_on) for column, network in _NETWORKS.items()}


def table():
    """The specification of the table, see `tables.Spec`."""
    from experiments.wacv2020 import tables

    return tables.Spec(
        title='WACV 2020, Table 1: teachers',
        name='table1',
        columns=columns,
        published={
            column: ('wacv2020_table1.csv', network) for column, network in _NETWORKS.items()
        },
        pairs=(
            ('DualCamNet', 'ResNet-50'),
            ('Temporal ResNet-50', 'ResNet-50'),
            ('AVNet', 'DualCamNet'),
            ('AVNet', 'ResNet-50'),
        ),
    )


if __name__ == '__main__':
    command.run(table)
