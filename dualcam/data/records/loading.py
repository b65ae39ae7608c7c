"""Loads record files with several threads, in order; an error names its file.

All readers of records go through `load_each`: `reading` for seconds of AVIA and ACIVW,
`tagging_records` for tagged clips.
"""

import collections
import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dualcam.data.records import protobufs
from dualcam.data.records.framing import Damaged
from dualcam.files import large_arrays

_THREADS = os.cpu_count() or 1
_AHEAD = _THREADS + 8  # records to read ahead

Context = Mapping[str, Any]  # {key: feature}
Lists = Mapping[str, Sequence[Any]]  # {key: [feature]}


def read_example(path: str | os.PathLike) -> tuple[Context, Lists]:
    """The single example of a record file: its context and its feature lists.

    Raises:
        OSError: the file cannot be read.
        Damaged: it does not contain exactly one example.
    """
    examples = protobufs.read_examples(pathlib.Path(path).read_bytes())
    if len(examples) != 1:
        raise Damaged('foreign', f'contains {len(examples)} examples; expected one')
    return examples[0]


def load_each(
    paths: Sequence[str | os.PathLike],
    load: Callable[[int, Context, Lists], Any],
    expected: str,
    skip: Callable[[int, str], None] | None = None,
    take: Callable[[int, Any], Any] | None = None,
) -> Iterator[Any]:
    """Yields `load(row, context, lists)` of each record, in order.

    Args:
        paths: of the records.
        load: called from several threads; raises a `ValueError` for a bad record.
        expected: description of a correct record, for error messages.
        skip: called with the row and the message of an unreadable record, for which None is
            yielded; without it such a record is an error.
        take: called from the same threads with the row and the loaded value; its result is
            yielded instead. Its errors do not count as damage of the record.

    Raises:
        ValueError: a record is unreadable or of another kind; the message names it.
    """

    def work(row):
        try:
            item = load(row, *read_example(paths[row]))
        except (OSError, ValueError) as error:
            return error
        return item if take is None else take(row, item)

    large_arrays.keep_freed_memory()
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        ahead: collections.deque[concurrent.futures.Future] = collections.deque()
        try:
            for row in range(len(paths) + _AHEAD):
                if row < len(paths):
                    ahead.append(pool.submit(work, row))
                if row < _AHEAD:
                    continue
                done, item = row - _AHEAD, ahead.popleft().result()
                if isinstance(item, Exception):
                    text = f'{paths[done]}: not {expected} ({item}); convert it again'
                    if skip is None:
                        raise ValueError(text) from item
                    skip(done, text)
                    item = None
                yield item
        finally:
            for future in ahead:
                future.cancel()
