"""What the table scripts share: their flags and their one call."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')     # before TensorFlow: its start is chatty

from absl import app, flags, logging


def run(table):
    """Parses the flags, fills the table, prints it, and says where it was written."""
    flags.DEFINE_string('records', None, 'Folder with the records.', required=True)
    flags.DEFINE_string('out', None, 'Where runs and results go.', required=True)
    flags.DEFINE_string('preset', 'demo', 'Size: paper, demo or smoke.')
    flags.DEFINE_string('backbone', None, 'Weights of ResNet-50 (.weights.h5), for teachers that '
                        'see video; default untrained.')
    flags.DEFINE_bool('bgr', False, 'Feed video as the authors do, for weights they trained.')
    flags.DEFINE_enum('batch_norm', 'frozen', ['frozen', 'authors'], 'Of ResNet-50 while its '
                      'logits are trained; authors takes days.')
    flags.DEFINE_list('seeds', ['0'], 'Seeds, as in 0,1,2; several give mean and deviation.')

    import tensorflow as tf

    from experiments import presets, runs, tables
    from records import command

    def main(_):
        logging.set_verbosity(logging.WARNING)
        # A new network is a new trace: TensorFlow takes a table's many networks for a mistake.
        tf.get_logger().setLevel('ERROR')
        options = flags.FLAGS
        try:
            seeds = [int(seed) for seed in options.seeds]
        except ValueError:
            raise ValueError(f'--seeds={",".join(options.seeds)}: expected whole numbers, as in '
                             '0,1,2') from None
        preset = presets.preset_named(options.preset)
        wanted = {setting: table.columns(setting) for setting in runs.SETTINGS}
        workshop = runs.Workshop(
            options.records, options.out, preset,
            [one for columns in wanted.values() for one in columns.values()],
            runs.VideoParams(options.backbone, options.bgr, options.batch_norm))
        left_out = [column for column, one in wanted['all'].items()
                    if not workshop.can_train(one)]
        if left_out:
            print(f'Left blank: {", ".join(left_out)}; their records need '
                  '--modalities=0,1,2 of records.convert_avia.')
        cells = tables.fill(table, workshop, seeds)
        print('\n' + tables.write(table, cells, workshop, options.out))
        print(f'written: {options.out}/{table.file_name}.md, .csv, .json, .png; runs: '
              f'{options.out}/runs; curves: make tensorboard')
    app.run(command.clean_errors(main))
