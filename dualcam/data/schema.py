"""The record schema: what one second of a recording looks like on disk.

One GZIP TFRecord file contains one `tf.train.SequenceExample` with one second of up to three
modalities. The keys, dtypes and sizes are those of the WACV 2020 programs and must not change:
records are the interchange format. Only this file spells the wire keys; elsewhere the modalities
are called `acoustic`, `audio` and `video`.
"""

import dataclasses
from collections.abc import Iterable

from dualcam.acoustics import dimensions

FRAMES_PER_SECOND = dimensions.FRAMES_PER_SECOND
SAMPLES_PER_FRAME = dimensions.SAMPLES_PER_FRAME
ARRAY_RATE_HZ = dimensions.ARRAY_RATE_HZ

ROWS, COLS, CEPSTRA = dimensions.ROWS, dimensions.COLS, dimensions.CEPSTRA
ACOUSTIC_SHAPE = (ROWS, COLS, CEPSTRA)
VIDEO_SHAPE = (480, 640, 3)  # AVIA, channel order BGR
ACIVW_SMALLEST_SIDE = 224  # 224 x 298 of the camera's 480 x 640, BGR too

RECORD_SUFFIX = '.tfrecord'

# A record of a sound (records.convert_sounds): GZIP, one `tf.train.Example` per stretch of it.
SOUND_RATE_HZ = 22_050

# As a share of a sound's deviation: a larger mean is an offset, which is removed for students.
SMALL_OFFSET = 0.1
SOUND_DATA = 'audio/data'  # float32 little-endian, mono
SOUND_RATE = 'audio/rate'  # Hz
SOUND_START = 'audio/start'  # first sample of the stretch in the sound
SOUND_LABEL = 'label'

# A record of a tagged clip (records.convert_tagging): GZIP, one `tf.train.Example`.
CLIP_RATE_HZ = 32_000
CLIP_PEAK = 32_768.0  # scales int16 to full scale 1
CLIP_NAME = 'name'
CLIP_AUDIO = 'audio/pcm'  # int16 little-endian, mono
CLIP_RATE = 'audio/rate'  # Hz
CLIP_FRAMES = 'video/jpeg'  # one JPEG per second
CLIP_LABELS = 'labels'  # multi-hot, in the order of dataset.json's classes
CLIP_SMALLEST_SIDE = 256  # largest size of a frame's smaller side

# Labels of a record, all from 0: its class, its group (AVIA's scenario, ACIVW's video of that
# class), and its subject. Context keys of AVIA and ACIVW; ACIVW has no subjects.
LABELS = ('label', 'group', 'subject')
AVIA_KEYS = {'label': 'action', 'group': 'location', 'subject': 'subject'}
ACIVW_CLASS = 'classes'
ACIVW_KEYS = {'label': ACIVW_CLASS, 'group': 'location'}


@dataclasses.dataclass(frozen=True)
class Modality:
    """How a modality is stored in a record.

    Attributes:
        name: in the code.
        number: for the converters' `--modalities`, as in the authors' programs.
        feature_list: key of the feature list with one bytes item per frame.
        dtype: NumPy dtype of an item, little-endian.
        size_keys: context keys that hold the item's shape, in the order of its axes.
        size_ranges: the smallest and largest allowed value of each.
    """

    name: str
    number: int
    feature_list: str
    dtype: str
    size_keys: tuple[str, ...]
    size_ranges: tuple[tuple[int, int], ...]


ACOUSTIC = Modality(
    'acoustic',
    0,
    'audio/image',
    '<f4',
    ('audio_image/height', 'audio_image/width', 'audio_image/depth'),
    ((ROWS, ROWS), (COLS, COLS), (CEPSTRA, CEPSTRA)),
)
AUDIO = Modality(
    'audio',
    1,
    'audio/data',
    '<i4',
    ('audio_data/mics', 'audio_data/samples'),
    ((1, 4096), (SAMPLES_PER_FRAME, SAMPLES_PER_FRAME)),
)
VIDEO = Modality(
    'video',
    2,
    'video/image',
    '|u1',
    ('video/height', 'video/width', 'video/depth'),
    ((1, 4320), (1, 7680), (3, 3)),
)

MODALITIES = {m.name: m for m in (ACOUSTIC, AUDIO, VIDEO)}


def modalities_by_number(numbers: Iterable[int]) -> list[Modality]:
    """The modalities for the converters' numbers, in the order 0, 1, 2.

    Raises:
        ValueError: a number is not one of 0, 1, 2 or is repeated, or there are none.
    """
    known = {m.number: m for m in MODALITIES.values()}
    wanted = list(numbers)
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(known):
        raise ValueError(
            f'modalities {wanted}: expected one or more of 0 (acoustic images), 1 (audio), '
            '2 (video), each once, for example --modalities=0,1'
        )
    return [known[n] for n in sorted(wanted)]
