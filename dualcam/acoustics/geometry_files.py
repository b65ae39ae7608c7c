"""Microphone layouts from files (tables of any format, acoular's XML) and built-in ones by name.

Coordinates are those of `microphones`: x to the right, y up, z forward into the scene, as seen
from behind the array, with the camera at the origin. Board drawings often show the other side, the
one with the microphones: `seen_from='front'` mirrors them.

A table has one microphone per row. Columns may be separated by commas, semicolons, tabs or spaces;
a header names them, or they are x, y[, z], after an optional index or name. If the separator is not
a comma, decimal commas are understood, as are a byte order mark and any line endings.
"""

import csv
import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from dualcam.acoustics import microphones
from dualcam.acoustics.microphones import MicArray
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

UNITS = {'m': 1.0, 'cm': 0.01, 'mm': 0.001}
SIDES = ('behind', 'front')
SMALLEST_APERTURE_M, LARGEST_APERTURE_M = 0.01, 3.0
_MOST_MICS = 4096
_MOST_BYTES = 4 << 20
_EXPECTED = (
    'expected one microphone per row with x, y and optionally z, separated by commas, semicolons, '
    "tabs or spaces, or acoular's XML"
)
# The UMA-16's channels 1 to 16 from behind: column (to the right) and row (up) in its 4 x 4 grid.
_UMA16_COLUMNS = (2, 3, 2, 3, 2, 3, 2, 3, 0, 1, 0, 1, 0, 1, 0, 1)
_UMA16_ROWS = (0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0)
_UMA16_PITCH_M = 0.042


def uma16() -> MicArray:
    """miniDSP's UMA-16: 4 x 4 microphones 42 mm apart, in the order of its USB channels."""
    steps = np.array([_UMA16_COLUMNS, _UMA16_ROWS], np.float64).T - 1.5
    return MicArray('uma16', np.pad(_UMA16_PITCH_M * steps, ((0, 0), (0, 1))))


BUILT_IN = {'dualcam': microphones.built_in_array, 'uma16': uma16}


def find_array(
    name_or_path: AnyPath,
    unit: str | None = None,
    seen_from: str = 'behind',
    camera_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> MicArray:
    """A built-in layout by name, or a layout from a file.

    Args:
        name_or_path: of `BUILT_IN`, or a file.
        unit: of the file's numbers, of `UNITS`; None for that in its header, or metres.
        seen_from: 'behind' the array, in viewing direction, or its 'front', with x to the left
            of the camera.
        camera_m: position of the camera in the layout's coordinates, seen from behind.

    Returns:
        The layout with the camera at the origin.

    Raises:
        ValueError: there is no such layout; see `read_array`.
    """
    if seen_from not in SIDES:
        raise ValueError(f'seen_from={seen_from!r}: expected one of {", ".join(SIDES)}')
    if str(name_or_path) in BUILT_IN:
        array = BUILT_IN[str(name_or_path)]()
    else:
        array = read_array(name_or_path, unit)
    sides = np.array([-1.0 if seen_from == 'front' else 1.0, 1.0, 1.0])
    return MicArray(array.name, array.positions_m * sides - np.asarray(camera_m, np.float64))


def read_array(path: AnyPath, unit: str | None = None) -> MicArray:
    """Reads a layout from a table or an XML file.

    Args:
        path: of the file.
        unit: of its numbers, of `UNITS`; None for that in its header, or metres.

    Returns:
        A `MicArray` in the order of the file, which is that of the recording's channels.

    Raises:
        ValueError: the file is not a layout, two microphones share a position, or the aperture
            shows that the unit is wrong.
    """
    if unit is not None and unit not in UNITS:
        raise ValueError(f'unit {unit!r}: expected one of {", ".join(UNITS)}')
    text = _read_text(path)
    if text.lstrip().startswith('<'):
        positions, its_unit = _xml_positions(text, path), None
    else:
        positions, its_unit = _table_positions(text, path)
    if unit and its_unit and unit != its_unit:
        raise ValueError(f'{path}: its header says {its_unit}, but the unit given is {unit}')
    unit = unit or its_unit or 'm'
    _check(positions, unit, path)
    return MicArray(str(path), positions * UNITS[unit])


def aperture_m(array: MicArray) -> float:
    """The largest distance between two microphones."""
    return _largest_distance(array.positions_m)


def _largest_distance(positions):
    between = positions[:, None] - positions
    return float(np.sqrt(np.einsum('ijx,ijx->ij', between, between).max()))


def _read_text(path):
    try:
        with open(path, 'rb') as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(
            f'{path}: cannot be read as a microphone layout ({error.strerror}); expected a file, '
            f'or one of {", ".join(BUILT_IN)}'
        ) from error
    if len(data) > _MOST_BYTES:
        raise ValueError(f'{path}: larger than {_MOST_BYTES >> 20} MiB; {_EXPECTED}')
    try:
        return text_files.decode(data, path)
    except ValueError as error:
        raise ValueError(f'{error}; {_EXPECTED}') from error


def _xml_positions(text, path):
    """[mics, 3] of `<pos x= y= z=>` elements."""
    # Python's parser knows version 1.0 only; acoular's own files also announce 1.1.
    text = re.sub(r'^\s*<\?xml[^>]*\?>', '', text)
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise ValueError(f'{path}: declares entities, which no microphone layout needs')
    try:
        root = ElementTree.fromstring(text)
        rows = [[float(one.get(axis, '')) for axis in 'xyz'] for one in root.iter('pos')]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(
            f"{path}: not acoular's XML ({error}); expected <MicArray> with <pos Name= x= y= z=/>"
        ) from error
    if not rows:
        raise ValueError(f'{path}: no <pos Name= x= y= z=/> in it; expected one per microphone')
    return np.array(rows)


def _table_positions(text, path):
    """([mics, 3], unit of the header or None)."""
    try:
        rows = _cells(text)
    except csv.Error as error:
        raise ValueError(f'{path}: not a table ({error}); {_EXPECTED}') from error
    if not rows:
        raise ValueError(f'{path}: empty; {_EXPECTED}')
    header = None
    # Any row may begin with a name.
    if not any(map(text_files.is_number, rows[0][1:] or rows[0])):
        header, rows = rows[0], rows[1:]
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) != 1:
        raise ValueError(
            f'{path}: {len(rows)} rows of {" or ".join(map(str, sorted(widths)))} columns; '
            f'{_EXPECTED}'
        )
    if header is not None:
        columns, unit = _named_columns(header, path)
        if max(columns) >= len(rows[0]):
            raise ValueError(f'{path}: {len(header)} names, but {len(rows[0])} columns')
        table = _numbers([[row[column] for column in columns] for row in rows], path)
    else:
        unit = None
        if all(not text_files.is_number(row[0]) for row in rows):
            rows = [row[1:] for row in rows]
        table = _without_index(_numbers(rows, path))
        if table.shape[0] in (2, 3) and table.shape[1] > 4:
            table = table.T  # a row of all x, one of all y
    if table.shape[1] not in (2, 3) or len(table) < 2:
        raise ValueError(f'{path}: a table of {table.shape[0]} x {table.shape[1]}; {_EXPECTED}')
    return np.pad(table, ((0, 0), (0, 3 - table.shape[1]))), unit


def _cells(text):
    """Rows of stripped cells, without comments and empty lines; decimal commas become points."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    sample = lines[-1] if lines else ''
    separator = next((one for one in ';\t,' if one in sample), None)
    if separator is None or (separator == ',' and re.search(r'\d,\d+\s+[-+]?\d+,\d', sample)):
        rows = [line.split() for line in lines]
    else:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
        rows = [row for row in rows if any(row)]  # spreadsheets append rows of separators
        if rows and all(row and row[-1] == '' for row in rows):
            rows = [row[:-1] for row in rows]  # trailing separators
    return [[_with_point(cell) for cell in row] for row in rows]


def _with_point(cell):
    return cell.replace(',', '.') if re.fullmatch(r'[-+]?\d*,\d+([eE][-+]?\d+)?', cell) else cell


def _named_columns(header, path):
    """(indices of x, y and, if present, z; the unit in their names or None)."""
    found, units = {}, set()
    for column, name in enumerate(header):
        match = re.fullmatch(
            r'(?:pos(?:ition)?[_ ]*)?([xyz])(?:[_ ]*[\[(]?(m|cm|mm)[\])]?)?', name.strip().lower()
        )
        if match:
            axis, unit = match.groups()
            if axis in found:
                raise ValueError(f'{path}: two columns called {axis}')
            found[axis] = column
            units.add(unit)
    if not {'x', 'y'} <= found.keys():
        raise ValueError(f'{path}: columns {", ".join(header)}; expected x, y and optionally z')
    if len(units) != 1:
        raise ValueError(f'{path}: columns {", ".join(header)} are of different units')
    return [found[axis] for axis in 'xyz' if axis in found], units.pop()


def _numbers(rows, path):
    try:
        return np.array([[float(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise ValueError(f'{path}: {error}; {_EXPECTED}') from error


def _without_index(table):
    """A table without its first column, if that numbers the microphones.

    With three columns, only if the other two give each microphone a different position.
    """
    count = np.arange(len(table))
    counts = any(np.array_equal(table[:, 0], count + first) for first in (0, 1))
    if not counts or table.shape[1] not in (3, 4) or len(table) < 3:
        return table
    distinct = len(np.unique(table[:, 1:], axis=0)) == len(table)
    return table[:, 1:] if table.shape[1] == 4 or distinct else table


def _check(positions, unit, path):
    if len(positions) > _MOST_MICS:
        raise ValueError(f'{path}: {len(positions)} microphones; expected up to {_MOST_MICS}')
    if len(positions) < 2:
        raise ValueError(f'{path}: one microphone; expected two or more')
    if not np.isfinite(positions).all():
        raise ValueError(f'{path}: a position is not a finite number')
    places, firsts, counts = np.unique(positions, axis=0, return_index=True, return_counts=True)
    if len(places) < len(positions):
        twice = int(firsts[counts > 1].min())
        raise ValueError(
            f'{path}: microphone {twice + 1} has the position of another one, '
            f'{positions[twice].tolist()}; expected one row per microphone'
        )
    size = _largest_distance(positions)
    size_m = size * UNITS[unit]
    if not SMALLEST_APERTURE_M <= size_m <= LARGEST_APERTURE_M:
        fitting = [
            f'{other} ({size * scale:.3g} m)'
            for other, scale in UNITS.items()
            if SMALLEST_APERTURE_M <= size * scale <= LARGEST_APERTURE_M
        ]
        raise ValueError(
            f'{path}: an array {size_m:.3g} m wide if its numbers are {unit}; expected '
            f'{SMALLEST_APERTURE_M:g} - {LARGEST_APERTURE_M:g} m. '
            + (f'Are they {" or ".join(fitting)}? Give that as --unit' if fitting else 'Correct it')
        )
