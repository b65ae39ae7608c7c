"""The same layout in every common file format."""

import pathlib

import numpy as np
import pytest

from dualcam.acoustics import geometry_files
from tests.helpers import peers

GRID = np.array([[x, y, 0.0] for y in (-0.063, -0.021, 0.021, 0.063) for x in (-0.06, -0.02, 0.0)])
GRID[3, 2] = 0.015  # not quite planar: z must be read too


def _table(positions=GRID, separator=',', decimals=4):
    return ''.join(
        separator.join(f'{value:.{decimals}f}' for value in row) + '\n' for row in positions
    )


def _xml(version='1.0'):
    return (
        f'<?xml version="{version}" encoding="utf-8"?>\n<MicArray name="grid">\n'
        + ''.join(
            f' <pos Name="Point {i}" x="\t{x}" y="{y}" z="{z}"/>\n'
            for i, (x, y, z) in enumerate(GRID)
        )
        + '</MicArray>'
    )


_INDEXED = ''.join(f'{i + 1},{x},{y},{z}\n' for i, (x, y, z) in enumerate(GRID))
_NAMED = ''.join(f'M{i} {x} {y} {z}\n' for i, (x, y, z) in enumerate(GRID))
_SHUFFLED = 'id;Z (mm);X (mm);Y (mm)\n' + ''.join(
    f'{i};{1000 * z:.1f};{1000 * x:.1f};{1000 * y:.1f}\n' for i, (x, y, z) in enumerate(GRID)
)
DRESSES = {
    'commas': _table(),
    'semicolons': _table(separator=';'),
    'tabs': _table(separator='\t'),
    'spaces': _table(separator='   '),
    'comma and space': _table(separator=', '),
    'header': 'x,y,z\n' + _table(),
    'comments': '# my board\n\n' + _table(),
    'decimal commas': _table(separator=';').replace('.', ','),
    'decimal commas and spaces': _table(separator=' ').replace('.', ','),
    'closing separators': _table().replace('\n', ',\n'),
    'byte order mark': '\ufeff' + _table(),
    'byte order mark and header': '\ufeffx,y,z\n' + _table(),
    'rows of separators at the end': _table() + ',,\n,,\n',
    'decimal commas in quotes': ''.join(
        ','.join(f'"{value:.4f}"'.replace('.', ',') for value in row) + '\n' for row in GRID
    ),
    'lines of old Macs': _table().replace('\n', '\r'),
    'CRLF': _table().replace('\n', '\r\n'),
    'index': _INDEXED,
    'index and header': 'nr,x,y,z\n' + _INDEXED,
    'names': _NAMED,
    'names and header': 'name x y z\n' + _NAMED,
    'columns in another order, their unit said': _SHUFFLED,
    'lines of all x, y and z': _table(GRID.T),
    'XML': _xml(),
    'XML 1.1, as acoular writes it': _xml('1.1'),
}


@pytest.mark.parametrize('text', DRESSES.values(), ids=DRESSES)
def test_a_layout_is_the_same_in_every_dress(tmp_path, text):
    path = tmp_path / 'mics.txt'
    path.write_bytes(text.encode())
    np.testing.assert_allclose(geometry_files.read_array(path).positions_m, GRID, atol=1e-9)


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-32'])
def test_a_layout_in_other_encodings_is_read(encoding, tmp_path):
    path = tmp_path / 'mics.csv'
    path.write_bytes(DRESSES['names and header'].encode(encoding))
    np.testing.assert_allclose(geometry_files.read_array(path).positions_m, GRID, atol=1e-9)
    path.write_bytes('x;y;z (für Kanal)\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'mics\.csv: not a text file in UTF-8 .*expected'):
        geometry_files.read_array(path)


@pytest.mark.parametrize(('unit', 'scale'), [('m', 1), ('cm', 100), ('mm', 1000)])
def test_units_are_scaled_and_a_wrong_one_is_told_with_the_right_one(tmp_path, unit, scale):
    path = tmp_path / 'mics.csv'
    path.write_text(_table(GRID * scale))
    np.testing.assert_allclose(geometry_files.read_array(path, unit).positions_m, GRID, atol=1e-6)
    if unit != 'm':
        with pytest.raises(ValueError, match=rf'mics\.csv: an array .*{unit} \(0\.14.*--unit'):
            geometry_files.read_array(path)
    else:
        with pytest.raises(ValueError, match=r'Are they m .*--unit'):
            geometry_files.read_array(path, 'mm')


def test_a_unit_against_the_header_is_refused(tmp_path):
    path = tmp_path / 'mics.csv'
    path.write_text(_SHUFFLED)
    with pytest.raises(ValueError, match='header says mm'):
        geometry_files.read_array(path, 'm')
    with pytest.raises(ValueError, match='expected one of m, cm, mm'):
        geometry_files.read_array(path, 'inch')


def test_an_index_of_a_flat_layout_is_told_from_positions(tmp_path):
    path = tmp_path / 'mics.csv'
    path.write_text(''.join(f'{i},{x},{y}\n' for i, (x, y, _) in enumerate(GRID)))
    flat = GRID * [1, 1, 0]
    np.testing.assert_allclose(geometry_files.read_array(path).positions_m, flat)
    # A row of microphones a centimetre apart also increases by one, but is not an index.
    path.write_text(''.join(f'{i},0,0\n' for i in range(8)))
    line_m = geometry_files.read_array(path, 'cm').positions_m
    np.testing.assert_allclose(line_m[:, 0], np.arange(8) / 100)


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x,y\n',
        '1,2,3,4\n1,2,3,4\n',
        '0.1,a\n0.2,b\n',
        '100,0\n0,0\n',
        '0.1,0.2\n0.3\n',
        '0.1,0.2\n0.1,0.2\n',
        '0.1,nan\n0,0\n',
        '0.1,inf\n0,0\n',
        'x,z\n0.1,0.2\n0.2,0.2\n',
        'x,x,y\n0.1,0.2,0\n0.2,0.2,0\n',
        'x_mm,y_cm\n1,2\n100,4\n',
        '0,0\n0.001,0\n',
        '<MicArray/>',
        '<MicArray><pos x="1" y="2"/></MicArray>',
        '<MicArray><pos x="1"',
        '<!DOCTYPE a [<!ENTITY b "c">]><MicArray/>',
        '{"x": [1, 2]}',
    ],
)
def test_what_is_no_layout_is_refused_by_name(tmp_path, text):
    path = tmp_path / 'mics.csv'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'mics\.csv'):
        geometry_files.read_array(path)


def test_binary_files_and_missing_ones_are_refused_by_name(tmp_path, rng):
    path = tmp_path / 'mics.csv'
    for _ in range(50):
        path.write_bytes(rng.bytes(300))
        with pytest.raises(ValueError, match=r'mics\.csv'):
            geometry_files.read_array(path)
    with pytest.raises(ValueError, match=r'none\.csv.*uma16'):
        geometry_files.find_array(tmp_path / 'none.csv')


def test_uma16_is_the_board_as_the_camera_sees_it():
    board = geometry_files.find_array('uma16').positions_m
    steps = sorted({*board[:, 0].round(4)}), sorted({*board[:, 1].round(4)})
    np.testing.assert_allclose(steps, [[-0.063, -0.021, 0.021, 0.063]] * 2)
    assert len(np.unique(board, axis=0)) == 16
    front = geometry_files.find_array('uma16', seen_from='front').positions_m
    np.testing.assert_allclose(front, board * [-1, 1, 1])
    moved = geometry_files.find_array('uma16', camera_m=(0.1, -0.2, 0.3)).positions_m
    np.testing.assert_allclose(moved, board - [0.1, -0.2, 0.3])
    with pytest.raises(ValueError, match='behind, front'):
        geometry_files.find_array('uma16', seen_from='above')


def test_uma16_is_acoulars():
    path = pathlib.Path(peers.acoular().__file__).parent / 'xml' / 'minidsp_uma-16.xml'
    np.testing.assert_allclose(
        geometry_files.read_array(path).positions_m, geometry_files.uma16().positions_m
    )


def test_the_128_microphones_have_a_name():
    assert geometry_files.find_array('dualcam').num_mics == 128
    assert geometry_files.aperture_m(geometry_files.find_array('dualcam')) == pytest.approx(
        0.45, abs=0.01
    )
