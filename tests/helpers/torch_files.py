"""Writes Torch 7 files for tests."""

import struct


class TorchWriter:
    """Writes the format as far as the tests need it."""

    def __init__(self, long_format='q'):
        self.data, self.count, self.long_format = b'', 0, long_format

    def int(self, *values):
        self.data += struct.pack(f'<{len(values)}i', *values)

    def long(self, *values):
        self.data += struct.pack(f'<{len(values)}{self.long_format}', *values)

    def text(self, value):
        self.int(len(value))
        self.data += value.encode()

    def begin(self, kind, name=None):
        self.count += 1
        self.int(kind, self.count)
        if name:
            self.text('V 1')
            self.text(name)

    def value(self, value):
        if value is None:
            self.int(0)
        elif isinstance(value, bool):
            self.int(5, int(value))
        elif isinstance(value, int | float):
            self.int(1)
            self.data += struct.pack('<d', value)
        elif isinstance(value, str):
            self.int(2)
            self.text(value)
        elif isinstance(value, dict):
            self.begin(3)
            self.int(len(value))
            for key, item in value.items():
                self.value(key)
                self.value(item)
        elif isinstance(value, tuple):
            self.begin(4, value[0])
            self.value(value[1])
        else:
            self.begin(4, 'torch.FloatTensor')
            self.int(value.ndim)
            self.long(*value.shape, *(s // 4 for s in value.strides), 1)
            self.begin(4, 'torch.FloatStorage')
            self.long(value.size)
            self.data += value.astype('<f4').tobytes()
