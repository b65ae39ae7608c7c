"""VGGish in plain NumPy, and the shapes of its weights."""

from tests.helpers import numpy_layers

# The published network's shapes, with h for the sizes of the first dense layers.
SHAPES = {
    'conv1': (3, 3, 1, 64),
    'conv2': (3, 3, 64, 128),
    'conv3/conv3_1': (3, 3, 128, 256),
    'conv3/conv3_2': (3, 3, 256, 256),
    'conv4/conv4_1': (3, 3, 256, 512),
    'conv4/conv4_2': (3, 3, 512, 512),
    'fc1/fc1_1': (12_288, 'h'),
    'fc1/fc1_2': ('h', 'h'),
    'fc2': ('h', 128),
}


def shapes_of(hidden):
    for name, shape in SHAPES.items():
        shape = tuple(hidden if size == 'h' else size for size in shape)
        yield f'vggish/{name}/weights', shape
        yield f'vggish/{name}/biases', shape[-1:]


def embeddings(x, arrays):
    def values(name):
        return arrays[f'vggish/{name}/weights'], arrays[f'vggish/{name}/biases']

    x = x[..., None]
    for stage in (
        ('conv1',),
        ('conv2',),
        ('conv3/conv3_1', 'conv3/conv3_2'),
        ('conv4/conv4_1', 'conv4/conv4_2'),
    ):
        for name in stage:
            x = numpy_layers.relu(numpy_layers.convolve(x, *values(name)))
        x = numpy_layers.pool(x)
    x = x.reshape(len(x), -1)
    for name in ('fc1/fc1_1', 'fc1/fc1_2', 'fc2'):
        kernel, bias = values(name)
        x = x @ kernel + bias
        x = x if name == 'fc2' else numpy_layers.relu(x)
    return x
