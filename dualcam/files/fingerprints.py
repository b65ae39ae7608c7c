"""Content hashes, short enough for folder names."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras


def of_arrays(arrays: Iterable[npt.ArrayLike]) -> str:
    """A hash of the numbers in arrays or variables, in order."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:12]


def of_weights(network: 'keras.Model') -> str:
    """A hash of a Keras model's weights."""
    return of_arrays(variable.numpy() for variable in network.variables)
