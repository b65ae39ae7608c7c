"""Reads examples from record files without TensorFlow: GZIP, TFRecord, protobuf, each checked.

TensorFlow's own reader gives little detail about a bad file and takes seconds to start. Here each
layer is decoded separately: `framing` handles the byte layers, and protobuf parses the messages
described below, which have the fields and bytes of `tf.train.Example` and
`tf.train.SequenceExample`.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from dualcam.data.records import framing

# tf.train's messages: {name: [(field, type, repeated)]}, fields numbered from 1 in their order.
# A dictionary gives the type of a map's values; its keys are strings.
_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES = {
    'BytesList': [('value', _Field.TYPE_BYTES, True)],
    'FloatList': [('value', _Field.TYPE_FLOAT, True)],
    'Int64List': [('value', _Field.TYPE_INT64, True)],
    'Feature': [
        ('bytes_list', 'BytesList', False),
        ('float_list', 'FloatList', False),
        ('int64_list', 'Int64List', False),
    ],
    'Features': [('feature', {'value': 'Feature'}, True)],
    'FeatureList': [('feature', 'Feature', True)],
    'FeatureLists': [('feature_list', {'value': 'FeatureList'}, True)],
    'SequenceExample': [('context', 'Features', False), ('feature_lists', 'FeatureLists', False)],
}


def read_examples(data: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The examples of a record file.

    Args:
        data: the file's bytes.

    Returns:
        [({key: feature} of the context, {key: [feature]} of the feature lists)]. A
        `tf.train.Example` has the same bytes as a `tf.train.SequenceExample` with only a context,
        and is returned as one.

    Raises:
        Damaged: 'empty', 'not_gzip', 'truncated', 'gzip', 'trailing', 'crc' or 'foreign'.
    """
    examples = []
    for serialized in framing.unframed(framing.inflated(data)):
        example = parse_example(serialized)
        examples.append(
            (
                dict(example.context.feature),
                {key: value.feature for key, value in example.feature_lists.feature_list.items()},
            )
        )
    if not examples:
        raise framing.Damaged('empty', 'contains no example')
    return examples


def parse_example(serialized: bytes) -> Any:
    """A `SequenceExample` from its bytes, or from those of a `tf.train.Example`.

    Raises:
        Damaged: 'foreign'.
    """
    try:
        return SequenceExample.FromString(serialized)
    except message.DecodeError as error:
        raise framing.Damaged(
            'foreign', f'contains something other than an example ({error})'
        ) from error


def _message_class(wanted):
    """The class of one of `_MESSAGES`, in its own pool, as TensorFlow's may be loaded too."""
    package = 'dualcam.records'
    file = descriptor_pb2.FileDescriptorProto(
        name='records.proto', package=package, syntax='proto3'
    )
    for owner, fields in _MESSAGES.items():
        described = file.message_type.add(name=owner)
        for number, (field_name, kind, repeated) in enumerate(fields, 1):
            if isinstance(kind, dict):
                name = field_name.title().replace('_', '') + 'Entry'  # protobuf's convention
                entry = described.nested_type.add(name=name)
                entry.options.map_entry = True
                _add_field(entry, 'key', 1, _Field.TYPE_STRING, False)
                _add_field(entry, 'value', 2, f'.{package}.{kind["value"]}', False)
                kind = f'{owner}.{name}'
            if isinstance(kind, str):
                kind = f'.{package}.{kind}'
            _add_field(described, field_name, number, kind, repeated)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f'{package}.{wanted}'))


def _add_field(described, name, number, kind, repeated):
    """A field of a message; `kind` is one of `_Field`'s types, or a message's full name."""
    field = described.field.add(
        name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    )
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = kind


SequenceExample = _message_class('SequenceExample')
