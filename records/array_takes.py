"""The table of takes for `records.convert_array`, and the folders of their records.

Columns: recording, class; optionally video, video_offset_s, subject, place, start, end (the last
two in seconds of the recording). Paths are relative to the table. Classes, subjects and places are
arbitrary names or numbers; they are numbered in order of first appearance, so that rows can be
appended.
"""

import dataclasses
import math
import pathlib

from dualcam.data.sources import datasets
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

LENGTHS = ('keep', 'cut', 'repeat')


@dataclasses.dataclass(frozen=True)
class ArrayTake:
    """A row of the table.

    Attributes:
        row: its number in the file, from 2.
        recording, video: paths; the video may be None.
        video_offset_s: start of the video, in time of the recording.
        start_s, end_s: part of the recording; None for its end.
        labels: {'action', 'location', 'subject'}, from 0.
        folder: of its records.
    """

    row: int
    recording: pathlib.Path
    video: pathlib.Path | None
    video_offset_s: float
    start_s: float
    end_s: float | None
    labels: dict[str, int]
    folder: str


@dataclasses.dataclass(frozen=True)
class TakesTable:
    """All takes.

    Attributes:
        path: of the table.
        takes: its rows.
        classes, subjects, places: names, in the order of their numbers.
    """

    path: pathlib.Path
    takes: tuple[ArrayTake, ...]
    classes: tuple[str, ...]
    subjects: tuple[str, ...]
    places: tuple[str, ...]

    def description(self, rule: datasets.TakeRule, array_name: str) -> datasets.DatasetInfo:
        """The description of their records for dataset.json."""
        return datasets.DatasetInfo(
            name=f'own_{self.path.stem}',  # never mistaken for AVIA, whatever the table's name
            classes=self.classes,
            origin=f'own takes ({self.path.name}) with {array_name}',
            num_locations=len(self.places),
            take_rule=rule,
        )


def read_takes(path: AnyPath) -> TakesTable:
    """Reads a table of takes.

    Raises:
        ValueError: it is not such a table, a file is missing, or there are fewer than two classes.
    """
    path = pathlib.Path(path)
    try:
        rows = text_files.read_table(path, ('recording', 'class'))
    except OSError as error:
        raise ValueError(f'{path}: cannot be read ({error.strerror}); expected a table') from error
    numbers: dict[str, dict[str, int]] = {'class': {}, 'subject': {}, 'place': {}}
    takes: list[ArrayTake] = []
    counts: dict[tuple[int, int, int], int] = {}
    for number, row in enumerate(rows, 2):
        where = f'{path}, row {number}'
        named = {}
        for column, known in numbers.items():
            name = row.get(column, '') or ('' if column == 'class' else '1')
            if not name:
                raise ValueError(f'{where}: no class')
            named[column] = known.setdefault(name, len(known))
        place, subject, action = named['place'], named['subject'], named['class']
        counts[place, subject, action] = counts.get((place, subject, action), 0) + 1
        count = counts[place, subject, action]
        folder = f'Location_{place + 1:02d}/Subject_{subject + 1:02d}/Action_{action + 1:03d}'
        start_s, end_s = (_seconds(row, name, where) for name in ('start', 'end'))
        if end_s is not None and end_s <= (start_s or 0.0):
            raise ValueError(f'{where}: ends at {end_s:g} s, but starts at {start_s or 0.0:g} s')
        takes.append(
            ArrayTake(
                number,
                _file(path, row['recording'], where),
                _file(path, row['video'], where) if row.get('video') else None,
                _seconds(row, 'video_offset_s', where, least=-math.inf) or 0.0,
                start_s or 0.0,
                end_s,
                {'action': action, 'location': place, 'subject': subject},
                folder + (f'_take_{count:02d}' if count > 1 else ''),
            )
        )
    classes, subjects, places = (tuple(known) for known in numbers.values())
    if len(classes) < 2:
        raise ValueError(
            f'{path}: {len(classes)} classes in {len(takes)} rows; expected two or more'
        )
    return TakesTable(path, tuple(takes), classes, subjects, places)


def _file(table, name, where):
    path = table.parent / name
    if not name or not path.is_file():
        raise ValueError(f'{where}: no file {name or "named"}; paths are relative to the table')
    return path


def _seconds(row, column, where, least=0.0):
    text = row.get(column, '')
    if not text:
        return None
    try:
        value = float(text.replace(',', '.'))
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise ValueError(f'{where}: {column} {text!r}; expected seconds')
    return value
