"""Damages a records folder in every way at random: does `records.verify` find it all?

    python -m tests.proofs.damage --records=2000 --damaged=500 [--seed=0]

Prints missed damage, false alarms, and the time taken to read.
"""

import gzip
import os
import pathlib
import shutil
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
import tensorflow as tf
from absl import app, flags

from dualcam import jobs
from dualcam.cli import errors
from dualcam.data.records import record_lists
from dualcam.files import progress_bars
from records import conversion, manifest, verify, writer
from tests.helpers import memory, record_bytes

_SECONDS = 10  # records of a sequence


def write_records(root, count, rng):
    """Writes a folder of AVIA records with its manifest; returns their sorted relative paths."""
    paths = []
    for number in progress_bars.bar(range(count), desc='writing', unit='record'):
        sequence, second = divmod(number, _SECONDS)
        place = (1 + sequence % 3, 1 + sequence // 3 % 9, 1 + sequence // 27)
        paths.append(
            'Location_{:02d}/Subject_{:02d}/Action_{:03d}/'.format(*place)
            + record_lists.record_name(second + 1)
        )
        labels = dict(zip(('location', 'subject', 'action'), (n - 1 for n in place), strict=True))
        images = np.zeros((12, 36, 48, 12), np.float32)  # mostly alike: small files
        images[:, rng.integers(36), rng.integers(48)] = rng.standard_normal((12, 12))
        sound = rng.integers(-(2**20), 2**20, (12, 1, 1024), np.int32)
        writer.write_record(
            root / paths[-1],
            writer.second_to_example(labels, {'acoustic': list(images), 'audio': list(sound)}),
        )
        conversion.Output(root).finish(paths[-1], {})
    return sorted(paths)


# Damage to a file. Each returns the kinds that `verify` may report.


def truncated(path, rng):
    data = path.read_bytes()
    path.write_bytes(data[: rng.integers(1, len(data))])
    return {'truncated'}


def flipped_bit(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)
    return {'not_gzip', 'gzip', 'truncated', 'trailing', 'crc', 'foreign', 'other_crc'}


def flipped_bit_within_gzip(path, rng):
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(gzip.compress(data, 1))
    return {'crc', 'truncated'}


def empty(path, rng):
    path.write_bytes(b'')
    return {'empty'}


def empty_gzip(path, rng):
    path.write_bytes(gzip.compress(b''))
    return {'empty'}


def zeros(path, rng):
    path.write_bytes(bytes(path.stat().st_size))
    return {'not_gzip'}


def uncompressed(path, rng):
    path.write_bytes(gzip.decompress(path.read_bytes()))
    return {'not_gzip'}


def appended(path, rng):
    path.write_bytes(path.read_bytes() + rng.bytes(9))
    return {'trailing'}


def text(path, rng):
    path.write_bytes(gzip.compress(b'not a record but some text that somebody packed'))
    return {'crc'}


def foreign(path, rng):
    _rewrite(path, [b'something else'])
    return {'foreign'}


def foreign_message(path, rng):
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    _rewrite(
        path,
        [
            tf.train.Example(
                features=tf.train.Features(feature={'height': feature})
            ).SerializeToString()
        ],
    )
    return {'foreign'}


def two_examples(path, rng):
    _rewrite(path, [_example(path).SerializeToString()] * 2)
    return {'foreign'}


def missing_key(path, rng):
    example = _example(path)
    keys = ['location', 'subject', 'action', 'audio_image/width', 'audio_data/mics']
    del example.context.feature[keys[rng.integers(len(keys))]]
    _rewrite(path, [example.SerializeToString()])
    return {'missing_key'}


def missing_list(path, rng):
    example = _example(path)
    del example.feature_lists.feature_list['audio/data']
    _rewrite(path, [example.SerializeToString()])
    return {'missing_key'}


def wrong_size(path, rng):
    example = _example(path)
    example.context.feature['audio_data/mics'].int64_list.value[0] = int(rng.integers(2, 9999))
    _rewrite(path, [example.SerializeToString()])
    return {'size'}


def short_frame(path, rng):
    example = _example(path)
    frame = example.feature_lists.feature_list['audio/image'].feature[rng.integers(12)]
    frame.bytes_list.value[0] = frame.bytes_list.value[0][:-4]
    _rewrite(path, [example.SerializeToString()])
    return {'size'}


def missing_frame(path, rng):
    example = _example(path)
    del example.feature_lists.feature_list['audio/data'].feature[rng.integers(12)]
    _rewrite(path, [example.SerializeToString()])
    return {'size'}


def not_finite(path, rng):
    example = _example(path)
    frame = example.feature_lists.feature_list['audio/image'].feature[rng.integers(12)]
    image = np.frombuffer(frame.bytes_list.value[0], '<f4').copy()
    image[rng.integers(image.size)] = [np.nan, np.inf, -np.inf][rng.integers(3)]
    frame.bytes_list.value[0] = image.tobytes()
    _rewrite(path, [example.SerializeToString()])
    return {'not_finite'}


def other_label(path, rng):
    example = _example(path)
    example.context.feature['action'].int64_list.value[0] += 1
    _rewrite(path, [example.SerializeToString()])
    return {'label'}


def other_content(path, rng):
    example = _example(path)
    frame = example.feature_lists.feature_list['audio/data'].feature[0]
    frame.bytes_list.value[0] = rng.bytes(4096)
    _rewrite(path, [example.SerializeToString()])
    return {'other_size', 'other_crc'}


def removed(path, rng):
    path.unlink()
    return {'missing'}


DAMAGES = (
    truncated,
    flipped_bit,
    flipped_bit_within_gzip,
    empty,
    empty_gzip,
    zeros,
    uncompressed,
    appended,
    text,
    foreign,
    foreign_message,
    two_examples,
    missing_key,
    missing_list,
    wrong_size,
    short_frame,
    missing_frame,
    not_finite,
    other_label,
    other_content,
    removed,
)


# Damage to the folder: each also changes other files' information about a record.


def fewer_modalities(root, path, rng):
    example = _example(root / path)
    del example.feature_lists.feature_list['audio/image']
    for key in ('height', 'width', 'depth'):
        del example.context.feature[f'audio_image/{key}']
    _rewrite(root / path, [example.SerializeToString()])
    conversion.Output(root).finish(path, {})
    return {path: {'other_kind'}}


def unlisted(root, path, rng):
    _strike(root, path)
    return {path: {'not_listed'}}


def removed_and_unlisted(root, path, rng):
    if path.endswith(record_lists.record_name(_SECONDS)):  # nothing would refer to it any more
        return unlisted(root, path, rng)
    _strike(root, path)
    (root / path).unlink()
    return {path: {'gap'}}


def foreign_file(root, path, rng):
    name = path.replace('.tfrecord', '_copy.tfrecord')
    shutil.copy(root / path, root / name)
    return {name: {'not_listed'}}


FOLDER_DAMAGES = (fewer_modalities, unlisted, removed_and_unlisted, foreign_file)


def damage(root, paths, count, rng):
    """Damages some records, in all ways in turn; {path: kinds that `verify` may report}."""
    expected = {}
    kinds = [*DAMAGES, *FOLDER_DAMAGES]
    for number, row in enumerate(rng.permutation(len(paths))[:count]):
        kind, path = kinds[number % len(kinds)], paths[row]
        if kind in DAMAGES:
            expected[path] = kind(root / path, rng)
        else:
            expected |= kind(root, path, rng)
    return expected


def judge(findings, expected):
    """Lines on damage that `verify` missed or misnamed, and on false alarms."""
    found = {one.path: one.kind for one in findings}
    missed = [f'missed: {path}, {kinds}' for path, kinds in expected.items() if path not in found]
    return missed + [
        f'{"misnamed" if path in expected else "false alarm"}: {path}, {kind}'
        for path, kind in found.items()
        if kind not in expected.get(path, ())
    ]


def _example(path):
    return tf.train.SequenceExample.FromString(record_bytes.serialized(path))


def _rewrite(path, serialized):
    with tf.io.TFRecordWriter(
        str(path), tf.io.TFRecordOptions('GZIP', compression_level=1)
    ) as file:
        for item in serialized:
            file.write(item)


def _strike(root, path):
    entries, _ = manifest.read(root)
    del entries[path]
    manifest.write(root, entries.values())


def main(_):
    """Runs the command."""
    options = flags.FLAGS
    rng = np.random.default_rng(options.seed)
    with memory.folder() as folder:
        root = pathlib.Path(folder)
        paths = write_records(root, options.records, rng)
        _, alarms, _, _ = verify.verify(root, options.processes)
        expected = damage(root, paths, options.damaged, rng)
        started = time.perf_counter()
        _, findings, _, _ = verify.verify(root, options.processes)
        took_s = time.perf_counter() - started
    wrong = [f'before any damage: {one}' for one in alarms] + judge(findings, expected)
    for line in wrong:
        print(line)
    print(
        f'{options.records} records, {len(expected)} damaged in {len(DAMAGES + FOLDER_DAMAGES)} '
        f'ways, {len(findings)} findings, {len(wrong)} wrong; {took_s:.1f} s in '
        f'{options.processes} processes'
    )
    return 1 if wrong else 0


if __name__ == '__main__':
    flags.DEFINE_integer('records', 2000, 'Number of records to write.', lower_bound=1)
    flags.DEFINE_integer('damaged', 500, 'Number of records to damage.', lower_bound=1)
    flags.DEFINE_integer('seed', 0, 'Seed of the data and the damage.')
    flags.DEFINE_integer('processes', jobs.default_processes(), 'Number of processes that read.')
    app.run(errors.clean_errors(main))
