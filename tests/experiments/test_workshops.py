"""Runs are resolved once, trained once, tested once, and found again by their content."""

import dataclasses

import numpy as np
import pytest

from dualcam.data.sources import takes
from dualcam.training import loop
from experiments.shared import outcomes, workshops


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    teacher: 'Run | None' = None


@dataclasses.dataclass(frozen=True)
class Params:
    loop: loop.LoopParams


class Recipe:
    kind = 'toy'


class Data:
    """Counts how often its lists are hashed."""

    def __init__(self, lists):
        self.lists, self.asked = lists, 0

    def described(self):
        self.asked += 1
        return {'lists': self.lists}


class Source:
    """One data set for all runs; counts requests."""

    store = info = None
    note = 'Data: toy'

    def __init__(self, lists='a', rate=1e-3):
        self.data, self.rate = Data(lists), rate
        self.specified, self.tested = [], []

    def specify(self, run, seed):
        self.specified.append((run.name, seed))
        params = Params(loop.LoopParams(1, 2, self.rate, seed))
        return workshops.Specification(Recipe, params, self.data, f'{run.name}-seed{seed}')

    def file_of(self, test):
        return f'test_{test}.json', outcomes.Tested

    def test(self, workshop, resolved, test):
        self.tested.append((resolved.run.name, test, resolved.seed))
        resolved.folder.mkdir(parents=True, exist_ok=True)
        return outcomes.Tested(np.array([0, 1]), np.array([0, 0]), ('a', 'b'))


@pytest.fixture
def pages(monkeypatch):
    """Folders whose page was written."""
    written = []
    monkeypatch.setattr(workshops.run_page, 'write', lambda folder: written.append(folder.name))
    return written


def test_a_run_is_worked_out_once_and_its_lists_are_hashed_once(tmp_path):
    source = Source()
    workshop = workshops.Workshop(source, tmp_path)
    student = Run('student', Run('teacher'))
    found = [workshop.resolve(student, seed) for seed in (0, 1, 0)]
    assert found[0] is found[2] and found[0].teacher is workshop.resolve(Run('teacher'), 0)
    assert source.specified == [('teacher', 0), ('student', 0), ('teacher', 1), ('student', 1)]
    assert source.data.asked == 1
    assert (found[0].seed, found[1].seed) == (0, 1)
    assert workshop.folder(student, 1) == found[1].folder
    assert found[0].folder.parent == tmp_path / 'runs'
    assert found[0].folder.name.startswith('student-seed0-')


def test_a_folder_is_named_by_all_that_decides_the_outcome(tmp_path):
    student, alone = Run('student', Run('teacher')), Run('student')

    def folder(run, **options):
        return workshops.Workshop(Source(**options), tmp_path).folder(run, 0)

    assert folder(student) == folder(student)
    different = {
        folder(student),
        folder(alone),
        folder(student, lists='b'),
        folder(student, rate=1e-4),
        folder(Run('student', Run('other'))),
    }
    assert len(different) == 5
    # A teacher that was trained differently gives another student.
    first, second = Run('student', Run('teacher', Run('a'))), Run('student', Run('teacher'))
    assert folder(first) != folder(second)


def test_a_test_is_made_once_and_its_page_with_it(tmp_path, pages):
    source = Source()
    workshop = workshops.Workshop(source, tmp_path)
    run = Run('student')
    assert not workshop.has_scores(run, ['x'], 0)
    found = workshop.scores(run, ['x', 'y'], 0)
    assert found['x'].accuracy == 0.5 and found['x'].takes == ('a', 'b')
    assert source.tested == [('student', 'x', 0), ('student', 'y', 0)]
    assert len(pages) == 1 and workshop.has_scores(run, ['x', 'y'], 0)
    again = workshops.Workshop(source, tmp_path)
    np.testing.assert_array_equal(again.scores(run, ['y'], 0)['y'].predictions, [0, 0])
    assert len(source.tested) == 2 and len(pages) == 1
    # A result of an older version, without takes, is computed again.
    path = workshop.folder(run, 0) / 'test_y.json'
    path.write_text('{"accuracy": 1.0, "labels": [0], "answers": [0]}')
    assert not again.has_scores(run, ['y'], 0)
    assert again.scores(run, ['y'], 0)['y'].accuracy == 0.5 and len(source.tested) == 3


@pytest.mark.parametrize(
    'outcome',
    [
        outcomes.Tested(np.array([0, 2]), np.array([2, 2]), ('a', 'b'), ('f.wav', 'g.wav')),
        outcomes.Validation(0.25, 1.5, 4, 3),
        outcomes.Tagged(np.array([[0.25, 0.5]])),
    ],
)
def test_outcomes_are_read_as_they_were_saved(outcome, tmp_path):
    path = tmp_path / 'outcome'
    assert not type(outcome).is_saved(path)
    outcome.save(path)
    assert type(outcome).is_saved(path)
    found = type(outcome).load(path)
    for field in dataclasses.fields(outcome):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(outcome, field.name))


def test_confusion_counts_labels_by_rows():
    tested = outcomes.Tested(np.array([0, 0, 1]), np.array([0, 2, 1]), ('a', 'b', 'c'))
    np.testing.assert_array_equal(tested.confusion(3), [[1, 0, 1], [0, 1, 0], [0, 0, 0]])


def test_takes_are_folders_or_parts_of_them():
    @dataclasses.dataclass
    class Store:
        paths: tuple

    @dataclasses.dataclass
    class Rule:
        take_s: int | None

    store = Store(tuple(f'/r/{f}/Data_{n:03d}.tfrecord' for f in 'ab' for n in range(1, 7)))
    rows = [0, 2, 3, 5, 6]
    assert takes.of_records(store, rows) == ['a', 'a', 'a', 'a', 'b']
    assert takes.of_records(store, rows, Rule(None)) == ['a', 'a', 'a', 'a', 'b']
    assert takes.of_records(store, rows, Rule(3)) == [
        'a/take 1',
        'a/take 1',
        'a/take 2',
        'a/take 2',
        'b/take 1',
    ]
