"""Runs a network on windows of many files, batch by batch; threads read ahead.

`embeddings.py` and `classification.py` differ in how they use the outputs.
"""

import functools
import os
import platform
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from dualcam.data.sources import sound_files
from dualcam.files import large_arrays
from dualcam.files.path_types import AnyPath
from dualcam.inference import students

_Item = TypeVar('_Item')
_READERS = 2  # threads; reading a file takes about as long as asking a small network about it


def hop_samples(listener: students.Listener, hop_s: float | None) -> int:
    """Samples between window starts; a window's length for None.

    Raises:
        ValueError: the hop is not more than 0 and at most a window's length.
    """
    hop = (
        listener.clip_samples
        if hop_s is None
        else round(hop_s * listener.clip_samples / listener.seconds)
    )
    if not 1 <= hop <= listener.clip_samples:
        raise ValueError(
            f"a hop of {hop_s} s: expected more than 0, up to a window's {listener.seconds} s"
        )
    return hop


def check_seen(paths: Sequence[AnyPath]) -> None:
    """Raises a `ValueError` on a worker that sees none of a piece's files."""
    if not any(map(os.path.exists, paths)):
        raise ValueError(
            f'{paths[0]}: a worker on {platform.node()} sees neither this file nor the '
            f'{len(paths) - 1} after it; expected a folder that all hosts share under one path'
        )


def answers(
    ask: Callable[[np.ndarray], np.ndarray],
    paths: Sequence[AnyPath],
    listener: students.Listener,
    hop: int,
    batch_size: int,
    messages: dict[int, str],
    bar: Any,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Outputs for the windows of files, in order.

    Args:
        ask: maps [batch, clip_samples], which the next batch overwrites, to [batch, features]; see
            `students.Listener.listen`.
        paths: of the files.
        listener: that `ask` belongs to; files are cut into its windows.
        hop: samples between window starts.
        batch_size: windows per batch.
        messages: {row of a bad file: message}, filled while the files are read. Outputs for the
            windows before the bad part have been yielded by then.
        bar: counts the files that were read.

    Yields:
        (row of the file, first sample, [features]). Silent windows
        are omitted.

    Raises:
        ValueError: the batch size is less than 1.
    """
    if batch_size < 1:
        raise ValueError(f'batches of {batch_size}: expected 1 or more')
    large_arrays.keep_freed_memory()
    windows = _read_ahead(paths, listener, hop, messages, bar, batch_size)
    # Always full batches: another size would need another trace of the graph.
    signal = np.zeros((batch_size, listener.clip_samples), np.float32)
    for batch in _stacked(windows, batch_size):
        for place, (_, _, window) in zip(signal, batch, strict=False):
            place[:] = window
        signal[len(batch) :] = 0.0
        for (row, start, _), answer in zip(batch, ask(signal), strict=False):
            yield row, start, answer


def in_background(items: Iterable[_Item], ahead: int) -> Iterator[_Item]:
    """Iterates in a thread that is up to `ahead` items ahead."""
    made: queue.Queue[Any] = queue.Queue(ahead)
    end, stopped = object(), threading.Event()

    def work():
        try:
            for item in items:
                while not stopped.is_set():
                    try:
                        made.put(item, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stopped.is_set():
                    return
            made.put(end)
        except Exception as error:  # re-raised in the consumer
            made.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := made.get()) is not end:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()


def _read_ahead(paths, listener, hop, messages, bar, ahead):
    """(row, first sample, window) of all files, in order; each thread reads its own files."""
    readers = [
        in_background(_windows(paths, rows, listener, hop, messages), ahead)
        for rows in (range(first, len(paths), _READERS) for first in range(_READERS))
    ]
    for row in range(len(paths)):
        yield from iter(functools.partial(next, readers[row % _READERS]), None)
        bar.update(1)


def _windows(paths, rows, listener, hop, messages):
    """(row, first sample, window) of these files, and None after each file."""
    for row in rows:
        try:
            for start, window in sound_files.read_heard_windows(
                paths[row], listener.clip_samples, hop, listener.sample_rate_hz
            ):
                yield row, start, window
        except sound_files.BadSound as error:
            messages[row] = str(error)
        yield None


def _stacked(windows, batch_size):
    """Yields an iterator's items in lists of up to `batch_size`."""
    batch = []
    for window in windows:
        batch.append(window)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch
