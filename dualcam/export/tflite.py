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

The converter aborts its process when it fails, so it runs in a separate one: `tflite_forms`.
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

from dualcam.export import interface, interpreters, model_cards, saved_model_safety
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath

KINDS = interface.TFLITE_KINDS
SUFFIX = interface.TFLITE_SUFFIX
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
        command = [sys.executable, '-m', 'dualcam.export.tflite_forms', saved_model, examples_file]
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
