"""A process that loads TensorFlow quickly, and what it can do then."""

import gc

from dualcam import startup

_CYCLE = """
class Cycle:
    def __init__(self):
        self.own = self
    def __del__(self):
        print('collected')
"""


def test_nothing_that_is_left_out_stays_unavailable(command):
    """Keras takes matplotlib and scikit-learn for missing, the program has them."""
    code, out, errors = command(
        '-c',
        'from dualcam import startup\n'
        'startup.start_with_keras()\n'
        'import sys\n'
        'print({"matplotlib", "sklearn", "scipy.sparse"} & set(sys.modules))\n'
        'import keras, matplotlib, scipy.sparse, sklearn, tensorflow\n'
        'print(float(keras.ops.sum(tensorflow.ones(3))))\n',
    )
    assert (code, out, errors) == (0, 'set()\n3.0\n', '')


def test_what_is_imported_is_not_searched_for_garbage_and_what_comes_later_is(command):
    code, out, errors = command(
        '-c',
        f'{_CYCLE}\n'
        'import gc\n'
        'from dualcam import startup\n'
        'startup.start_without_keras()\n'
        'print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n'
        'Cycle()\n'
        'gc.collect()\n'
        'print("end")\n'
        'Cycle()\n',  # the end itself collects nothing
    )
    assert (code, out, errors) == (0, 'True True\ncollected\nend\n', '')


def test_a_process_that_has_tensorflow_keeps_its_collector_as_it_is():
    """Such a process may have garbage of its own, which would stay forever."""
    import tensorflow  # noqa: F401

    frozen = gc.get_freeze_count()
    gc.disable()
    try:
        startup.start_with_keras()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert gc.get_freeze_count() == frozen
