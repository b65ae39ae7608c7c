"""Learning without labels from the correspondence of sound and video (ECCV 2020).

A run has one network on sound and one on frames; `split` separates them. The training steps are
in `correspondence_steps.py`.
"""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np

from dualcam import models
from dualcam.data.clips import clip_sets, record_clips
from dualcam.data.packers import record_packer
from dualcam.data.signal import frontends
from dualcam.models import l3net
from dualcam.training import loop, run_data, steps
from dualcam.training.recipes import correspondence_steps
from dualcam.training.recipes.recipe import NETWORK, Recipe
from dualcam.training.recipes.supervised import RunParams


@dataclasses.dataclass(frozen=True)
class CorrespondenceParams:
    """Everything that determines the outcome of such a run, besides its data.

    Attributes:
        network: the network on sound: 'dualcamnet_eccv', 'hearnet_eccv' or 'l3_audio'.
        video_network: the one on frames: 'resnet18_eccv', or 'l3_vision' with 'l3_audio'.
        clips: how clips are cut; ECCV 2020 has 2 s.
        loop: training schedule; ECCV 2020 has batches of 64, 20 epochs and a rate of 1e-5.
        alpha: share of the transfer from a trained DualCamNet; None without one.
        margin: of the triplets.
        all_epochs: epochs in which all triplets count.
        weight_decay: of the L2 terms.
        standardise: acoustic images, see `supervised.RunParams`.
        options, video_options: additional arguments of the networks, as (name, value) pairs.
        normalisation, band_limited, frontend_version: see `supervised.RunParams`.
    """

    network: str
    video_network: str
    clips: record_clips.ClipParams
    loop: loop.LoopParams
    alpha: float | None = None
    margin: float = correspondence_steps.MARGIN
    all_epochs: int = correspondence_steps.ALL_EPOCHS
    weight_decay: float = 5e-4
    standardise: bool = False
    options: tuple[tuple[str, object], ...] = ()
    video_options: tuple[tuple[str, object], ...] = ()
    normalisation: str = 'mean_std'
    band_limited: bool = True
    frontend_version: int = frontends.VERSION

    def __post_init__(self):
        known = {
            'dualcamnet_eccv': 'resnet18_eccv',
            'hearnet_eccv': 'resnet18_eccv',
            'l3_audio': 'l3_vision',
        }
        if known.get(self.network) != self.video_network:
            raise ValueError(
                f'{self.network} with {self.video_network}: expected one of '
                + ', '.join(' with '.join(pair) for pair in known.items())
            )

    @property
    def sound(self) -> RunParams:
        """The network on sound as a `supervised.RunParams`."""
        return RunParams(
            self.network,
            self.clips,
            self.loop,
            standardise=self.standardise,
            options=self.options,
            normalisation=self.normalisation,
            band_limited=self.band_limited,
        )

    @property
    def video(self) -> RunParams:
        """The network on frames as a `supervised.RunParams`."""
        return RunParams(self.video_network, self.clips, self.loop, options=self.video_options)


class CorrespondenceRecipe(Recipe):
    """Trains a network on sound and one on frames by their correspondence.

    Its data are a `RunData`, whose labels do not affect training; the teacher is a trained
    DualCamNet's output for each record of the store, [records, channels], see
    `correspondence_steps.summed`, and requires `alpha`.
    """

    kind = 'correspondence'
    frontend_version = frontends.VERSION

    def params_from_json(self, fields: dict) -> CorrespondenceParams:
        """`CorrespondenceParams`."""
        return CorrespondenceParams(
            **(
                fields
                | {
                    'clips': record_clips.ClipParams(**fields['clips']),
                    'loop': loop.LoopParams(**fields['loop']),
                    **{
                        key: tuple((name, value) for name, value in fields[key])
                        for key in ('options', 'video_options')
                    },
                }
            )
        )

    def check(self, params: CorrespondenceParams, teacher: np.ndarray | None) -> None:
        """Raises a `ValueError` unless alpha and a teacher's sums are given together."""
        if (params.alpha is None) != (teacher is None):
            raise ValueError(f"alpha {params.alpha}: requires a teacher's outputs for the records")

    def clips(
        self,
        params: CorrespondenceParams,
        data: run_data.RunData,
        folder: pathlib.Path,
        teacher: np.ndarray | None,
    ) -> tuple[Any, Any]:
        """See `cut`."""
        rows, windows = data.windows(params)
        run_data.gather_stats(params.sound, data.store, rows, windows[0], folder)
        training, validation = (
            cut(params, data.store, chosen, folder, teacher) for chosen in windows
        )
        return training, validation

    def networks(
        self, params: CorrespondenceParams, num_classes: int, folder: pathlib.Path
    ) -> dict[str, keras.Model]:
        """Both networks as one, see `build`."""
        del num_classes
        return {NETWORK: build(params, folder)}

    def step(
        self,
        params: CorrespondenceParams,
        networks: dict[str, keras.Model],
        teacher: np.ndarray | None,
    ) -> steps.Step:
        """The step: pairs for L3-Net, otherwise triplets, with or without transfer."""
        del teacher
        model = networks[NETWORK]
        if params.network == 'l3_audio':
            return correspondence_steps.L3Step(model, params.weight_decay)
        if params.alpha is None:
            return correspondence_steps.CorrespondenceStep(
                model, params.margin, params.weight_decay, params.all_epochs
            )
        return correspondence_steps.TransferStep(
            model, params.alpha, params.margin, params.weight_decay, params.all_epochs
        )

    def keep(self, params: CorrespondenceParams) -> str:
        """L3-Net's accuracy is comparable between epochs, triplet losses are not."""
        return 'best' if params.network == 'l3_audio' else 'last'


CORRESPONDENCE = CorrespondenceRecipe()


def build(params: CorrespondenceParams, folder: pathlib.Path) -> keras.Model:
    """The networks of a run as one, with the statistics in its folder."""
    if params.network == 'l3_audio':
        options: dict[str, Any] = dict(params.options) | dict(params.video_options)
        return l3net.build_correspondence(params.clips.sample_length, **options)
    return correspondence_steps.pair(
        run_data.build_map(params.sound, folder), run_data.build_map(params.video, folder)
    )


def split(params: CorrespondenceParams, model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The networks on sound and on frames that a run's model consists of.

    Returns:
        Two Keras models: to maps [batch, 12, 16, 128] or features [batch, features], and to
        maps, or, for L3-Net, features.
    """
    if params.network != 'l3_audio':
        return model.get_layer(params.network), model.get_layer(params.video_network)
    made = []
    for name in (params.network, params.video_network):
        key, layer = models.network(name).input, models.network(name).features
        features = model.get_layer(layer).output
        count = model.input[key].shape[1]
        if name == params.video_network and count > 1:
            features = keras.ops.mean(
                keras.ops.reshape(features, [-1, count, features.shape[-1]]), axis=1
            )
        made.append(keras.Model(model.input[key], features, name=name))
    return tuple(made)


def cut(
    params: CorrespondenceParams,
    store: record_packer.RecordStore,
    windows: np.ndarray,
    folder: pathlib.Path,
    teacher_sums: np.ndarray | None = None,
) -> clip_sets.Clips:
    """Windows of a store as clips for a run's two networks.

    Args:
        params: a `CorrespondenceParams`.
        store: contains the records.
        windows: [clips, seconds] rows of it.
        folder: of the run, with its statistics.
        teacher_sums: see `CorrespondenceRecipe`; None without a teacher.

    Returns:
        `clip_sets.Clips` with the columns 'video', a video's number in its class, and
        'teacher_feature' if there is a teacher.
    """
    columns = {'video': store.columns['group'][windows[:, 0]]}
    if teacher_sums is not None:
        columns['teacher_feature'] = correspondence_steps.clip_features(teacher_sums, windows)
    kind = models.network(params.network).input
    assert kind is not None, 'a network with one input'
    frontend = run_data.frontend(params.sound, folder) if kind == 'spectrogram' else None
    options = dict(params.video_options) | {'seconds': params.clips.sample_length}
    frames = models.network(params.video_network).frames
    assert frames is not None, 'a network on frames'
    return record_clips.cut(
        store,
        windows,
        [kind, correspondence_steps.FRAMES],
        frontend,
        columns,
        frames(**options),
    )
