"""Learning several labels per clip: alone, from a trained teacher, or with one (AAAI 2021).

The checkpoints of a mutual run contain student and teacher, those of a FitNets run student and
regressor; only the student is returned and exported. The training steps are in `tagging_steps.py`.
"""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np
import scipy.special

from dualcam import models
from dualcam.data.signal import logmel
from dualcam.data.sources import datasets
from dualcam.export import saved_models
from dualcam.models import cnn8
from dualcam.training import loop, steps, tagging_data
from dualcam.training.recipes import tagging_steps
from dualcam.training.recipes.recipe import NETWORK, Recipe

METHODS = ('alone', 'taught', 'fitnets', 'mutual')
TEACHER = 'teacher'  # key of a mutual run's teacher among its networks
_REGRESSOR = 'regressor'  # likewise of a FitNets run's, see `cnn8.build_regressor`
_TEACHER_NAME = 'tagging_teacher'


@dataclasses.dataclass(frozen=True)
class TaggingParams:
    """Everything that determines the outcome of such a run, besides its data.

    Attributes:
        network: that is evaluated and exported: one of `models.TAGGING_NAMES`.
        method: 'alone' uses labels; 'taught' a trained teacher, with or without labels; 'fitnets'
            both, after a hint; 'mutual' trains together with a teacher. See `tagging_steps.py`.
        loop: training schedule; AAAI 2021 has Adam, batches of 32 and a rate of 1e-3.
        clip_s: seconds of a clip.
        sound: sound inputs of the network, and of a mutual teacher; see `cnn8.SOUND_SIZES`.
        width: factor on the numbers of CNN8's filters.
        crop_s: whole seconds of each clip per training step; None for all.
        transfer: a `tagging_steps.Transfer` to the student of 'taught' and 'mutual' runs.
        teacher_transfer: the transfer to the teacher of a mutual run; None for the same.
        hint_epochs: of FitNets' first stage.
        visual: description of the frames' features; None without frames.
        visual_size: number of features per frame.
        frontend: a `logmel.LogMelParams`.
        frontend_version: of the code that makes the input, `logmel.VERSION`.
    """

    network: str
    method: str
    loop: loop.LoopParams
    clip_s: int
    sound: tuple[str, ...] = ('audio',)
    width: float = 1.0
    crop_s: int | None = None
    transfer: tagging_steps.Transfer | None = None
    teacher_transfer: tagging_steps.Transfer | None = None
    hint_epochs: int = 0
    visual: str | None = None
    visual_size: int | None = None
    frontend: logmel.LogMelParams = dataclasses.field(default_factory=logmel.LogMelParams)
    frontend_version: int = logmel.VERSION

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f'method {self.method!r}: expected one of {", ".join(METHODS)}')
        if self.network not in models.TAGGING_NAMES:
            raise ValueError(
                f'network {self.network!r}: expected one of {", ".join(models.TAGGING_NAMES)}'
            )
        if (self.transfer is not None) != (self.method in ('taught', 'mutual')):
            raise ValueError(
                f'method {self.method} with transfer {self.transfer}: only taught and '
                'mutual runs have one'
            )
        if self.sees and not self.visual_size:
            raise ValueError(
                f'{self.network}, {self.method}: uses frames; expected visual and visual_size'
            )

    @property
    def sees(self) -> bool:
        """Whether this network or its teacher takes features of frames."""
        return self.method != 'alone' or self.network in (_TEACHER_NAME, 'tagging_visual')


class TaggingRecipe(Recipe):
    """Trains a tagging network; its data are a `TaggingData`.

    The teacher is the trained network of a 'taught' or 'fitnets' run.
    """

    kind = 'tagging'
    frontend_version = logmel.VERSION

    def params_from_json(self, fields: dict) -> TaggingParams:
        """`TaggingParams`."""
        peers = {
            key: fields[key] and tagging_steps.Transfer(**fields[key])
            for key in ('transfer', 'teacher_transfer')
        }
        return TaggingParams(
            **(
                fields
                | peers
                | {
                    'loop': loop.LoopParams(**fields['loop']),
                    'sound': tuple(fields['sound']),
                    'frontend': logmel.LogMelParams(**fields['frontend']),
                }
            )
        )

    def check(self, params: TaggingParams, teacher: keras.Model | None) -> None:
        """Raises a `ValueError` if a teacher is missing, or given but not used by the method."""
        if (teacher is not None) != (params.method in ('taught', 'fitnets')):
            raise ValueError(
                f'method {params.method}: '
                + ('expected no teacher' if teacher else 'expected a trained teacher')
            )

    def clips(
        self,
        params: TaggingParams,
        data: tagging_data.TaggingData,
        folder: pathlib.Path,
        teacher: keras.Model | None,
    ) -> tuple[Any, Any]:
        """Clips of the data, with the teacher's predictions if these are constant."""
        training, validation = data.clips(params, folder)
        if teacher is None:
            return training, validation
        assert validation is not None, 'tagged data have validation clips'
        return (
            training if params.crop_s else tagging_steps.TaughtClips(training, teacher),
            tagging_steps.TaughtClips(validation, teacher),
        )

    def networks(
        self, params: TaggingParams, num_classes: int, folder: pathlib.Path
    ) -> dict[str, keras.Model]:
        """The network, for a mutual run `TEACHER`, and for a FitNets run the regressor."""
        del folder
        heard: dict[str, Any] = {'sound': params.sound, 'width': params.width}
        options: dict[str, dict] = {
            'tagging_visual': {'visual_size': params.visual_size},
            _TEACHER_NAME: heard | {'visual_size': params.visual_size},
        }
        roles = {NETWORK: params.network}
        if params.method == 'mutual':
            roles = {TEACHER: _TEACHER_NAME, **roles}
        built = {
            role: models.build(network, num_classes, **options.get(network, heard))
            for role, network in roles.items()
        }
        if params.method == 'fitnets':
            built[_REGRESSOR] = cnn8.build_regressor(built[NETWORK])
        return built

    def joined(self, networks: dict[str, keras.Model]) -> keras.Model:
        """Teacher and student of a mutual run, or student and regressor, as one."""
        if TEACHER in networks:
            return tagging_steps.joint(networks[TEACHER], networks[NETWORK])
        if _REGRESSOR in networks:
            return tagging_steps.guided(networks[NETWORK], networks[_REGRESSOR])
        return networks[NETWORK]

    def step(
        self, params: TaggingParams, networks: dict[str, keras.Model], teacher: keras.Model | None
    ) -> steps.Step:
        """The step of the run's method."""
        network = networks[NETWORK]
        if params.method == 'mutual':
            assert params.transfer is not None, 'as TaggingParams checks'
            return tagging_steps.MutualStep(
                networks[TEACHER], network, params.transfer, params.teacher_transfer
            )
        if params.method == 'taught':
            assert params.transfer is not None, 'as TaggingParams checks'
            return tagging_steps.TaughtStep(network, teacher, params.transfer)
        if params.method == 'fitnets':
            return tagging_steps.FitNetsStep(
                network, teacher, networks[_REGRESSOR], params.hint_epochs
            )
        return tagging_steps.TaggingStep(network)

    def export(
        self,
        params: TaggingParams,
        network: keras.Model,
        info: datasets.DatasetInfo,
        folder: pathlib.Path,
    ) -> None:
        """Exports the network if a microphone is all it needs, and verifies the reloaded one."""
        if not needs_sound_only(params):
            return
        frontend = tagging_data.frontend(params, folder)
        place = folder / 'saved_model' / '1'
        saved_models.export(network, place, info, params.clip_s, frontend)
        saved_models.verify(network, place, params.clip_s, frontend)


TAGGING = TaggingRecipe()


def needs_sound_only(params: TaggingParams) -> bool:
    """Whether a microphone is all that the network of a run needs."""
    return params.sound == ('audio',) and params.network in ('tagging_audio', 'tagging_student')


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Probability of each event in each clip, [clips, classes] float64, of such logits."""
    return scipy.special.expit(logits.astype(np.float64))
