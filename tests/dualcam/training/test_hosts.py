"""Distributed training: equal to a single process, led by one chief."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dualcam.training import hardware, hosts, loop
from tests.helpers import small_runs, two_devices, two_hosts

TWO = 'node1:2222', 'node2:2222'


def config(task, **cluster):
    kind, _, index = task.partition(' ')
    return json.dumps({'cluster': cluster, 'task': {'type': kind, 'index': int(index)}})


def test_flags_name_the_processes():
    assert hosts.cluster(TWO, 1, None) == hosts.Cluster(TWO, 1)
    assert hosts.cluster(TWO, 0, config('worker 0', worker=['other:1', 'more:1'])).addresses == TWO
    assert hosts.cluster([], None, None) is None
    assert hosts.cluster(['node1:2222'], 0, None) is None  # a single process


@pytest.mark.parametrize(
    'text, number',
    [
        (config('worker 1', worker=TWO), 1),
        (config('chief 0', chief=TWO[:1], worker=TWO[1:]), 0),
        (config('worker 0', chief=TWO[:1], worker=TWO[1:]), 1),
    ],
)
def test_tf_config_names_them(text, number):
    assert hosts.cluster([], None, text) == hosts.Cluster(TWO, number)


@pytest.mark.parametrize('text', ['', '{}', config('worker 0', worker=TWO[:1])])
def test_a_tf_config_of_one_process_is_none(text):
    assert hosts.cluster([], None, text) is None


@pytest.mark.parametrize(
    'workers, worker, text, message',
    [
        (TWO, None, None, r'--worker=N must say which'),
        ([], 1, None, r'--worker=1: goes with --workers'),
        (TWO, 2, None, r'worker 2: expected 0 - 1'),
        (['node1', 'node2:1'], 0, None, r"worker 'node1': expected host:port"),
        (['node1:0', 'node2:1'], 0, None, r"worker 'node1:0': expected host:port"),
        (['node1:1', 'node1:1'], 0, None, r'is there twice'),
        ([], None, '{', r'TF_CONFIG: .*expected JSON with a cluster'),
        ([], None, '{"cluster": {"worker": ["a:1", "b:1"]}}', r'TF_CONFIG: .*task'),
        ([], None, config('worker 2', worker=TWO), r'TF_CONFIG: .*no worker 2'),
        ([], None, config('ps 0', worker=TWO, ps=['a:1']), r'TF_CONFIG: .*the jobs ps'),
    ],
)
def test_other_clusters_are_refused(workers, worker, text, message):
    with pytest.raises(ValueError, match=message):
        hosts.cluster(workers, worker, text)


def test_a_single_process_is_its_own_chief():
    assert (hosts.count(), hosts.number(), hosts.is_chief()) == (1, 0, True)
    assert hosts.strategy() is None
    values = np.arange(3.0)
    np.testing.assert_array_equal(hosts.from_chief(values), values)
    assert hosts.bytes_from_chief(b'abc\xff') == b'abc\xff'
    done = []
    with hosts.ending(), hosts.chief_first():
        done.append(1)
    assert done == [1]
    with pytest.raises(tf.errors.UnavailableError), hosts.watched():  # not a lost peer
        raise tf.errors.UnavailableError(None, None, 'a file system')


def test_after_tensorflow_has_begun_it_is_too_late():
    tf.constant(1.0).numpy()
    with pytest.raises(ValueError, match=r'node1:2222: .*program startup'):
        hosts.join(hosts.Cluster(TWO, 0))
    assert hosts.count() == 1


def test_devices_are_the_processes(monkeypatch):
    monkeypatch.setattr(
        hosts, '_joined', hosts._Joined(hosts.Cluster(TWO, 1), tf.distribute.get_strategy())
    )
    assert hardware.strategy(2) is hosts.strategy()
    assert not hosts.is_chief()
    with pytest.raises(ValueError, match='3 devices asked for, but 2 processes train together'):
        hardware.strategy(3)
    with pytest.raises(ValueError, match='1 devices asked for'):
        hardware.building(loop.LoopParams()).__enter__()


@pytest.fixture(scope='module')
def trained(shared):
    """Folder of runs trained by two processes together, without their exports."""

    def make(folder):
        small_runs.write_records(folder)
        runs = [(name, f'{name}-2') for name in two_devices.RECIPES]
        ended = two_hosts.train(folder, runs, exports=False)
        assert [code for code, _ in ended] == [0, 0], ended

    return shared('host_runs', make)


def numbers(folder, kind='latest'):
    """{name: values} of a run's checkpoint."""
    (index,) = (folder / 'checkpoints' / kind).glob('*.index')
    reader = tf.train.load_checkpoint(str(index.with_suffix('')))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith('_CHECKPOINT')
    }


def history(folder):
    """A run's curves, without rates."""
    saved = json.loads((folder / 'metrics.json').read_text())['history']
    return [{key: one[key] for key in one if key != 'clips_per_second'} for one in saved]


@pytest.mark.slow
@pytest.mark.parametrize(
    'recipe, devices',
    [('supervised', 1), ('distilled', 1), *((name, 2) for name in two_devices.RECIPES)],
)
def test_two_processes_learn_as_one(trained, device_runs, recipe, devices):
    """Like one device, or, with batch normalisation or dropout, like two devices of one process."""
    found, wanted = trained / f'{recipe}-2', device_runs / f'{recipe}-{devices}'
    for number, (ours, theirs) in enumerate(zip(history(found), history(wanted), strict=True)):
        kept = [key for key in ours if number > 0 or key.startswith('train/')]
        assert {key: ours[key] for key in kept} == pytest.approx(
            {key: theirs[key] for key in kept}, rel=1e-4 if number else 1e-5
        )
    for kind in ('latest', 'best'):
        ours, theirs = numbers(found, kind), numbers(wanted, kind)
        assert ours.keys() == theirs.keys() and len(ours) > 5
        apart, size = (
            np.sqrt(sum(np.sum(np.square(np.float64(values))) for values in all_values))
            for all_values in ([ours[name] - theirs[name] for name in theirs], theirs.values())
        )
        assert apart < 1e-5 * size
    assert {'checkpoints', 'tensorboard', 'metrics.json'} <= {path.name for path in found.iterdir()}
    assert json.loads((found / 'run.json').read_text())['params']['loop']['devices'] == 2
