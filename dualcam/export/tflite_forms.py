"""TensorFlow's converter to TFLite, in a process of its own: it aborts its process when it fails.

    python -m dualcam.export.tflite_forms SAVED_MODEL EXAMPLES.npy KIND=OUT ...

`tflite` starts it, and says what the kinds are.
"""

import pathlib
import sys

import numpy as np

from dualcam import startup
from dualcam.export import interface, interpreters

_LAST = '/fc2', '/logits'  # layers that are not converted in int8 files
_NETWORK = 'functional'  # in Keras' names of the tensors of a model's layers
_SMALL_BYTES = 4096  # smaller weights are not converted


def _work(saved_model, examples, *kinds_and_paths):
    startup.start_without_keras()
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
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=[interface.WINDOW_SIGNATURE]
    )


def _in_eight_bits(saved_model, made, examples):
    """A network in eight bits, but for its front end and last layer; `made` is its float32 form."""
    import tensorflow as tf

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
