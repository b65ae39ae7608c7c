"""The files that `tests/proofs/fuzz.py` damages, small ones of every kind, and their readers.

A reader either returns what its documentation promises, or raises one of the errors that its
documentation promises, with the file's name in the message.
"""

import functools
import gzip
import io
import pathlib
import re

import numpy as np
import scipy.io
import scipy.sparse
import soundfile
import tensorflow as tf
from PIL import Image

from dualcam.data import schema
from dualcam.data.records import framing, reading, tagging_records
from dualcam.data.signal import wav
from dualcam.data.sources import (
    datasets,
    sound_decoders,
    sound_files,
    sound_folders,
    tagging_lists,
)
from dualcam.models import checkpoint_formats, torch7
from records import acivw_layout, conversion, frame_files, inspection, manifest, writer
from tests.helpers import mutations, sound_containers, tagged_clips
from tests.helpers.torch_files import TorchWriter
from tests.proofs.fuzz import Kind

_TAGGING_CLASSES = ('Car', 'Speech', 'Air horn, truck horn')
_SIDE = 8  # pixels of small pictures


# Records


def _framed(examples):
    """The bytes of a record file."""
    return [_record(example.SerializeToString()) for example in examples]


def _record(*payloads):
    return gzip.compress(
        b''.join(part for payload in payloads for part in framing.framed(payload)), 1, mtime=0
    )


def _payload(data):
    """The first example of a record file of `_record`."""
    return next(framing.unframed(framing.inflated(data)))


def _rebuild_record(kind):
    """Damages a record's content and renews its checksums, which would catch everything else."""

    def rebuild(data, rng):
        how = rng.integers(4)
        if how == 0:
            return gzip.compress(mutations.mutate(gzip.decompress(data), rng, [data]), 1, mtime=0)
        if how == 1:
            return _record(mutations.mutate(_payload(data), rng, [data]))
        example = kind.FromString(_payload(data))
        for _ in range(rng.geometric(0.5)):
            _change(example, rng)
        return _record(
            *[example.SerializeToString()] * (1 if how == 2 else int(rng.choice([1, 1, 0, 2])))
        )

    return rebuild


def _change(example, rng):
    """Changes one feature of an example, or one item of a feature list."""
    is_sequence = isinstance(example, tf.train.SequenceExample)
    features = (example.context if is_sequence else example.features).feature
    if is_sequence and rng.random() < 0.5:
        lists = example.feature_lists.feature_list
        items = lists[_chosen(sorted(lists), rng)].feature
        how = rng.integers(4)
        if how == 0 and items:
            del items[int(rng.integers(len(items)))]
        elif how == 1:
            items.add().CopyFrom(_odd_feature(rng))
        elif items:
            items[int(rng.integers(len(items)))].CopyFrom(_odd_feature(rng))
        return
    key = _chosen(sorted(features) or ['x'], rng)
    if rng.random() < 0.2:
        del features[key]
    elif features[key].bytes_list.value and rng.random() < 0.6:
        values = features[key].bytes_list.value
        place = int(rng.integers(len(values)))
        values[place] = mutations.mutate(values[place], rng, list(values))
    elif features[key].int64_list.value and rng.random() < 0.6:
        values = features[key].int64_list.value
        values[int(rng.integers(len(values)))] = _signed(mutations.number(rng))
    else:
        features[key].CopyFrom(_odd_feature(rng))


def _odd_feature(rng):
    count = int(rng.choice([0, 1, 2, 13]))
    return (
        tf.train.Feature(
            bytes_list=tf.train.BytesList(
                value=[rng.bytes(int(rng.choice([0, 1, 3, 4096]))) for _ in range(count)]
            )
        ),
        tf.train.Feature(
            int64_list=tf.train.Int64List(
                value=[_signed(mutations.number(rng)) for _ in range(count)]
            )
        ),
        tf.train.Feature(float_list=tf.train.FloatList(value=[float('nan')] * count)),
        tf.train.Feature(),
    )[rng.integers(4)]


def _signed(number):
    return (number + 2**63) % 2**64 - 2**63


def _chosen(names, rng):
    return names[int(rng.integers(len(names)))]


def _verified(read):
    """A reader of records; what it refuses, `records.verify` must refuse too."""

    @functools.wraps(read)
    def both(path):
        found = inspection.inspect(path.name, path.parent)
        try:
            was_read = read(path)
        except ValueError as error:  # silence is valid, too
            assert found.kind or not re.search('not a (whole )?record', str(error)), error
            raise
        assert was_read or found.kind, 'nothing found, but not read'
        return was_read

    return both


def _seconds(labels):
    rng = np.random.default_rng(0)
    audio = [rng.integers(-99, 99, (1, 1024)).astype(np.int32) for _ in range(12)]
    video = [rng.integers(0, 9, (_SIDE, _SIDE, 3)).astype(np.uint8) for _ in range(12)]
    silent = [np.zeros(schema.ACOUSTIC_SHAPE, np.float32)] * 12
    small = writer.second_to_example(labels, {'audio': audio, 'video': video})
    whole = writer.second_to_example(labels, {'acoustic': silent, 'audio': audio})
    return _framed([small, small, whole])


@_verified
def _read_second(path):
    held = reading.modalities_of(path)
    reading.is_acivw(path)
    wanted = [name for name in ('audio', 'acoustic', 'video') if name in held]
    if not wanted:
        return False
    (second,) = reading.read_seconds([str(path)], wanted)
    last_axes = {'audio': (1024,), 'acoustic': schema.ACOUSTIC_SHAPE, 'video': (3,)}
    for name in wanted:
        shape = second[name].shape
        assert shape[0] == 12 and shape[-len(last_axes[name]) :] == last_axes[name], (name, shape)
    if 'video' in wanted:
        (frames,) = reading.read_frames([str(path)], [[0, 11]])
        np.testing.assert_array_equal(frames, second['video'][[0, 11]])
    return True


def _tagged(_):
    rng = np.random.default_rng(0)
    return _framed(
        [
            writer.clip_to_example(
                name,
                rng.integers(-99, 99, 3200).astype(np.int16),
                [tagged_clips.jpeg(colour) for colour in tagged_clips.COLOURS[:count]],
                [0, 1, 0],
            )
            for name, count in (('a', 1), ('clip of two', 2))
        ]
    )


@_verified
def _read_tagged(path):
    (clip,) = tagging_records.read_clips([path])
    assert clip['audio'].dtype == np.int16 and clip['audio'].ndim == clip['labels'].ndim == 1
    if not clip['frames']:
        return False
    (frames,) = tagging_records.read_frames([path], [[0]], (_SIDE, _SIDE))
    assert frames.shape == (1, _SIDE, _SIDE, 3)
    return True


def _sound_records(_):
    signal = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    examples = [writer.sound_to_example(signal, 1, start) for start in (0, 3000)]
    return [
        _record(examples[0].SerializeToString()),
        _record(*(example.SerializeToString() for example in examples)),
    ]


def _read_sound(path):
    signal = sound_files.read_sound(path)
    assert signal.ndim == 1 and len(signal) and np.isfinite(signal).all()
    return True


# Lists


def _record_list(folder):
    for number in (1, 2, 3):
        place = folder / f'Location_01/Subject_01/Action_000/Data_{number:03d}.tfrecord'
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b'')
    (folder / 'other.tfrecord').write_bytes(b'')
    lines = [f'Location_01/Subject_01/Action_000/Data_{n:03d}.tfrecord' for n in (1, 2, 3)]
    return [
        '\n'.join(lines).encode(),
        '\r\n'.join(lines).encode(),
        '\n'.join(f'/elsewhere/{line}' for line in lines).encode(),
        b'other.tfrecord\n',
    ]


def _read_record_list(path):
    found = reading.read_list(path, path.parent)
    assert found and all(pathlib.Path(name).is_file() for name in found)
    return True


def _tagging_list(_):
    return [
        b'Yabc_1.wav\t0.000\t10.000\tCar\nYabc_1.wav\t1\t2\tSpeech\n-x.wav\t30\t40\tCar\n',
        b'filename\tevent_labels\nYabc_1.wav\tCar,Speech\nb.wav\tSpeech\n',
        b'filename\tonset\toffset\tevent_label\na.wav\t0\t1.5\tCar\nb.wav\t\t\t\n',
    ]


def _read_tagging_list(path):
    found = tagging_lists.read_list(path, _TAGGING_CLASSES)
    assert found and all(0 <= label < 3 for clip in found for label in clip.labels)
    return True


def _esc50(folder):
    (folder.parent / 'audio').mkdir()
    for name in ('1-1-A-0.wav', '2-2-A-1.wav'):
        (folder.parent / 'audio' / name).write_bytes(b'')
    return [
        b'filename,fold,target,category,esc10,src_file,take\n1-1-A-0.wav,1,0,dog,True,1,A\n'
        b'2-2-A-1.wav,2,1,chirping_birds,False,2,A\n'
    ]


def _index(folder):
    for name in ('a', 'b'):
        (folder / f'{name}.tfrecord').write_bytes(b'')
    return [
        b'record,class,fold,split,source\na.tfrecord,dog,1,train,x\nb.tfrecord,"rain, light",,,\n'
    ]


def _dcase(folder):
    (folder / 'audio').mkdir()
    (folder / 'evaluation_setup').mkdir()
    for name in ('a', 'b'):
        (folder / 'audio' / f'{name}.wav').write_bytes(b'')
    for name, line in (('train', b'audio/a.wav\tbus\n'), ('evaluate', b'audio/b.wav\n')):
        (folder / 'evaluation_setup' / f'fold1_{name}.txt').write_bytes(line)
    return [
        b'filename\tscene_label\tidentifier\tsource_label\naudio/a.wav\tbus\tx\ta\n'
        b'audio/b.wav\tpark\ty\ta\n'
    ]


def _read_sounds(root):
    found = sound_folders.find_files(root)
    assert found.sounds and all(-1 <= sound.label < len(found.classes) for sound in found.sounds)
    # A list that is too damaged to be recognised is reported as ignored.
    passed_over = any('not a known list' in one.reason for one in found.left_out)
    assert passed_over or len(found.classes) >= 2
    return not passed_over


def _read_description(path):
    info = datasets.read_description(path.parent)
    assert info.num_classes >= 2 and all(isinstance(name, str) for name in info.classes)
    return True


def _manifest(folder):
    entries = [
        manifest.Entry(f'a/{number}.tfrecord', number, f'{number:08x}', {'sound': 'a.wav'})
        for number in range(3)
    ]
    manifest.write(folder, entries)
    return [(folder / manifest.MANIFEST_FILE).read_bytes()]


def _read_manifest(path):
    entries, broken = manifest.read(path.parent)
    assert all(isinstance(entry.num_bytes, int) for entry in entries.values())
    assert all(number > 0 for number in broken)
    return not broken


def _read_settings(path):
    settings, calls = conversion.read_settings(path.parent)
    assert all(isinstance(key, str) for key in settings)
    for call in calls.values():
        conversion.located(call, path.parent)
    return bool(settings)


def _read_time(path):
    title, seconds = acivw_layout.read_time(path)
    assert title and 0 <= seconds < float('inf')
    return True


# Frame files


def _mats(_):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((4, 5, 12)).astype(np.float32)
    cell = np.empty((2, 2, 2), object)
    cell.fill(image)
    made = [
        ({'MFCC': image}, {}),
        ({'MFCC': image}, {'do_compression': True}),
        ({'other': 'text', 'MFCC': image.astype(np.int16)}, {}),
        ({'MFCC': image.astype(np.float64)}, {}),
        ({'MFCC': cell}, {}),
        ({'MFCC': {'a': image, 'b': 'text'}}, {}),
        ({'MFCC': scipy.sparse.csc_matrix(image[0])}, {}),
        ({'MFCC': 'text'}, {}),
        ({'MFCC': image[0]}, {'format': '4'}),
    ]
    seeds = []
    for content, options in made:
        file = io.BytesIO()
        scipy.io.savemat(file, content, **options)
        data = file.getvalue()
        if data.startswith(b'MATLAB'):  # the time follows
            data = b'MATLAB 5.0 MAT-file'.ljust(116) + data[116:]
        seeds.append(data)
    return seeds


def _read_mat(path):
    image = frame_files.read_mat(path)
    assert image.shape == schema.ACOUSTIC_SHAPE and image.dtype == np.float32
    return True


def _npys(_):
    samples = np.random.default_rng(0).integers(-99, 99, (1, 1024)).astype('<i4')
    files = [io.BytesIO() for _ in range(6)]
    np.save(files[0], samples)
    np.save(files[1], np.asfortranarray(np.repeat(samples, 2, axis=0)))
    np.lib.format.write_array(files[2], samples, version=(2, 0))
    np.save(files[3], samples.astype('>i4'))
    np.save(files[4], np.array([[{}]], object), allow_pickle=True)
    np.savez(files[5], samples)
    return [file.getvalue() for file in files]


def _read_samples(read, path):
    samples = read(path)
    assert samples.shape[1] == 1024 and samples.dtype == np.int32
    return True


def _pictures(form, sizes):
    seeds = []
    for size in sizes:
        file = io.BytesIO()
        Image.new('RGB', size, (200, 40, 40)).save(file, form)
        seeds.append(file.getvalue())
    return seeds


def _read_jpeg(path):
    assert frame_files.read_jpeg(path).shape == schema.VIDEO_SHAPE
    return True


def _read_bmp(path):
    pixels = frame_files.read_bmp(path, _SIDE)
    assert min(pixels.shape[:2]) == _SIDE and pixels.shape[2] == 3
    return True


# Weights


def _torch_files(_):
    rng = np.random.default_rng(0)
    modules = {}
    for place in (0, 4, 8, 12):
        modules[place + 1] = (
            'nn.SpatialConvolution',
            {
                'weight': rng.standard_normal((2, 1, 3, 1)).astype(np.float32),
                'bias': np.zeros(2, np.float32),
            },
        )
        modules[place + 2] = (
            'nn.SpatialBatchNormalization',
            {
                name: np.ones(2, np.float32)
                for name in ('weight', 'bias', 'running_mean', 'running_var')
            }
            | {'eps': 1e-5},
        )
    seeds = []
    for value in (
        ('nn.Sequential', {'modules': modules}),
        {
            'a': None,
            'b': [1.5, True, 'text'][1],
            'c': {1: 'x', 2.5: False},
            'd': np.ones((2, 3), np.float32),
            'e': ('nn.Identity', {'n': 3.0}),
        },
    ):
        for long_format in 'qi':
            file = TorchWriter(long_format)
            file.value(value)
            seeds.append(file.data)
    return seeds


def _read_torch(path):
    torch7.read(path)
    for stored in checkpoint_formats.open_source(path, 'oursoundnet').arrays.values():
        assert tuple(np.asarray(stored.read()).shape) == tuple(stored.shape)
    return True


# Sound


def _wavs(_):
    rng, seeds = np.random.default_rng(0), []
    for kind, form, rate_hz, channels in (
        ('PCM_16', 'WAV', 22_050, 1),
        ('PCM_24', 'WAV', 44_100, 2),
        ('PCM_U8', 'WAV', 8000, 1),
        ('PCM_32', 'WAVEX', 48_000, 3),
        ('FLOAT', 'WAV', 16_000, 1),
        ('DOUBLE', 'RF64', 32_000, 2),
    ):
        file = io.BytesIO()
        soundfile.write(file, rng.uniform(-1, 1, (700, channels)), rate_hz, kind, format=form)
        seeds.append(file.getvalue())
    return seeds


def _unfinished(_):
    """WAV and AU files whose writers were killed, and truncated ones."""
    whole = [data for data in _wavs(None) if data[:4] == b'RIFF']
    seeds = []
    for data in whole:
        at = data.index(b'data') + 4
        for riff, length in ((0, 0), (0xFFFF_FFFF, 0xFFFF_FFFF), (36 + 64, 64)):
            sizes = riff.to_bytes(4, 'little'), length.to_bytes(4, 'little')
            seeds.append(data[:4] + sizes[0] + data[8:at] + sizes[1] + data[at + 4 :])
        seeds.append(data[: len(data) // 2])
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-1, 1, 700), 8000, format='AU')
    au = file.getvalue()
    return [*seeds, au[:8] + bytes(4) + au[12:], au[:8] + b'\xff' * 4 + au[12:-99]]


def _containers(folder):
    signal = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    seeds = []
    for suffix in ('.m4a', '.webm', '.mka', '.wma', '.mpg', '.ts', '.avi', '.caf', '.w64', '.ogv'):
        path = folder / f'whole{suffix}'
        sound_containers.write(path, signal)
        seeds.append(path.read_bytes())
        path.unlink()
    return seeds


@functools.cache
def _served():
    spec = [tf.TensorSpec([], tf.string)]
    return tf.function(wav.decode, input_signature=spec), tf.function(
        wav.decode_at_own_rate, input_signature=spec
    )


def _read_served(path):
    contents = tf.constant(path.read_bytes())
    decode, decode_at_own_rate = _served()
    signal, (own, rate_hz) = decode(contents).numpy(), decode_at_own_rate(contents)
    assert signal.dtype == np.float32 and signal.ndim == 1
    assert len(signal) == -(-len(own) * 22_050 // int(rate_hz)), (len(signal), len(own))
    try:
        want_hz, blocks = sound_decoders.open_blocks(path)
        blocks = list(blocks)
    except ValueError:  # in places, the library is stricter
        return True
    want = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    assert rate_hz == want_hz and len(own) == len(want), (rate_hz, want_hz, len(own), len(want))
    with np.errstate(all='ignore'):
        np.testing.assert_allclose(own, want.mean(axis=1), rtol=1e-5, atol=1e-6)
    return True


KINDS = {
    'record': Kind(
        'Data_001.tfrecord',
        lambda _: _seconds({'action': 1, 'location': 0, 'subject': 2}),
        _read_second,
        8,
        rebuild=_rebuild_record(tf.train.SequenceExample),
    ),
    'record_acivw': Kind(
        'Data_001.tfrecord',
        lambda _: _seconds({'classes': 1, 'location': 3}),
        _read_second,
        3,
        rebuild=_rebuild_record(tf.train.SequenceExample),
    ),
    'record_tagged': Kind(
        'clip.tfrecord', _tagged, _read_tagged, 6, rebuild=_rebuild_record(tf.train.Example)
    ),
    'record_sound': Kind(
        'sound.tfrecord',
        _sound_records,
        _verified(_read_sound),
        6,
        rebuild=_rebuild_record(tf.train.Example),
    ),
    'list': Kind('training.txt', _record_list, _read_record_list, 8),
    'list_tagging': Kind('list.csv', _tagging_list, _read_tagging_list, 7),
    'list_esc50': Kind('meta/esc50.csv', _esc50, lambda path: _read_sounds(path.parents[1]), 4),
    'list_sounds': Kind('sounds.csv', _index, lambda path: _read_sounds(path.parent), 4),
    'list_dcase': Kind('meta.csv', _dcase, lambda path: _read_sounds(path.parent), 4),
    'description': Kind(
        'dataset.json',
        lambda _: [
            b'{"name": "x", "classes": ["a", "b"], "origin": "y", "num_locations": 3, "folds": [1]}'
        ],
        _read_description,
        3,
    ),
    'manifest': Kind('manifest.jsonl', _manifest, _read_manifest, 3),
    'conversion': Kind(
        'conversion.json',
        lambda _: [
            b'{"modalities": ["acoustic", "audio"], "sequence_seconds": 30, "calls": [{"command": '
            b'"convert_avia", "paths": {"matfiles": "../raw/matfiles"}, "options": {"split": "x"}, '
            b'"overwriting": false}]}'
        ],
        _read_settings,
        3,
    ),
    'time': Kind('video_time.txt', lambda _: [b'a name: 12.5\n', b'one:two: 3'], _read_time, 2),
    'mat': Kind('Data_1.mat', _mats, _read_mat, 14),
    'npy': Kind('A_000001.npy', _npys, functools.partial(_read_samples, frame_files.read_npy), 9),
    'dc': Kind(
        'A_000001.dc',
        lambda _: [bytes(4096), bytes(range(256)) * 32],
        functools.partial(_read_samples, frame_files.read_dc),
        4,
    ),
    'jpeg': Kind('I_000001.jpeg', lambda _: _pictures('JPEG', [(640, 480)]), _read_jpeg, 3),
    'bmp': Kind('I_000001.bmp', lambda _: _pictures('BMP', [(6, 4), (5, 5)]), _read_bmp, 3),
    't7': Kind('net.t7', _torch_files, _read_torch, 11),
    'wav': Kind('sound.wav', _wavs, _read_sound, 11),
    'unfinished': Kind('sound.wav', _unfinished, _read_sound, 6),
    'container': Kind('sound.bin', _containers, _read_sound, 6),
    'served_wav': Kind(
        'sound.wav',
        _wavs,
        _read_served,
        11,
        errors=(tf.errors.InvalidArgumentError,),
        names_file=False,
    ),
}
