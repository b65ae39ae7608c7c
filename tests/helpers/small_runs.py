"""A small run of every regime, on synthetic data in memory, taking seconds each."""

import keras
import numpy as np

from dualcam import models
from dualcam.data import stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import tagged_packer
from dualcam.reports import run_reports
from dualcam.training import loop, recipes, run, tagging_data
from dualcam.training.recipes import (
    correspondence,
    distillation,
    supervised,
    tagging,
    tagging_steps,
)
from tests.helpers import tagged_clips, toy_eccv

EPOCHS = 3
CLIPS = record_clips.ClipParams(2, 2, 1)
_CLIP_S = 1
_LABELS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)] * 2
_NUM_TRAINING = 9


def write_records(scratch):
    """The records of tagged clips that some of the runs below read."""
    tagged_clips.write_records(scratch / 'records', _LABELS, _CLIP_S, np.random.default_rng(0))


def skip_exports(replace=setattr):
    """Makes runs of this process export no student, which takes a third of their time.

    Args:
        replace: pytest's `monkeypatch.setattr`, to undo it after a test.
    """
    for recipe in (recipes.SUPERVISED, recipes.DISTILLATION, recipes.TAGGING):
        replace(recipe, 'export', lambda *_: None)


def _train(recipe, params, data, folder, teacher=None):
    return run.train(recipe, params, data, folder, teacher, observers=[run_reports.observe])


def _run_params(loop_changes, **changes):
    return supervised.RunParams(
        'hearnet',
        CLIPS,
        loop.LoopParams(EPOCHS, 4, 1e-3, **loop_changes),
        **changes,
    )


def _supervised(_, folder, dropout=0.5, **loop_changes):
    return _train(
        recipes.SUPERVISED,
        _run_params(loop_changes, options=(('dropout', dropout),) if dropout else ()),
        toy_eccv.make_data(toy_eccv.make_store()),
        folder,
    )


def _distilled(_, folder, **loop_changes):
    store = toy_eccv.make_store()
    keras.utils.set_random_seed(2)
    seconds = record_clips.cut(store, np.arange(len(store.paths))[:, None], ['acoustic'])
    answers = distillation.record_predictions(
        models.build('dualcamnet', 2, seconds=1),
        seconds,
        folder.with_name(f'{folder.name}-answers.npy'),
    )
    return _train(
        recipes.DISTILLATION,
        _run_params(loop_changes, imitation=0.5, temperature=2.0),
        toy_eccv.make_data(store),
        folder,
        answers,
    )


def _pretext(_, folder, **loop_changes):
    store = toy_eccv.make_store()
    sums = np.random.default_rng(1).random((len(store.paths), 128), np.float32)
    return _train(
        recipes.CORRESPONDENCE,
        correspondence.CorrespondenceParams(
            'hearnet_eccv',
            'resnet18_eccv',
            CLIPS,
            loop.LoopParams(EPOCHS, 6, 1e-3, **loop_changes),
            alpha=0.5,
            all_epochs=1,
            video_options=(('num_frames', 1), ('width', 0.125)),
        ),
        toy_eccv.make_data(store),
        folder,
        sums,
    )


def _tagging(scratch, folder, network, method, loop_changes, teacher=None, **changes):
    paths = [str(path) for path in (scratch / 'records').rglob('*.tfrecord')]
    store = stores.open_store(
        paths, tagged_packer.TaggedPacker(tagged_clips.INFO.num_classes), scratch / 'cache'
    )
    rows = np.arange(len(store.paths))
    seen = np.repeat(store.columns['label'][:, None], _CLIP_S, axis=1)  # stands for frames
    data = tagging_data.TaggingData(
        store,
        rows[:_NUM_TRAINING],
        rows[_NUM_TRAINING:],
        tagged_clips.INFO,
        features={'visual': seen},
    )
    return _train(
        recipes.TAGGING,
        tagging.TaggingParams(
            network,
            method,
            loop.LoopParams(EPOCHS, 4, 3e-3, **loop_changes),
            _CLIP_S,
            width=1 / 16,
            visual='made up',
            visual_size=seen.shape[-1],
            **changes,
        ),
        data,
        folder,
        teacher,
    )


def _mutual(scratch, folder, **loop_changes):
    return _tagging(
        scratch,
        folder,
        'tagging_student',
        'mutual',
        loop_changes,
        transfer=tagging_steps.Transfer(),
    )


def _taught(scratch, folder, **loop_changes):
    keras.utils.set_random_seed(2)
    teacher = models.build(
        'tagging_teacher', tagged_clips.INFO.num_classes, width=1 / 16, visual_size=3
    )
    return _tagging(
        scratch,
        folder,
        'tagging_student',
        'taught',
        loop_changes,
        teacher,
        transfer=tagging_steps.Transfer(),
    )


def _visual(scratch, folder, **loop_changes):
    return _tagging(scratch, folder, 'tagging_visual', 'alone', loop_changes)


# Functions of the records folder, the run's folder and changes to its `LoopParams`; each returns
# the trained network.
REGIMES = {
    'supervised': _supervised,
    'distilled': _distilled,
    'pretext': _pretext,
    'taught': _taught,
    'mutual': _mutual,
    'visual': _visual,
}
