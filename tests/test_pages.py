"""Pages in a real browser: TensorBoard, report.html and results.html."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from experiments.shared import comparison_pages, run_comparisons
from experiments.wacv2020 import comparison, presets, runs, tables
from tests.helpers import browser

TEACHER = runs.Run('dualcamnet', 'hard', 'all')
STUDENT = runs.Run('hearnet', 'D', 'all', TEACHER)
# A table of only these two.
TABLE = tables.Spec(
    'Teacher and student',
    'pair',
    lambda setting: {'DualCamNet': TEACHER, 'D': STUDENT} if setting == 'all' else {},
    {},
    [('DualCamNet', 'D')],
)


@pytest.fixture(scope='module')
def trained(smoke):
    """The folder of a smoke run of a distilled HearNet, next to its teacher's.

    Both are runs of Table 3, which its tests have trained in the same folder if they ran before.
    """
    workshop = runs.open_workshop(
        smoke / 'records', smoke / 'results', presets.PRESETS['smoke'], [STUDENT]
    )
    workshop.scores(STUDENT, ['all'], 0)
    return workshop.folder(STUDENT, 0), workshop


@pytest.fixture(scope='module')
def tensorboard(trained, tmp_path_factory):
    """Address of a TensorBoard on the two runs, as make tensorboard starts it."""
    folder, workshop = trained
    logs = tmp_path_factory.mktemp('logs')
    for run in (folder, workshop.folder(TEACHER, 0)):
        # Without curves of tests: which of them exist depends on what ran before.
        shutil.copytree(
            run / 'tensorboard',
            logs / run.name / 'tensorboard',
            ignore=shutil.ignore_patterns('test_*'),
        )
    with subprocess.Popen(
        [sys.executable, '-m', 'tensorboard.main', f'--logdir={logs}', '--port=0'],
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
        (
            'images',
            ['confusion matrix', 'predictions over acoustic images', run_name, 'spectrograms'],
        ),
        ('audio', ['sounds/sample 1', run_name]),
        ('text', ['confusion table', 'true class', action]),
        ('pr_curves', [f'precision and recall/{action}', run_name]),
        ('projector', ['validation clips', 'scenario', 'prediction']),
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
    assert abs(lasting - 4.0) < 0.1
    browser.keep(chromium, 'report')
    chromium.execute_script('document.querySelector("figure").scrollIntoView()')
    browser.keep(chromium, 'report_examples')
    assert browser.errors(chromium) == []


@pytest.mark.slow
def test_results_show_where_teacher_and_student_differ(trained, chromium, tmp_path, monkeypatch):
    _, workshop = trained
    records, classes = workshop.source._test_paths('all', 'all'), workshop.info.classes
    scores = workshop.scores
    tested = {
        run: scores(run, ['all', runs.UNSEEN_SUBJECTS], 0)['all'] for run in (TEACHER, STUDENT)
    }
    # After so short a training both may always predict the same class.
    answers = tested[STUDENT].predictions.copy()
    answers[::4] = (answers[::4] + 1) % len(classes)
    tested[STUDENT] = dataclasses.replace(tested[STUDENT], predictions=answers)
    monkeypatch.setattr(
        workshop, 'scores', lambda run, *call: scores(run, *call) | {'all': tested[run]}
    )
    monkeypatch.setattr(workshop, 'network', lambda *_: pytest.fail('nothing is asked again'))
    rows = tables.fill(TABLE, workshop, [0])
    table = tables.table(TABLE, rows, 'note', {})
    path = comparison_pages.write(table, comparison.gather(TABLE, workshop, [0]), tmp_path)
    page = path.read_text()
    comparison_pages.write(table, comparison.gather(TABLE, workshop, [0]), tmp_path)
    assert path.read_text() == page
    # The teacher's predictions for the clips, from its stored logits for single seconds.
    (logits,) = workshop.folder(TEACHER, 0).glob('answers_*.npy')
    of_record = dict(zip(workshop.store.paths, np.load(logits), strict=True))
    assert len(records) == 4 * len(answers)
    differing = {}
    for number, (label, answer) in enumerate(zip(tested[STUDENT].labels, answers, strict=True)):
        clip = records[4 * number : 4 * number + 4]
        said = int(np.argmax(sum(of_record[path] for path in clip)))
        if said != answer:
            name = clip[0][clip[0].index('Location_') :].removesuffix('.tfrecord')
            differing[name] = (classes[label], classes[said], classes[answer])
    shown = re.findall(r'<figure data-clip="([^"]+)">', page)
    assert len(shown) == len(set(shown)) == min(run_comparisons.NUM_CLIPS, len(differing)) > 0
    assert f'On {len(differing)} of {len(answers)} clips' in page
    for name in shown:
        label, teacher, student = differing[name]
        caption = page[page.index(f'data-clip="{name}"') :]
        caption = caption[caption.index('<figcaption>') : caption.index('</figcaption>')]
        assert f'<b>{label}</b>' in caption
        assert f'>DualCamNet: {teacher}</span>' in caption and f'>D: {student}</span>' in caption
    # The difference between the confusion matrices is that of the predictions.
    shares = []
    for one in tested.values():
        counts = np.zeros((len(classes), len(classes)))
        np.add.at(counts, (one.labels, one.predictions), 1)
        shares.append(100 * counts / counts.sum(axis=1, keepdims=True))
    drawn = page[page.index('data-difference="DualCamNet minus D"') :]
    drawn = drawn[drawn.index('<svg') : drawn.index('</svg>') + 6]
    texts = ElementTree.fromstring(drawn).iter('text')
    cells = {one.get('data-at'): int(one.text) for one in texts if one.get('data-at')}
    assert cells == {
        f'{row},{column}': pytest.approx((shares[0] - shares[1])[row, column], abs=0.5001)
        for row, column in np.ndindex(len(classes), len(classes))
        if max(one[:, column].max() for one in shares) > 0
    }
    for width, scheme in ((390, 'light'), (390, 'dark'), (1500, 'light')):
        browser.emulate(chromium, width, scheme)
        chromium.get(path.as_uri())
        assert browser.overflow(chromium) <= 0, (width, scheme)
        browser.keep(chromium, f'results_{width}_{scheme}')
    broken = chromium.execute_script(
        'return [...document.images].filter(i => !i.naturalWidth).length'
    )
    assert broken == 0 and browser.errors(chromium) == []
