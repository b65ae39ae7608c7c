"""Runs a SavedModel's signatures through TensorFlow's C API only, without its Python package.

    python tests/helpers/c_api.py LIBRARY_FOLDER SAVED_MODEL [CALL]...

A call is four arguments: INPUT_TENSOR OUTPUT_TENSOR IN OUT.npy. IN is an .npy file of float32, or
any other file, whose bytes become one string. All calls use one session. Prints a JSON list of
TensorFlow's errors, one per call, empty without an error; if the model cannot be loaded, prints the
error, with exit code 3.
"""

import ctypes
import json
import pathlib
import sys

import numpy as np

_FLOAT, _STRING = 1, 7


class _Output(ctypes.Structure):
    _fields_ = [('operation', ctypes.c_void_p), ('index', ctypes.c_int)]


class _TString(ctypes.Structure):
    _fields_ = [('data', ctypes.c_byte * 24)]


def load(folder):
    """The C library, with types for the functions called here."""
    # Load the other half first: the C API's symbols refer to it.
    ctypes.CDLL(str(folder / 'libtensorflow_framework.so.2'), ctypes.RTLD_GLOBAL)
    lib = ctypes.CDLL(str(folder / 'libtensorflow_cc.so.2'), ctypes.RTLD_GLOBAL)
    pointers = (
        'TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel '
        'TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer'
    )
    for name in pointers.split():
        getattr(lib, name).restype = ctypes.c_void_p
    lib.TF_Message.restype = ctypes.c_char_p
    for name in ('TF_Dim', 'TF_TensorByteSize'):
        getattr(lib, name).restype = ctypes.c_int64
    return lib


def main(library, model, *calls):
    """Runs the command; returns the exit code."""
    lib = load(pathlib.Path(library))
    status = ctypes.c_void_p(lib.TF_NewStatus())

    def error():
        return lib.TF_Message(status).decode() if lib.TF_GetCode(status) else ''

    graph = ctypes.c_void_p(lib.TF_NewGraph())
    tags = (ctypes.c_char_p * 1)(b'serve')
    session = ctypes.c_void_p(
        lib.TF_LoadSessionFromSavedModel(
            ctypes.c_void_p(lib.TF_NewSessionOptions()),
            None,
            model.encode(),
            tags,
            1,
            graph,
            None,
            status,
        )
    )
    if error():
        print(error())
        return 3

    def end(tensor_name):
        operation, _, index = tensor_name.partition(':')
        pointer = lib.TF_GraphOperationByName(graph, operation.encode())
        assert pointer, tensor_name
        return (_Output * 1)(_Output(pointer, int(index)))

    def call(input_name, output_name, source, out):
        tensor = ctypes.c_void_p(_tensor(lib, pathlib.Path(source)))
        outputs = (ctypes.c_void_p * 1)()
        lib.TF_SessionRun(
            session,
            None,
            end(input_name),
            (ctypes.c_void_p * 1)(tensor),
            1,
            end(output_name),
            outputs,
            1,
            None,
            0,
            None,
            status,
        )
        if not error():
            result = ctypes.c_void_p(outputs[0])
            shape = [lib.TF_Dim(result, i) for i in range(lib.TF_NumDims(result))]
            data = ctypes.string_at(lib.TF_TensorData(result), lib.TF_TensorByteSize(result))
            np.save(out, np.frombuffer(data, np.float32).reshape(shape))
        return error()

    print(json.dumps([call(*calls[first : first + 4]) for first in range(0, len(calls), 4)]))
    return 0


def _tensor(lib, path):
    if path.suffix == '.npy':
        values = np.ascontiguousarray(np.load(path), np.float32)
        dims = (ctypes.c_int64 * values.ndim)(*values.shape)
        tensor = lib.TF_AllocateTensor(_FLOAT, dims, values.ndim, ctypes.c_size_t(values.nbytes))
        ctypes.memmove(lib.TF_TensorData(ctypes.c_void_p(tensor)), values.tobytes(), values.nbytes)
        return tensor
    contents = path.read_bytes()
    tensor = lib.TF_AllocateTensor(
        _STRING, (ctypes.c_int64 * 1)(1), 1, ctypes.c_size_t(ctypes.sizeof(_TString))
    )
    string = ctypes.c_void_p(lib.TF_TensorData(ctypes.c_void_p(tensor)))
    lib.TF_StringInit(string)
    lib.TF_StringCopy(string, contents, ctypes.c_size_t(len(contents)))
    return tensor


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
