"""Damage to files, as caused by disks, networks, other programs and attackers."""

import re

import numpy as np

_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    15,
    16,
    127,
    128,
    255,
    256,
    1000,
    32_767,
    32_768,
    65_535,
    65_536,
    2**20,
    2**24,
    2**28,
    2**30,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -1,
    -2,
    -(2**31),
    -(2**63),
)
_FLOATS = (0.0, -0.0, 1e-300, 1e300, float('inf'), float('-inf'), float('nan'))
_WORDS = (
    b'\0',
    b'\n',
    b'\r',
    b'\t',
    b'\t\t',
    b',',
    b'"',
    b';',
    b'..',
    b'../' * 40,
    b'/',
    b'//',
    b'\\',
    b'C:\\',
    b'-',
    b'nan',
    b'inf',
    b'1e999',
    b'a' * 5000,
    b'\xff\xfe',
    b'\xef\xbb\xbf',
    'é'.encode(),
    '\U0001f600'.encode(),
    b'\xed\xa0\x80',
    b'{',
    b'}',
    b'[',
    b'[' * 5000,
    b'null',
    b'%s',
)
_DIGITS = re.compile(rb'\d+')


def mutate(data, rng, others):
    """Damaged bytes.

    Args:
        data: the intact bytes.
        rng: a NumPy generator.
        others: list of bytes of other files, which get mixed in.

    Returns:
        Bytes; as many as given, or up to a few thousand more.
    """
    for _ in range(rng.geometric(0.5)):
        data = _KINDS[rng.integers(len(_KINDS))](bytearray(data), rng, others)
    return bytes(data)


def number(rng):
    """An integer that often breaks programs, up to 64 bits."""
    return int(_NUMBERS[rng.integers(len(_NUMBERS))])


def _place(data, rng):
    """Where to damage; more often at the beginning, where headers are."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 128)
    return int(rng.integers(end + 1))


def _flip_bits(data, rng, _):
    for _ in range(rng.integers(1, 9) if data else 0):
        data[min(_place(data, rng), len(data) - 1)] ^= 1 << int(rng.integers(8))
    return data


def _set_bytes(data, rng, _):
    first = _place(data, rng)
    length = int(rng.integers(1, 9))
    value = int(rng.choice([0, 1, 32, 127, 128, 255]))
    data[first : first + length] = bytes([value]) * min(length, len(data) - first)
    return data


def _put_integer(data, rng, _):
    size, first = int(rng.choice([1, 2, 4, 8])), _place(data, rng)
    value = number(rng) % 256**size
    order = 'little' if rng.random() < 0.8 else 'big'
    data[first : first + size] = value.to_bytes(size, order)
    return data


def _put_float(data, rng, _):
    first, kind = _place(data, rng), rng.choice(['<f4', '<f8'])
    with np.errstate(over='ignore'):
        value = np.array(rng.choice(_FLOATS), kind).tobytes()
    data[first : first + len(value)] = value
    return data


def _put_digits(data, rng, _):
    found = list(_DIGITS.finditer(data))
    if found:
        first, end = found[rng.integers(len(found))].span()
        data[first:end] = str(number(rng)).encode()
    return data


def _put_word(data, rng, _):
    first = _place(data, rng)
    data[first : first + int(rng.integers(3))] = _WORDS[rng.integers(len(_WORDS))]
    return data


def _cut(data, rng, _):
    return data[: _place(data, rng)]


def _remove(data, rng, _):
    first = _place(data, rng)
    del data[first : first + int(rng.integers(1, 65))]
    return data


def _repeat(data, rng, _):
    first, length = _place(data, rng), int(rng.integers(1, 257))
    data[first:first] = data[first : first + length] * int(rng.integers(1, 5))
    return data


def _swap_lines(data, rng, _):
    lines = bytes(data).split(b'\n')
    one, two = rng.integers(len(lines), size=2)
    lines[one], lines[two] = lines[two], lines[one]
    return bytearray(b'\n'.join(lines))


def _noise(data, rng, _):
    first = _place(data, rng)
    data[first : first + 64] = rng.bytes(int(rng.integers(1, 65)))
    return data


def _append(data, rng, _):
    return data + rng.bytes(int(rng.integers(1, 2000)))


def _splice(data, rng, others):
    other = others[rng.integers(len(others))]
    return data[: _place(data, rng)] + bytearray(other[_place(other, rng) :])


def _replace(data, rng, others):
    return bytearray(others[rng.integers(len(others))]) if rng.random() < 0.3 else data


_KINDS = (
    _flip_bits,
    _set_bytes,
    _put_integer,
    _put_integer,
    _put_float,
    _put_digits,
    _put_word,
    _cut,
    _remove,
    _repeat,
    _swap_lines,
    _noise,
    _append,
    _splice,
    _replace,
)
