"""Fixtures that several files of tests share."""

import pytest

from tests.helpers import toy_eccv


@pytest.fixture(scope='session')
def eccv_store():
    """Eight sequences of 2 s with sound, acoustic images and frames."""
    return toy_eccv.make_store()


@pytest.fixture(scope='session')
def eccv_data(eccv_store):
    """Six of them to learn from, two to validate on."""
    return toy_eccv.make_data(eccv_store)
