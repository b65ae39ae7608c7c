"""Pipelines that call Python: their data live exactly as long as they do."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from dualcam.data import pipelines


class Owner:
    """An owner of data."""

    def __init__(self):
        self.values = np.arange(10.0, dtype=np.float32)

    def batches(self):
        """Data by index, four at a time."""

        def look_up(numbers):
            return pipelines.call(
                self, lambda owner, chosen: owner.values[chosen], [numbers], tf.float32
            )

        return pipelines.keep(tf.data.Dataset.range(10).batch(4).map(look_up).prefetch(1), self)


def test_a_pipeline_lives_without_its_owner_and_goes_with_it():
    owner = Owner()
    gone = weakref.ref(owner)
    batches = iter(owner.batches().map(lambda values: 2.0 * values))
    del owner
    gc.collect()
    np.testing.assert_array_equal(next(batches), [0.0, 2.0, 4.0, 6.0])
    assert gone() is not None
    del batches
    gc.collect()
    assert gone() is None
