"""Torch 7 files: written values are read back, and damaged files are refused at once."""

import struct
import time
import tracemalloc

import numpy as np
import pytest

from dualcam.models import torch7
from tests.helpers.torch_files import TorchWriter


def tensor(writer, shape, strides, offset, storage=None, kind='Float'):
    """Writes a tensor's header with a reference to a storage, or a new one of two numbers."""
    writer.begin(4, f'torch.{kind}Tensor')
    writer.int(len(shape))
    writer.long(*shape, *strides, offset)
    if storage:
        writer.int(4, storage)
    else:
        writer.begin(4, f'torch.{kind}Storage')
        writer.long(2)
        writer.data += np.arange(2, dtype='<f4').tobytes()
    return writer.count


def saved(path, writer):
    path.write_bytes(writer.data)
    return path


def test_values_of_all_kinds(tmp_path):
    writer = TorchWriter()
    values = {
        'nil': None,
        'number': 2.5,
        'text': 'abc',
        'yes': True,
        'no': False,
        'table': {1: 'x'},
        'object': ('nn.Identity', {'n': 3.0}),
        'array': np.ones((2, 3), np.float32),
    }
    writer.value(values)
    found = torch7.read(saved(tmp_path / 'x.t7', writer))
    assert list(found) == list(values)
    for name in ('nil', 'number', 'text', 'yes', 'no', 'table'):
        assert found[name] == values[name] and type(found[name]) is type(values[name])
    assert (found['object'].kind, found['object'].fields) == ('nn.Identity', {'n': 3.0})
    np.testing.assert_array_equal(found['array'], values['array'])


def test_a_table_may_hold_itself(tmp_path):
    writer = TorchWriter()
    writer.begin(3)
    writer.int(1)
    writer.value('self')
    writer.int(3, 1)
    found = torch7.read(saved(tmp_path / 'x.t7', writer))
    assert found['self'] is found


@pytest.mark.parametrize('kind', ['Float', 'Cuda', 'CudaFloat'])
def test_longs_of_32_bits_and_tensors_of_a_graphics_card(tmp_path, kind):
    writer = TorchWriter('i' if kind == 'Float' else 'q')
    tensor(writer, (2, 1), (1, 1), 1, kind=kind)
    np.testing.assert_array_equal(torch7.read(saved(tmp_path / 'x.t7', writer)), [[0], [1]])


def test_an_axis_of_one_place_may_have_any_stride(tmp_path):
    writer = TorchWriter()
    tensor(writer, (1, 2), (2**62, 1), 1)
    np.testing.assert_array_equal(torch7.read(saved(tmp_path / 'x.t7', writer)), [[0, 1]])


@pytest.mark.parametrize(
    'shape, strides, offset',
    [
        ((2,), (2**62,), 1),
        ((2,), (-1,), 2),
        ((2**62,), (0,), 1),
        ((3,), (1,), 1),
        ((2,), (1,), 2),
        ((2,), (1,), -(2**62)),
        ((1,) * 40, (1,) * 40, 1),
        ((0,), (1,), 1),
        ((2**40, 2**40), (0, 0), 1),
    ],
)
def test_tensors_that_leave_their_storage_are_refused(tmp_path, shape, strides, offset):
    writer = TorchWriter()
    tensor(writer, shape, strides, offset)
    with pytest.raises(ValueError, match=r'x\.t7: not a whole Torch 7 file \(a tensor'):
        torch7.read(saved(tmp_path / 'x.t7', writer))


def test_many_tensors_of_one_storage_take_no_memory_of_their_own(tmp_path):
    writer = TorchWriter()
    writer.begin(3)
    writer.int(1000)
    writer.value(0.0)
    writer.begin(4, 'torch.FloatTensor')
    writer.int(1)
    writer.long(100_000, 1, 1)
    writer.begin(4, 'torch.FloatStorage')
    writer.long(100_000)
    storage = writer.count
    writer.data += bytes(400_000)
    for number in range(1, 1000):
        writer.value(float(number))
        tensor(writer, (100_000,), (1,), 1, storage)
    path = saved(tmp_path / 'x.t7', writer)
    tracemalloc.start()
    found = torch7.read(path)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(found) == 1000 and taken < 10e6  # copies would take 400e6


def test_tensors_with_strides_and_shared_storages(tmp_path):
    writer = TorchWriter()
    writer.begin(3)
    writer.int(2)
    writer.value('a')
    writer.begin(4, 'torch.DoubleTensor')
    writer.int(2)
    writer.long(2, 3, 1, 2, 2)  # [2, 3], transposed, starting at the second number
    writer.begin(4, 'torch.DoubleStorage')
    writer.long(7)
    storage = writer.count
    writer.data += np.arange(7, dtype='<f8').tobytes()
    writer.value('b')
    writer.begin(4, 'torch.DoubleTensor')
    writer.int(1)
    writer.long(3, 1, 1)
    writer.int(4, storage)  # written above
    found = torch7.read(saved(tmp_path / 'x.t7', writer))
    np.testing.assert_array_equal(found['a'], [[1, 3, 5], [2, 4, 6]])
    np.testing.assert_array_equal(found['b'], [0, 1, 2])


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', 'ends at byte 0'),
        (struct.pack('<ii', 2, 2**31 - 1), 'items announced'),
        (struct.pack('<ii', 6, 1), 'type 6'),
        (struct.pack('<iii', 3, 1, 2**30), 'items announced'),
        (
            struct.pack('<iii', 4, 1, 17)
            + b'torch.FloatTensor'
            + struct.pack('<iqqqi', 1, 2**62, 1, 1, 0),
            '',
        ),
        (
            struct.pack('<iii', 4, 1, 18) + b'torch.FloatStorage' + struct.pack('<q', 2**60),
            'items announced',
        ),
        (struct.pack('<iii', 3, 1, 1) * 5000, 'key|deep|ends'),
    ],
)
def test_absurd_torch_files_are_refused_at_once(data, message, tmp_path):
    path = tmp_path / 'bad.t7'
    path.write_bytes(data)
    started = time.monotonic()
    if message:
        with pytest.raises(ValueError, match=rf'bad\.t7.*({message})'):
            torch7.read(path)
    else:
        assert torch7.read(path).size == 0  # a tensor without a storage is empty
    assert time.monotonic() - started < 2
