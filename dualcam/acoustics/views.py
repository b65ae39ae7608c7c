"""The camera's view: the look direction of each point of its picture.

Either a pinhole camera with a field of view, or an OpenCV calibration including lens distortion.
Pictures that are mirrored or upside down are flipped back when they are read, so that in a map, a
picture and a table, right is to the right of the camera and up is up.

Directions are given as two angles, each in a plane through the camera's axis: `azimuth_deg` to the
right in the horizontal plane, `elevation_deg` upwards in the vertical plane. At the edges of the
picture they reach half the field of view.
"""

import dataclasses
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from dualcam.acoustics import dimensions, microphones
from dualcam.files import text_files
from dualcam.files.path_types import AnyPath

_NAMES = {
    'matrix': ('camera_matrix', 'cameramatrix', 'intrinsic_matrix', 'k', 'mtx'),
    'distortion': (
        *('distortion_coefficients', 'distcoeffs', 'dist_coeffs', 'dist_coeff', 'dist', 'd'),
        'distortion',
    ),
    'width': ('image_width', 'width'),
    'height': ('image_height', 'height'),
    'size': ('image_size', 'img_size', 'imagesize'),
}
_MOST_BYTES = 16 << 20
_TERMS = (4, 5, 8)  # allowed numbers of distortion coefficients
_STEPS = 200  # largest number of undistortion steps
_STEEPEST = 1e3  # largest slope that undistortion tries


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """A camera calibration as from OpenCV's `calibrateCamera`.

    Attributes:
        matrix: [3, 3], pixels.
        distortion: k1, k2, p1, p2[, k3[, k4, k5, k6]].
        size: (width, height) of its pictures; None if the file does not say.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """Maps between directions and points in a picture.

    Attributes:
        view_deg: horizontal and vertical field of view, without a calibration.
        calibration: a `Calibration` with a size, or None.
        mirrored: left and right are swapped in the pictures.
        upside_down: the pictures are rotated by 180 degrees.
    """

    view_deg: tuple[float, float] = microphones.VIEW_DEG
    calibration: Calibration | None = None
    mirrored: bool = False
    upside_down: bool = False

    def directions(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Look directions of points in the picture.

        Args:
            x, y: [...], 0 - 1 from the left and from the top.

        Returns:
            [..., 3] unit vectors: to the right, up, into the scene.
        """
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        if self.calibration is None:
            half_width, half_height = np.tan(np.deg2rad(self.view_deg) / 2)
            slopes = np.stack([half_width * (2 * x - 1), half_height * (1 - 2 * y)], axis=-1)
        else:
            assert self.calibration.size is not None, 'of a view'
            width, height = self.calibration.size
            slopes = _undistorted(x * width - 0.5, y * height - 0.5, self.calibration)
        vectors = np.concatenate([slopes, np.ones((*slopes.shape[:-1], 1))], axis=-1)
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    def places(self, directions: np.ndarray) -> np.ndarray:
        """Points of directions [..., 3] in the picture.

        Returns:
            [..., 2], x and y, 0 - 1 within it; not finite behind the camera.
        """
        directions = np.asarray(directions, np.float64)
        with np.errstate(divide='ignore', invalid='ignore'):
            slopes = directions[..., :2] / directions[..., 2:]
        slopes = np.where(directions[..., 2:] > 0, slopes, np.nan)
        if self.calibration is None:
            half = np.tan(np.deg2rad(self.view_deg) / 2)
            return (slopes * [1, -1] / half + 1) / 2
        distorted = _distorted(slopes[..., 0], -slopes[..., 1], self.calibration.distortion)
        pixels = distorted @ self.calibration.matrix[:2, :2].T + self.calibration.matrix[:2, 2]
        return (pixels + 0.5) / self.calibration.size

    def grid(self, rows: int = dimensions.ROWS, cols: int = dimensions.COLS) -> microphones.Grid:
        """Look directions through the centres of rows x cols pixels of the picture."""
        x = (np.arange(cols) + 0.5) / cols
        y = (np.arange(rows)[:, None] + 0.5) / rows
        return microphones.Grid(self.directions(x, y), self.rim_deg())

    def rim_deg(self) -> tuple[float, float]:
        """Horizontal and vertical field of view through the picture's centre."""
        if self.calibration is None:
            return self.view_deg
        middles = np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 1.0], [0.5, 0.0]])
        left, right, down, up = np.array(angles(self.directions(*middles.T))).T
        return float(right[0] - left[0]), float(up[1] - down[1])

    def turned(self, picture: np.ndarray) -> np.ndarray:
        """Flips a picture [height, width, ...] back if it is mirrored or upside down."""
        if self.upside_down:
            picture = picture[::-1, ::-1]
        return picture[:, ::-1] if self.mirrored else picture


def angles(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(azimuth_deg, elevation_deg) of directions [..., 3]; see the module docstring."""
    x, y, z = np.moveaxis(np.asarray(directions), -1, 0)
    return np.rad2deg(np.arctan2(x, z)), np.rad2deg(np.arctan2(y, z))


def direction(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """The unit vector [3] for two angles, each less than 90 degrees."""
    vector = np.array([*np.tan(np.deg2rad([azimuth_deg, elevation_deg])), 1.0])
    return vector / np.linalg.norm(vector)


def make_view(
    view_deg: tuple[float, ...] | None = None,
    calibration: AnyPath | None = None,
    picture_size: tuple[int, int] | None = None,
    mirrored: bool = False,
    upside_down: bool = False,
) -> View:
    """Makes the view for a picture.

    Args:
        view_deg: horizontal and vertical field of view; only the horizontal one if pixels are
            square; None for 60 degrees, and 45 without a picture.
        calibration: OpenCV's file, from pictures that are neither mirrored nor upside down.
        picture_size: (width, height) of the video; None without one.
        mirrored, upside_down: see `View`.

    Raises:
        ValueError: both are given, an angle is not between 0 and 180, or the file is no calibration
            of such pictures.
    """
    if calibration is not None:
        if view_deg:
            raise ValueError('a calibration includes the field of view; omit --view_deg')
        camera = _of_size(read_calibration(calibration), picture_size, calibration)
        return View((0.0, 0.0), camera, mirrored, upside_down)
    if view_deg and not (len(view_deg) in (1, 2) and all(0 < angle < 180 for angle in view_deg)):
        raise ValueError(
            f'a field of view of {", ".join(f"{angle:g}" for angle in view_deg)} degrees; expected '
            'one or two angles between 0 and 180, as in --view_deg=60,45'
        )
    width, height = picture_size or (4, 3)
    if not view_deg and picture_size is None:
        view_deg = microphones.VIEW_DEG
    horizontal = view_deg[0] if view_deg else microphones.VIEW_DEG[0]
    if view_deg and len(view_deg) == 2:
        vertical = view_deg[1]
    else:
        vertical = 2 * np.rad2deg(np.arctan(np.tan(np.deg2rad(horizontal) / 2) * height / width))
    return View((float(horizontal), float(vertical)), None, mirrored, upside_down)


def read_calibration(path: AnyPath) -> Calibration:
    """A calibration from OpenCV's YAML, XML or JSON, ROS's YAML, or NumPy's .npz.

    Raises:
        ValueError: the file lacks a pinhole camera's matrix and distortion.
    """
    try:
        if pathlib.Path(path).stat().st_size > _MOST_BYTES:
            raise ValueError('too large')
        found = _npz(path) if str(path).endswith('.npz') else _text_values(path)
        matrix = np.asarray(found['matrix'], np.float64).reshape(3, 3)
        distortion = np.asarray(found.get('distortion', [0.0] * 4), np.float64).ravel()
        size = found.get('size')
        if size is None and {'width', 'height'} <= found.keys():
            size = found['width'], found['height']
        size = None if size is None else tuple(int(one) for one in np.ravel(size))
    except (
        *(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError),
        ElementTree.ParseError,
    ) as error:
        raise ValueError(
            f"{path}: not a camera calibration ({error!r}); expected OpenCV's YAML, XML or JSON, "
            'or a .npz, with camera_matrix [3, 3] and distortion_coefficients'
        ) from error
    good = (
        np.isfinite(matrix).all()
        and min(matrix[0, 0], matrix[1, 1]) > 0
        and np.isfinite(distortion).all()
        and (size is None or (len(size) == 2 and min(size) > 0))
    )
    if not good:
        raise ValueError(f"{path}: camera matrix {matrix.tolist()}, size {size}: not a camera's")
    while len(distortion) > max(_TERMS) and not distortion[-1]:
        distortion = distortion[:-1]  # no thin prism or tilt terms
    if len(distortion) not in _TERMS:
        raise ValueError(
            f'{path}: {len(distortion)} distortion coefficients; expected 4, 5 or 8, as from '
            "OpenCV's calibrateCamera without the thin prism and tilt models"
        )
    return Calibration(matrix, distortion, size)


def _of_size(calibration, picture_size, path):
    """A calibration scaled to a picture size."""
    if calibration.size is None:
        if picture_size is None:
            raise ValueError(
                f'{path}: does not state the size of its pictures, and there is no video'
            )
        return dataclasses.replace(calibration, size=tuple(picture_size))
    if picture_size is None:
        return calibration
    x, y = np.divide(picture_size, calibration.size)
    if abs(x / y - 1) > 0.02:
        raise ValueError(
            f'{path}: is for pictures of {calibration.size[0]} x {calibration.size[1]} pixels, but '
            f'the video has {picture_size[0]} x {picture_size[1]}; expected the same aspect ratio'
        )
    matrix = calibration.matrix.copy()
    matrix[:2, 2] += 0.5  # from pixel centres to the picture's corner, and back
    matrix[:2] *= np.array([[x], [y]])
    matrix[:2, 2] -= 0.5
    return Calibration(matrix, calibration.distortion, tuple(picture_size))


def _npz(path):
    with np.load(path, allow_pickle=False) as file:
        return _named({name: file[name] for name in file.files})


def _text_values(path):
    text = text_files.read(path)
    if text.lstrip().startswith('{'):
        values = {
            name: value['data'] if isinstance(value, dict) and 'data' in value else value
            for name, value in json.loads(text).items()
        }
    elif text.lstrip().startswith('<'):
        if '<!DOCTYPE' in text or '<!ENTITY' in text:
            raise ValueError('declares entities')
        values = {
            one.tag: (one.findtext('data') or one.text or '').split()
            for one in ElementTree.fromstring(text)
        }
    else:
        number = r'-?\.?\d[-+\d.eE]*'
        values = {
            name: re.findall(number, inner)
            for name, inner in re.findall(
                rf'^(\w+):(?:\s*!!opencv-matrix)?\s*(?:rows:.*?data:\s*)?(\[[^\]]*\]|{number})',
                text,
                re.DOTALL | re.MULTILINE,
            )
        }
    return _named(values)


def _named(values):
    lowered = {name.lower(): value for name, value in values.items()}
    found = {}
    for wanted, names in _NAMES.items():
        value = next((lowered[name] for name in names if name in lowered), None)
        if value is not None:
            scalar = wanted in ('width', 'height') and isinstance(value, list)
            found[wanted] = value[0] if scalar else value
    return found


def _distorted(x, y, distortion):
    """Pixels [..., 2], y downwards, at which a lens shows slopes."""
    k1, k2, p1, p2, k3, k4, k5, k6 = np.pad(distortion, (0, 8 - len(distortion)))
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _undistorted(pixel_x, pixel_y, calibration):
    """Slopes [..., 2] (to the right, up) that a lens shows at pixels."""
    shown = np.stack([pixel_x, pixel_y], axis=-1) - calibration.matrix[:2, 2]
    wanted = shown @ np.linalg.inv(calibration.matrix[:2, :2]).T
    slopes = wanted.copy()
    for _ in range(_STEPS):
        missed = wanted - _distorted(slopes[..., 0], slopes[..., 1], calibration.distortion)
        if np.abs(missed).max() < 1e-10:
            return slopes * [1, -1]
        slopes = np.clip(slopes + missed, -_STEEPEST, _STEEPEST)
    raise ValueError('the calibration folds the edge of the picture over; is it a fisheye lens?')
