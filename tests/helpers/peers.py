"""Other programs for comparison, if they are installed."""

import warnings

import pytest


def acoular():
    """The package acoular; the test is skipped if it cannot be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # it queries NumPy's build configuration, which warns
            import acoular
    except (ImportError, OSError) as error:  # OSError: sounddevice found no PortAudio
        pytest.skip(f'no acoular here ({error}): pip install -c constraints.txt acoular')
    return acoular
