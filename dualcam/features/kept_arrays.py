"""What a frozen network makes of many files: worked out once, kept on disk, asked for by many."""

import contextlib
import pathlib
from typing import Any

import keras
import numpy as np

from dualcam.files import fingerprints, large_arrays, locking
from dualcam.files.path_types import AnyPath


class KeptArray:
    """An array on disk that is filled item by item; a job that was stopped resumes.

    Args:
        folder: where it is kept; it is found again there.
        network: whose outputs it holds; its weights are part of the file's name.
        name: of the outputs and of what the network was asked, (before, after) the weights.
        items: shape of the leading axes, whose items are filled one by one.
        rest: shape of an item.

    Attributes:
        array: [*items, *rest] float32, mapped; items that were not filled are zero.
        done: [*items] bool, which of them are.
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
        # Or another process would map a file that this one is about to lengthen.
        with self.alone():
            self.array = large_arrays.mapped(folder / f'{stem}.npy', np.float32, (*items, *rest))
            self.done = large_arrays.mapped(folder / f'{stem}.done.npy', np.bool_, items)

    def alone(self) -> contextlib.AbstractContextManager:
        """Keeps other processes from filling arrays of the folder; waits for one that does."""
        return locking.held_folder(self._folder, 'works out features')

    def fill(self, items: Any, values: np.ndarray) -> None:
        """Puts values into items, an index of the leading axes, and saves them."""
        self.array[items] = values
        self.array.flush()
        self.done[items] = True
        self.done.flush()
