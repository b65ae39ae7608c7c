"""The built-in array and its view."""

import pytest

from dualcam.acoustics import microphones


@pytest.fixture(scope='session')
def mics():
    """The 128 microphones; tests of other arrays override this fixture."""
    return microphones.built_in_array()


@pytest.fixture(scope='session')
def grid():
    """36 x 48 directions."""
    return microphones.look_directions()
