"""Checked access to an example's contents: numbers, and the frames of a modality.

Works with features from TensorFlow's messages or from `protobufs`; imports neither.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dualcam.data import schema
from dualcam.data.records.framing import Damaged


def feature_of(context: Mapping[str, Any], key: str) -> Any:
    """The feature of a key.

    Raises:
        Damaged: 'missing_key'.
    """
    if key not in context:
        raise Damaged('missing_key', f'has no {key}')
    return context[key]


def whole_number(context: Mapping[str, Any], key: str) -> int:
    """The single value of a key, 0 or more.

    Args:
        context: {key: feature}.
        key: to look up.

    Raises:
        Damaged: 'missing_key' or 'value'.
    """
    values = feature_of(context, key).int64_list.value
    if len(values) != 1 or values[0] < 0:
        raise Damaged('value', f'{key} is {list(values)[:3]}; expected one number, 0 or more')
    return values[0]


def single_bytes(context: Mapping[str, Any], key: str) -> bytes:
    """The single bytes value of a key.

    Args:
        context: {key: feature}.
        key: to look up.

    Raises:
        Damaged: 'missing_key' or 'value'.
    """
    values = list(feature_of(context, key).bytes_list.value)
    if len(values) != 1:
        raise Damaged('value', f'{key} has {len(values)} bytes values; expected one')
    return values[0]


def shape_of(modality: schema.Modality, context: Mapping[str, Any]) -> list[int]:
    """The shape of a modality's frames according to a record, checked against the schema.

    Args:
        modality: a `schema.Modality`.
        context: {key: feature}.

    Raises:
        Damaged: 'missing_key', 'value' or 'size'.
    """
    shape = [whole_number(context, key) for key in modality.size_keys]
    for key, size, (least, most) in zip(
        modality.size_keys, shape, modality.size_ranges, strict=True
    ):
        if not least <= size <= most:
            raise Damaged(
                'size',
                f'{key} is {size}; expected '
                + (f'{least} - {most}' if least < most else f'{least}'),
            )
    return shape


def frames_of(
    modality: schema.Modality, shape: Sequence[int], lists: Mapping[str, Sequence[Any]]
) -> Iterator[bytes]:
    """Yields the bytes of each of a modality's twelve frames.

    Args:
        modality: a `schema.Modality`.
        shape: of a frame, see `shape_of`.
        lists: {key: list of features}.

    Raises:
        Damaged: 'missing_key' or 'size'.
    """
    key = modality.feature_list
    if key not in lists:
        raise Damaged('missing_key', f'has no {key}')
    if len(lists[key]) != schema.FRAMES_PER_SECOND:
        raise Damaged(
            'size', f'{key} has {len(lists[key])} frames; expected {schema.FRAMES_PER_SECOND}'
        )
    num_bytes = math.prod(shape) * np.dtype(modality.dtype).itemsize
    for number, feature in enumerate(lists[key], 1):
        values = list(feature.bytes_list.value)  # each access would copy
        if len(values) != 1 or len(values[0]) != num_bytes:
            raise Damaged(
                'size',
                f'{key}, frame {number}: {sum(map(len, values))} bytes in '
                f'{len(values)} items; expected one of {num_bytes}',
            )
        yield values[0]
