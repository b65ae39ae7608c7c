"""Sizes of ECCV 2020's experiments: paper settings, the demo, and a smoke test."""

import dataclasses

from dualcam.data.clips import record_clips
from dualcam.training import loop
from dualcam.training.recipes import correspondence, supervised

SECONDS = 2  # of a clip, and of a sequence of the lists
ALPHAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
_VIDEO_NETWORKS = {
    'dualcamnet_eccv': 'resnet18_eccv',
    'hearnet_eccv': 'resnet18_eccv',
    'l3_audio': 'l3_vision',
}
_NORMALISATIONS = {'l3_audio': 'log', 'l3_vision': 'log'}  # others: mean and deviation


@dataclasses.dataclass(frozen=True)
class EccvPreset:
    """How networks are trained, and which table rows are filled.

    Attributes:
        name: for titles.
        pretext: `loop.LoopParams` for runs without labels.
        supervised: likewise for runs with labels, which keep the best validation accuracy.
        all_epochs: epochs in which all triplets count.
        alphas: shares of the transfer for which to fill rows.
        networks: for which to fill rows, see `eccv_tables.NETWORKS`.
        options: {network: additional arguments, as (name, value) pairs}.
        standardise: whether to standardise acoustic images by training statistics.
        note: for titles; empty if the settings are the paper's.
        supervised_rates: {(network, whether it has a teacher): learning rate} that differ from
            `supervised`'s.
    """

    name: str
    pretext: loop.LoopParams
    supervised: loop.LoopParams
    all_epochs: int
    alphas: tuple[float, ...]
    networks: tuple[str, ...]
    options: dict
    standardise: bool
    note: str = ''
    supervised_rates: dict = dataclasses.field(default_factory=dict)

    def pretext_params(self, network, alpha, seed):
        """`correspondence.CorrespondenceParams`; alpha is None without a teacher."""
        video_network = _VIDEO_NETWORKS[network]
        return correspondence.CorrespondenceParams(
            network,
            video_network,
            record_clips.ClipParams(SECONDS, SECONDS, 1),
            dataclasses.replace(self.pretext, seed=seed),
            alpha,
            all_epochs=self.all_epochs,
            standardise=self.standardise,
            options=self.options.get(network, ()),
            video_options=self.options.get(video_network, ()),
            normalisation=_NORMALISATIONS.get(network, 'mean_std'),
        )

    def supervised_params(self, network, taught, seed):
        """`supervised.RunParams`; a taught network also learns from a teacher's predictions."""
        shared = 0.5 if taught else None, 1.0 if taught else None
        return supervised.RunParams(
            network,
            record_clips.ClipParams(SECONDS, SECONDS, 1),
            dataclasses.replace(
                self.supervised,
                seed=seed,
                learning_rate=self.supervised_rates.get(
                    (network, taught), self.supervised.learning_rate
                ),
            ),
            *shared,
            standardise=self.standardise and network == 'dualcamnet_eccv',
            options=self.options.get(network, ()),
            normalisation=_NORMALISATIONS.get(network, 'mean_std'),
        )


_ALL = ('hearnet', 'dualcamnet', 'resnet18', 'l3')
_SHORT_OPTIONS = {
    'dualcamnet_eccv': (('frame_stride', 6),),
    'resnet18_eccv': (('num_frames', 1), ('width', 0.25)),
    'l3_audio': (('width', 0.125),),
    'l3_vision': (('num_frames', 1), ('width', 0.125)),
}

_MEASURED = {'batch_norm_averages': 'measured'}  # moving averages lag in short trainings

PRESETS = {
    # The paper gives no rate for its supervised networks; WACV 2020's are used.
    'paper': EccvPreset(
        'paper',
        loop.LoopParams(20, 64, 1e-5),
        loop.LoopParams(100, 32, 1e-4),
        4,
        ALPHAS,
        _ALL,
        {'l3_vision': (('num_frames', 1),)},
        False,
        supervised_rates={('dualcamnet_eccv', False): 1e-3, ('hearnet_eccv', True): 1e-3},
    ),
    # At this rate the hardest triplets collapse all features.
    'demo': EccvPreset(
        'demo',
        loop.LoopParams(30, 64, 3e-4, **_MEASURED, batch_norm_clips=128, validation_period=3),
        loop.LoopParams(20, 32, 1e-3, **_MEASURED),
        30,
        (0.0, 0.5),
        ('hearnet', 'dualcamnet'),
        _SHORT_OPTIONS,
        True,
        'demo preset: short training on all triplets, a narrow ResNet-18 that '
        'gets one frame per clip, acoustic images at 2 frames/s',
    ),
    'smoke': EccvPreset(
        'smoke',
        loop.LoopParams(2, 10, 3e-4, **_MEASURED, validation_period=2),
        loop.LoopParams(2, 10, 1e-3, **_MEASURED, validation_period=2),
        1,
        (0.0, 0.5),
        ('hearnet', 'dualcamnet'),
        _SHORT_OPTIONS
        | {
            'dualcamnet_eccv': (('frame_stride', 12),),
            'resnet18_eccv': (('num_frames', 1), ('width', 0.125)),
        },
        True,
        'smoke preset: tests the pipeline; numbers mean nothing',
    ),
}


def preset_named(name, complete=False):
    """The preset, or a `ValueError` that lists them; `complete` fills every row of the tables."""
    if name not in PRESETS:
        raise ValueError(f'preset {name!r}: expected one of {", ".join(PRESETS)}')
    preset = PRESETS[name]
    return dataclasses.replace(preset, alphas=ALPHAS, networks=_ALL) if complete else preset
