"""`dualcam classify`, `embed` and the served model on the odd files found on real disks."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from dualcam import models
from dualcam.cli import inputs, main
from dualcam.data.signal import frontends
from dualcam.data.sources import datasets
from dualcam.export import saved_models, tflite
from dualcam.files import text_files
from dualcam.inference import classification
from tests.helpers import programs
from tests.helpers.sound_folders import tone

CLASSES = ('low', 'middle', 'high')
RATE_HZ = 44_100


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A student with windows of one second."""
    keras.utils.set_random_seed(3)
    model = models.build('hearnet', len(CLASSES), seconds=1)
    ears = frontends.Frontend(
        'spectrogram', statistics=(np.zeros(257, np.float32), np.full(257, 400.0, np.float32))
    )
    folder = tmp_path_factory.mktemp('saved') / 'student' / '1'
    saved_models.export(model, folder, datasets.DatasetInfo('toy', CLASSES, 'made up'), 1, ears)
    return folder


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of the command."""
    capsys.readouterr()
    code = main.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def sound(path, hz=300, seconds=1.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), tone(hz, seconds, RATE_HZ), RATE_HZ)
    return path


def rows_of(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def shares_of(path):
    """{file: probabilities in class order} from a table with all classes."""
    found = {}
    for row in rows_of(path):
        shares = {row[f'class_{n}']: float(row[f'probability_{n}']) for n in range(1, 4)}
        found[row['file']] = [shares[name] for name in CLASSES]
    return found


def served(saved, paths):
    serve = tf.saved_model.load(str(saved)).signatures['serve_wav_bytes']
    contents = tf.constant([path.read_bytes() for path in paths])
    return serve(wav_bytes=contents)['probabilities'].numpy()


def test_silence_is_judged_on_the_recording_everywhere_alike(saved, tmp_path, capsys):
    """A resampling filter rings before and after a sound; zeros in a file must stay silent."""
    rng = np.random.default_rng(0)
    parts = [np.zeros(4 * RATE_HZ), 0.3 * rng.standard_normal(2 * RATE_HZ), np.zeros(3 * RATE_HZ)]
    path = tmp_path / 'a.wav'
    soundfile.write(path, np.concatenate(parts), RATE_HZ, 'PCM_16')
    edge = tmp_path / 'student.tflite'
    tflite.convert(saved, edge, 'float32')
    found = [served(saved, [path])[0]]
    for number, model in enumerate((saved, edge)):
        out = tmp_path / f'{number}.csv'
        assert run(capsys, 'classify', f'--model={model}', '--input', path, f'--out={out}')[0] == 0
        assert [row['windows'] for row in rows_of(out)] == ['2']
        found.append(shares_of(out)[str(path)])
    np.testing.assert_allclose(found, [found[0]] * 3, atol=2e-3)  # of two resamplers
    out = tmp_path / 'w.csv'
    run(capsys, 'classify', f'--model={saved}', '--input', path, f'--out={out}', '--by_window')
    assert [row['start_s'] for row in rows_of(out)] == ['4.0', '5.0']


@pytest.mark.parametrize('seconds', [0.7, 1.0, 2.3])
def test_a_constant_offset_changes_no_answer(saved, tmp_path, capsys, seconds):
    noise = 0.1 * np.random.default_rng(1).standard_normal(round(seconds * RATE_HZ))
    paths = [tmp_path / 'in' / f'{name}.wav' for name in 'ab']
    for path, offset in zip(paths, (0.0, 0.4), strict=True):
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, noise + offset, RATE_HZ, 'FLOAT')
    out = tmp_path / 'o.csv'
    run(capsys, 'classify', f'--model={saved}', '--input', tmp_path / 'in', f'--out={out}')
    without, with_offset = shares_of(out).values()
    np.testing.assert_allclose(with_offset, without, atol=5e-3)
    if seconds >= 1:
        np.testing.assert_allclose(served(saved, paths), [without] * 2, atol=5e-3)


def test_a_file_named_in_another_way_is_there_already(saved, tmp_path, capsys, monkeypatch):
    path = sound(tmp_path / 'in' / 'a.wav')
    monkeypatch.chdir(tmp_path)
    call = ['classify', f'--model={saved}', '--out=o.csv', '--input']
    assert run(capsys, *call, 'in')[0] == 0
    for other in (path, './in/../in/a.wav', tmp_path / 'in'):
        code, printed, _ = run(capsys, *call, other, '--skip_existing')
        assert code == 0 and '0 files, 0 rows' in printed and '1 already existed' in printed
    assert [row['file'] for row in rows_of('o.csv')] == ['in/a.wav']


@pytest.mark.parametrize('ending', ['csv', 'jsonl'])
def test_names_of_any_bytes_are_answered_once_and_can_be_had_back(saved, tmp_path, capsys, ending):
    names = ['plain.wav', 'two\nlines.wav', 'a,"b".wav', 'caf\udce9.wav', r'caf\xe9.wav', '-x.wav']
    wanted = {
        str(sound(tmp_path / 'in' / ('x' if number % 2 else 'y') / name, 300 + 40 * number))
        for number, name in enumerate(names)
    }
    out = tmp_path / f'o.{ending}'
    call = ['classify', f'--model={saved}', '--input', tmp_path / 'in', f'--out={out}']
    assert run(capsys, *call)[0] == 0
    whole = out.read_bytes()
    code, printed, _ = run(capsys, *call, '--skip_existing')
    assert code == 0 and '0 files, 0 rows' in printed and '6 already existed' in printed
    assert out.read_bytes() == whole
    if ending == 'csv':
        found = [row['file'] for row in rows_of(out)]
    else:
        found = [json.loads(line)['file'] for line in out.read_text().splitlines()]
    assert {text_files.unescape_name(name) for name in found} == wanted and len(found) == 6
    # Stopped within the name that contains a line end.
    job = tmp_path / f'.o.{ending}.job.json'
    job.write_text(json.dumps(json.loads(job.read_text()) | {'complete': False}))
    out.write_bytes(whole[: whole.index(b'two') + 9])
    assert run(capsys, *call, '--skip_existing')[0] == 0
    assert out.read_bytes() == whole
    if ending == 'jsonl':
        return
    code, printed, _ = run(capsys, 'classify', f'--model={saved}', '--input', tmp_path / 'in')
    assert code == 0 and r'caf\xe9.wav' in printed and r'two\x0alines.wav' in printed
    out = tmp_path / 'f.npz'
    call = ['embed', f'--model={saved}', f'--input={tmp_path}/in', f'--out={out}']
    assert run(capsys, *call)[0] == 0
    with np.load(out) as file:
        assert {text_files.unescape_name(name) for name in file['files'].tolist()} == wanted


def test_a_bad_file_of_an_odd_name_is_named_and_the_others_answered(saved, tmp_path, capsys):
    sound(tmp_path / 'in' / 'a.wav')
    with open(os.fsencode(tmp_path / 'in' / 'b\udcff.wav'), 'wb') as file:
        file.write(b'text')
    call = ['classify', f'--model={saved}', '--input', tmp_path / 'in']
    code, printed, error = run(capsys, *call)
    assert code == 1 and r'b\xff.wav: not a readable sound file' in error and 'a.wav' in printed
    assert run(capsys, *call, '--max_bad=1')[0] == 0
    call = ['embed', *call[1:], f'--out={tmp_path}/f.npz']
    code, _, error = run(capsys, *call)
    # Below the progress bar, where users look for it.
    last = error.splitlines()[-1]
    assert code == 1 and r'error: 1 bad file: ' in last and last.endswith('it out: --max_bad=1')
    assert r'b\xff.wav' in last


def test_every_file_is_answered_or_said_to_be_left_out(saved, tmp_path, capsys):
    folder = tmp_path / 'in'
    for place in ('loose.wav', 'low/a.wav', 'low/session/b.wav', 'high/c.wav'):
        sound(folder / place)
    (folder / 'empty').mkdir()
    (folder / 'spectrograms').mkdir()
    (folder / 'spectrograms' / 'a.png').write_bytes(b'png')
    (folder / '__MACOSX' / 'low').mkdir(parents=True)
    for place in (folder / '__MACOSX' / 'low', folder / 'low'):
        (place / '._a.wav').write_bytes(b'\0\5\x16\7')
    (folder / 'notes.txt').write_text('hello')
    code, printed, _ = run(capsys, 'classify', f'--model={saved}', '--input', folder)
    assert code == 0 and '4 files, 4 rows by hearnet; 0 already existed, 2 left out' in printed
    for named in (
        'empty: no sound',
        'a.png is not',
        '__MACOSX: added to archives by macOS',
        'notes.txt is not',
    ):
        assert named in printed
    assert '._' not in printed
    out = tmp_path / 'f.npz'
    code, printed, _ = run(capsys, 'embed', f'--model={saved}', f'--input={folder}', f'--out={out}')
    assert code == 0 and '2 files left out' in printed and 'empty: no sound' in printed
    with np.load(out) as file:
        labels = dict(zip(file['files'].tolist(), file['labels'].tolist(), strict=True))
        assert file['classes'].tolist() == ['high', 'low']
    assert {os.path.relpath(path, folder): label for path, label in labels.items()} == {
        'loose.wav': -1,
        'low/a.wav': 1,
        'low/session/b.wav': 1,
        'high/c.wav': 0,
    }


def test_embed_resumes_once_a_bad_file_is_mended_or_removed(saved, tmp_path, capsys):
    sound(tmp_path / 'in' / 'x' / 'a.wav')
    sound(tmp_path / 'in' / 'y' / 'c.wav')
    bad, out = tmp_path / 'in' / 'y' / 'b.wav', tmp_path / 'f.npz'
    call = ['embed', f'--model={saved}', f'--input={tmp_path}/in', f'--out={out}']
    bad.touch()
    code, _, error = run(capsys, *call)
    assert code == 1 and 'b.wav' in error and 'remove' not in error
    sound(bad, 500)
    assert run(capsys, *call)[0] == 0
    bad.write_bytes(b'')
    assert run(capsys, *call, '--overwrite')[0] == 1
    bad.unlink()
    assert run(capsys, *call, '--overwrite')[0] == 0
    with np.load(out) as file:
        assert len(file['files']) == 2
    # Parts left by another model are refused without --overwrite.
    parts = tmp_path / '.f.npz.parts'
    parts.mkdir()
    (parts / 'job.txt').write_text('other')
    out.unlink()
    code, _, error = run(capsys, *call)
    assert code == 1 and '--overwrite' in error
    assert run(capsys, *call, '--overwrite')[0] == 0


def test_a_file_that_two_inputs_name_is_answered_once(saved, tmp_path, capsys, monkeypatch):
    sound(tmp_path / 'in' / 'a.wav')
    sound(tmp_path / 'in' / '-x.wav')
    monkeypatch.chdir(tmp_path / 'in')
    call = ['classify', f'--model={saved}', '--input']
    code, printed, _ = run(capsys, *call, '.', tmp_path / 'in' / 'a.wav', '-x.wav', '--top_k=1')
    assert code == 0 and '2 files, 2 rows' in printed
    code, printed, _ = run(capsys, *call, '-x.wav')
    assert code == 0 and '1 files, 1 rows' in printed


@pytest.mark.parametrize(
    'code, bits, name',
    [(2, 4, 'Microsoft ADPCM'), (7, 8, 'mu-law'), (85, 0, 'MP3'), (49, 0, 'GSM')],
)
def test_a_served_student_names_the_format_that_it_does_not_take(saved, tmp_path, code, bits, name):
    form = np.array([code + (1 << 16), 8000, 8000, 1 + (bits << 16)], '<u4').tobytes()
    body = b'WAVEfmt \x10\0\0\0' + form + b'data' + np.uint32(30_000).tobytes() + bytes(30_000)
    path = tmp_path / 'a.wav'
    path.write_bytes(b'RIFF' + np.uint32(len(body)).tobytes() + body)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        served(saved, [path])
    assert name in str(error.value) and 'PCM (1) of 8, 16, 24 or 32 bit' in str(error.value)
    assert '1800' not in str(error.value)


def test_what_is_wrong_at_a_glance_is_said_before_tensorflow_starts(tmp_path):
    """Also checks that the help lists every command."""
    folder = pathlib.Path(main.__file__).parent
    commands = [path.stem for path in folder.glob('*.py') if '\ndef add(' in path.read_text()]
    assert len(commands) >= 5
    check = (
        'import sys; from dualcam.cli import main; code = main.main({arguments!r}); '
        'assert not {{"tensorflow", "keras"}} & set(sys.modules), "slow"; sys.exit(code)'
    )
    for arguments, code, says in (
        ([], 1, 'classify sound files'),
        (['--help'], 0, 'dualcam classify'),
        (['classify', f'--model={tmp_path}/none', '--input', 'x'], 1, 'no such file or folder'),
        (['embed', f'--model={tmp_path}', '--input=x', '--out=x.csv'], 1, '.npz'),
        (['tflite', f'--model={tmp_path}', '--out=x', '--kinds=int4'], 1, 'is none of float32'),
        (['tflite', f'--model={tmp_path}/none', '--out=x'], 1, 'no such file or folder'),
        (['nothing'], 1, 'invalid choice'),
    ):
        done = subprocess.run(
            [sys.executable, '-c', check.format(arguments=arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code and says in done.stdout + done.stderr, done
        if not arguments:
            assert all(f'dualcam {name.replace("_", "-")} ' in done.stdout for name in commands)


def test_a_saved_model_answers_without_keras_which_can_be_had_later(saved, tmp_path):
    """It also skips plotting; packages that it skips can still be imported later."""
    path = sound(tmp_path / 'a.wav')
    check = (
        'import sys; from dualcam.cli import main; '
        f'assert main.main(["classify", "--model={saved}", "--input", {str(path)!r}]) == 0; '
        'assert not {"keras", "keras.src", "matplotlib", "sklearn"} & set(sys.modules); '
        'import tensorflow as tf, keras, matplotlib.pyplot; '
        'keras.Sequential([tf.keras.layers.Dense(2)])(tf.zeros([1, 3]))'
    )
    done = subprocess.run(
        [sys.executable, '-c', check], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and 'a.wav' in done.stdout, done


def test_tables_of_the_command_are_those_that_are_written():
    assert inputs.TABLES == classification.FORMATS


# A shell's background jobs and their children ignore Ctrl-C, so `make test &` would too.
_HEARING_CONTROL_C = (
    'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); '
    "os.execv(sys.executable, [sys.executable, '-m', 'dualcam', *sys.argv[1:]])"
)


def test_control_c_ends_with_one_line(saved, tmp_path):
    for number in range(3):
        sound(tmp_path / 'in' / f'{number}.wav', seconds=60 if number else 1)
    out = tmp_path / 'o.csv'
    arguments = ['classify', f'--model={saved}', '--input', str(tmp_path / 'in'), f'--out={out}']
    with subprocess.Popen(
        [sys.executable, '-c', _HEARING_CONTROL_C, *arguments, '--by_window', '--hop_s=0.005'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (out.exists() and out.stat().st_size > 100):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    error = programs.without_startup(error.replace('\r', '\n'))
    lines = [line for line in error.splitlines() if line.strip()]
    lines = [line for line in lines if 'file' not in line]  # the progress bar's
    assert lines == ['stopped: the same command resumes where it left off']
