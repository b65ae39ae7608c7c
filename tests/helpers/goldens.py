"""The weights and inputs behind the golden numbers: generated from their names."""

import zlib

import numpy as np

from dualcam.data.signal import video


def relative_l2(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def random(name):
    """The generator for a name."""
    return np.random.RandomState(zlib.crc32(f'A:{name}'.encode()) & 0xFFFFFFFF)


def weights(name, shape):
    """The weights of golden/README: a function of the variable's name."""
    value = random(name).standard_normal(shape)
    return {
        'weights': lambda: value * np.sqrt(2 / np.prod(shape[:-1])),
        'biases': lambda: value * 0.02,
        'beta': lambda: value * 0.02,
        'gamma': lambda: 1 + 0.1 * value,
        'moving_mean': lambda: 0.05 * value,
        'moving_variance': lambda: 1 + 0.1 * np.abs(value),
    }[name.rsplit('/', 1)[1]]().astype(np.float32)


def network_input(key, entry):
    generator = random(f'input:{entry.get("key", key)}')
    if entry['formula'].startswith('randint(0,256,shape)'):
        pixels = generator.randint(0, 256, entry['shape']).astype(np.float32)
        return pixels - np.float32(video.MEANS)
    value = generator.standard_normal(entry['shape'])
    formula, scale = entry['formula'].split('*')
    assert formula in ('standard_normal', 'abs(standard_normal)')
    value = np.abs(value) if formula.startswith('abs') else value
    return (value * float(scale)).astype(np.float32)
