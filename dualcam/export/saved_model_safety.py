"""Checks, before a SavedModel is loaded, that its operations only compute, as ours do.

A SavedModel is a program, and TensorFlow runs it unchecked: parts of it when it is loaded, the
rest when it is called. Its operations can read and write files, and load or call other code. So a
model is inspected before TensorFlow loads it. Operations on files are allowed only where
TensorFlow itself saves and restores variables, and where nothing else calls them.

This does not check whether a model's predictions are right.
"""

import pathlib

from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from dualcam.files.path_types import AnyPath

# The operations of exported students; `saved_models.verify` names any that a new one adds.
_NAMES = """
    Abs AddV2 Any ArgMax Assert AssignVariableOp BatchMatMulV2 BiasAdd Cast CheckNumerics
    ComplexAbs ConcatV2 Const Conv2D Cos DecodeRaw DisableCopyOnRead DivNoNan EnsureShape Equal
    ExpandDims Fill FloorDiv FloorMod FusedBatchNormV3 GatherV2 Greater GreaterEqual IRFFT Identity
    If Imag Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum
    Mean Min Minimum Mul Neg NoOp Pack Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault
    Prod RFFT Range ReadVariableOp Real RealDiv Relu Reshape ReverseV2 Rsqrt Select SelectV2 Shape
    Sigmoid Size Slice Softmax Split SplitV Sqrt Square Squeeze StatefulPartitionedCall
    StatelessCase StatelessIf StatelessWhile StaticRegexFullMatch StridedSlice StringJoin
    StringLength Sub Substr Sum TensorListConcatV2 TensorListFromTensor TensorListGetItem
    TensorListReserve TensorListSetItem TensorListStack Tile Transpose Unpack VarHandleOp
    VarIsInitializedOp While ZerosLike"""
_COMPUTING = frozenset(_NAMES.split())
_ON_FILES = frozenset(('MergeV2Checkpoints', 'RestoreV2', 'SaveV2', 'ShardedFilename'))


def check(folder: AnyPath) -> None:
    """Refuses a SavedModel that could do more than compute.

    Args:
        folder: of a version, with its saved_model.pb.

    Raises:
        ValueError: it has other operations than exported students have, or is damaged.
        OSError: it cannot be read.
    """
    path = pathlib.Path(folder) / 'saved_model.pb'
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except message.DecodeError as error:
        raise ValueError(f'{path}: damaged') from error
    for graph in saved.meta_graphs:
        _check_graph(path, graph)


def _check_graph(path, graph):
    functions = {one.signature.name: one.node_def for one in graph.graph_def.library.function}
    saving = {name for name, nodes in functions.items() if any(n.op in _ON_FILES for n in nodes)}
    own = {
        name.partition(':')[0]
        for name in (graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)
    }
    callable_ = set(graph.object_graph_def.concrete_functions) & saving
    for place, nodes in {'': graph.graph_def.node, **functions}.items():
        for node in nodes:
            if node.op not in _COMPUTING and not (node.op in _ON_FILES and place in saving):
                raise ValueError(
                    f'{path}: has the operation {node.op}, which no student of dualcam has; '
                    'TensorFlow would run it, so this model is not loaded'
                )
            if place or node.name not in own:
                callable_ |= _called(node) & saving
    if callable_:
        raise ValueError(
            f'{path}: {min(callable_)}, which reads or writes files, could be called; '
            'this model is not loaded'
        )


def _called(node):
    """Names of the functions that a node calls."""
    found = set()
    for value in node.attr.values():
        found |= {value.func.name, *(one.name for one in value.list.func)}
    return found - {''}
