"""`.tflite` files run in LiteRT's interpreter if it is installed, otherwise in TensorFlow's."""

import sys
import types

import pytest
import tensorflow as tf

from dualcam.export import interpreters


@pytest.mark.parametrize('installed', [True, False])
def test_litert_is_preferred_and_not_needed(installed, monkeypatch, tmp_path):
    litert = types.ModuleType('ai_edge_litert.interpreter')
    litert.Interpreter = lambda **settings: ('LiteRT', settings)
    monkeypatch.setitem(sys.modules, 'ai_edge_litert', types.ModuleType('ai_edge_litert'))
    # None makes the import fail, as for a package that is not installed.
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', litert if installed else None)
    monkeypatch.setattr(tf.lite, 'Interpreter', lambda **settings: ('TensorFlow', settings))
    name = 'LiteRT' if installed else 'TensorFlow'
    path = tmp_path / 'student.tflite'
    of_file = {'model_path': str(path), 'num_threads': 2}
    assert interpreters.interpreter(path, 2) == (name, of_file)
    of_bytes = {'model_content': b'model', 'num_threads': None}
    assert interpreters.interpreter(b'model') == (name, of_bytes)
