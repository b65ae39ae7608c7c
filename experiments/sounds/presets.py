"""How students are trained on a folder of sound files: chosen settings, and a smoke test."""

import dataclasses

from dualcam.data.clips import record_clips
from dualcam.data.signal import augmentation
from dualcam.training import loop
from dualcam.training.recipes import supervised


@dataclasses.dataclass(frozen=True)
class SoundPreset:
    """How students are trained on a folder of sound files.

    Attributes:
        epochs: {network: epochs}; the last epoch's weights are used, since a fold of a small set
            has no clips to spare for choosing one.
        seconds: {network: length of a clip}.
        learning_rate: {network: initial rate}, with cosine decay to zero.
        weight_decay: of the L2 terms.
        dropout: rate before fc1 and fc2.
        augment: an `augmentation.Augmentation`.
        note: for titles.
        hardware: see `presets.with_hardware`.
    """

    epochs: dict
    seconds: dict
    learning_rate: dict
    weight_decay: float
    dropout: float
    augment: augmentation.Augmentation
    note: str = ''
    hardware: dict = dataclasses.field(default_factory=dict)

    def run_params(self, network, seed):
        """`supervised.RunParams` of a network."""
        seconds = self.seconds[network]
        return supervised.RunParams(
            network=network,
            clips=record_clips.ClipParams(seconds, seconds, 1),
            loop=loop.LoopParams(
                self.epochs[network],
                32,
                self.learning_rate[network],
                seed,
                'cosine',
                **self.hardware,
            ),
            weight_decay=self.weight_decay,
            normalisation='log',
            band_limited=False,
            augment=self.augment,
            options=(('dropout', self.dropout),) if self.dropout else (),
        )


# Chosen by training on one fold and validating on another, over all pairs, without the third.
_FULL = SoundPreset(
    epochs={'hearnet': 80, 'oursoundnet': 40},
    seconds={'hearnet': 3, 'oursoundnet': 5},
    learning_rate={'hearnet': 5e-4, 'oursoundnet': 1e-3},
    weight_decay=5e-4,
    dropout=0.5,
    augment=augmentation.Augmentation(mixup=0.4),
)
PRESETS = {
    'demo': _FULL,
    'paper': _FULL,
    'smoke': dataclasses.replace(
        _FULL,
        epochs={'hearnet': 2, 'oursoundnet': 1},
        seconds={'hearnet': 2, 'oursoundnet': 4},
        note='smoke preset: tests the pipeline; numbers mean nothing',
    ),
}
