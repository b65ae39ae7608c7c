"""Directions and points in a picture, with lenses and flipped pictures."""

import json

import numpy as np
import pytest

from dualcam.acoustics import microphones, views

MATRIX = np.array([[900.0, 0.0, 650.5], [0.0, 910.0, 350.25], [0.0, 0.0, 1.0]])
DISTORTION = np.array([-0.21, 0.06, 0.001, -0.0005, -0.01])
SIZE = 1280, 720


def _yaml(names=('camera_matrix', 'distortion_coefficients'), tag=' !!opencv-matrix'):
    def matrix(name, rows, cols, values):
        data = ',\n       '.join(f'{value!r}' for value in np.ravel(values).tolist())
        return f'{name}:{tag}\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: [ {data} ]\n'

    return (
        f'%YAML:1.0\n---\ncalibration_time: "now"\nnframes: 20\nimage_width: {SIZE[0]}\n'
        f'image_height: {SIZE[1]}\n'
        + matrix(names[0], 3, 3, MATRIX)
        + matrix(names[1], 5, 1, DISTORTION)
        + 'avg_reprojection_error: 2.5e-01\n'
    )


def _xml():
    def matrix(name, rows, cols, values):
        data = '\n    '.join(
            ' '.join(map(repr, row)) for row in np.reshape(values, (rows, -1)).tolist()
        )
        return (
            f'<{name} type_id="opencv-matrix">\n  <rows>{rows}</rows>\n  <cols>{cols}</cols>\n'
            f'  <dt>d</dt>\n  <data>\n    {data}</data></{name}>\n'
        )

    return (
        '<?xml version="1.0"?>\n<opencv_storage>\n'
        f'<image_width>{SIZE[0]}</image_width>\n<image_height>{SIZE[1]}</image_height>\n'
        + matrix('Camera_Matrix', 3, 3, MATRIX)
        + matrix('Distortion_Coefficients', 5, 1, DISTORTION)
        + '</opencv_storage>\n'
    )


def _json(stored):
    def matrix(values):
        if not stored:
            return values.tolist()
        return {
            'type_id': 'opencv-matrix',
            'rows': 3,
            'cols': 3,
            'dt': 'd',
            'data': values.ravel().tolist(),
        }

    return json.dumps(
        {'camera_matrix': matrix(MATRIX), 'dist_coeffs': matrix(DISTORTION), 'image_size': SIZE}
    )


@pytest.fixture
def view(tmp_path):
    path = tmp_path / 'camera.yaml'
    path.write_text(_yaml())
    return views.make_view(calibration=path, picture_size=SIZE)


def test_a_pinhole_sees_what_the_grid_of_before_does():
    grid = views.View().grid()
    np.testing.assert_allclose(grid.directions, microphones.look_directions().directions)
    assert grid.view_deg == (60.0, 45.0)


def test_angles_and_directions_are_inverse_and_end_at_the_rim():
    np.testing.assert_allclose(views.angles(views.direction(20.0, 10.0)), (20.0, 10.0))
    corner = views.View((60.0, 45.0)).directions(1.0, 0.0)
    np.testing.assert_allclose(views.angles(corner), (30.0, 22.5))


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('opencv.yml', _yaml()),
        ('opencv.yaml', _yaml(('Camera_Matrix', 'Distortion_Coefficients'))),
        ('ros.yaml', _yaml(tag='')),
        ('opencv.xml', _xml()),
        ('opencv.json', _json(True)),
        ('python.json', _json(False)),
    ],
)
def test_calibrations_are_read_whoever_wrote_them(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = views.read_calibration(path)
    np.testing.assert_array_equal(found.matrix, MATRIX)
    np.testing.assert_array_equal(found.distortion, DISTORTION)
    assert found.size == SIZE


def test_a_calibration_in_npz_is_read(tmp_path):
    path = tmp_path / 'camera.npz'
    np.savez(path, mtx=MATRIX, dist=DISTORTION[None])
    np.testing.assert_array_equal(views.read_calibration(path).matrix, MATRIX)
    with pytest.raises(ValueError, match='no video'):
        views.make_view(calibration=path)
    assert views.make_view(calibration=path, picture_size=SIZE).calibration.size == SIZE


def test_places_and_directions_are_inverse_with_a_lens_too(view, rng):
    x, y = rng.uniform(0, 1, (2, 200))
    found = view.places(view.directions(x, y))
    np.testing.assert_allclose(found, np.stack([x, y], axis=-1), atol=1e-9)


def test_a_lens_is_projected_as_opencv_documents_it(view):
    """x'' = x'(1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x'y' + p2(r^2 + 2x'^2), y downwards."""
    a, b = 0.3, 0.2  # to the right, down
    k1, k2, p1, p2, k3 = DISTORTION
    r2 = a * a + b * b
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = 900 * (a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a * a)) + 650.5
    v = 910 * (b * radial + p1 * (r2 + 2 * b * b) + 2 * p2 * a * b) + 350.25
    place = view.places(np.array([a, -b, 1.0]))
    np.testing.assert_allclose(place * SIZE - 0.5, [u, v])


def test_a_lens_without_distortion_is_a_pinhole(tmp_path):
    path = tmp_path / 'camera.npz'
    focal = 320 / np.tan(np.deg2rad(30))
    matrix = [[focal, 0, 319.5], [0, 240 / np.tan(np.deg2rad(22.5)), 239.5], [0, 0, 1]]
    np.savez(path, camera_matrix=matrix, dist=np.zeros(5), image_size=(640, 480))
    grid = views.make_view(calibration=path).grid()
    np.testing.assert_allclose(grid.directions, microphones.look_directions().directions)
    np.testing.assert_allclose(grid.view_deg, (60.0, 45.0))


def test_a_calibration_fits_pictures_of_another_size(view, tmp_path):
    path = tmp_path / 'camera.yaml'
    smaller = views.make_view(calibration=path, picture_size=(640, 360))
    np.testing.assert_allclose(smaller.grid().directions, view.grid().directions, atol=1e-12)
    with pytest.raises(ValueError, match=r'camera\.yaml: is for pictures of 1280 x 720'):
        views.make_view(calibration=path, picture_size=(640, 480))
    with pytest.raises(ValueError, match='omit --view_deg'):
        views.make_view((60.0, 45.0), path)


def test_one_angle_is_enough_for_square_pixels():
    wide = views.make_view((70.0,), picture_size=(1920, 1080)).view_deg
    assert np.tan(np.deg2rad(wide[1] / 2)) == pytest.approx(np.tan(np.deg2rad(35)) * 9 / 16)
    assert views.make_view().view_deg == (60.0, 45.0)
    assert views.make_view(picture_size=(640, 480)).view_deg[0] == 60.0
    for angles in [(0.0, 45.0), (60.0, 180.0), (1.0, 2.0, 3.0), (float('nan'),)]:
        with pytest.raises(ValueError, match='field of view'):
            views.make_view(angles)


def test_turned_pictures_are_turned_back(rng):
    scene = rng.integers(0, 255, (6, 8, 3), np.uint8)
    np.testing.assert_array_equal(views.View(mirrored=True).turned(scene[:, ::-1]), scene)
    np.testing.assert_array_equal(views.View(upside_down=True).turned(np.rot90(scene, 2)), scene)
    np.testing.assert_array_equal(
        views.View(mirrored=True, upside_down=True).turned(scene[::-1]), scene
    )


@pytest.mark.parametrize(
    'text',
    [
        '',
        '{}',
        '[1]',
        '<a>',
        '{"camera_matrix": [[1, 2], [3, 4]]}',
        '{"camera_matrix": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]}',
        '{"camera_matrix": [[1, 0, 1], [0, 1, 1], [0, 0, 1]], "dist": [1, 2]}',
        '{"camera_matrix": "x"}',
        '[' * 10000,
    ],
)
def test_what_is_no_calibration_is_refused_by_name(tmp_path, text):
    path = tmp_path / 'camera.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'camera\.json'):
        views.read_calibration(path)


def test_a_lens_that_folds_the_picture_is_refused(tmp_path):
    path = tmp_path / 'camera.npz'
    np.savez(path, K=[[200.0, 0, 320], [0, 200, 240], [0, 0, 1]], D=[0.9, 2.0, 0, 0])
    with pytest.raises(ValueError, match='fisheye'):
        views.make_view(calibration=path, picture_size=(640, 480)).grid()
