"""Readers of raw frame files: .mat cepstra, .npy and .dc sound, .jpeg and .bmp video.

A file that holds anything else raises a `ValueError` that names it. `avia_layout` and
`acivw_layout` know which files there are.
"""

import io
import math
import pathlib
import re

import numpy as np
from PIL import Image

from dualcam.data import schema
from records import mat_files

_NAMES = {
    '.mat': re.compile(r'Data_(\d+)\.mat'),
    '.npy': re.compile(r'A_(\d+)\.npy'),
    '.dc': re.compile(r'A_(\d+)\.dc'),
    '.jpeg': re.compile(r'I_(\d+)\.jpe?g'),
    '.bmp': re.compile(r'I_(\d+)\.bmp'),
}
_MAX_MICS = 4096
_LONGEST_SIDE = 7680  # pixels
_MAX_MAT_VALUES = 1 << 20  # above it, the message lacks the shape; an image has 20,736
_NPY_HEADS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def numbered(folder: pathlib.Path, suffix: str) -> tuple[pathlib.Path, ...]:
    """The frame files of a folder, in order.

    Args:
        folder: to search.
        suffix: '.mat', '.npy', '.dc', '.jpeg' or '.bmp'.

    Returns:
        Their paths.

    Raises:
        ValueError: there are none, or the numbering from 1 has gaps.
    """
    pattern = _NAMES[suffix]
    found = {
        int(m.group(1)): folder / m.group(0)
        for m in (pattern.fullmatch(entry.name) for entry in folder.iterdir())
        if m
    }
    missing = sorted(set(range(1, len(found) + 1)) - set(found))
    if not found or missing:
        what = f'frame {missing[0]} is missing' if found else 'it is empty'
        raise ValueError(
            f'{folder}: {what}; expected files like {pattern.pattern} numbered from 1 without gaps'
        )
    return tuple(found[i] for i in sorted(found))


def read_mat(path: pathlib.Path) -> np.ndarray:
    """Cepstral image, float32 [36, 48, 12]; a smaller one is padded with zeros at the front.

    Raises:
        ValueError: it is not such a file; the message names it, as for the other readers.
    """
    wanted = schema.ACOUSTIC_SHAPE
    try:
        image = mat_files.read_array(path.read_bytes(), 'MFCC', _MAX_MAT_VALUES)
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{path}: not a readable .mat file ({error}); expected MFCC, numbers of '
            f'shape up to {wanted}'
        ) from error
    if image is None:
        raise ValueError(f'{path}: has no variable MFCC')
    if image.ndim != 3 or min(image.shape) < 1 or np.any(np.array(image.shape) > wanted):
        raise ValueError(
            f'{path}: MFCC is {_describe(image)}; expected numbers of shape up to {wanted}'
        )
    with np.errstate(over='ignore'):  # becomes infinite, which the store refuses
        image = image.astype('<f4')
    return np.pad(image, [(full - size, 0) for full, size in zip(wanted, image.shape, strict=True)])


def read_npy(path: pathlib.Path) -> np.ndarray:
    """Sound of one frame, int32 [mics, 1024]."""
    # Not np.load, which allocates the memory announced by the header before reading.
    try:
        data = path.read_bytes()
        file = io.BytesIO(data)
        shape, is_fortran, dtype = _NPY_HEADS[np.lib.format.read_magic(file)](file)
        samples = np.frombuffer(data, dtype, math.prod(shape), file.tell())
        samples = samples.reshape(shape, order='F' if is_fortran else 'C')
    except Exception as error:
        raise ValueError(f'{path}: not a readable .npy file ({error})') from error
    return _check_samples(path, samples)


def read_dc(path: pathlib.Path) -> np.ndarray:
    """Array recording of one frame, int32 [mics, 1024]; the file has Fortran order, no header."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f'{path}: not readable ({error})') from error
    if not data or len(data) % (4 * schema.SAMPLES_PER_FRAME):
        raise ValueError(
            f'{path}: {len(data)} bytes; expected mics x {schema.SAMPLES_PER_FRAME} samples of 4'
        )
    samples = np.frombuffer(data, '<i4')
    return _check_samples(path, samples.reshape(-1, schema.SAMPLES_PER_FRAME, order='F'))


def read_jpeg(path: pathlib.Path) -> np.ndarray:
    """Video frame, uint8 [480, 640, 3], BGR."""
    # Pillow decodes with the accurate integer transform and smooth chroma, which reproduces the
    # authors' pixels bit for bit; TensorFlow's default transform does not.
    try:
        with Image.open(path, formats=['JPEG']) as image:
            if (image.height, image.width) != schema.VIDEO_SHAPE[:2]:
                raise ValueError(f'{image.height} x {image.width} pixels')
            return _bgr(image.convert('RGB'))
    except Exception as error:
        raise ValueError(
            f'{path}: not a JPEG of {schema.VIDEO_SHAPE[0]} x '
            f'{schema.VIDEO_SHAPE[1]} pixels ({error})'
        ) from error


def read_bmp(path: pathlib.Path, smallest_side: int) -> np.ndarray:
    """Video frame of any size, resized to a smallest side, uint8 [height, width, 3], BGR.

    The other side keeps the aspect ratio, rounded down: 480 x 640 becomes 224 x 298. Bicubic as in
    Pillow, with antialiasing; how the authors rounded is not known.
    """
    try:
        with Image.open(path, formats=['BMP']) as image:
            scale = smallest_side / min(image.size)
            size = [max(smallest_side, int(side * scale)) for side in image.size]
            if (
                max(*image.size, *size) > _LONGEST_SIDE
            ):  # a thin strip, enlarged, would exhaust memory
                raise ValueError(f'{image.height} x {image.width} pixels')
            return _bgr(image.convert('RGB').resize(size, Image.Resampling.BICUBIC))
    except Exception as error:
        raise ValueError(f'{path}: not a readable BMP ({error}); restore it') from error


def _bgr(image):
    """Pixels of an RGB image; Pillow reorders them while copying, faster than NumPy."""
    pixels = np.frombuffer(image.tobytes('raw', 'BGR'), np.uint8)
    return pixels.reshape(image.height, image.width, 3)


def _check_samples(path, samples):
    if (
        samples.ndim != 2
        or samples.shape[1] != schema.SAMPLES_PER_FRAME
        or not 1 <= samples.shape[0] <= _MAX_MICS
        or samples.dtype.kind != 'i'
        or samples.dtype.itemsize != 4
    ):
        raise ValueError(
            f'{path}: {_describe(samples)}; expected int32 of shape '
            f'(mics, {schema.SAMPLES_PER_FRAME})'
        )
    return samples.astype('<i4', copy=False)


def _describe(value):
    return f'{value.dtype} of shape {value.shape}'
