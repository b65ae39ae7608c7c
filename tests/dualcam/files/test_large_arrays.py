"""Arrays on disk and in memory: rows written by several threads, full disks, reused memory."""

import concurrent.futures
import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from dualcam.files import large_arrays


def test_rows_of_several_threads_are_an_npy_file(tmp_path, rng):
    wanted = rng.standard_normal((40, 3, 1000)).astype(np.float32)
    wanted[7] = 0  # not written
    with (
        large_arrays.RowFile(tmp_path / 'a.npy', np.float32, wanted.shape) as file,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        written = pool.map(
            lambda row: file.write(row, wanted[row]),
            [row for row in rng.permutation(40) if row != 7],
        )
        assert list(written) == [None] * 39
        with pytest.raises(ValueError, match=r'row 3 .*\(1000,\); expected \(3, 1000\)'):
            file.write(3, wanted[3, 0])
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy'), wanted)
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy', mmap_mode='r'), wanted)


def test_a_disk_without_room_is_an_error(tmp_path, monkeypatch):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with pytest.raises(OSError, match=r'a.npy: [\d,]+ MiB are not available \([\d,]+ are free'):
        large_arrays.RowFile(tmp_path / 'a.npy', np.uint8, (free // 1000 + 10**6, 1000))
    with pytest.raises(OSError, match=r'b.npy: [\d,]+ MiB are not available \([\d,]+ are free'):
        large_arrays.mapped(tmp_path / 'b.npy', np.uint8, (free + 10**9,))

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r'\(No space left .*make'):
        patch.setattr(os, 'posix_fallocate', full)
        large_arrays.mapped(tmp_path / 'b.npy', np.uint8, (1000,))
    assert list(tmp_path.iterdir()) == []
    write, sizes = os.pwrite, []

    def half(descriptor, data, place):
        """Writes partially, then fails."""
        if len(sizes) == 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        sizes.append(len(data))
        return write(descriptor, data[: len(data) // 2], place)

    monkeypatch.setattr(os, 'pwrite', half)
    with (
        pytest.raises(OSError, match=r'a.npy: cannot be written \(No space left'),
        large_arrays.RowFile(tmp_path / 'a.npy', np.uint8, (4, 1000)) as file,
    ):
        file.write(2, np.ones(1000))
    assert sizes == [1000, 500]


def test_a_mapped_array_is_found_again_and_half_a_file_is_not(tmp_path):
    path = tmp_path / 'a.npy'
    array = large_arrays.mapped(path, np.float32, (3, 5))
    assert not array.any()
    array[1] = 2.0
    array.flush()
    np.testing.assert_array_equal(large_arrays.mapped(path, np.float32, (3, 5))[:, 0], [0, 2, 0])
    os.truncate(path, 150)
    again = large_arrays.mapped(path, np.float32, (3, 5))
    assert not again.any() and path.stat().st_size == again.offset + 60


def test_memory_is_used_again_once_nobody_has_it():
    buffers = large_arrays.Buffers(100_000)
    first, second = buffers.take((5, 100), np.float32), buffers.take((7,), np.int64)
    assert (first.shape, first.dtype, second.dtype) == ((5, 100), np.float32, np.int64)
    places = {array.ctypes.data for array in (first, second)}
    assert len(places) == 2 and all(place % 64 == 0 for place in places)
    part = first[2:3]
    del first
    assert buffers.take((5, 100), np.float32).ctypes.data not in places  # `part` is in it
    del part, second
    assert buffers.take((5, 100), np.float32).ctypes.data in places
    # TensorFlow's tensor shares the memory, which is not reused while the tensor exists.
    seen = []

    def give():
        made = buffers.take((400,), np.float32)
        made[:] = 3.0
        seen.append(made.ctypes.data)
        return made

    dataset = tf.data.Dataset.range(1).map(lambda _: tf.numpy_function(give, [], tf.float32))
    (tensor,) = dataset
    assert np.asarray(memoryview(tensor)).ctypes.data == seen[0]
    others = [buffers.take((400,), np.float32) for _ in range(8)]
    for other in others:
        other[:] = 4.0
    assert (tensor.numpy() == 3.0).all()
    assert len({other.ctypes.data for other in others}) == 8


def test_no_more_memory_is_kept_than_said():
    buffers = large_arrays.Buffers(10_000)
    held = [buffers.take((4_000,), np.uint8) for _ in range(4)]
    assert len(buffers._kept) == 2
    big = buffers.take((50_000,), np.uint8)
    assert len(buffers._kept) == 2 and big.shape == (50_000,)
    del held
    buffers.take((9_000,), np.uint8)  # in place of the smaller ones
    assert [len(memory) >= 9_000 for memory in buffers._kept] == [True]


def test_arrays_are_aligned():
    held = [
        large_arrays.aligned((3, 7), dtype) for dtype in (np.int8, np.float32, np.complex128) * 5
    ]
    assert all(
        array.ctypes.data % 64 == 0
        and array.shape == (3, 7)
        and array.flags.c_contiguous
        and array.flags.writeable
        for array in held
    )
    assert [array.dtype for array in held[:3]] == [np.int8, np.float32, np.complex128]
