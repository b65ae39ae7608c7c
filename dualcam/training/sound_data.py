"""What a run on a folder of sound learns from; the counterpart of `run_data.RunData`."""

import dataclasses
import hashlib

import numpy as np

from dualcam import models
from dualcam.data import audio
from dualcam.data.clips import sound_clips
from dualcam.data.signal import channel_statistics
from dualcam.data.sources import datasets
from dualcam.training import run_data


@dataclasses.dataclass(frozen=True, eq=False)
class SoundData:
    """Files of a store to learn from.

    Attributes:
        store: a `sound_store.SoundStore`.
        training, validation: rows of it; an empty validation keeps the last epoch's weights.
        info: the data set, for titles and exports.
        start: {layer: its weights} that training starts from.
    """

    store: object
    training: np.ndarray
    validation: np.ndarray
    info: datasets.DatasetInfo
    start: dict = dataclasses.field(default_factory=dict)

    def clips(self, params, folder, teacher_logits=None):
        """Training and validation clips; statistics land in the folder. No teacher is asked."""
        if teacher_logits is not None:
            raise ValueError('a folder of sound has no acoustic images for a teacher')
        clip_samples = audio.num_samples(params.clips.sample_length)
        kind = models.network(params.network).input
        training = sound_clips.windows(self.store, self.training, clip_samples)
        if kind == 'spectrogram' and not (folder / 'stats').exists():
            channel_statistics.save(
                folder / 'stats',
                channel_statistics.gather(
                    sound_clips.SoundClips(
                        self.store, training, clip_samples, run_data.frontend(params)
                    ).raw_batches()
                ),
            )
        ears = run_data.frontend(params, folder)
        made = [sound_clips.SoundClips(self.store, training, clip_samples, ears, params.augment)]
        if not len(self.validation):
            return [*made, None]
        chosen = sound_clips.windows(self.store, self.validation, clip_samples)
        return [*made, sound_clips.SoundClips(self.store, chosen, clip_samples, ears)]

    def described(self):
        """What run.json says of it."""
        names = [sound.path for sound in self.store.sound_set.sounds]
        return {
            'sounds': self.store.digest,
            'lists': {
                name: {
                    'files': len(rows),
                    'sha256': hashlib.sha256(
                        '\n'.join(names[row] for row in rows).encode()
                    ).hexdigest(),
                }
                for name, rows in (('training', self.training), ('validation', self.validation))
            },
        }
