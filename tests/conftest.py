"""Fixtures: golden files, generators, and a tiny data set that runs through the whole pipeline."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# Sums over several threads may round differently: bit equality needs one thread. Commands called by
# tests use as many as for users.
# `proofs/kernels.py` sets more: numeric tests must pass with any number.
THREADS = dict.fromkeys(
    ('TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS'),
    os.environ.get('DUALCAM_TEST_THREADS', '1'),
)
os.environ.update(THREADS)

import gc

gc.disable()  # until all is imported, see `pytest_collection`

import fcntl
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from dualcam import startup  # sets up TensorFlow's environment, too

pytest.register_assert_rewrite('tests.helpers')  # failures there show their values too

from tests.helpers import programs
from tests.helpers.checkout import ROOT

TESTS = pathlib.Path(__file__).parent
GOLDEN = TESTS / 'golden'


@pytest.fixture
def rng():
    """A generator, the same for every test."""
    return np.random.default_rng(7)


@pytest.fixture(scope='session')
def golden():
    """Folder of numbers measured with the authors' programs."""
    return GOLDEN


@pytest.fixture(scope='session')
def command():
    """Runs a Python command in the checkout: (exit code, stdout, stderr).

    Variables are added to its environment; stderr lacks TensorFlow's own notes.
    """
    usual = {name: value for name, value in os.environ.items() if name not in THREADS}

    def run(*arguments, **variables):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            text=True,
            capture_output=True,
            check=False,
            env=usual | variables,
        )
        return done.returncode, done.stdout, programs.without_startup(done.stderr)

    return run


@pytest.fixture(scope='session')
def program():
    """Runs a program of experiments/ within this process; see `programs.run`.

    Like `command`, for tests that do not need a separate process: saves loading TensorFlow again.
    """
    return programs.run


@pytest.fixture(scope='session')
def summaries():
    """Reads a folder's TensorBoard events: its summary values, in order."""

    def read(folder):
        import tensorflow as tf

        return [
            value
            for path in sorted(folder.glob('events.*'))
            for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value
        ]

    return read


@pytest.fixture(scope='session')
def shared(tmp_path_factory):
    """Folders shared by all test processes: `shared(name, make)` fills one, once."""
    root = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        root = root.parent

    def folder_of(name, make):
        folder = root / name
        folder.mkdir(exist_ok=True)
        with open(folder / '.lock', 'w', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # others wait here
            if not (folder / '.made').exists():
                make(folder)
                (folder / '.made').touch()
        return folder

    return folder_of


@pytest.fixture(scope='session')
def smoke(shared, command):
    """Three classes of the embedded data at smoke size, from simulator to records: its folder."""

    def make(folder):
        _call(
            command,
            '-m',
            'records.synthetic',
            f'--out={folder}/raw',
            '--preset=smoke',
            '--classes=3',
            f'--matfiles={folder}/raw/matfiles',
            '--nokeep_array',
        )
        _call(
            command,
            '-m',
            'records.convert_avia',
            f'--matfiles={folder}/raw/matfiles',
            f'--sync={folder}/raw/sync',
            f'--out={folder}/records',
            '--sequence_seconds=4',
        )

    return shared('smoke', make)


@pytest.fixture(scope='session')
def acivw_smoke(shared, command):
    """Five classes of the embedded ACIVW at smoke size, as records: its folder."""

    def make(folder):
        _call(
            command,
            '-m',
            'records.synthetic',
            f'--out={folder}/raw',
            '--layout=acivw',
            '--preset=smoke',
            '--classes=5',
            '--videos=4',  # ten clips for training, the smallest number of neighbours
        )
        _call(
            command, '-m', 'records.convert_acivw', f'--raw={folder}/raw', f'--out={folder}/records'
        )

    return shared('acivw_smoke', make)


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    """A `dask_engine.Engine`: a scheduler and two workers on loopback.

    For one file of tests: its processes need time and gigabytes even when they have nothing to do.
    """
    pytest.importorskip('distributed', reason='dualcam[cluster] is not installed')
    from tests.helpers import dask_engine

    made = dask_engine.Engine(tmp_path_factory.mktemp('dask') / 'engine', num_deaths=1)
    yield made
    made.close()


@pytest.fixture(scope='module')
def cluster(engine):
    """The `jobs.Cluster` of that engine."""
    from dualcam import jobs
    from tests.helpers import dask_engine

    with jobs.connected(None, engine.file) as made:
        dask_engine.wait_for(lambda: made.num_threads() == 2)
        yield made


def _call(command, *arguments):
    code, _, errors = command(*arguments)
    assert code == 0, errors


# `make check` leaves out tests that take the fixtures below, which start processes, and those in
# folders whose tests run whole networks.
PROCESSES = {'command', 'smoke', 'acivw_smoke', 'built', 'engine'}
NETWORKS = {'cli', 'export', 'features', 'inference', 'live', 'models', 'reports', 'training'}


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers():
    """One test process more than processors, as tests also wait for pages and other processes."""
    return (yield) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Takes what was imported out of garbage collection, which would look at all of it again.

    Also runs where nothing is collected: in the process that distributes the tests.
    """
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    """Undoes that for whoever looks at all objects at the end, as Hypothesis does."""
    gc.unfreeze()
    startup.end_uncollected()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Sorts long test files first, experiments before all, so that no worker waits for the last.

    Also marks as slow what `PROCESSES` and `NETWORKS` say, before tests are selected by marker.
    """
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: (item.path not in slow, 'experiments' not in item.path.parts))
    for item in items:
        if PROCESSES & {*item.fixturenames} or NETWORKS & {*item.path.parts[len(TESTS.parts) :]}:
            item.add_marker('slow')
