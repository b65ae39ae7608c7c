"""Record files to examples without TensorFlow: GZIP, TFRecord framing and protobuf, checked.

TensorFlow's own reader says little of what is wrong with a file, and takes seconds to start. Here
each layer is undone by itself: zlib checks GZIP's CRC-32, google-crc32c those of the framing, and
protobuf reads messages that are described below, wire-compatible with `tf.train.Example` and
`tf.train.SequenceExample`.
"""

import struct
import zlib

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_GZIP_MAGIC = b'\x1f\x8b'
_MOST_BYTES = 1 << 30                     # of a record; a second of video takes 11 MB
_HEADER, _FOOTER = struct.Struct('<QI'), struct.Struct('<I')

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


class Damaged(ValueError):
    """What is wrong with a record.

    Attributes:
        kind: a short name for it, the same for all of its kind.
    """

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


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
    for serialized in _unframed(_inflated(data)):
        try:
            example = _SequenceExample.FromString(serialized)
        except message.DecodeError as error:
            raise Damaged('foreign', f'holds something else than an example ({error})') from error
        examples.append((
            {entry.key: entry.value for entry in example.context.feature},
            {entry.key: entry.value.feature for entry in example.feature_lists.feature_list}))
    if not examples:
        raise Damaged('empty', 'holds no example')
    return examples


def framed(serialized):
    """What a TFRecord file holds of a serialized example, a list of bytes."""
    length = struct.pack('<Q', len(serialized))
    return [length, _FOOTER.pack(_masked_crc(length)), serialized,
            _FOOTER.pack(_masked_crc(serialized))]


def _inflated(data):
    if not data:
        raise Damaged('empty', 'the file is empty')
    if data[:2] != _GZIP_MAGIC[:len(data)]:
        raise Damaged('not_gzip', f'this file is not GZIP{_what_else(data)}')
    inflater = zlib.decompressobj(wbits=31)
    try:
        payload = inflater.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise Damaged('gzip', f'the GZIP data are damaged ({error})') from error
    if inflater.unconsumed_tail:
        raise Damaged('foreign', f'inflates to more than {_MOST_BYTES} bytes')
    if not inflater.eof:
        raise Damaged('truncated', f'ends within its GZIP data, after {len(data)} bytes')
    if inflater.unused_data:
        raise Damaged('trailing', f'{len(inflater.unused_data)} bytes follow the end of its GZIP '
                      'data')
    return payload


def _what_else(data):
    """What a file that is not GZIP seems to be, for the message."""
    try:
        next(_unframed(data), None)
    except Damaged:
        return ''
    return ' but an uncompressed TFRecord'


def _unframed(payload):
    """Yields the serialized examples of a TFRecord."""
    start = 0
    while start < len(payload):
        header = payload[start:start + _HEADER.size]
        if len(header) < _HEADER.size:
            raise Damaged('truncated', 'its TFRecord ends within a length')
        length, length_crc = _HEADER.unpack(header)
        if _masked_crc(header[:8]) != length_crc:
            raise Damaged('crc', 'the CRC-32C of a length is wrong: damaged, or no TFRecord')
        start += _HEADER.size
        serialized, footer = payload[start:start + length], payload[
            start + length:start + length + _FOOTER.size]
        if len(footer) < _FOOTER.size:
            raise Damaged('truncated', f'its TFRecord ends within an example of {length} bytes')
        if _masked_crc(serialized) != _FOOTER.unpack(footer)[0]:
            raise Damaged('crc', 'the CRC-32C of an example is wrong')
        start += length + _FOOTER.size
        yield serialized


def _masked_crc(data):
    """TFRecord's checksum: rotated by 15 bits, with a constant added."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


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
