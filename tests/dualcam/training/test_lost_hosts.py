"""Distributed training loses no work when one of its processes is killed or fails."""

import json
import re
import signal

import pytest

from dualcam.training import hosts
from tests.helpers import killed_runs, small_runs, two_hosts

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(shared):
    """Folder of two runs, one of them disturbed; ended.json records how the processes ended."""

    def make(folder):
        small_runs.write_records(folder)
        disturbed = [('taught', 'disturbed')]
        kill, fail = two_hosts.End(1, 1), two_hosts.End(2, 0, is_kill=False)
        ended = {
            'worker killed': two_hosts.train(folder, disturbed, (None, kill)),
            'chief killed': two_hosts.train(folder, disturbed, (two_hosts.End(2, 1), None)),
            'own error': two_hosts.train(folder, disturbed, (fail, None)),
            'to the end': two_hosts.train(folder, [*disturbed, ('taught', 'undisturbed')]),
        }
        (folder / 'ended.json').write_text(json.dumps(ended))

    return shared('lost_host_runs', make)


@pytest.fixture(scope='module')
def ended(trained):
    """{what happened: [(exit code, stderr) of the chief and the other]}."""
    return json.loads((trained / 'ended.json').read_text())


def lines(text):
    """A process's messages, without TensorFlow's own output.

    Nor those of waiting: which process packs the records first, the other one waiting, is chance.
    """
    gone = r'WARNING: All log messages|[IWE]\d{4} |20\d\d-|Additional GRPC|:\{"created"|waiting: '
    return [line for line in text.splitlines() if not re.match(gone, line)]


@pytest.mark.parametrize('kind, left', [('worker killed', 0), ('chief killed', 1)])
def test_a_lost_process_ends_the_other_with_a_code_and_a_line(ended, kind, left):
    (code, text), (killed, _) = ended[kind][left], ended[kind][1 - left]
    assert (code, killed) == (hosts.LOST, -signal.SIGKILL) and hosts.LOST == 75
    (line,) = lines(text)
    assert line.startswith(f'error: worker {left} of 2 has lost another one (')
    assert line.endswith('The same call on all of them resumes after the last saved epoch')


def test_an_error_of_one_is_said_by_it_alone(ended):
    (code, text), (other, theirs) = ended['own error']
    assert code == 1 and lines(text) == ['error: no space left']
    assert other == 1
    assert lines(theirs) == [
        'error: worker 1 of 2 ends, as another one has by OSError: no space left'
    ]


def test_a_disturbed_run_ends_as_one_never_disturbed(trained, ended):
    """All files, weights, scores and curves are bit-identical after each process was lost once."""
    assert [code for code, _ in ended['to the end']] == [0, 0]
    wanted = killed_runs.left(trained / 'undisturbed')
    assert 'metrics.json' in wanted
    assert sum(name.startswith('checkpoints/latest/ckpt-3.index: ') for name in wanted) > 20
    assert killed_runs.differences(killed_runs.left(trained / 'disturbed'), wanted) == []
