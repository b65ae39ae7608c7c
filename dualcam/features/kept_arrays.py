"""A frozen network's outputs for many files: computed once and cached on disk."""

import contextlib
import pathlib
from typing import Any

import keras
import numpy as np

from dualcam.files import fingerprints, large_arrays, locking
from dualcam.files.path_types import AnyPath


class KeptArray:
    """An array on disk that is filled item by item; a stopped job resumes.

    Args:
        folder: of the array; it is found again there.
        network: whose outputs it contains; its weights are part of the file's name.
        name: of the outputs and the inputs: the file name's parts (before, after) the weights.
        items: shape of the leading axes, over which items are filled one by one.
        rest: shape of an item.

    Attributes:
        array: [*items, *rest] float32, memory-mapped; items not filled yet are zero.
        done: [*items] bool, which of them are filled.
    """

    def __init__(
        self,
        folder: AnyPath,
        network: keras.Model,
        name: tuple[str, str],
        items: tuple[int, ...],
        rest: tuple[int, ...],
    ) -> None:
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        before, after = name
        stem = f'{before}-{fingerprints.of_weights(network)}-{after}'
        self._folder = folder
        # Otherwise another process could map a file that this one is about to extend.
        with self.alone():
            self.array = large_arrays.mapped(folder / f'{stem}.npy', np.float32, (*items, *rest))
            self.done = large_arrays.mapped(folder / f'{stem}.done.npy', np.bool_, items)

    def alone(self) -> contextlib.AbstractContextManager:
        """Locks the folder's arrays against other processes; waits for one that fills them."""
        return locking.held_folder(self._folder, 'computes features')

    def fill(self, items: Any, values: np.ndarray) -> None:
        """Stores values in items, an index of the leading axes, and saves them."""
        self.array[items] = values
        self.array.flush()
        self.done[items] = True
        self.done.flush()
