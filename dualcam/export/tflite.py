"""Converts a student's SavedModel to TFLite, for phones and single-board computers.

Like its SavedModel, a `.tflite` file takes `waveform`, float32 [batch, a window's samples], in its
signature `window`, and returns `logits`, `probabilities` and `embedding`. Everything, including the
short-time Fourier transform, consists of built-in operations. `metadata.json`,
`class_names.txt` and the model card README.md are appended to the file as a ZIP archive, like
TFLite's own metadata; interpreters ignore it, and `unzip -p FILE README.md` shows the card.

Only the network is quantised. Its front end stays float32: an 8-bit waveform would have more noise
than sound, and a half-precision Hann window leaks at -70 dB, which is still visible in the
logarithm of a spectrum. The last layer stays float32 in int8 files, too: with eight bits for all
classes together, close logits would become equal.

The converter aborts its process when it fails, so it runs in a separate one:
`python -m dualcam.export.tflite SAVED_MODEL EXAMPLES.npy KIND=OUT ...`.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dualcam.export import interface, interpreters, model_cards, saved_model_safety
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

KINDS = ('float32', 'float16', 'int8')
SUFFIX = interface.TFLITE_SUFFIX
_LAST = '/fc2', '/logits'  # layers that are not converted in int8 files
_NETWORK = 'functional'  # in Keras' names of the tensors of a model's layers
_SMALL_BYTES = 4096  # smaller weights are not converted
_ASSETS = ('class_names.txt', 'metadata.json')


def convert(
    saved_model: AnyPath, path: AnyPath, kind: str, examples: np.ndarray | None = None
) -> None:
    """Writes one `.tflite` file; see `convert_all`."""
    convert_all(saved_model, {kind: path}, examples)


def convert_all(
    saved_model: AnyPath, paths: Mapping[str, AnyPath], examples: np.ndarray | None = None
) -> None:
    """Writes `.tflite` files; existing ones are replaced once all new ones are complete.

    Kinds have most of their work in common, so that three take little longer than one.

    Args:
        saved_model: folder of a version, see `saved_models.export`.
        paths: {kind: file}; a kind is 'float32'; 'float16', weights of half the size; or 'int8',
            weights and activations of a quarter of the size.
        examples: for int8, [n, samples] float32: typical windows, whose ranges set the scales of
            the integers.

    Raises:
        ValueError: a kind is unknown, int8 lacks examples, or it is not a SavedModel of ours.
        RuntimeError: TensorFlow's converter failed; the message ends with its last output.
    """
    saved_model = pathlib.Path(saved_model)
    unknown = sorted(set(paths) - set(KINDS))
    if unknown:
        raise ValueError(f'kind {unknown[0]!r}: expected one of {", ".join(KINDS)}')
    if 'int8' in paths and (examples is None or not len(examples)):
        raise ValueError('int8 needs examples: typical windows of sound')
    missing = [name for name in _ASSETS if not (saved_model / 'assets' / name).is_file()]
    if missing:
        raise ValueError(
            f'{saved_model}: not a SavedModel that dualcam exported; it has no assets/{missing[0]}'
        )
    saved_model_safety.check(saved_model)
    with contextlib.ExitStack() as files:
        partial = {}
        for kind, path in paths.items():
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
            partial[kind] = files.enter_context(atomic.writing_file(pathlib.Path(path)))
        _convert_apart(saved_model, partial, examples)
        for kind, path in partial.items():
            with zipfile.ZipFile(path, 'a') as archive:
                for name in _ASSETS:
                    archive.write(saved_model / 'assets' / name, name)
                # Without a timestamp: equal models give equal files.
                card = zipfile.ZipInfo(model_cards.FILE)
                archive.writestr(card, model_cards.of_tflite(saved_model, kind))


def _convert_apart(saved_model, paths, examples):
    """Writes the models, without their metadata, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        examples_file = pathlib.Path(scratch) / 'examples.npy'
        if 'int8' in paths:
            np.save(examples_file, np.asarray(examples, np.float32))
        command = [sys.executable, '-m', 'dualcam.export.tflite', saved_model, examples_file]
        command += [f'{kind}={path}' for kind, path in paths.items()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{saved_model}: TensorFlow's converter to {', '.join(paths)} failed with exit "
            f'code {done.returncode}: {done.stderr.strip()[-500:]}'
        )


def open_file(path: AnyPath, num_threads: int | None = None) -> tuple[Any, dict]:
    """An interpreter's `window` signature, and the contents of `metadata.json`.

    Raises:
        ValueError: the file is not one that `convert` wrote.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read('metadata.json'))
        interpreter = interpreters.interpreter(path, num_threads or os.cpu_count())
        return interpreter.get_signature_runner(interface.WINDOW_SIGNATURE), metadata
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{path}: not a .tflite file that dualcam wrote ({error!r}); make one '
            'with dualcam tflite'
        ) from error


def of_one_window(contents: bytes) -> bytes:
    """A `.tflite` file's model for batches of one window, without its metadata.

    For runtimes that need fixed tensor sizes, such as LiteRT.js: `convert`
    leaves the batch size open, which they read as -1.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(contents))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None  # then the 1 in its shape is used
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _work(saved_model, examples, *kinds_and_paths):
    """Runs in the child process."""
    made = _converter(saved_model).convert()
    forms = {
        'float32': lambda: made,
        'float16': lambda: _halved(made),
        'int8': lambda: _in_eight_bits(saved_model, made, examples),
    }
    for one in kinds_and_paths:
        kind, _, path = one.partition('=')
        pathlib.Path(path).write_bytes(forms[kind]())


def _converter(saved_model):
    return tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=[interface.WINDOW_SIGNATURE]
    )


def _in_eight_bits(saved_model, made, examples):
    """A network in eight bits, but for its front end and last layer; `made` is its float32 form."""
    whole = _converter(saved_model)
    whole.optimizations = [tf.lite.Optimize.DEFAULT]
    whole.representative_dataset = lambda: (
        (interface.WINDOW_SIGNATURE, {'waveform': window[None]}) for window in np.load(examples)
    )
    interpreter = interpreters.interpreter(made)
    # No public API distinguishes results from constants; a constant's name is harmless here.
    outside = {
        tensor['name']
        for tensor in interpreter.get_tensor_details()
        if _NETWORK not in tensor['name'] or any(last in tensor['name'] for last in _LAST)
    }
    return tf.lite.experimental.QuantizationDebugger(
        converter=whole,
        debug_dataset=whole.representative_dataset,
        debug_options=tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=sorted(outside)
        ),
    ).get_nondebug_quantized_model()


def _halved(made):
    """A model with weights stored in half precision and converted at startup."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(made))
    graph = model.subgraphs[0]
    weights = {}
    for operator in graph.operators:
        if _NETWORK in graph.tensors[operator.outputs[0]].name.decode():
            weights |= {i: graph.tensors[i] for i in operator.inputs if i >= 0}
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first with half precision
    model.operatorCodes.append(code)
    for index, tensor in weights.items():
        data = model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) < _SMALL_BYTES:
            continue
        half = schema.TensorT()
        half.name, half.shape = tensor.name + b'/half', tensor.shape
        half.type, half.buffer = schema.TensorType.FLOAT16, tensor.buffer
        model.buffers[half.buffer].data = np.frombuffer(
            np.frombuffer(bytes(data), np.float32).astype(np.float16).tobytes(), np.uint8
        )
        tensor.buffer = 0  # the empty one
        graph.tensors.append(half)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(model.operatorCodes) - 1
        operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
        graph.operators.insert(0, operator)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


if __name__ == '__main__':
    _work(*sys.argv[1:])
