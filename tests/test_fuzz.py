"""Damaged files: those that exposed bugs, a sample of `tests/proofs/fuzz.py`, and its detection."""

import pathlib

import pytest

from tests.proofs import fuzz, fuzz_kinds

REGRESSIONS = sorted((pathlib.Path(__file__).parent / 'regressions').iterdir())


@pytest.mark.filterwarnings('ignore:.*:RuntimeWarning')
@pytest.mark.parametrize('path', REGRESSIONS, ids=lambda path: path.stem)
def test_files_that_found_bugs_are_refused_by_name(path, tmp_path):
    kind, _, _ = path.stem.partition('--')
    corpus = fuzz.Corpus({kind: fuzz_kinds.KINDS[kind]}, tmp_path)
    assert fuzz.judge(fuzz_kinds.KINDS[kind], corpus.put(kind, path.read_bytes())) == 'refused'


def test_whole_files_are_read(tmp_path):
    found = {}
    for name, path in fuzz.Corpus(fuzz_kinds.KINDS, tmp_path).whole():
        found.setdefault(name, []).append(fuzz.judge(fuzz_kinds.KINDS[name], path))
    assert all(verdicts[0] == 'read' for verdicts in found.values()), found
    assert {verdict for verdicts in found.values() for verdict in verdicts} == {'read', 'refused'}


def test_a_number_makes_the_same_file_again(tmp_path):
    made = []
    for place in ('a', 'b'):
        corpus = fuzz.Corpus(fuzz_kinds.KINDS, tmp_path / place)
        made.append([(name, path.read_bytes()) for name, path in map(corpus.damaged, range(60))])
    assert made[0] == made[1] and len(set(made[0])) > 50
    other = fuzz.Corpus(fuzz_kinds.KINDS, tmp_path / 'c', seed=1)
    assert [other.damaged(number)[1].read_bytes() for number in range(3)] != [
        data for _, data in made[0][:3]
    ]


@pytest.mark.filterwarnings('ignore:.*:RuntimeWarning')
def test_damaged_files_are_read_rightly_or_refused_clearly(tmp_path):
    """Runs in this process, which has TensorFlow loaded; the command itself isolates crashes."""
    corpus = fuzz.Corpus(fuzz_kinds.KINDS, tmp_path, seed=1)
    for number in range(150):
        name, path = corpus.damaged(number)
        verdict = fuzz.judge(fuzz_kinds.KINDS[name], path)
        assert verdict in ('read', 'refused'), (number, name)


def test_faults_of_readers_are_found(tmp_path):
    counts, failures = fuzz.run(
        range(16), 1, tmp_path, 'tests.helpers.bad_readers', processor_s=0.2
    )
    found = {}
    for failure in failures:
        found.setdefault(failure.kind, set()).add(failure.what.partition('(')[0])
        assert list(tmp_path.glob(f'{failure.number}-{failure.kind}-file'))
    assert found == {
        'crash': {'ends the process with -11'},
        'hang': {'takes more than 0.2 s'},
        'swallow': {'asks for too much memory: ValueError'},
        'wrong': {'raises KeyError'},
        'nameless': {'refused without its name: ValueError'},
    }
    assert counts['good']['refused'] > 0
    assert len(failures) + sum(sum(of.values()) for of in counts.values()) == 16
