"""Runs a program as on a machine with two devices, which here are two logical processors.

python -m tests.helpers.two_cpus experiments/PROGRAM.py ARGUMENTS
"""

import sys

import tensorflow as tf

from tests.helpers import programs

if __name__ == '__main__':
    (processor,) = tf.config.list_physical_devices('CPU')
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    code, out, errors = programs.run(*sys.argv[1:])
    print(out)
    print(errors, file=sys.stderr)
    sys.exit(code)
