"""Tagging runs, from clips to a folder, an exported student and thresholded predictions."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from dualcam.cli import main
from dualcam.data import stores
from dualcam.data.packers import tagged_packer
from dualcam.data.sources import sound_files, sound_folders
from dualcam.export import saved_models, tflite
from dualcam.inference import classification, embeddings, students
from dualcam.reports import run_reports
from dualcam.training import checkpoints, loop, predictions, recipes, run, tagging_data
from dualcam.training.recipes import tagging, tagging_steps
from tests.helpers.tagged_clips import INFO, RATE_HZ, sound, write_records

CLIP_S = 2
LABELS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)] * 4
ALL = tagging_steps.Transfer()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tagged')
    rng = np.random.default_rng(3)
    paths = write_records(folder / 'records', LABELS, CLIP_S, rng)
    store = stores.open_store(paths, tagged_packer.TaggedPacker(INFO.num_classes), folder / 'cache')
    visual = np.repeat(store.columns['label'][:, None], CLIP_S, axis=1)
    visual = visual + 0.1 * rng.standard_normal(visual.shape)
    rows = np.arange(len(store.paths))
    return tagging_data.TaggingData(
        store, rows[:18], rows[18:], INFO, features={'visual': np.float32(visual)}
    )


def params(network, method='alone', epochs=6, **changes):
    fields = {'width': 1 / 16}
    if method != 'alone' or network in ('tagging_teacher', 'tagging_visual'):
        fields |= {'visual': 'made up', 'visual_size': INFO.num_classes}
    return tagging.TaggingParams(
        network, method, loop.LoopParams(epochs, 6, 3e-3), CLIP_S, **(fields | changes)
    )


def train(wanted, data, folder, teacher=None):
    return run.train(
        recipes.TAGGING, wanted, data, folder, teacher, observers=[run_reports.observe]
    )


@pytest.fixture(scope='module')
def together(data, tmp_path_factory):
    """A mutual run: its parameters, its folder and the student."""
    wanted, folder = (
        params('tagging_student', 'mutual', transfer=ALL),
        tmp_path_factory.mktemp('runs') / 'mutual',
    )
    return wanted, folder, train(wanted, data, folder)


@pytest.fixture(scope='module')
def teacher(data, tmp_path_factory):
    return train(
        params('tagging_teacher', epochs=3), data, tmp_path_factory.mktemp('runs') / 'teacher'
    )


def test_a_folder_holds_all_of_a_mutual_run(together, data, summaries):
    wanted, folder, student = together
    assert run.described(folder) == run.Description('tagging', wanted, INFO.classes)
    metrics = json.loads((folder / 'metrics.json').read_text())
    history = metrics['history']
    assert metrics['best_epoch'] == loop.best_epoch(history, 'mAP')
    assert {
        'validation/mAP',
        'train/student_hard',
        'train/teacher_hard',
        'train/student_cross_modal',
        'train/teacher_single_modal',
    } <= set(history[0])
    assert history[-1]['train/student_hard'] < history[0]['train/student_hard']
    # The weights are those of the best epoch, of both networks.
    validation = data.cut(wanted, data.validation, folder)
    found = json.loads((folder / 'events_validation.json').read_text())
    assert found['mean_average_precision'] == pytest.approx(
        history[metrics['best_epoch']]['validation/mAP']
    )
    assert set(found['average_precision']) == set(INFO.classes)
    networks = run.load_networks(folder)
    np.testing.assert_allclose(
        predictions.predict(networks['network'], validation),
        predictions.predict(student, validation),
        rtol=1e-5,
        atol=1e-6,
    )
    assert networks['teacher'].name == 'tagging_teacher'
    page = (folder / 'report.html').read_text()
    assert 'mean average precision' in page and 'Average precision' in page and '>mAP<' in page
    assert page.count('<audio') == 4 and 'average precision of middle' in page
    tags = [value.tag for value in summaries(folder / 'tensorboard' / 'validation')]
    assert tags.count('average precision') == 6
    assert sum(tag.startswith('precision and recall/low') for tag in tags) == 6
    assert sum(tag.startswith('sounds/sample') for tag in tags) == 4
    assert sum(tag.startswith('frames/sample') for tag in tags) == 4
    lines = (folder / 'tensorboard' / 'validation' / 'embeddings.tsv').read_text().splitlines()
    assert len(lines) == len(data.validation)
    assert len(lines[0].split('\t')) == 32  # 512 / 16


@pytest.mark.usefixtures('without_exports')
def test_a_stopped_mutual_run_ends_where_it_would_have(together, data, tmp_path, monkeypatch):
    wanted, _, student = together
    saved, real = [], checkpoints.Progress.save

    def save(progress, history, keep):
        real(progress, history, keep)
        saved.append(len(history))
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Progress, 'save', save)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, data, tmp_path / 'run')
    monkeypatch.setattr(checkpoints.Progress, 'save', real)
    again = train(wanted, data, tmp_path / 'run')
    for ours, theirs in zip(again.variables, student.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


@pytest.mark.usefixtures('without_exports')
def test_a_taught_run_asks_its_teacher_and_says_what_is_missing(data, teacher, tmp_path):
    wanted = params('tagging_audio', 'taught', 2, transfer=tagging_steps.Transfer(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match='expected a trained teacher'):
        train(wanted, data, tmp_path / 'run')
    with pytest.raises(ValueError, match='expected no teacher'):
        train(params('tagging_audio'), data, tmp_path / 'run', teacher)
    train(wanted, data, tmp_path / 'run', teacher)
    history = json.loads((tmp_path / 'run' / 'metrics.json').read_text())['history']
    assert {'train/hard', 'train/soft', 'validation/soft'} <= set(history[0])
    assert 'train/single_modal' not in history[0]
    # Stretches differ in each epoch, so the teacher runs in every step.
    cropped = dataclasses.replace(wanted, crop_s=1)
    train(cropped, data, tmp_path / 'cropped', teacher)
    unlabelled = tagging_steps.Transfer(1.0, 0.0, 0.0, hard=0.0)
    train(dataclasses.replace(wanted, transfer=unlabelled), data, tmp_path / 'soft', teacher)
    curves = json.loads((tmp_path / 'soft' / 'metrics.json').read_text())['history']
    assert 'train/soft' in curves[0] and 'train/hard' not in curves[0]
    assert run.described(tmp_path / 'soft').params.transfer == unlabelled
    with pytest.raises(ValueError, match='takes visual, which the data lack; they have sound'):
        train(wanted, dataclasses.replace(data, features={}), tmp_path / 'blind', teacher)
    with pytest.raises(ValueError, match='another folder'):
        train(dataclasses.replace(wanted, width=1 / 8), data, tmp_path / 'run', teacher)


def test_a_hint_is_learned_first_and_its_regressor_stays_with_the_run(data, teacher, tmp_path):
    hinted = params('tagging_audio', 'fitnets', 2, hint_epochs=1)
    train(hinted, data, tmp_path / 'hinted', teacher)
    curves = json.loads((tmp_path / 'hinted' / 'metrics.json').read_text())['history']
    assert curves[0]['train/hard'] == 0.0 < curves[0]['train/hint']
    assert curves[1]['train/hard'] > 0.0 == curves[1]['train/hint']
    # The regressor is restored with its run, and the student is exported without it.
    again = run.load_networks(tmp_path / 'hinted')
    assert set(again) == {'network', 'regressor'}
    exported = tf.saved_model.load(str(tmp_path / 'hinted' / 'saved_model' / '1'))
    served = exported.signatures[saved_models.SIGNATURE](
        waveform=tf.constant(data.store.waveforms(data.validation[:2]))
    )
    clips = data.cut(hinted, data.validation, tmp_path / 'hinted')
    np.testing.assert_allclose(
        served['probabilities'],
        tagging.probabilities(predictions.predict(again['network'], clips))[:2],
        atol=1e-4,
    )


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'method': 'both'}, 'alone, taught, fitnets, mutual'),
        ({'network': 'hearnet'}, 'tagging_audio'),
        ({'transfer': ALL}, 'taught and mutual'),
        ({'method': 'mutual', 'transfer': ALL}, 'visual_size'),
    ],
)
def test_parameters_that_do_not_go_together(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(params('tagging_audio'), **changes)


def test_the_student_is_served_as_it_was_trained(together, data, tmp_path):
    """The run, its SavedModel (from samples and from WAV bytes) and TFLite agree."""
    wanted, folder, student = together
    clips = data.cut(wanted, data.validation, folder)
    expected = tagging.probabilities(predictions.predict(student, clips))
    waveforms = data.store.waveforms(data.validation)
    loaded = tf.saved_model.load(str(folder / 'saved_model' / '1'))
    served = loaded.signatures[saved_models.SIGNATURE](waveform=tf.constant(waveforms))
    np.testing.assert_allclose(served['probabilities'], expected, atol=1e-4)
    soundfile.write(tmp_path / 'a.wav', waveforms[0], RATE_HZ, 'FLOAT')
    by_bytes = loaded.signatures[saved_models.WAV_SIGNATURE](
        wav_bytes=tf.constant([(tmp_path / 'a.wav').read_bytes()])
    )
    np.testing.assert_allclose(by_bytes['probabilities'][0], expected[0], atol=1e-4)
    tflite.convert(folder / 'saved_model' / '1', tmp_path / 'a.tflite', 'float32')
    for place in (folder, folder / 'saved_model' / '1', tmp_path / 'a.tflite'):
        listener = students.open_listener(place)
        assert (listener.sample_rate_hz, listener.clip_samples, listener.threshold) == (
            32_000,
            64_000,
            0.25,
        )
        logits = listener.listen('logits')(waveforms[:1])
        np.testing.assert_allclose(listener.probabilities(logits)[0], expected[0], atol=1e-3)
    assert students.open_listener(folder).listen('conv8')(waveforms[:2]).shape == (2, 32)
    # Loudness matters: inputs are not normalised to a common peak.
    quiet = students.open_listener(folder).listen('logits')(0.01 * waveforms[:1])
    assert np.abs(quiet - logits).max() > 1e-2


def test_events_over_a_threshold_are_told(together, tmp_path, capsys):
    _, folder, _ = together
    rng = np.random.default_rng(8)
    inputs = tmp_path / 'in'
    inputs.mkdir()
    for name, labels, rate_hz in (('both', (0, 2), 44_100), ('one', (1,), RATE_HZ)):
        soundfile.write(inputs / f'{name}.wav', sound(labels, 5, rng, rate_hz), rate_hz, 'FLOAT')
    listener = students.open_listener(folder)
    windows = list(sound_files.read_heard_windows(inputs / 'both.wav', 64_000, 64_000, 32_000))
    assert [start for start, _ in windows] == [0, 64_000, 96_000]
    shares = listener.probabilities(
        listener.listen('logits')(np.stack([window for _, window in windows])).mean(axis=0)
    )
    for threshold in (0.0, 0.5, 1.0):
        ((row,),) = classification.classify(
            listener, [inputs / 'both.wav'], classification.ClassifyParams(3, threshold), []
        )
        expected = [i for i in np.argsort(-shares) if shares[i] >= threshold]
        assert row.classes == tuple(INFO.classes[i] for i in expected)
        np.testing.assert_allclose(row.probabilities, shares[expected], atol=1e-5)
    table = tmp_path / 'events.csv'
    assert (
        main.main(
            [
                'classify',
                f'--model={folder}',
                '--input',
                str(inputs),
                f'--out={table}',
                '--threshold=0.5',
            ]
        )
        == 0
    )
    with open(table, newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['file'] for row in rows] == [str(inputs / 'both.wav'), str(inputs / 'one.wav')]
    for row in rows:
        numbers = [float(part) for part in row['probabilities'].split('; ') if part]
        assert len(numbers) == len([name for name in row['classes'].split('; ') if name])
        assert all(number >= 0.5 for number in numbers)
    assert 'accuracy' not in capsys.readouterr().out
    assert (
        main.main(
            [
                'classify',
                f'--model={folder}',
                '--input',
                str(inputs),
                f'--out={table}',
                '--threshold=0.4',
                '--skip_existing',
            ]
        )
        == 1
    )
    assert 'threshold' in capsys.readouterr().err
    assert (
        main.main(['classify', f'--model={folder}', '--input', str(inputs), '--threshold=1.5']) == 1
    )
    assert 'expected a probability' in capsys.readouterr().err
    assert (
        main.main(['classify', f'--model={folder}', '--input', str(inputs), '--threshold=1']) == 0
    )
    assert 'none of its events' in capsys.readouterr().out


def test_sounds_of_another_rate_embed(together, tmp_path):
    _, folder, _ = together
    (tmp_path / 'in').mkdir()
    rng = np.random.default_rng(9)
    soundfile.write(tmp_path / 'in' / 'a.wav', sound((0,), 3, rng, 16_000), 16_000)
    listener = students.open_listener(folder)
    made = embeddings.embed(
        listener,
        sound_folders.find_files(tmp_path / 'in'),
        embeddings.EmbedParams('embedding'),
        tmp_path / 'parts',
    )
    assert made.windows.shape == (2, 32)
    np.testing.assert_allclose(made.window_s, [0.0, 1.0], atol=1e-4)


def test_a_table_of_tflite_forms_has_their_map(together, data, tmp_path, capsys):
    _, folder, _ = together
    records = tmp_path / 'records'
    paths = write_records(records, LABELS[:6], CLIP_S, np.random.default_rng(5), 'testing')
    assert len(paths) == 6
    code = main.main(
        [
            'tflite',
            f'--model={folder}',
            f'--out={tmp_path}/out',
            '--kinds=float32,int8',
            f'--examples={records}/testing.txt',
            f'--test={records}/testing.txt',
            '--num_examples=6',
        ]
    )
    assert code == 0, capsys.readouterr().err
    with open(tmp_path / 'out' / 'tflite.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['form'] for row in rows] == ['SavedModel', 'TFLite float32', 'TFLite int8']
    assert rows[0]['mAP'] == rows[1]['mAP'] and {row['sounds'] for row in rows} == {'6'}
    assert abs(float(rows[2]['mAP']) - float(rows[0]['mAP'])) < 0.2


def test_what_sees_cannot_listen(data, teacher, tmp_path):
    train(params('tagging_visual', epochs=1), data, tmp_path / 'visual')
    assert not (tmp_path / 'visual' / 'saved_model').exists()
    with pytest.raises(ValueError, match='does not take one microphone'):
        students.open_listener(tmp_path / 'visual')
    with pytest.raises(ValueError, match='audio, visual: a network that takes more'):
        saved_models.export(
            teacher,
            tmp_path / '1',
            INFO,
            CLIP_S,
            tagging_data.frontend(params('tagging_audio'), tmp_path / 'visual'),
        )
    assert run.load(tmp_path / 'visual').name == 'tagging_visual'
