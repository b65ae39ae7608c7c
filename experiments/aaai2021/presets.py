"""Sizes of AAAI 2021's experiments, and the methods compared."""

import dataclasses

from dualcam.training import loop
from dualcam.training.recipes import tagging, tagging_steps

TERMS = ('soft', 'single_modal', 'cross_modal')


@dataclasses.dataclass(frozen=True)
class Run:
    """One training method, without seed and size.

    Attributes:
        network: that is evaluated, see `models.TAGGING_NAMES`.
        method: see `tagging.METHODS`.
        terms: of the transfer, some of `TERMS`; the others have weight 0.
        sound: its sound inputs.
        visual: features of the frames, for the network or its teacher: 'fc2' or 'predictions' of
            VGG-16, 'frames' of its substitute, or None.
        teacher: the `Run` of a trained teacher, or None.
        labels: whether a network with a teacher also learns from labels.
    """

    network: str
    method: str = 'alone'
    terms: tuple[str, ...] = ()
    sound: tuple[str, ...] = ('audio',)
    visual: str | None = None
    teacher: 'Run | None' = None
    labels: bool = True

    @property
    def name(self):
        """Name for folders."""
        parts = [self.network, self.method, *self.terms, *self.sound[1:]]
        if not self.labels:
            parts.insert(2, 'unlabelled')
        if self.sound[0] != 'audio':
            parts.insert(2, self.sound[0])
        return '-'.join([*parts, *([self.visual] if self.visual else [])])


def methods(visual, sound=('audio',)):
    """The rows of Table 3 by their published names, and the teacher alone.

    Args:
        visual: see `Run`.
        sound: inputs of teacher and student.

    Returns:
        {name: `Run`}
    """
    teacher = Run('tagging_teacher', sound=sound, visual=visual)
    shared = {'sound': sound, 'visual': visual}
    return {
        'standard_backpropagation': Run('tagging_audio', sound=sound),
        'knowledge_distillation': Run(
            'tagging_audio', 'taught', ('soft',), teacher=teacher, **shared
        ),
        'enhanced_feature': Run(
            'tagging_audio', 'taught', ('soft',), teacher=teacher, labels=False, **shared
        ),
        'fitnets': Run('tagging_audio', 'fitnets', teacher=teacher, **shared),
        'deep_mutual_learning': Run('tagging_audio', 'mutual', ('soft',), **shared),
        'proposed_student': Run('tagging_student', 'mutual', TERMS, **shared),
        'teacher': teacher,
    }


@dataclasses.dataclass(frozen=True)
class AaaiPreset:
    """How networks are trained.

    Attributes:
        name: used in titles.
        loop: a `loop.LoopParams`.
        width: factor on CNN8's filters.
        weights: of the terms of the transfer, by `TERMS`.
        hint_share: share of the epochs for FitNets' first stage.
        held_out: share of the training clips for validation, if there is no list for it.
        note: for titles; empty if the settings are the paper's.
    """

    name: str
    loop: loop.LoopParams
    width: float = 1.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    hint_share: float = 0.3
    held_out: float = 0.1
    note: str = ''

    def params(self, run, seed, clip_s, visual=None, visual_size=None):
        """`tagging.TaggingParams` of a `Run`; `visual` describes the visual input."""
        transfer = None
        if run.terms:
            transfer = tagging_steps.Transfer(
                **{
                    term: weight if term in run.terms else 0.0
                    for term, weight in zip(TERMS, self.weights, strict=True)
                },
                hard=float(run.labels),
            )
        return tagging.TaggingParams(
            run.network,
            run.method,
            dataclasses.replace(self.loop, seed=seed),
            clip_s,
            run.sound,
            self.width,
            transfer=transfer,
            hint_epochs=max(1, round(self.hint_share * self.loop.epochs))
            if run.method == 'fitnets'
            else 0,
            visual=visual,
            visual_size=visual_size,
        )


_MEASURED = {'batch_norm_averages': 'measured'}  # moving averages lag in short trainings

PRESETS = {
    # The paper gives no number of epochs, hint stage or share of validation clips.
    'paper': AaaiPreset('paper', loop.LoopParams(40, 32, 1e-3)),
    # Many epochs of few clips: labels alone are then learned by heart, and a peer can help. With
    # weights of 1 a short training brings features together and learns little else. Both were
    # chosen on data of seeds other than the tables'.
    'demo': AaaiPreset(
        'demo',
        loop.LoopParams(
            24,
            32,
            2e-3,
            schedule='cosine',
            **_MEASURED,
            batch_norm_clips=128,
            validation_period=3,
        ),
        0.125,
        (1.0, 0.01, 0.01),
        note='demo preset: few clips, networks an eighth '
        'as wide, feature distances are weighted by 0.01',
    ),
    'smoke': AaaiPreset(
        'smoke',
        loop.LoopParams(2, 16, 1e-3, **_MEASURED, validation_period=2),
        1 / 16,
        held_out=0.25,
        note='smoke preset: tests the pipeline; numbers mean nothing',
    ),
}


def preset_named(name):
    """The preset, or a `ValueError` that lists them."""
    if name not in PRESETS:
        raise ValueError(f'preset {name!r}: expected one of {", ".join(PRESETS)}')
    return PRESETS[name]
