"""Fixtures that several files of tests share."""

import pytest

from tests.helpers import small_runs, toy_eccv


@pytest.fixture
def without_exports(monkeypatch):
    """Runs of the test export no student."""
    small_runs.skip_exports(monkeypatch.setattr)


@pytest.fixture(scope='session')
def eccv_store():
    """Eight sequences of 2 s with sound, acoustic images and frames."""
    return toy_eccv.make_store()


@pytest.fixture(scope='session')
def eccv_data(eccv_store):
    """Six of them for training, two for validation."""
    return toy_eccv.make_data(eccv_store)


@pytest.fixture(scope='session')
def device_runs(shared, command):
    """Folder with the runs of `tests/helpers/two_devices.py`, and its output."""

    def make(folder):
        code, out, errors = command(
            '-W',
            'ignore',
            '-m',
            'tests.helpers.two_devices',
            folder,
            # Sums over several threads may round differently.
            TF_NUM_INTRAOP_THREADS='1',
            TF_NUM_INTEROP_THREADS='1',
        )
        assert code == 0, errors[-3000:]
        (folder / 'printed.json').write_text(out.splitlines()[-1])

    return shared('device_runs', make)
