"""The table of predictions: rows, formats, resuming, bad files, all kinds of models."""

import csv
import json
import sys

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from dualcam import models
from dualcam.cli import main
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets, sound_folders
from dualcam.export import saved_models, tflite
from dualcam.inference import classification, network_students, students
from tests.helpers.sound_folders import tone

CLASSES = ('low', 'middle', 'high', 'noise')


@pytest.fixture(scope='module')
def model():
    keras.utils.set_random_seed(3)
    return models.build('hearnet', len(CLASSES), seconds=1)


@pytest.fixture(scope='module')
def ears():
    return frontends.Frontend(
        'spectrogram', statistics=(np.zeros(257, np.float32), np.full(257, 400.0, np.float32))
    )


@pytest.fixture(scope='module')
def saved(model, ears, tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved') / 'student' / '1'
    saved_models.export(model, folder, datasets.DatasetInfo('toy', CLASSES, 'made up'), 1, ears)
    return folder


@pytest.fixture
def folder(tmp_path):
    """Three tones of 1, 2.5 and 4 s, one per class folder."""
    for name, hz, seconds in (('low', 200, 1), ('high', 4000, 2.5), ('other', 900, 4)):
        (tmp_path / 'in' / name).mkdir(parents=True)
        soundfile.write(tmp_path / 'in' / name / 'a.wav', tone(hz, seconds, 44_100, 2), 44_100)
    return tmp_path / 'in'


def shares_of(model, ears, signal):
    logits = model(ears.hear(tf.constant(signal, tf.float32)), training=False).numpy()
    return tf.nn.softmax(logits.mean(axis=0)).numpy(), tf.nn.softmax(logits).numpy()


def test_equally_probable_classes_come_in_the_order_of_their_names():
    class Listener:
        classes, threshold = ('low', 'high', 'noise'), None

        def probabilities(self, logits):
            return logits

    third = np.float32(1 / 3)
    for last_bit in (np.nextafter(third, np.float32(0)), np.nextafter(third, np.float32(1))):
        shares = np.array([third, last_bit, third])
        params = classification.ClassifyParams(top_k=2)
        names, _ = classification.predictions(Listener(), shares, params)
        assert names == ('low', 'high')


def test_a_row_a_file_and_a_row_a_window(model, ears, folder, tmp_path):
    soundfile.write(tmp_path / 'x.wav', tone(700, 2.4), 22_050, 'FLOAT')
    signal = tone(700, 2.4)[:, 0]
    windows = np.stack([signal[s : s + 22_050] for s in (0, 22_050, len(signal) - 22_050)])
    whole, each = shares_of(model, ears, windows)
    listener = network_students.from_model(model, ears, 1, CLASSES, 'memory')
    ((row,),) = classification.classify(
        listener, [tmp_path / 'x.wav'], classification.ClassifyParams(4), []
    )
    assert row.windows == 3 and (row.start_s, row.end_s) == (0.0, 2.4)
    assert row.classes == tuple(CLASSES[i] for i in np.argsort(-whole))
    np.testing.assert_allclose(row.probabilities, np.sort(whole)[::-1], atol=1e-4)
    (rows,) = classification.classify(
        listener, [tmp_path / 'x.wav'], classification.ClassifyParams(1, by_window=True), []
    )
    assert [(r.start_s, r.end_s) for r in rows] == [(0.0, 1.0), (1.0, 2.0), (1.4, 2.4)]
    np.testing.assert_allclose([r.probabilities[0] for r in rows], each.max(axis=1), atol=1e-4)


def test_the_command_writes_tables_that_agree(saved, folder, tmp_path, capsys):
    for name in ('a.csv', 'a.jsonl'):
        assert (
            main.main(
                [
                    'classify',
                    f'--model={saved}',
                    '--input',
                    str(folder),
                    f'--out={tmp_path / name}',
                    '--top_k=2',
                ]
            )
            == 0
        )
    printed = capsys.readouterr().out
    assert '3 files, 3 rows by hearnet; 0 already existed, 0 left out' in printed
    assert 'accuracy on 2 files' in printed  # "other" is not a class of the model
    with open(tmp_path / 'a.csv', newline='') as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / 'a.jsonl').read_text().splitlines()]
    assert [row['file'][-10:] for row in table] == ['high/a.wav', '/low/a.wav', 'ther/a.wav']
    for row, line in zip(table, lines, strict=True):
        assert row['file'] == line['file'] and [row['class_1'], row['class_2']] == line['classes']
        assert float(row['probability_1']) == line['probabilities'][0]
        assert int(row['windows']) == line['windows']
    assert main.main(['classify', f'--model={saved}', '--input', str(folder / 'low')]) == 0
    assert 'low/a.wav' in capsys.readouterr().out


def test_all_kinds_of_models_agree(saved, folder, tmp_path):
    path = tmp_path / 'hearnet.tflite'
    tflite.convert(saved, path, 'float32')
    answers = []
    for model in (saved, saved.parent, path):
        listener = students.open_listener(model)
        assert listener.classes == CLASSES and listener.seconds == 1
        paths = [sound.path for sound in sound_folders.find_files(folder).sounds]
        answers.append(
            [
                row
                for rows in classification.classify(
                    listener, paths, classification.ClassifyParams(), []
                )
                for row in rows
            ]
        )
    for other in answers[1:]:
        for a, b in zip(answers[0], other, strict=True):
            assert a.classes == b.classes
            np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-4)


@pytest.mark.parametrize('ending', ['csv', 'jsonl'])
def test_a_stopped_job_goes_on_with_what_is_missing(saved, folder, tmp_path, capsys, ending):
    out = tmp_path / f'a.{ending}'
    arguments = [
        'classify',
        f'--model={saved}',
        '--input',
        str(folder),
        f'--out={out}',
        '--by_window',
    ]
    assert main.main(arguments) == 0
    whole, job = out.read_bytes(), tmp_path / f'.a.{ending}.job.json'
    assert main.main(arguments) == 1 and 'exists' in capsys.readouterr().err
    lines = whole.splitlines(keepends=True)
    rows = {
        name: [i for i, line in enumerate(lines) if f'/{name}/'.encode() in line]
        for name in ('high', 'low', 'other')
    }
    assert [len(numbers) for numbers in rows.values()] == [3, 1, 4]
    # Stopped within a file's name, within its third row, and after a file's second row.
    for stop, cut, asked in (
        (rows['low'][-1] + 1, 20, 2),
        (rows['other'][2], 60, 1),
        (rows['other'][2], 0, 1),
        (rows['high'][1], 0, 3),
        (0, 5, 3),
    ):
        out.write_bytes(b''.join(lines[:stop]) + lines[stop][:cut])
        job.write_text(json.dumps(json.loads(job.read_text()) | {'complete': False}))
        capsys.readouterr()
        assert main.main([*arguments, '--skip_existing']) == 0
        assert out.read_bytes() == whole
        assert f'{asked} files' in capsys.readouterr().out
    assert main.main([*arguments, '--skip_existing']) == 0 and out.read_bytes() == whole
    assert '0 files, 0 rows by hearnet; 3 already existed' in capsys.readouterr().out
    for other in (['--top_k=2'], ['--hop_s=0.5']):
        assert main.main([*arguments, '--skip_existing', *other]) == 1
        assert 'another top_k' in capsys.readouterr().err and out.read_bytes() == whole
    job.unlink()
    assert main.main([*arguments, '--skip_existing']) == 1
    assert 'not a table that dualcam classify can resume' in capsys.readouterr().err


def test_bad_files_are_counted_and_good_ones_kept(saved, folder, tmp_path, capsys):
    (folder / 'low' / 'b.wav').write_text('text')
    soundfile.write(folder / 'low' / 'c.wav', np.zeros(30_000), 22_050)
    arguments = ['classify', f'--model={saved}', '--input', str(folder)]
    assert main.main([*arguments, f'--out={tmp_path}/a.csv']) == 1
    error = capsys.readouterr().err
    assert '2 bad files' in error and 'b.wav' in error and '--max_bad=2' in error
    assert len((tmp_path / 'a.csv').read_text().splitlines()) == 4  # the good ones were classified
    assert main.main([*arguments, f'--out={tmp_path}/b.csv', '--max_bad=2']) == 0
    assert '3 files, 3 rows by hearnet; 0 already existed, 2 left out' in capsys.readouterr().out


def test_what_cannot_be_asked_is_said(saved, folder, tmp_path, capsys):
    asked, out = ['classify', f'--model={saved}'], f'--out={tmp_path}/a.csv'
    for arguments, message in (
        (asked, 'expected --input=PATH or --record'),
        ([*asked, '--input', str(folder), '--top_k=0'], '--top_k=0'),
        ([*asked, '--input', str(folder), '--out=a.txt'], 'ends in .csv or .jsonl'),
        ([*asked, '--input', str(folder), '--skip_existing'], 'needs --out'),
        ([*asked, '--input', str(folder), '--hop_s=2', out], 'a hop of 2.0 s'),
        ([*asked, '--input', str(folder), '--batch_size=0', out], '--batch_size=0'),
        ([*asked, '--record=3', out], '--out cannot be used with --record'),
        ([*asked, '--input', str(tmp_path / 'none')], 'no such folder'),
        ([*asked, '--record=-1'], 'expected more than 0'),
        (['classify', f'--model={tmp_path}', '--input', str(folder)], 'neither a run'),
    ):
        assert main.main(arguments) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / 'a.csv').exists()


def test_a_microphone_is_heard_window_by_window(saved, monkeypatch, capsys):
    class Stream:
        def __init__(self, rate_hz, channels, dtype, latency):
            assert (rate_hz, channels, dtype, latency) == (22_050, 1, 'float32', 1.0)
            self.reads = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, count):
            self.reads += 1
            signal = tone(440, 1)[:count] * (self.reads != 3)
            return signal.astype(np.float32), self.reads == 2

    class Fake:
        InputStream, PortAudioError = Stream, OSError

    monkeypatch.setitem(sys.modules, 'sounddevice', Fake)
    assert main.main(['classify', f'--model={saved}', '--record=3', '--top_k=1']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1].split()[:4] == ['1.0', '-', '2.0', 's']
    assert '%' in lines[0] and 'lost' not in lines[0] and lines[1].endswith('was lost)')
    assert 'silence' in lines[2]
    monkeypatch.setitem(sys.modules, 'sounddevice', None)
    assert main.main(['classify', f'--model={saved}', '--record=2']) == 1
    assert 'pip install "dualcam[microphone]"' in capsys.readouterr().err


def test_a_file_whose_sound_lies_between_the_windows_is_named(saved, tmp_path, capsys):
    signal = np.zeros(22_250)
    signal[22_150] = 0.5  # the rest after the first window, too short for one
    soundfile.write(tmp_path / 'a.wav', signal, 22_050)
    assert main.main(['classify', f'--model={saved}', '--input', str(tmp_path)]) == 1
    assert 'a.wav: all its windows are silent' in capsys.readouterr().err
