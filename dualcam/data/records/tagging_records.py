"""Records of tagged clips (AAAI 2021): one example with sound, labels and one frame per second.

`records.convert_tagging` writes them; stores and cached features read them.
"""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.data import schema
from dualcam.data.records import fields, loading, reading
from dualcam.data.records.framing import Damaged
from dualcam.files.path_types import AnyPath

_LARGEST = (4320, 7680)  # height and width of a frame; records have about 256
_EXPECTED = 'a whole record of a tagged clip'


def read_split(root: AnyPath, split: str) -> list[str]:
    """Record paths of a split, 'training', 'validation' or 'testing', in list order.

    Raises:
        ValueError: there is no such list; see `reading.read_list`.
    """
    path = pathlib.Path(root) / f'{split}.txt'
    if not path.is_file():
        raise ValueError(
            f'{path}: no such list; make it with python -m records.convert_tagging --split={split}'
        )
    return reading.read_list(path, root)


def read_clips(
    paths: Sequence[str], skip: Callable[[int, str], None] | None = None
) -> Iterator[dict[str, Any] | None]:
    """Yields the clips of records, in order, without decoding frames.

    Args:
        paths: of the records.
        skip: see `loading.load_each`.

    Yields:
        {'name': str, 'audio': [samples] int16, 'labels': [classes] int64, 'frames': their number}.

    Raises:
        ValueError: a record is unreadable or of another kind; the message names it.
    """

    def load(_, context, lists):
        jpegs = _jpegs(context)
        try:
            name = fields.single_bytes(context, schema.CLIP_NAME).decode()
        except UnicodeDecodeError as error:
            raise Damaged('value', f'{schema.CLIP_NAME} is not text') from error
        pcm = fields.single_bytes(context, schema.CLIP_AUDIO)
        if len(pcm) % 2:
            raise Damaged('size', f'{schema.CLIP_AUDIO} has {len(pcm)} bytes; expected pairs')
        labels = fields.feature_of(context, schema.CLIP_LABELS).int64_list.value
        return {
            'name': name,
            'labels': np.array(labels, np.int64),
            'audio': np.frombuffer(pcm, '<i2'),
            'frames': len(jpegs),
        }

    return loading.load_each(paths, load, _EXPECTED, skip)


def read_frames(
    paths: Sequence[str], frames: Sequence[Sequence[int] | np.ndarray], size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yields chosen frames of each record.

    Args:
        paths: of the records.
        frames: for each record a list of frame indices, from 0.
        size: (height, width) to which whole frames are resized, whatever their shape, since
            a sound's source may be at the side.

    Yields:
        [n, height, width, 3] float32, 0 - 255, RGB.

    Raises:
        ValueError: as `read_clips`, or a chosen frame does not exist or cannot be decoded.
    """

    def load(row, context, lists):
        jpegs, chosen = _jpegs(context), frames[row]
        if len(chosen) and not 0 <= min(chosen) <= max(chosen) < len(jpegs):
            numbers = ', '.join(map(str, chosen))
            raise Damaged('size', f'has {len(jpegs)} frames; expected some numbered {numbers}')
        pixels = np.zeros((len(chosen), *size, 3), np.float32)
        for place, number in enumerate(chosen):
            pixels[place] = _decoded(jpegs[number], size)
        return pixels

    return loading.load_each(paths, load, _EXPECTED)


def _decoded(jpeg, size):
    """Pixels [height, width, 3] of a JPEG, float32."""
    try:
        # Check the header first: decoding a damaged image may exhaust memory.
        sides = tf.io.extract_jpeg_shape(jpeg).numpy()[:2]
        if np.any(sides > _LARGEST):
            raise Damaged('size', f'{schema.CLIP_FRAMES}: a frame of {sides} is too large')
        pixels = tf.image.decode_jpeg(jpeg, 3, dct_method='INTEGER_ACCURATE')
        return tf.image.resize(pixels, size, antialias=True).numpy()
    except (tf.errors.OpError, UnicodeDecodeError) as error:  # some messages contain a file's bytes
        reason = str(error).strip().partition('\n')[0]
        raise Damaged('value', f'{schema.CLIP_FRAMES}: {reason}') from error


def _jpegs(context):
    """Bytes of a clip's frames; checks the record's sample rate."""
    rate_hz = fields.whole_number(context, schema.CLIP_RATE)
    if rate_hz != schema.CLIP_RATE_HZ:
        raise Damaged('size', f'{schema.CLIP_RATE} is {rate_hz}; expected {schema.CLIP_RATE_HZ}')
    return list(fields.feature_of(context, schema.CLIP_FRAMES).bytes_list.value)
