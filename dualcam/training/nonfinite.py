"""The error for a batch whose loss or gradient is not finite, and the file that lists its clips."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.files import atomic
from dualcam.training import hosts

FILE = 'not_finite.json'  # in the run's folder
_NAMED = 3  # clips in the message


class NotFinite(ValueError):
    """A loss or a gradient became infinite or NaN."""


def error(
    where: str, losses: Mapping, clips: Any, batch: Mapping, folder: pathlib.Path, kept: str
) -> NotFinite:
    """A `NotFinite` that names the first of a batch's files; a file in the folder lists all clips.

    Args:
        where: epoch and step, as text.
        losses: {name: number} of the batch.
        clips: the clips that the batch is from; `records(number)` names a clip's files.
        batch: of `clips`.
        folder: of the run.
        kept: which state was saved where, as text.
    """
    inputs = list(batch['input'].values()) if isinstance(batch['input'], dict) else [batch['input']]
    entries = [
        {
            'clip': int(number),
            'records': clips.records(number),
            'input_is_finite': all(
                bool(np.isfinite(values[place]).all())
                for values in map(tf.convert_to_tensor, inputs)
            ),
        }
        for place, number in enumerate(batch['clip'].numpy())
    ]
    listed = {
        'where': where,
        'losses': {name: str(value) for name, value in losses.items()},
        'clips': entries,
    }
    if hosts.is_chief():
        atomic.write_text(folder / FILE, json.dumps(listed, indent=1) + '\n')
    damaged = [entry for entry in entries if not entry['input_is_finite']]
    named = [record for entry in damaged or entries for record in entry['records']]
    more = f' and {len(named) - _NAMED} more' if len(named) > _NAMED else ''
    return NotFinite(
        f'{where}: a loss or a gradient is not finite, the losses are {losses}; '
        + ('values that are not finite come from ' if damaged else 'the batch consists of ')
        + f'{", ".join(named[:_NAMED])}{more} (all clips: {folder / FILE}). '
        f'{kept[0].upper()}{kept[1:]}: once the cause is fixed, the same call resumes from '
        'there; other records, or a lower learning rate, make another run'
    )
