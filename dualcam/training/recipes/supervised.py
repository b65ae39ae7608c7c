"""Learning from labels (WACV 2020: columns G, and the teachers of Table 1)."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from dualcam import losses, models
from dualcam.data.clips import record_clips
from dualcam.data.signal import augmentation, frontends
from dualcam.data.sources import datasets
from dualcam.export import saved_models
from dualcam.models import resnet
from dualcam.training import loop, run_data, steps
from dualcam.training.recipes.recipe import NETWORK, Recipe


@dataclasses.dataclass(frozen=True)
class RunParams:
    """Everything that determines the outcome of a supervised or distilled run, besides its data.

    Attributes:
        network: name, see `models.build`.
        clips: how clips are cut.
        loop: training schedule.
        imitation, temperature: of the teacher; None without one.
        weight_decay: of the L2 terms.
        standardise: normalise acoustic images to zero mean and unit deviation per cepstral channel,
            features of video likewise.
        mirrored: acoustic images of half of the training clips are mirrored left to right, see
            `record_parts.Mirrored`.
        options: additional arguments of the network, as (name, value) pairs.
        backbone: identifies the weights behind the features of video
            (`fingerprints.of_weights`); None without video.
        batch_norm: 'frozen' keeps a ResNet's normalisation unchanged, so that its features are
            computed once; 'authors' uses batch statistics, which update its averages, like the
            authors' programs while they train the logits, at a hundred times the cost.
        start: identifies the weights that layers start from (`RunData.start`); None if all are
            randomly initialised.
        normalisation: of a student's spectrograms, see `frontends.Frontend`.
        band_limited: whether a student's recordings have nothing above 6.1 kHz, likewise.
        augment: an `augmentation.Augmentation` of training clips, or None. For sound files.
        frontend_version: of the code that makes a student's input, `frontends.VERSION`.
    """

    network: str
    clips: record_clips.ClipParams
    loop: loop.LoopParams
    imitation: float | None = None
    temperature: float | None = None
    weight_decay: float = 5e-4
    standardise: bool = False
    options: tuple[tuple[str, object], ...] = ()
    backbone: str | None = None
    batch_norm: str = 'frozen'
    start: str | None = None
    normalisation: str = 'min_max'
    band_limited: bool = True
    augment: augmentation.Augmentation | None = None
    frontend_version: int = frontends.VERSION
    mirrored: bool = False

    def __post_init__(self):
        if self.batch_norm not in ('frozen', 'authors'):
            raise ValueError(f'batch_norm {self.batch_norm!r}: expected frozen or authors')
        if self.network not in models.NAMES:
            raise ValueError(f'network {self.network!r}: expected one of {", ".join(models.NAMES)}')


class SupervisedStep(steps.Step):
    """Trains a network on labels."""

    def __init__(self, model: keras.Model, weight_decay: float = 5e-4):
        super().__init__(
            model, models.trained_variables(model), models.regularized_kernels(model), weight_decay
        )

    def losses(self, batch: Mapping, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named scalars, including 'total', and the logits [batch, classes]."""
        logits = steps.outputs(self.model, batch['input'], training)
        if 'other_label' in batch:
            hard = losses.mixed_cross_entropy(
                batch['label'], batch['other_label'], batch['other_share'], logits
            )
        else:
            hard = losses.cross_entropy(batch['label'], logits)
        return self.add_penalty({'hard': hard}), logits


class SupervisedRecipe(Recipe):
    """Trains a network on labels; its data are a `RunData` or a `SoundData`."""

    kind = 'supervised'
    frontend_version = frontends.VERSION

    def params_from_json(self, fields: dict) -> RunParams:
        """`RunParams`."""
        augment = fields.get('augment')
        return RunParams(
            **(
                fields
                | {
                    'clips': record_clips.ClipParams(**fields['clips']),
                    'loop': loop.LoopParams(**fields['loop']),
                    'options': tuple((key, value) for key, value in fields['options']),
                    'augment': augment and augmentation.Augmentation(**augment),
                }
            )
        )

    def clips(
        self, params: RunParams, data: Any, folder: pathlib.Path, teacher: Any
    ) -> tuple[Any, Any]:
        """See `RunData.clips` and `SoundData.clips`."""
        return data.clips(params, folder, teacher)

    def networks(
        self, params: RunParams, num_classes: int, folder: pathlib.Path
    ) -> dict[str, keras.Model]:
        """The network, or its head on features of video."""
        return {NETWORK: run_data.build(params, num_classes, folder)}

    def start(self, params: RunParams, data: Any, networks: dict[str, keras.Model]) -> None:
        """Loads weights of the data's `start`, and of a backbone on video."""
        for layer, values in data.start.items():
            networks[NETWORK].get_layer(layer).set_weights(values)
        if 'video' in run_data.inputs_of(params):
            resnet.copy_weights(data.store.frame_features.network, networks[NETWORK])

    def step(self, params: RunParams, networks: dict[str, keras.Model], teacher: Any) -> steps.Step:
        """A `SupervisedStep`."""
        del teacher
        return SupervisedStep(networks[NETWORK], params.weight_decay)

    def export(
        self,
        params: RunParams,
        network: keras.Model,
        info: datasets.DatasetInfo,
        folder: pathlib.Path,
    ) -> None:
        """Exports a student on waveforms or spectrograms, and verifies the reloaded one."""
        if models.network(params.network).input not in ('waveform', 'spectrogram'):
            return
        frontend = run_data.frontend(params, folder)
        place, seconds = folder / 'saved_model' / '1', params.clips.sample_length
        saved_models.export(network, place, info, seconds, frontend)
        saved_models.verify(network, place, seconds, frontend)


SUPERVISED = SupervisedRecipe()
