"""Networks beside the workers of a Dask cluster return what they return in this process."""

import csv
import dataclasses
import threading
import types

import keras
import numpy as np
import pytest
import soundfile

from dualcam import models
from dualcam.cli import main
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets, sound_folders
from dualcam.export import saved_models
from dualcam.inference import classification, embeddings
from dualcam.training import run
from experiments.shared import parallel
from experiments.sounds import presets, runs
from tests.helpers.dask_engine import wait_for
from tests.helpers.sound_folders import tone, write_esc

CLASSES = ('low', 'middle', 'high')
PRESET = dataclasses.replace(
    presets.PRESETS['smoke'], epochs={'hearnet': 1}, seconds={'hearnet': 1}
)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A HearNet of one second."""
    keras.utils.set_random_seed(3)
    frontend = frontends.Frontend(
        'spectrogram', statistics=(np.zeros(257, np.float32), np.full(257, 400.0, np.float32))
    )
    folder = tmp_path_factory.mktemp('saved') / 'student' / '1'
    info = datasets.DatasetInfo('toy', CLASSES, 'made up')
    saved_models.export(models.build('hearnet', 3, seconds=1), folder, info, 1, frontend)
    return folder


@pytest.fixture
def calls(saved, engine, tmp_path, monkeypatch):
    """Makes a call of `dualcam`, with a cluster and without, in a folder with six files, of which
    one is bad: (exit codes, paths that they wrote)."""
    for row, (name, hz) in enumerate((('low', 200), ('middle', 900), ('high', 4000))):
        (tmp_path / 'in' / name).mkdir(parents=True)
        for i in range(2):
            path = tmp_path / 'in' / name / f'{i}.wav'
            soundfile.write(path, tone(hz + 10 * i, 0.7 + 0.5 * row), 22_050)
    path.write_text('text')
    monkeypatch.chdir(tmp_path)  # workers are elsewhere
    monkeypatch.setattr(embeddings, '_FILES_A_PART', 2)
    monkeypatch.setattr(classification, '_FILES_A_PIECE', 2)

    def call(kind, ending, *options):
        usual = [kind, f'--model={saved}', *options]
        here, there = f'here{ending}', f'there{ending}'
        codes = [
            main.main([*usual, f'--out={here}']),
            main.main([*usual, f'--out={there}', f'--cluster_file={engine.file}']),
        ]
        return codes, (tmp_path / here, tmp_path / there)

    return call


def test_workers_embed_the_same_features(calls, tmp_path, capsys):
    codes, paths = calls('embed', '.npz', '--input=in')
    assert codes == [1, 1] and not any(path.exists() for path in paths)
    assert capsys.readouterr().err.count('in/high/1.wav') == 2
    # Of three parts, the one with the bad file is computed again.
    assert len(list((tmp_path / '.there.npz.parts').glob('part-*.npz'))) == 2

    codes, paths = calls('embed', '.npz', '--input=in', '--max_bad=1')
    assert codes == [0, 0]
    with np.load(paths[0]) as file:
        here = dict(file)
    with np.load(paths[1]) as file:
        there = dict(file)
    assert here.keys() == there.keys() and len(here['files']) == 5
    for name in here:
        np.testing.assert_array_equal(there[name], here[name])  # the batches are the same
    shown = capsys.readouterr()
    assert shown.out.count('1 files left out:') == 2 and 'embedding: 100%' in shown.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['here.npz', 'in', 'there.npz']


def test_workers_classify_as_this_process_does(calls):
    codes, paths = calls('classify', '.csv', '--by_window', '--max_bad=1', '--input', 'in')
    assert codes == [0, 0]
    here, there = (list(csv.DictReader(path.read_text().splitlines())) for path in paths)
    assert [row['file'] for row in here] == [row['file'] for row in there]
    assert here[0]['file'] == 'in/high/0.wav' and len(here) == 8
    for name in here[0]:
        ours, theirs = ([row[name] for row in rows] for rows in (here, there))
        if name.startswith('probability'):
            np.testing.assert_allclose(np.float64(theirs), np.float64(ours), atol=2e-6)
        else:
            assert theirs == ours


def test_files_that_workers_do_not_see_are_no_bad_files(calls, cluster, monkeypatch, capsys):
    monkeypatch.setattr(classification.jobs, 'shared_path', lambda path, _: f'/not/shared/{path}')
    codes, _ = calls('classify', '.csv', '--max_bad=6', '--input', 'in')
    assert codes == [0, 1]
    assert 'expected a folder that all hosts share under one path' in capsys.readouterr().err


def test_workers_train_the_same_students_though_one_is_killed(
    engine, cluster, tmp_path, monkeypatch
):
    write_esc(tmp_path / 'esc', folds=(1, 2), takes=2, seconds=1.0)
    monkeypatch.chdir(tmp_path)  # workers are elsewhere
    found = sound_folders.find_sounds('esc')
    wanted = [(runs.Run('hearnet', split), [runs.TEST], 0) for split in (0, 1)]
    workshop, local = (runs.open_workshop(found, out, PRESET) for out in ('out', 'local'))

    def kill():
        wait_for(lambda: len(list((tmp_path / 'out').glob('runs/*/run.json'))) == 2)
        engine.kill_worker()

    killer = threading.Thread(target=kill)
    killer.start()
    parallel.train_ahead(workshop, [[one] for one in wanted], 1, cluster)
    killer.join()
    assert all(workshop.has_scores(*one) for one in wanted)
    one, tests, seed = wanted[0]
    theirs, ours = (each.scores(one, tests, seed)[runs.TEST] for each in (workshop, local))
    np.testing.assert_array_equal(theirs.predictions, ours.predictions)
    folders = [each.folder(one, seed) for each in (workshop, local)]
    assert folders[0].name == folders[1].name
    for their, our in zip(*(run.load(path).get_weights() for path in folders), strict=True):
        np.testing.assert_array_equal(their, our)
    assert not list((tmp_path / 'out').rglob('.*.partial*'))
    parallel.train_ahead(workshop, [[one] for one in wanted], 1, object())  # nothing is left
    wait_for(lambda: cluster.num_threads() == 2)


def test_a_folder_that_workers_lack_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel.os, 'getcwd', lambda: '/not/shared')
    workshop = types.SimpleNamespace(
        has_scores=lambda *wanted: False, out=tmp_path / 'out', reopen=None
    )
    with pytest.raises(ValueError, match=r'^/not/shared: a worker on .* cannot work in the curren'):
        parallel.train_ahead(workshop, [[('run', (), 0)]], 1, cluster)
