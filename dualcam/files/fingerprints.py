"""Names for content, short enough for folders."""

import hashlib

import numpy as np


def of_arrays(arrays):
    """A name for the numbers in arrays or variables, in their order."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:12]


def of_weights(network):
    """A name for the numbers in a Keras model."""
    return of_arrays(variable.numpy() for variable in network.variables)
