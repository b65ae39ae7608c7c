"""Names for content, short enough for folders."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras


def of_arrays(arrays: Iterable[npt.ArrayLike]) -> str:
    """A name for the numbers in arrays or variables, in their order."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()[:12]


def of_weights(network: 'keras.Model') -> str:
    """A name for the numbers in a Keras model."""
    return of_arrays(variable.numpy() for variable in network.variables)
