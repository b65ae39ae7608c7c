"""What people look at: TensorBoard's pages and report.html, in a real browser."""

import json
import re
import subprocess
import sys

import pytest

from experiments.wacv2020 import presets, runs
from tests.helpers import browser

TEACHER = runs.Run('dualcamnet', 'hard', 'all')
STUDENT = runs.Run('hearnet', 'D', 'all', TEACHER)


@pytest.fixture(scope='module')
def trained(smoke, tmp_path_factory):
    """The folder of a smoke run of a distilled HearNet, with its teacher's beside it."""
    out = tmp_path_factory.mktemp('pages')
    workshop = runs.open_workshop(smoke / 'records', out, presets.PRESETS['smoke'], [STUDENT])
    workshop.scores(STUDENT, ['all'], 0)
    return workshop.folder(STUDENT, 0), workshop


@pytest.fixture(scope='module')
def tensorboard(trained):
    """Address of a TensorBoard on the runs, as make tensorboard starts it."""
    with subprocess.Popen(
        [sys.executable, '-m', 'tensorboard.main', f'--logdir={trained[0].parent}', '--port=0'],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            found = (re.search(r'http://localhost:\d+/', line) for line in process.stderr)
            yield next(match.group() for match in found if match)
        finally:
            process.terminate()


@pytest.fixture(scope='module')
def chromium():
    with browser.opened() as driver:
        yield driver


@pytest.mark.slow
def test_tensorboard_shows_the_runs(trained, tensorboard, chromium):
    folder, workshop = trained
    run_name = f'{folder.name}/tensorboard/validation'
    action = workshop.info.classes[0]
    for tab, words in (
        ('scalars', ['loss', 'accuracy', run_name]),
        ('images', ['confusion matrix', 'answers over acoustic images', run_name, 'spectrograms']),
        ('audio', ['sounds/sample 1', run_name]),
        ('text', ['confusion table', 'true class', action]),
        ('pr_curves', [f'precision and recall/{action}', run_name]),
        ('projector', ['validation clips', 'scenario', 'answer']),
    ):
        chromium.get(f'{tensorboard}#{tab}')
        chromium.refresh()
        text = browser.text_with(chromium, words)
        browser.keep(chromium, f'tensorboard_{tab}')
        assert [word for word in words if word not in text] == [], tab
        assert browser.errors(chromium) == [], tab


@pytest.mark.slow
def test_the_report_shows_the_run(trained, chromium):
    folder, workshop = trained
    page = folder / 'report.html'
    text = page.read_text()
    assert 'http://' not in text.replace('http://www.w3.org', '') and 'src="data:' in text
    chromium.get(page.as_uri())
    words = [
        folder.name,
        'accuracy, test all',
        'Curves',
        'Predictions',
        'Validation',
        'teacher: ',
        'imitation',
        'tensorflow/serving',
        workshop.info.origin,
    ]
    shown = browser.text_with(chromium, words, timeout_s=10)
    assert [word for word in words if word not in shown] == []
    broken = chromium.execute_script(
        'return [...document.images].filter(i => !i.naturalWidth).length'
    )
    answers = json.loads((folder / 'answers.json').read_text())['answers']
    players = chromium.execute_script('return document.querySelectorAll("audio").length')
    assert broken == 0 and players == min(4, len(answers))
    lasting = chromium.execute_async_script(
        'const done = arguments[0], a = document.querySelector("audio");'
        'if (a.readyState) done(a.duration); else a.onloadedmetadata = () => done(a.duration);'
    )
    assert abs(lasting - 5.0) < 0.1
    browser.keep(chromium, 'report')
    chromium.execute_script('document.querySelector("figure").scrollIntoView()')
    browser.keep(chromium, 'report_examples')
    assert browser.errors(chromium) == []
