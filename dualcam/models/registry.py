"""The networks by name, with their properties."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dualcam.data import audio
from dualcam.models import (
    avnet,
    cnn8,
    dualcamnet,
    hearnet,
    l3net,
    resnet,
    resnet18,
    soundnet,
    vggish,
)


@dataclasses.dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        name: lower case, also that of its Keras models.
        inputs: one or more of 'acoustic', 'spectrogram', 'waveform', 'video' (frames
            of 224 x 224, for a frozen ResNet-50), 'frames' (of 224 x 298, one per second) and
            'tagging' (a dictionary of log-mel spectrograms, features of frames and the like).
        features: the layer whose output is its embedding or its map.
        build: builds it, given `num_classes` and its own options; None for a network that has no
            class logits and is built by its own module.
        build_map: builds its part below the logits, which learns correspondence, or None.
        build_head: builds the trained part above a frozen ResNet-50, or None.
        regularized: layers whose kernels have an L2 penalty in the authors' programs. (The
            penalties of a frozen ResNet's kernels are constants and omitted; its logits layer has
            one in training.)
        frames: maps options of `build` to the indices of the frames of a clip that it takes; None
            for a network without video.
        spectrogram: parameters of its input.
        masks_bins: whether `build` takes `bins_heard`, see `hearnet.build`.
        scope: of its variables in the authors' programs, see `weights.tf1_names`; None if there
            are no such weights.
    """

    name: str
    inputs: tuple[str, ...]
    features: str
    build: Callable[..., keras.Model] | None = None
    build_map: Callable[..., keras.Model] | None = None
    build_head: Callable[..., keras.Model] | None = None
    regularized: tuple[str, ...] = ()
    frames: Callable[..., np.ndarray] | None = None
    spectrogram: audio.SpectrogramParams = dataclasses.field(
        default_factory=audio.SpectrogramParams
    )
    masks_bins: bool = False
    scope: str | None = None

    @property
    def input(self) -> str | None:
        """Its only input; None if it takes several."""
        return self.inputs[0] if len(self.inputs) == 1 else None

    @property
    def clip_parts(self) -> tuple[str, ...]:
        """Inputs of its training clips: `inputs`, with cached features of a frozen backbone instead
        of video."""
        frozen = self.build_head is not None
        return tuple('features' if frozen and one == 'video' else one for one in self.inputs)


NETWORKS = {
    one.name: one
    for one in (
        Network(
            'dualcamnet', ('acoustic',), dualcamnet.FEATURES, dualcamnet.build, scope='DualCamNet'
        ),
        Network(
            'hearnet',
            (hearnet.INPUT,),
            hearnet.FEATURES,
            hearnet.build,
            regularized=hearnet.REGULARIZED,
            masks_bins=True,
            scope='hear_net',
        ),
        Network(
            'oursoundnet',
            (soundnet.INPUT,),
            soundnet.FEATURES,
            soundnet.build,
            regularized=soundnet.REGULARIZED,
            scope='SoundNet',
        ),
        Network(
            'soundnet8',
            (soundnet.INPUT,),
            soundnet.FEATURES,
            soundnet.build_8,
            regularized=soundnet.REGULARIZED_8,
            scope='SoundNet',
        ),
        Network('soundnet5', (soundnet.INPUT,), soundnet.FEATURES_5, scope='SoundNet'),
        Network(
            'resnet50',
            (resnet.INPUT,),
            resnet.FEATURES,
            resnet.build,
            build_head=resnet.build_head,
            regularized=('logits',),
            frames=resnet.clip_frames,
            scope='resnet_v1_50',
        ),
        Network(
            'temporal_resnet50',
            (resnet.INPUT,),
            resnet.FEATURES,
            resnet.build_temporal,
            build_head=resnet.build_temporal_head,
            regularized=('logits',),
            frames=resnet.temporal_clip_frames,
            scope='resnet_v1_50',
        ),
        Network(
            'avnet',
            avnet.INPUTS,
            avnet.FEATURES,
            avnet.build,
            build_head=avnet.build_head,
            regularized=('logits',),
            frames=resnet.clip_frames,
            scope='DualCamNet',
        ),
        Network(
            'dualcamnet_eccv',
            ('acoustic',),
            dualcamnet.FEATURES_ECCV,
            dualcamnet.build_eccv,
            build_map=dualcamnet.build_eccv_map,
            scope='DualCamNet',
        ),
        Network(
            'hearnet_eccv',
            (hearnet.INPUT,),
            hearnet.FEATURES_ECCV,
            hearnet.build_eccv,
            build_map=hearnet.build_eccv_map,
            regularized=hearnet.REGULARIZED,
            spectrogram=hearnet.SPECTROGRAM_ECCV,
            masks_bins=True,
            scope='hear_net',
        ),
        Network(
            'resnet18_eccv',
            (resnet18.INPUT,),
            resnet18.FEATURES,
            resnet18.build,
            build_map=resnet18.build_map,
            regularized=resnet18.REGULARIZED,
            frames=resnet18.clip_frames,
            scope='resnet_v1',
        ),
        Network(
            'l3_audio',
            (l3net.INPUT_AUDIO,),
            l3net.FEATURES_AUDIO,
            l3net.build_audio,
            regularized=l3net.REGULARIZED_AUDIO,
            spectrogram=l3net.SPECTROGRAM,
            scope='L3',
        ),
        Network(
            'l3_vision',
            (l3net.INPUT_VISION,),
            l3net.FEATURES_VISION,
            l3net.build_vision,
            regularized=l3net.REGULARIZED_VISION,
            frames=resnet18.clip_frames,
            scope='L3',
        ),
        Network(
            'l3',
            (l3net.INPUT_AUDIO, l3net.INPUT_VISION),
            'fc1',
            regularized=l3net.REGULARIZED,
            spectrogram=l3net.SPECTROGRAM,
            frames=resnet18.clip_frames,
            scope='L3',
        ),
        Network('tagging_audio', (cnn8.INPUT,), cnn8.AUDIO, cnn8.build_audio),
        Network('tagging_visual', (cnn8.INPUT,), cnn8.VISUAL, cnn8.build_visual),
        Network('tagging_teacher', (cnn8.INPUT,), cnn8.AUDIO, cnn8.build_teacher),
        Network('tagging_student', (cnn8.INPUT,), cnn8.AUDIO, cnn8.build_student),
        Network('vggish', ('log-mel patches',), vggish.FEATURES, scope='vggish'),
    )
}
NAMES = tuple(name for name, one in NETWORKS.items() if one.build)  # names for `build`
TAGGING_NAMES = tuple(name for name in NAMES if NETWORKS[name].input == cnn8.INPUT)


def network(name: str) -> Network:
    """A network's entry.

    Raises:
        ValueError: there is no such network.
    """
    return _entry(name, NETWORKS)


def build(name: str, num_classes: int = 14, **options: Any) -> keras.Model:
    """Builds a network by its lower-case name.

    Args:
        name: one of `NAMES`.
        num_classes: of the logits.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` whose output is logits [batch, num_classes].

    Raises:
        ValueError: there is no such network.
    """
    return _entry(name, NAMES).build(num_classes=num_classes, **options)


def build_map(name: str, **options: Any) -> keras.Model:
    """Builds the part of an ECCV 2020 network that learns correspondence, below its logits.

    Its layers have the same names and weights as those of `build`.

    Args:
        name: 'dualcamnet_eccv', 'resnet18_eccv' or 'hearnet_eccv'.
        **options: of the network's own `build_map`.

    Returns:
        A `keras.Model` whose output is a clip's map [batch, 12, 16, 128], the mean over its
        frames, not negative; for 'hearnet_eccv' features [batch, 128] of either sign.

    Raises:
        ValueError: no such network, or one without a map.
    """
    return _entry(name, [key for key, one in NETWORKS.items() if one.build_map]).build_map(
        **options
    )


def build_head(
    name: str,
    num_classes: int = 14,
    feature_stats: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> keras.Model:
    """Builds the trained part of a network on video, on features of its frames.

    Args:
        name: 'resnet50', 'temporal_resnet50' or 'avnet'.
        num_classes: of the logits.
        feature_stats: mean and deviation [2048] to standardise features, or None.
        **options: of the network's own `build`.

    Returns:
        A `keras.Model` from features [batch, frames, 2048] (avnet: a dictionary of `features`
        and `acoustic`) to logits [batch, num_classes]; its layers are named as in `build`.

    Raises:
        ValueError: no such network, or one without a frozen backbone.
    """
    heads = [key for key, one in NETWORKS.items() if one.build_head]
    return _entry(name, heads).build_head(num_classes, feature_stats, **options)


def trained_variables(model: keras.Model) -> list[keras.Variable]:
    """The trained variables: all except a ResNet-50's below its logits."""
    return [
        variable
        for layer in model.layers
        if not layer.name.startswith('resnet_')
        for variable in layer.trainable_variables
    ]


def regularized_kernels(model: keras.Model) -> list[keras.Variable]:
    """The kernels with an L2 penalty in a network, or in its part from `build_map`."""
    regularized = network(model.name).regularized
    return [layer.kernel for layer in model.layers if layer.name in regularized]


def _entry(name, names):
    if name not in names:
        raise ValueError(f'network {name!r}: expected one of {", ".join(names)}')
    return NETWORKS[name]
