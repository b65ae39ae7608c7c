"""MATLAB files compared with SciPy's reader, and files that are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from records import beamform, mat_files


def saved(content, **options):
    file = io.BytesIO()
    scipy.io.savemat(file, content, **options)
    return file.getvalue()


@pytest.mark.parametrize('dtype', ['f4', 'f8', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8'])
@pytest.mark.parametrize('compressed', [False, True])
def test_arrays_are_those_that_scipy_reads(dtype, compressed, rng):
    image = rng.integers(0, 100, (3, 5, 2)).astype(dtype)
    data = saved(
        {'text': 'abc', 'big': np.zeros(10_000), 'MFCC': image, 'cell': {'a': [1, 'x']}},
        do_compression=compressed,
    )
    found = mat_files.read_array(data, 'MFCC', 30)
    want = scipy.io.loadmat(io.BytesIO(data))['MFCC']
    np.testing.assert_array_equal(found, want)
    assert found.dtype == want.dtype == dtype
    assert mat_files.read_array(data, 'none', 30) is None


@pytest.mark.parametrize('shape', [(36, 48, 12), (3, 5, 7)])
def test_an_image_is_written_as_scipy_would(shape, rng, tmp_path):
    image = rng.standard_normal(shape).astype(np.float32)
    beamform.write_mat(tmp_path / 'a.mat', image)
    written, text = (tmp_path / 'a.mat').read_bytes(), 116  # with the date, at the beginning
    assert written[text:] == saved({'MFCC': image})[text:]


def test_numbers_of_the_other_byte_order_stored_small():
    """Like MATLAB on big-endian machines: integral doubles are stored as bytes."""

    def element(kind, data):
        return struct.pack('>2I', kind, len(data)) + data + bytes(-len(data) % 8)

    variable = (
        element(6, struct.pack('>2I', 6, 0))
        + element(5, struct.pack('>3i', 2, 1, 3))
        + struct.pack('>2H', 1, 1)
        + b'x\0\0\0'
        + element(2, bytes(range(6)))
    )
    head = bytes(124) + b'\1\0MI'
    packed = zlib.compress(element(14, variable))
    for data in (head + element(14, variable), head + struct.pack('>2I', 15, len(packed)) + packed):
        found = mat_files.read_array(data, 'x', 6)
        np.testing.assert_array_equal(found, np.arange(6.0).reshape((2, 1, 3), order='F'))
        assert found.dtype == np.dtype(float)


@pytest.mark.parametrize(
    'content, message',
    [
        (['a', 1], 'x is a cell'),
        ({'a': 1}, 'x is a struct'),
        ('abc', 'x is text'),
        (np.array([1j]), 'no real numbers'),
        (np.zeros((3, 4)), r'x is float64 of shape \(3, 4\)'),
    ],
)
def test_what_is_no_such_array_is_refused(content, message):
    if isinstance(content, list):
        content = np.array(content, object)
    with pytest.raises(ValueError, match=message):
        mat_files.read_array(saved({'x': content}), 'x', 11)


@pytest.mark.parametrize('compressed', [False, True])
def test_a_file_cut_anywhere_is_refused(compressed):
    data = saved({'x': np.arange(6.0)}, do_compression=compressed)
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r'not a MATLAB file|ends at|announced|early'):
            mat_files.read_array(data[:end], 'x', 10)
    with pytest.raises(ValueError, match='level 5'):
        mat_files.read_array(saved({'x': np.zeros(2)}, format='4'), 'x', 10)


def test_compressed_bytes_are_checked():
    data = bytearray(saved({'x': np.arange(60.0)}, do_compression=True))
    for place in range(150, len(data)):
        data[place] ^= 1
        with pytest.raises(ValueError):
            mat_files.read_array(bytes(data), 'x', 100)
        data[place] ^= 1
