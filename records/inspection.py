"""Checks of one record file: its layers, keys, sizes and values.

Covers the records of all converters: seconds of AVIA and ACIVW, tagged clips, sounds.
`records.verification` checks whether the records of a folder are consistent.
"""

import dataclasses
import pathlib
import re

import google_crc32c
import numpy as np

from dualcam.data import schema
from dualcam.data.records import fields, protobufs
from dualcam.data.records.framing import Damaged
from dualcam.files.path_types import AnyPath

_CLIP_KEYS = (
    schema.CLIP_NAME,
    schema.CLIP_AUDIO,
    schema.CLIP_RATE,
    schema.CLIP_FRAMES,
    schema.CLIP_LABELS,
)
_SOUND_KEYS = (schema.SOUND_DATA, schema.SOUND_RATE, schema.SOUND_START, schema.SOUND_LABEL)
# What folder names imply about their records: {kind: (pattern, labels, first number)}.
_PLACES = {
    'AVIA': (
        re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)(?:_take_\d+)?/[^/]+$'),
        tuple(schema.AVIA_KEYS[name] for name in ('group', 'subject', 'label')),
        1,
    ),
    'ACIVW': (re.compile(r'class_(\d+)/data_(\d+)/[^/]+$'), tuple(schema.ACIVW_KEYS.values()), 0),
}


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Result for one record file.

    Attributes:
        path: relative to the records' root, with slashes.
        num_bytes: of the file.
        crc32c: of the file, eight hexadecimal digits.
        holds: its kind, for comparison with its neighbours, such as 'AVIA: acoustic, audio';
            empty if unknown.
        kind: a short name for the damage; empty if there is none.
        message: the damage in words.
    """

    path: str
    num_bytes: int = 0
    crc32c: str = ''
    holds: str = ''
    kind: str = ''
    message: str = ''


def inspect(path: str, root: AnyPath) -> Inspection:
    """The `Inspection` of a record by its path below `root`; reads all of it."""
    try:
        data = (pathlib.Path(root) / path).read_bytes()
    except OSError as error:
        return Inspection(path, kind='unreadable', message=f'cannot be read ({error.strerror})')
    found = Inspection(path, len(data), f'{google_crc32c.value(data):08x}')
    try:
        return dataclasses.replace(found, holds=_check(protobufs.read_examples(data), path))
    except Damaged as error:
        return dataclasses.replace(found, kind=error.kind, message=str(error))


def _check(examples, path):
    """The examples' kind, see `Inspection`; raises `Damaged`."""
    context, lists = examples[0]
    if schema.CLIP_AUDIO in context or schema.CLIP_FRAMES in context:
        _check_single(examples)
        return _check_clip(context)
    if schema.SOUND_DATA in context:
        return _check_sound(examples)
    known = {m.feature_list for m in schema.MODALITIES.values()} & lists.keys()
    if not known and not {schema.ACIVW_CLASS, *schema.AVIA_KEYS.values()} & context.keys():
        raise Damaged('foreign', 'has none of the keys of records')
    _check_single(examples)
    return _check_second(context, lists, path)


def _check_second(context, lists, path):
    """Checks a second of AVIA or ACIVW."""
    kind = 'ACIVW' if schema.ACIVW_CLASS in context else 'AVIA'
    pattern, labels, first = _PLACES[kind]
    said = [fields.whole_number(context, label) for label in labels]
    place = pattern.search(path)
    if place:
        for label, value, number in zip(labels, said, map(int, place.groups()), strict=True):
            if value + first != number:
                raise Damaged('label', f'{label} is {value}, but its folder says {number - first}')
    held = []
    for modality in schema.MODALITIES.values():
        if modality.feature_list in lists or context.keys() & set(modality.size_keys):
            _check_modality(modality, context, lists)
            held.append(modality.name)
    if not held:
        raise Damaged('missing_key', 'has labels, but neither images nor sound')
    return f'{kind}: {", ".join(held)}'


def _check_modality(modality, context, lists):
    shape = fields.shape_of(modality, context)
    for number, frame in enumerate(fields.frames_of(modality, shape, lists), 1):
        if modality is schema.ACOUSTIC:
            _check_finite(frame, modality.dtype, f'{modality.feature_list}, frame {number}')


def _check_clip(context):
    """Checks a tagged clip."""
    for key in _CLIP_KEYS:
        if key not in context:
            raise Damaged('missing_key', f'has no {key}')
    rate_hz = fields.whole_number(context, schema.CLIP_RATE)
    samples = b''.join(context[schema.CLIP_AUDIO].bytes_list.value)
    frames = context[schema.CLIP_FRAMES].bytes_list.value
    labels = context[schema.CLIP_LABELS].int64_list.value
    if rate_hz != schema.CLIP_RATE_HZ:
        raise Damaged('size', f'{schema.CLIP_RATE} is {rate_hz}; expected {schema.CLIP_RATE_HZ}')
    clip_s, rest = divmod(len(samples), 2 * schema.CLIP_RATE_HZ)
    if rest or not clip_s:
        raise Damaged(
            'size',
            f'{schema.CLIP_AUDIO} has {len(samples)} bytes; expected whole '
            f'seconds of {2 * schema.CLIP_RATE_HZ}',
        )
    if len(frames) != clip_s:
        raise Damaged(
            'size',
            f'{schema.CLIP_FRAMES} has {len(frames)} pictures; expected one for '
            f'each of {clip_s} seconds',
        )
    if not all(frame.startswith(b'\xff\xd8') for frame in frames):
        raise Damaged('value', f'{schema.CLIP_FRAMES} has frames that are not JPEG')
    if not labels or not set(labels) <= {0, 1}:
        raise Damaged('value', f'{schema.CLIP_LABELS} are {list(labels)}; expected zeros and ones')
    return f'tagged clip: {clip_s} s, {len(labels)} classes'


def _check_sound(examples):
    """Checks a sound, which has one example per stretch."""
    following = 0
    for context, _ in examples:
        for key in _SOUND_KEYS:
            if key not in context:
                raise Damaged('missing_key', f'has no {key}')
        rate_hz, start = (
            fields.whole_number(context, key) for key in (schema.SOUND_RATE, schema.SOUND_START)
        )
        samples = b''.join(context[schema.SOUND_DATA].bytes_list.value)
        if rate_hz != schema.SOUND_RATE_HZ:
            raise Damaged(
                'size', f'{schema.SOUND_RATE} is {rate_hz}; expected {schema.SOUND_RATE_HZ}'
            )
        if start != following or not samples or len(samples) % 4:
            raise Damaged(
                'size',
                f'a stretch of {len(samples)} bytes starts at sample {start}; '
                f'expected whole samples from {following} on',
            )
        following += len(samples) // 4
        _check_finite(samples, '<f4', schema.SOUND_DATA)
    return 'sound'


def _check_single(examples):
    if len(examples) != 1:
        raise Damaged('foreign', f'contains {len(examples)} examples; expected one')


def _check_finite(data, dtype, where):
    values = np.frombuffer(data, dtype)
    if not np.isfinite(values).all():
        raise Damaged(
            'not_finite',
            f'{where}: {np.count_nonzero(~np.isfinite(values))} of '
            f'{values.size} values are not finite',
        )
