"""A run stopped at any point resumes as if it had not been, and says what stopped it."""

import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dualcam import losses
from dualcam.cli import errors
from dualcam.data.clips import record_clips
from dualcam.data.sources import datasets
from dualcam.training import (
    checkpoints,
    curve_files,
    loop,
    nonfinite,
    recipes,
    run,
    run_folder,
    steps,
)
from dualcam.training.recipes import correspondence, supervised, tagging

WRITES = ('open', 'os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'shutil.rmtree')
dying = types.SimpleNamespace(folder=None, left=0)


class Killed(BaseException):
    """Replaces SIGKILL: nothing that follows it in the process may write."""


def audit(event, arguments, dying=dying):
    if (
        dying.folder is None
        or event not in WRITES
        or not str(arguments[0]).startswith(dying.folder)
        or (event == 'open' and arguments[1] in ('r', 'rb', None))
    ):
        return
    dying.left -= 1
    if dying.left <= 0:
        raise Killed


sys.addaudithook(audit)


@pytest.fixture
def kill_at(tmp_path):
    """Makes the process die at its n-th write below the test's folder."""

    def arm(count):
        dying.folder, dying.left = str(tmp_path), count

    yield arm
    dying.folder = None


def new_progress(folder):
    """A `Progress` with one weight, which counts epochs, and that weight."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return checkpoints.Progress(model, optimizer, folder), model.weights[0]


def resume(folder, num_epochs, best):
    """Counts epochs, resuming from a folder; returns the final weight."""
    progress, weight = new_progress(folder)
    history = progress.restore()
    if history is None:
        history = []
        weight.assign([[0.0]])
        progress.save(history, False)
    assert float(weight[0, 0]) == len(history)
    for epoch in range(len(history) + 1, num_epochs + 1):
        weight.assign([[epoch]])
        history.append({'epoch': epoch})
        progress.save(history, epoch in best)
    assert [record['epoch'] for record in history] == list(range(1, num_epochs + 1))
    progress.restore_best()
    return float(weight[0, 0])


def test_killed_at_any_write_a_run_resumes_from_its_last_saved_epoch(tmp_path, kill_at):
    for count in range(1, 1000):
        folder = tmp_path / str(count)
        kill_at(count)
        try:
            resume(folder, 3, best=(1, 2))
        except Killed:
            kill_at(10**9)
            assert resume(folder, 3, best=(1, 2)) == 2
            names = {
                str(path.relative_to(folder))
                for path in folder.rglob('*')
                if path.is_file() and not path.name.endswith('.partial')
            }
            assert names == {
                'history.json',
                *(
                    f'{name}.{part}'
                    for name in ('latest/ckpt-3', 'best/ckpt-2')
                    for part in ('index', 'data-00000-of-00001')
                ),
            }
        else:
            break
    assert 15 < count < 1000


@pytest.mark.parametrize('name', ['latest', 'best'])
def test_a_checkpoint_that_was_cut_off_does_not_count(name, tmp_path, monkeypatch):
    write = tf.train.Checkpoint.write

    def torn(self, prefix):
        write(self, prefix)
        if prefix.endswith(f'{name}/ckpt-2'):
            os.truncate(f'{prefix}.index', 20)
            raise Killed

    monkeypatch.setattr(tf.train.Checkpoint, 'write', torn)
    with pytest.raises(Killed):
        resume(tmp_path, 3, best=(1, 2))
    monkeypatch.undo()
    assert resume(tmp_path, 3, best=(1, 2)) == 2


def test_best_weights_of_an_epoch_that_does_not_count_are_not_the_best(tmp_path, monkeypatch):
    """On other processors the repeated epoch may turn out worse than the one before."""

    def stop(path, text):
        raise Killed if text.count('epoch') == 2 else AssertionError

    resume(tmp_path, 1, best=(1,))
    monkeypatch.setattr(checkpoints.atomic, 'write_text', stop)
    with pytest.raises(Killed):
        resume(tmp_path, 2, best=(2,))
    monkeypatch.undo()
    assert (tmp_path / 'best' / 'ckpt-2.index').exists()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    checkpoints.restore_best(tmp_path, tf.train.Checkpoint(model=model))
    assert float(model.weights[0][0, 0]) == 1
    assert resume(tmp_path, 2, best=()) == 1


def test_a_damaged_checkpoint_is_named(tmp_path):
    resume(tmp_path, 2, best=(1,))
    os.truncate(tmp_path / 'latest' / 'ckpt-2.index', 20)
    with pytest.raises(ValueError, match='latest/ckpt-2: not a complete checkpoint'):
        new_progress(tmp_path)[0].restore()
    (tmp_path / 'history.json').write_text('[{')
    with pytest.raises(ValueError, match=r'history\.json: damaged'):
        new_progress(tmp_path)[0].restore()


def test_curves_are_cut_back_to_the_epochs_that_count(tmp_path, summaries):
    written = curve_files.Curves(tmp_path)
    for epoch in range(3):
        written.write({'epoch': epoch, 'rate': 1.0, 'validation/total': float(epoch)}, 'accuracy')
    written.close()
    for path in tmp_path.rglob('events.*'):
        with open(path, 'ab') as file:
            file.write(path.read_bytes()[:30])  # another event, truncated
    curve_files.forget_after(tmp_path, 2)
    curve_files.forget_after(tmp_path / 'nowhere', 2)
    assert [value.tag for value in summaries(tmp_path / 'train')] == ['rate'] * 2
    found = [tf.make_ndarray(value.tensor) for value in summaries(tmp_path / 'validation')]
    assert found == [0.0, 1.0]
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob('events.*'))]
    curve_files.forget_after(tmp_path, 2)
    assert before == [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob('events.*'))]
    curve_files.forget_after(tmp_path, 0)
    assert not list(tmp_path.rglob('events.*'))


class Toy(steps.Step):
    """Learns the sign of a number; `at_start` is called with each epoch's number."""

    def __init__(self, at_start=lambda epoch: None):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(8),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(2),
            ]
        )
        super().__init__(model, model.trainable_variables, [], 0.0)
        self._at_start = at_start

    def start_epoch(self, epoch):
        self._at_start(epoch)

    def losses(self, batch, training):
        logits = self.model(batch['input'], training=training)
        return self.add_penalty({'hard': losses.cross_entropy(batch['label'], logits)}), logits


class ToyClips:
    """Eight numbers; those that are not finite are from damaged records."""

    def __init__(self, values=(-4, -3, -2, -1, 1, 2, 3, 4)):
        self._values = np.array(values, np.float32)[:, None]
        self.columns = {'label': np.arange(len(values)) // 4}

    def __len__(self):
        return len(self._values)

    def records(self, number):
        return [f'/r/{number}.tfrecord']

    def batches(self, batch_size, shuffle_seed=None):
        order = np.arange(len(self))
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(order)
        return tf.data.Dataset.from_tensor_slices(
            {'input': self._values[order], 'label': self.columns['label'][order], 'clip': order}
        ).batch(batch_size)


def fit(folder, training=None, at_start=lambda epoch: None, validation=None, period=1):
    one = Toy(at_start)
    history = loop.fit(
        one,
        training or ToyClips(),
        validation or ToyClips(),
        loop.LoopParams(3, 3, 0.1, validation_period=period),
        folder,
        keras.optimizers.Adam(0.1),
    )
    return [
        {key: value for key, value in record.items() if key != 'clips_per_second'}
        for record in history
    ], [weight.numpy() for weight in one.model.weights]


def equal(found, wanted):
    for ours, theirs in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found[0] == wanted[0]


@pytest.fixture
def heard_ctrl_c():
    """Enables Ctrl-C, which is ignored if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('heard_ctrl_c')
def test_ctrl_c_keeps_the_last_saved_epoch_and_says_how_to_resume(tmp_path, capsys):
    def at_start(epoch):
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    code = errors.exit_code(lambda: fit(tmp_path / 'a', at_start=at_start))
    assert code == 130
    assert (
        f'the state after epoch 1 is kept in {tmp_path}/a/checkpoints/latest/ckpt-1; the same '
        'call resumes from there'
    ) in capsys.readouterr().err
    equal(fit(tmp_path / 'a'), fit(tmp_path / 'b'))
    assert errors.exit_code(lambda: signal.raise_signal(signal.SIGINT)) == 130
    assert 'stopped: the same command resumes' in capsys.readouterr().err


@pytest.mark.usefixtures('heard_ctrl_c')
@pytest.mark.parametrize('unsaved_s, kept', [(60.0, 'before the first'), (0.0, 'after')])
def test_short_epochs_without_validation_are_not_saved(unsaved_s, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, '_UNSAVED_S', unsaved_s)

    def at_start(epoch):
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(loop.Stopped, match=f'the state {kept} epoch'):
        fit(tmp_path / 'a', at_start=at_start, period=2)
    epochs = []
    equal(fit(tmp_path / 'a', at_start=epochs.append, period=2), fit(tmp_path / 'b', period=2))
    assert epochs == ([0, 1, 2] if unsaved_s else [1, 2])
    saved = json.loads((tmp_path / 'a' / 'checkpoints' / 'history.json').read_text())
    assert ['validation/total' in one for one in saved] == [False, True, True]


def test_what_is_not_finite_is_named_and_the_fixed_run_resumes(tmp_path):
    damaged = ToyClips((-4, -3, np.inf, -1, 1, 2, 3, 4))
    with pytest.raises(
        loop.NotFinite,
        match=(
            r'epoch 1, step \d: .* come from /r/2\.tfrecord \(all clips: .*not_finite\.json\)\. '
            r'The state before the first epoch is kept in .*ckpt-0: .*the same call resumes'
        ),
    ):
        fit(tmp_path / 'a', damaged)
    noted = json.loads((tmp_path / 'a' / nonfinite.FILE).read_text())
    assert {'clip': 2, 'records': ['/r/2.tfrecord'], 'input_is_finite': False} in noted['clips']
    assert len(noted['clips']) in (2, 3) and set(noted['losses']) == {'hard', 'total'}
    with pytest.raises(loop.NotFinite, match=r'epoch 1, validation batch 1: .*/r/2\.tfrecord'):
        fit(tmp_path / 'a', validation=damaged)
    equal(fit(tmp_path / 'a'), fit(tmp_path / 'b'))
    assert not (tmp_path / 'a' / nonfinite.FILE).exists()


def test_a_gradient_that_is_not_finite_is_found_in_its_own_step(tmp_path):
    class Steep(Toy):
        def losses(self, batch, training):
            *_, bias = self.variables  # of zeros
            root = tf.sqrt(tf.reduce_sum(tf.square(bias)))
            root += 0.0 * tf.add_n([tf.reduce_sum(values) for values in self.variables])
            return {'total': root}, self.model(batch['input'])

    with pytest.raises(loop.NotFinite, match=r'epoch 1, step 1: .*the batch consists of /r/'):
        loop.fit(
            Steep(),
            ToyClips(),
            None,
            loop.LoopParams(1, 3, 0.1),
            tmp_path,
            keras.optimizers.Adam(0.1),
        )


def test_a_full_disk_is_an_error_before_the_first_epoch(tmp_path):
    epochs, limits = [], resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r'32 MiB, which this run will need, are not available'):
            fit(tmp_path, at_start=epochs.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not epochs
    assert not list(tmp_path.rglob('*.partial'))
    fit(tmp_path, at_start=epochs.append)
    assert epochs == [0, 1, 2]


def test_a_disk_that_fills_up_loses_no_whole_epoch(tmp_path, monkeypatch):
    write = tf.train.Checkpoint.write

    def full(self, prefix):
        if prefix.endswith('ckpt-2'):
            raise tf.errors.ResourceExhaustedError(None, None, 'no space left\nin detail')
        write(self, prefix)

    monkeypatch.setattr(tf.train.Checkpoint, 'write', full)
    with pytest.raises(
        OSError,
        match=r'after epoch 2 cannot be written \(no space left\); the '
        r'state after epoch 1 is kept in .*/ckpt-1\. Free some space',
    ):
        fit(tmp_path / 'a')
    monkeypatch.undo()
    equal(fit(tmp_path / 'a'), fit(tmp_path / 'b'))


DATA = types.SimpleNamespace(info=datasets.DatasetInfo(), described=dict)
LOOP = loop.LoopParams(1)
KINDS = {
    recipes.SUPERVISED: supervised.RunParams('hearnet', record_clips.ClipParams(), LOOP),
    recipes.CORRESPONDENCE: correspondence.CorrespondenceParams(
        'hearnet_eccv', 'resnet18_eccv', record_clips.ClipParams(), LOOP
    ),
    recipes.TAGGING: tagging.TaggingParams('tagging_audio', 'alone', LOOP, 10),
}
RUN = 'supervised', KINDS[recipes.SUPERVISED]


@pytest.mark.parametrize('recipe', KINDS, ids=lambda recipe: recipe.kind)
def test_a_second_run_in_a_folder_waits_and_uses_what_the_first_trained(
    recipe, tmp_path, capsys, monkeypatch
):
    params, loaded = KINDS[recipe], []
    monkeypatch.setattr(run, 'load', loaded.append)
    monkeypatch.setattr(run, '_train', lambda *_: pytest.fail('trained a second time'))
    with run_folder.claimed(tmp_path, recipe.kind, params, DATA) as trained:
        assert not trained
        second = threading.Thread(
            target=run.train, args=(recipe, params, DATA, tmp_path), daemon=True
        )
        second.start()
        (tmp_path / '.a.1.partial').mkdir()
        second.join(1.0)
        assert second.is_alive() and not loaded
        (tmp_path / run_folder.METRICS_FILE).write_text('{}')
    second.join(60)
    assert not second.is_alive() and loaded == [tmp_path]
    assert capsys.readouterr().err == (
        f'waiting: process {os.getpid()} on {os.uname().nodename} trains this run: {tmp_path}\n'
        f'using the run that it trained: {tmp_path}\n'
    )
    assert (tmp_path / '.a.1.partial').exists()  # the first process may still be writing it


@pytest.mark.parametrize('before, is_same', [('AVIA recordings', True), ('my array', False)])
def test_runs_on_records_that_earlier_versions_took_for_avia_go_on(before, is_same, tmp_path):
    params = KINDS[recipes.SUPERVISED]
    data = types.SimpleNamespace(info=datasets.UNNAMED, described=dict)
    with run_folder.claimed(tmp_path, 'supervised', params, data):
        pass
    made = run_folder.read(tmp_path)
    assert made['origin'] == 'records without a dataset.json'
    run_folder.write_json(tmp_path / 'run.json', made | {'origin': before})
    expected = contextlib.nullcontext() if is_same else pytest.raises(ValueError, match='origin')
    with expected, run_folder.claimed(tmp_path, 'supervised', params, data):
        pass


@pytest.mark.parametrize('recipe', KINDS, ids=lambda recipe: recipe.kind)
def test_a_folder_of_another_run_is_refused(recipe, tmp_path):
    params = KINDS[recipe]
    other = dataclasses.replace(params, loop=loop.LoopParams(2))
    with (
        run_folder.claimed(tmp_path, recipe.kind, params, DATA),
        pytest.raises(ValueError, match='other params'),
    ):
        run.train(recipe, other, DATA, tmp_path)
    (tmp_path / '.a.1.partial').mkdir()
    with run_folder.claimed(tmp_path, recipe.kind, params, DATA):  # unlocked, cleaned up
        assert not (tmp_path / '.a.1.partial').exists()


def test_a_run_whose_process_was_killed_is_trained_by_the_one_that_waits(tmp_path, capsys):
    with run_folder.claimed(tmp_path, *RUN, DATA):
        pass
    hold = (
        'import fcntl, sys, time; file = open(sys.argv[1], "a"); '
        'fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); time.sleep(1000)'
    )
    with subprocess.Popen(
        [sys.executable, '-c', hold, tmp_path / '.lock'], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        killer = threading.Timer(1.0, process.kill)
        killer.start()
        with run_folder.claimed(tmp_path, *RUN, DATA) as trained:
            assert not trained and process.wait() < 0
        killer.join()
    assert capsys.readouterr().err.startswith('waiting: another process trains this run: ')


def test_a_folder_that_cannot_be_written_is_an_error_at_once(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    assert (
        errors.exit_code(
            lambda: run.train(recipes.SUPERVISED, RUN[1], DATA, tmp_path / 'file' / 'run')
        )
        == 1
    )
    assert f'{tmp_path}/file/run' in capsys.readouterr().err
