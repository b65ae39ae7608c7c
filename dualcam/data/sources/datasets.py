"""Data set descriptions: classes, label keys, scenarios.

A records folder may contain a `dataset.json` (written by the converters from the raw folder's own)
that names its classes and origin; without one its classes are assumed to be AVIA's (WACV 2020), but
no title says that it is AVIA. The converter of ACIVW (ECCV 2020) always writes one.
"""

import dataclasses
import json
import pathlib

from dualcam.files import atomic, text_files
from dualcam.files.path_types import AnyPath

AVIA_CLASSES = (
    'clapping',
    'snapping fingers',
    'speaking',
    'whistling',
    'playing kendama',
    'clicking',
    'typing',
    'knocking',
    'hammering',
    'peanut breaking',
    'paper ripping',
    'plastic crumpling',
    'paper shaking',
    'stick dropping',
)

ACIVW_CLASSES = (
    'train',
    'boat',
    'drone',
    'fountain',
    'drill',
    'razor',
    'hair dryer',
    'vacuum cleaner',
    'shopping cart',
    'traffic',
)

DESCRIPTION_FILE = 'dataset.json'

_BY_TAKE = 'by_take'


@dataclasses.dataclass(frozen=True)
class TakeRule:
    """How a data set is to be split by take; see `dualcam.data.records.take_lists`.

    Attributes:
        take_s: length of a take in whole seconds if a folder of records is a concatenation of
            takes; None if a folder is one take.
        unseen_subjects: subjects, numbered from 1 like the folders, that are used neither for
            training nor validation and have their own list.
        test_share: share of the other subjects' takes for testing.
        by_subject: whole subjects are held out, the same ones in all scenarios.
    """

    take_s: int | None = None
    unseen_subjects: tuple[int, ...] = ()
    test_share: float = 0.15
    by_subject: bool = False

    def __post_init__(self):
        if self.take_s is not None and self.take_s < 1:
            raise ValueError(f'takes of {self.take_s} s: expected 1 or more')
        if not 0 < self.test_share < 1:
            raise ValueError(f'test share {self.test_share}: expected between 0 and 1')


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Description of the records in a folder.

    Attributes:
        name: 'avia' or the name of a data set in its place.
        classes: class names in the order of the labels.
        origin: one line for titles: the origin of sound and images.
        num_locations: number of scenarios; for ACIVW, the highest number of a class's videos.
        folds: those of a cross-validation set that the recordings are from; empty if there are
            none.
        take_rule: how its lists are made; None for the authors' rule (`record_lists`).
    """

    name: str = 'avia'
    classes: tuple[str, ...] = AVIA_CLASSES
    origin: str = 'AVIA recordings'
    num_locations: int = 3
    folds: tuple[int, ...] = ()
    take_rule: TakeRule | None = None

    @property
    def num_classes(self) -> int:
        return len(self.classes)


AVIA = DatasetInfo()
# Records without a description: AVIA's layout and classes, but not declared to be AVIA.
UNNAMED = DatasetInfo('unnamed', origin=f'records without a {DESCRIPTION_FILE}')
# The origin that earlier versions recorded for records without a description, and today's.
UNNAMED_ORIGINS = frozenset({AVIA.origin, UNNAMED.origin})
ACIVW = DatasetInfo('acivw', ACIVW_CLASSES, 'ACIVW recordings', num_locations=61)


def read_description(folder: AnyPath) -> DatasetInfo:
    """The `DatasetInfo` of a raw or records folder; `UNNAMED` if it has no description.

    Raises:
        ValueError: the description is not valid.
    """
    path = pathlib.Path(folder) / DESCRIPTION_FILE
    if not path.exists():
        return UNNAMED
    try:
        fields = text_files.read_json(path)
        info = DatasetInfo(
            name=str(fields['name']),
            classes=tuple(map(str, fields['classes'])),
            origin=str(fields['origin']),
            num_locations=int(fields['num_locations']),
            folds=tuple(map(int, fields.get('folds', ()))),
            take_rule=_take_rule(fields.get('lists')),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(
            f'{path}: not a data set description ({error!r}); expected JSON with name, classes, '
            'origin and num_locations. For AVIA itself: records.convert_avia --dataset=avia.'
        ) from error
    if info.num_classes < 2 or len(set(info.classes)) != info.num_classes:
        raise ValueError(f'{path}: {list(info.classes)} are not two or more different classes')
    return info


def write_description(folder: AnyPath, info: DatasetInfo) -> None:
    """Writes `info` for `read_description`."""
    path = pathlib.Path(folder) / DESCRIPTION_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = dataclasses.asdict(info)
    rule = fields.pop('take_rule')
    if rule is not None:
        if not rule['by_subject']:
            del rule['by_subject']
        fields['lists'] = {'rule': _BY_TAKE, **rule}
    atomic.write_text(path, json.dumps(fields, indent=1) + '\n')


def _take_rule(fields):
    """The `TakeRule` of a description's "lists", or None."""
    if fields is None:
        return None
    if fields['rule'] != _BY_TAKE:
        raise ValueError(f'lists by the rule {fields["rule"]!r}: expected "{_BY_TAKE}"')
    take_s = fields.get('take_s')
    return TakeRule(
        None if take_s is None else int(take_s),
        tuple(map(int, fields.get('unseen_subjects', ()))),
        float(fields.get('test_share', TakeRule.test_share)),
        bool(fields.get('by_subject', False)),
    )
