"""A student's page: what is served, and that the browser agrees with `classify`."""

import contextlib
import csv
import gzip
import hashlib
import json
import re
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

pytest.importorskip('starlette', reason='pip install "dualcam[live]"')
pytest.importorskip('uvicorn')

from dualcam.cli import main
from dualcam.live import serving, student_page
from tests.helpers import array_takes, browser, served_pages

LITERT = serving.PAGE / 'litert'
MADE_UP = student_page.PageStudent(
    'made up', b'not a model', {'network': 'hearnet', 'seconds': 2, 'classes': ['a', 'b']}
)


@contextlib.contextmanager
def served(student, token=None):
    """Address of a student's page."""
    with served_pages.served(student_page.student_app(student, token)) as bound:
        yield serving.address('127.0.0.1', bound, token)


def _get(address, **headers):
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers))


def test_the_page_has_all_that_it_needs_from_its_own_server():
    with served(MADE_UP) as address:
        page = _get(address)
        policy = page.headers['Content-Security-Policy']
        assert 'unsafe-eval' not in policy.replace('wasm-unsafe-eval', '')
        assert "default-src 'self'" in policy and 'http' not in policy
        left, seen = re.findall(r'(?:src|href)="(/[^"]+)"', page.read().decode()), set()
        left += ['/page/student_worker.js', '/page/capture.js']
        while left:
            path = left.pop()
            if path not in seen:
                seen.add(path)
                answer = _get(address.rstrip('/') + path)
                text = answer.read().decode()
                assert answer.headers['Content-Security-Policy'] == policy
                folder = path.rpartition('/')[0]
                found = re.findall(r"(?:from|import\()\s*['\"](\.?/[^'\"]+)['\"]", text)
                left += [one if one[0] == '/' else f'{folder}{one[1:]}' for one in found]
        assert seen == {
            *('/page/live.css', '/page/student.js', '/page/student_worker.js'),
            *('/page/capture.js', '/page/probabilities.js', '/page/resampling.js'),
        }
        about = json.load(_get(f'{address}student.json'))
        assert about['classes'] == ['a', 'b'] and about['threshold'] is None
        assert _get(f'{address}student.tflite').read() == b'not a model'
        packed = _get(f'{address}page/litert/litert_wasm_compat_internal.wasm')
        assert packed.headers['Content-Encoding'] == 'gzip'
        assert packed.headers['Content-Type'] == 'application/wasm'
        assert gzip.decompress(packed.read())[:4] == b'\0asm'
        for headers in ({'Host': 'evil.example'}, {'Origin': 'http://evil.example'}):
            with pytest.raises(urllib.error.HTTPError, match='403'):
                _get(f'{address}student.tflite', **headers)
    with served(MADE_UP, 'word') as address:
        assert _get(address).status == 200
        with pytest.raises(urllib.error.HTTPError, match='403'):
            _get(address.partition('?')[0] + 'student.tflite')


def test_litert_is_what_its_packages_hold():
    rows = re.findall(
        r'^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$', (LITERT / 'README.md').read_text(), re.M
    )
    assert len(rows) == 4
    for name, checksum in rows:
        if name.endswith('.wasm'):
            contents = gzip.decompress((LITERT / f'{name}.gz').read_bytes())
        else:
            contents = (LITERT / name).read_bytes()
        if name == 'index.js':
            assert contents.count(b'"./wasm-utils.js"') == 1
            contents = contents.replace(b'"./wasm-utils.js"', b'"@litertjs/wasm-utils"')
        assert hashlib.sha256(contents).hexdigest() == checksum, name
    assert 'Apache License' in (LITERT / 'LICENSE').read_text()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ((), 'expected --array=FILE, or --student=RUN'),
        (('--student=RUN', '--array=uma16'), '--student needs no --array'),
        (('--student=none.tflite',), 'none.tflite: not a .tflite file'),
        (('--student=RUN', '--host=0.0.0.0'), '--token=WORD'),
    ],
)
def test_mistakes_are_told(capsys, options, message):
    assert main.main(['live', '--port=0', *options]) == 1
    assert message in capsys.readouterr().err


def _sound(seconds, rate_hz):
    """A varying tone and bursts of noise; no two seconds are alike."""
    rng = np.random.default_rng(11)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sweep = 0.3 * np.sin(2 * np.pi * (1500 * time_s + 900 * np.sin(1.1 * time_s)))
    sound = array_takes.noise(len(time_s), rng, rate_hz, (200, 4000))
    bursts = 0.2 * sound * (np.sin(2 * np.pi * 0.7 * time_s**1.3) > 0.4)
    return np.clip(sweep + bursts, -1, 1)


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A `.tflite` file of a 2 s HearNet whose predictions depend on its input."""
    import keras

    from dualcam import models
    from dualcam.data.signal import frontends
    from dualcam.data.sources import datasets
    from dualcam.export import saved_models, tflite

    folder = tmp_path_factory.mktemp('student')
    frontend = frontends.Frontend(
        'spectrogram', 'log', (np.full(257, 0.5, np.float32), np.full(257, 0.3, np.float32))
    )
    keras.utils.set_random_seed(0)
    model = models.build('hearnet', 4, seconds=2)
    # Logits of mean 0 and deviation 1 over seconds of the sound, so that classes change with it.
    last = [layer for layer in model.layers if layer.get_weights()][-1]
    parts = _sound(20.0, 22_050).astype(np.float32).reshape(10, -1)
    logits = model.predict_on_batch(frontend.hear(parts))
    kernel, bias = last.get_weights()
    scale, middle = logits.std(axis=0), logits.mean(axis=0)
    last.set_weights([kernel / scale, (bias - middle) / scale])
    info = datasets.DatasetInfo('noise', ('tone', 'bursts', 'both', 'neither'), 'noise', 0)
    saved_models.export(model, folder / 'model' / '1', info, 2, frontend)
    tflite.convert(folder / 'model' / '1', folder / 'student.tflite', 'float32')
    return folder / 'student.tflite'


@pytest.mark.slow
def test_the_page_hears_what_classify_hears(student, tmp_path):
    from dualcam.export import tflite

    rate_hz = 48_000
    original = _sound(40.0, rate_hz)
    soundfile.write(tmp_path / 'microphone.wav', original, rate_hz, 'PCM_16')
    with (
        served(student_page.read_student(student)) as address,
        browser.opened(
            'use-fake-ui-for-media-stream',
            'use-fake-device-for-media-stream',
            f'use-file-for-fake-audio-capture={tmp_path / "microphone.wav"}',
        ) as driver,
    ):
        driver.get(address)

        def wait_for(script, timeout_s=90):
            end = time.monotonic() + timeout_s
            while not (found := driver.execute_script(f'return {script}')):
                problem = driver.execute_script('return window.dualcam?.problem')
                assert time.monotonic() < end and not problem, (
                    *(script, problem, browser.text_with(driver, [], 0)),
                    browser.errors(driver),
                )
                time.sleep(0.1)
            return found

        wait_for('window.dualcam && !document.getElementById("listen").disabled')
        driver.execute_script('document.getElementById("listen").click()')
        heard = []
        for count in range(1, 8):
            wait_for(f'dualcam.count >= {count}')
            heard.append(
                driver.execute_script(
                    'return [Array.from(dualcam.last.waveform), dualcam.last.probabilities]'
                )
            )
        assert driver.execute_script('return dualcam.rateHz') in (44_100, 48_000)
        text = browser.text_with(driver, ['listening', 'hearnet'])
        assert 'listening' in text and 'windows of 2 s at 22050 Hz' in text
        browser.keep(driver, 'student')
        painted = driver.execute_script(
            'const canvas = document.getElementById("bars");'
            'const data = canvas.getContext("2d").getImageData('
            '  canvas.width - 8, 0, 4, canvas.height).data;'
            'return data.filter((one, place) => place % 4 < 3 && one > 200).length'
        )
        assert painted > 10
        driver.execute_script('document.getElementById("listen").click()')
        wait_for('document.getElementById("listen").textContent === "listen"')
        assert browser.errors(driver) == []
    run_window, _ = tflite.open_file(student)
    told, compared = [], 0
    for waveform, probabilities in heard:
        waveform = np.array(waveform, np.float32)
        # The same network on the same samples that the page passed to it.
        found = run_window(waveform=waveform[None])['probabilities'][0]
        np.testing.assert_allclose(probabilities, found, atol=2e-3)
        told.append(found)
        # The predictions of classify, which reads them from a file.
        soundfile.write(tmp_path / 'window.wav', waveform, 22_050, 'FLOAT')
        out = tmp_path / f'told_{len(told)}.csv'
        call = ['classify', f'--model={student}', f'--out={out}', '--top_k=4', '--input']
        assert main.main([*call, str(tmp_path / 'window.wav')]) == 0
        with open(out, newline='', encoding='utf-8') as file:
            (row,) = csv.DictReader(file)
        said = {row[f'class_{i}']: float(row[f'probability_{i}']) for i in range(1, 5)}
        said = [said[name] for name in ('tone', 'bursts', 'both', 'neither')]
        np.testing.assert_allclose(probabilities, said, atol=2e-3)
        # The samples are the microphone's; on a busy machine, the browser may lose some.
        fine = soxr.resample(waveform, 22_050, rate_hz, 'HQ')
        start = int(scipy.signal.correlate(original, fine, 'valid', 'fft').argmax())
        likeness = np.corrcoef(original[start : start + 2 * rate_hz], fine)[0, 1]
        compared += likeness > 0.97
    assert compared > 1
    assert np.ptp(told, axis=0).max() > 0.05  # the sound decides
