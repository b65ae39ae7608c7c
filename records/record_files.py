"""Record files to examples without TensorFlow: GZIP, TFRecord framing and protobuf, checked.

TensorFlow's own reader says little of what is wrong with a file, and takes seconds to start. Here
each layer is undone by itself: `record_bytes` those of bytes, and protobuf reads messages that are
described below, wire-compatible with `tf.train.Example` and `tf.train.SequenceExample`.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from dualcam.data import record_bytes

# tf.train's messages: {name: [(field, type, repeated)]}, fields numbered from 1 in their order. A
# map is on the wire what entries of key and value are.
_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES = {
    'BytesList': [('value', _Field.TYPE_BYTES, True)],
    'FloatList': [('value', _Field.TYPE_FLOAT, True)],
    'Int64List': [('value', _Field.TYPE_INT64, True)],
    'Feature': [('bytes_list', 'BytesList', False), ('float_list', 'FloatList', False),
                ('int64_list', 'Int64List', False)],
    'NamedFeature': [('key', _Field.TYPE_STRING, False), ('value', 'Feature', False)],
    'Features': [('feature', 'NamedFeature', True)],
    'FeatureList': [('feature', 'Feature', True)],
    'NamedList': [('key', _Field.TYPE_STRING, False), ('value', 'FeatureList', False)],
    'FeatureLists': [('feature_list', 'NamedList', True)],
    'SequenceExample': [('context', 'Features', False), ('feature_lists', 'FeatureLists', False)],
}


def read_examples(data):
    """The examples of a record file.

    Args:
        data: the file's bytes.

    Returns:
        [({key: feature} of the context, {key: [feature]} of the feature lists)]. A
        `tf.train.Example` has the same bytes as a `tf.train.SequenceExample` with a context alone,
        and comes out so.

    Raises:
        Damaged: 'empty', 'not_gzip', 'truncated', 'gzip', 'trailing', 'crc' or 'foreign'.
    """
    examples = []
    for serialized in record_bytes.unframed(record_bytes.inflated(data)):
        try:
            example = _SequenceExample.FromString(serialized)
        except message.DecodeError as error:
            raise record_bytes.Damaged(
                'foreign', f'holds something else than an example ({error})') from error
        examples.append((
            {entry.key: entry.value for entry in example.context.feature},
            {entry.key: entry.value.feature for entry in example.feature_lists.feature_list}))
    if not examples:
        raise record_bytes.Damaged('empty', 'holds no example')
    return examples


def _message_class(name):
    """The class of one of `_MESSAGES`, in a pool of its own: TensorFlow's may be loaded too."""
    package = 'dualcam.records'
    file = descriptor_pb2.FileDescriptorProto(name='records.proto', package=package,
                                              syntax='proto3')
    for owner, fields in _MESSAGES.items():
        described = file.message_type.add(name=owner)
        for number, (field_name, kind, repeated) in enumerate(fields, 1):
            field = described.field.add(
                name=field_name, number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f'.{package}.{kind}'
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f'{package}.{name}'))


_SequenceExample = _message_class('SequenceExample')
