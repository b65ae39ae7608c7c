"""Networks on single frames for AAAI 2021's visual branch.

VGG-16 with ImageNet weights, from one of Keras' own files, gives the paper's 4096 features ('fc2')
or 1000 ('predictions'). Without weights, a small network replaces it, which
`training/frame_network.py` trains on the training clips' frames.
"""

import pathlib

import keras

from dualcam.files.path_types import AnyPath

VGG_LAYERS = {'fc2': 4096, 'predictions': 1000}
SMALL_SIDE, SMALL_FEATURES = 112, 128


def vgg16(weights: AnyPath | None, layer: str = 'fc2') -> keras.Model:
    """VGG-16 up to a layer.

    Args:
        weights: `vgg16_weights_tf_dim_ordering_tf_kernels.h5` or another file with the
            weights of `keras.applications.VGG16` with its top; None leaves it randomly
            initialised.
        layer: 'fc2' after its ReLU, or 'predictions', ImageNet's probabilities.

    Returns:
        A `keras.Model` from [frames, 224, 224, 3], RGB minus `video.MEANS`, to features [frames,
        4096 or 1000], named after the layer.

    Raises:
        ValueError: an unknown layer, or the file does not contain these weights.
    """
    if layer not in VGG_LAYERS:
        raise ValueError(f'layer {layer!r} of VGG-16: expected {" or ".join(VGG_LAYERS)}')
    if weights is not None and not pathlib.Path(weights).is_file():
        raise ValueError(
            f'{weights}: no such file; expected the weights of '
            'keras.applications.VGG16 with its top'
        )
    network = keras.applications.VGG16(weights=None)
    if weights is not None:
        try:
            network.load_weights(weights)
        except (ValueError, KeyError, OSError) as error:
            raise ValueError(
                f'{weights}: not the weights of keras.applications.VGG16 with its '
                f'top ({str(error).splitlines()[0]})'
            ) from error
    part = keras.Model(network.input, network.get_layer(layer).output)
    inputs = keras.Input(network.input_shape[1:], name='frames')
    return keras.Model(inputs, part(inputs[..., ::-1]), name=f'vgg16_{layer}')  # trained on BGR


def small(num_classes: int) -> tuple[keras.Model, keras.Model]:
    """A small network that predicts classes from frames.

    Returns:
        Two `keras.Model`s with shared layers, from [frames, 112, 112, 3], RGB minus
        `video.MEANS`: to logits [frames, num_classes], and to the features [frames, 128] below
        them, each the maximum of a filter's output over the frame.
    """
    inputs = keras.Input((SMALL_SIDE, SMALL_SIDE, 3), name='frames')
    x = keras.layers.Rescaling(1 / 64)(inputs)
    for filters, size, strides in ((24, 5, 2), (48, 3, 2), (64, 3, 2), (SMALL_FEATURES, 3, 1)):
        x = keras.layers.Conv2D(filters, size, strides, 'same', use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    features = keras.layers.GlobalMaxPooling2D(name='features')(x)
    logits = keras.layers.Dense(num_classes, name='logits')(features)
    return (
        keras.Model(inputs, logits, name='frame_tagger'),
        keras.Model(inputs, features, name='frame_features'),
    )
