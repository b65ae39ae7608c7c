"""Widths and ghosts of arrays with textbook results."""

import json

import numpy as np
import pytest
from PIL import Image

from dualcam.acoustics import beam_patterns, geometry_files, maps, views
from dualcam.acoustics.microphones import MicArray
from dualcam.cli import main
from tests.helpers import array_takes

pytestmark = pytest.mark.numeric

VIEW = views.View()


def test_a_line_is_as_narrow_as_books_have_it():
    """For a long uniform line array: sine of 0.886 wavelengths over its length."""
    line = MicArray('line', np.pad((np.arange(32) - 15.5)[:, None] * 0.01, ((0, 0), (0, 2))))
    found = beam_patterns.resolution(line, VIEW, np.array([2000.0, 4000.0, 8000.0]))
    wavelengths_m = 343.0 / found.frequencies_hz
    expected = 2 * np.rad2deg(np.arcsin(0.443 * wavelengths_m / 0.32))
    np.testing.assert_allclose(found.widths_deg[:, 0], expected, rtol=0.01)
    assert np.all(np.isinf(found.widths_deg[:, 1]))  # it cannot resolve elevation
    assert found.separable_from_hz(20.0) is None


def test_a_grid_has_ghosts_where_its_pitch_is_a_wavelength_of_the_view():
    """Between the view's edges the sine changes by 1: 42 mm is one wavelength at 8.2 kHz."""
    hz = np.arange(5000.0, 9000.0, 100)
    found = beam_patterns.resolution(geometry_files.uma16(), VIEW, hz)
    assert 7000 < found.first_ambiguous_hz() <= 8200
    spiral = geometry_files.find_array('dualcam')
    assert beam_patterns.resolution(spiral, VIEW, hz).first_ambiguous_hz() is None


def test_the_response_is_what_a_map_shows(rng):
    mics, grid = geometry_files.uma16(), VIEW.grid()
    source = grid.directions[12, 30]
    sound = array_takes.heard(
        array_takes.noise(48_000, rng), mics.positions_m, views.angles(source), 1.5
    )
    params = maps.MapParams(2990, 3100, maps_per_s=1)
    made = maps.MapMaker(mics, grid, 48_000, params).power(sound)
    expected = beam_patterns.response_db(mics, source, grid.directions, 3047.0, 1.5)
    level_db = maps.to_db(made) - maps.to_db(made.max())
    seen = expected > -15
    np.testing.assert_allclose(level_db[seen], expected[seen], atol=0.5)


def test_separable_frequencies_are_those_from_which_on_it_holds():
    found = beam_patterns.Resolution(
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.array([[50, 10], [20, 20], [40, 10], [10, 10.0]]),
        np.array([-20.0, -10.0, -2.0, 0.0]),
    )
    assert found.separable_from_hz(30.0) == 4.0
    assert found.separable_from_hz(60.0) == 1.0
    assert found.separable_from_hz(5.0) is None
    assert found.first_ambiguous_hz() == 3.0


def test_the_command_draws_and_says_what_an_array_can(tmp_path, capsys):
    layout = tmp_path / 'mics_mm.csv'
    layout.write_text('x,y\n' + ''.join(f'{x},{y}\n' for x in (-50, 0, 50) for y in (-40, 0, 40)))
    call = ['array', f'--array={layout}', '--unit=mm', f'--out={tmp_path}/out', '--view_deg=70,50']
    assert main.main(call) == 0
    said = capsys.readouterr().out
    assert '9 microphones, aperture 0.1281 m' in said and 'ghosts in the view: from' in said
    found = json.loads((tmp_path / 'out/array.json').read_text())
    assert found['view_deg'] == [70.0, 50.0] and found['smallest_distance_m'] == 0.04
    assert found['gain_over_noise_db'] == 9.5 and len(found['resolution']) == 60
    with Image.open(tmp_path / 'out/array.png') as picture:
        assert picture.size[0] > 1000 and len(picture.convert('RGB').getcolors(1 << 20)) > 100


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('--array=none.csv', 'none.csv: cannot be read'),
        ('--frequencies=5,2', 'expected two, the lower one first'),
        ('--frequencies=a', 'expected 2 comma-separated numbers'),
        ('--view_deg=200', 'field of view of 200'),
        ('--camera_m=1,2', 'expected 3 comma-separated numbers'),
        ('--focus_m=-1', 'expected a distance'),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, capsys, option, message):
    assert main.main(['array', '--array=uma16', f'--out={tmp_path}', option]) == 1
    errors = capsys.readouterr().err
    assert message in errors and len(errors.splitlines()) == 1
