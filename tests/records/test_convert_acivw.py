"""From ACIVW's raw layout to records and back: contents are preserved, damaged files named."""

import json
import shutil

import numpy as np
import pytest
import scipy.io
import tensorflow as tf
from PIL import Image

from dualcam.data import schema, stores
from dualcam.data.packers import record_packer
from dualcam.data.records import reading
from dualcam.data.sources import datasets
from dualcam.reports import look
from records import acivw_layout, convert_acivw, frame_files

VIDEOS = {(0, 1): 26, (3, 17): 12}  # {(class, number): frames}
ALL = schema.modalities_by_number([0, 1, 2])


def channels(label, frame):
    return np.random.default_rng([label, frame]).integers(-(2**22), 2**22, (128, 1024), np.int32)


def cepstra(label, frame):
    return np.random.default_rng([9, label, frame]).standard_normal((36, 48, 12))


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
    """Two videos in their original format, except for small pictures."""
    root = tmp_path_factory.mktemp('acivw')
    for (label, number), count in VIDEOS.items():
        folder = root / f'class_{label}' / f'data_{number:03d}'
        for inner in ('MFCC_Image', 'audio', 'video'):
            (folder / inner).mkdir(parents=True)
        for i in range(1, count + 1):
            scipy.io.savemat(folder / 'MFCC_Image' / f'Data_{i}.mat', {'MFCC': cepstra(label, i)})
            channels(label, i).T.tofile(folder / 'audio' / f'A_{i:06d}.dc')  # Fortran order
            picture = np.full((48, 64, 3), (200, 100, i), np.uint8)  # RGB
            picture[:24] = (10, 20, 250)
            Image.fromarray(picture).save(folder / 'video' / f'I_{i:06d}.bmp')
        (folder / 'video_time.txt').write_text(f'C:/clips/{label}_{number}.avi: {count / 12:.3f}\n')
    return root


@pytest.fixture(scope='module')
def converted(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp('records')
    assert convert_acivw.convert(raw, out, ALL, microphone=5) == (3, 0, 2)
    return out


def test_records_are_where_they_belong_and_say_what_they_are(converted):
    found = sorted(p.relative_to(converted).as_posix() for p in converted.rglob('*.tfrecord'))
    assert found == [
        'class_0/data_001/Data_001.tfrecord',
        'class_0/data_001/Data_002.tfrecord',
        'class_3/data_017/Data_001.tfrecord',
    ]
    data = next(iter(tf.data.TFRecordDataset(str(converted / found[2]), 'GZIP'))).numpy()
    example = tf.train.SequenceExample.FromString(data)
    assert {k: v.int64_list.value[0] for k, v in example.context.feature.items()} == {
        'classes': 3,
        'location': 17,
        'audio_image/height': 36,
        'audio_image/width': 48,
        'audio_image/depth': 12,
        'audio_data/mics': 1,
        'audio_data/samples': 1024,
        'video/height': 224,
        'video/width': 298,
        'video/depth': 3,
    }
    assert {k: len(v.feature) for k, v in example.feature_lists.feature_list.items()} == {
        'audio/image': 12,
        'audio/data': 12,
        'video/image': 12,
    }
    assert datasets.read_description(converted) == datasets.ACIVW
    assert json.loads((converted / 'videos.json').read_text()) == {
        'class_0/data_001': {'title': 'C:/clips/0_1.avi', 'seconds': 2.167, 'records': 2},
        'class_3/data_017': {'title': 'C:/clips/3_17.avi', 'seconds': 1.0, 'records': 1},
    }


def test_the_store_gives_back_what_the_raw_files_hold(converted, tmp_path):
    paths = [str(p) for p in sorted(converted.rglob('*.tfrecord'))]
    store = stores.open_store(paths, record_packer.RecordPacker(['acoustic', 'audio']), tmp_path)
    assert {k: v.tolist() for k, v in store.columns.items()} == {
        'label': [0, 0, 3],
        'group': [1, 1, 17],
        'subject': [0, 0, 0],
    }
    for row, (label, first) in enumerate([(0, 1), (0, 13), (3, 1)]):
        for i in range(12):
            np.testing.assert_array_equal(
                store.arrays['acoustic'][row, i], cepstra(label, first + i).astype(np.float32)
            )
            np.testing.assert_array_equal(
                store.arrays['audio'][row, i], channels(label, first + i)[5]
            )


def test_video_is_bgr_with_a_smallest_side_of_224(converted):
    second = next(
        reading.read_seconds([str(converted / 'class_0/data_001/Data_002.tfrecord')], ['video'])
    )
    video = second['video']
    assert video.shape == (12, 224, 298, 3) and video.dtype == np.uint8
    for i in range(12):  # frames 13 - 24
        assert (video[i, :100] == (250, 20, 10)).all()
        assert (video[i, 130:] == (13 + i, 100, 200)).all()


@pytest.mark.parametrize(
    'size, wanted',
    [
        ((480, 640), (224, 298)),
        ((240, 320), (224, 298)),
        ((640, 480), (298, 224)),
        ((100, 100), (224, 224)),
        ((225, 299), (224, 297)),
    ],
)
def test_the_other_side_keeps_the_shape(size, wanted, tmp_path):
    Image.new('RGB', size[::-1], (1, 2, 3)).save(tmp_path / 'I_000001.bmp')
    got = frame_files.read_bmp(tmp_path / 'I_000001.bmp', 224)
    assert got.shape == (*wanted, 3) and (got == (3, 2, 1)).all()


def test_resizing_is_smooth(tmp_path):
    """A linear ramp stays linear: no nearest-neighbour steps, no shift."""
    ramp = np.tile(np.linspace(0, 255, 320)[None, :, None], (240, 1, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / 'I_000001.bmp')
    got = frame_files.read_bmp(tmp_path / 'I_000001.bmp', 224)[100, :, 0].astype(float)
    wanted = np.interp(
        (np.arange(298) + 0.5) * 320 / 298 - 0.5, np.arange(320), np.linspace(0, 255, 320)
    )
    np.testing.assert_allclose(got[3:-3], wanted[3:-3], atol=1.6)


def test_a_stopped_conversion_goes_on(raw, converted):
    gone = converted / 'class_0/data_001/Data_001.tfrecord'
    before = gone.read_bytes()
    times = {p: p.stat().st_mtime_ns for p in converted.rglob('*.tfrecord') if p != gone}
    gone.unlink()
    assert convert_acivw.convert(raw, converted, ALL, microphone=5) == (1, 2, 2)
    assert times == {p: p.stat().st_mtime_ns for p in times}
    assert len(gone.read_bytes()) == len(before)
    with pytest.raises(ValueError, match='another --out'):
        convert_acivw.convert(raw, converted, ALL, microphone=0)
    with pytest.raises(ValueError, match='--microphone=128: expected 0 - 127'):
        convert_acivw.convert(raw, converted, ALL, microphone=128)


def test_modalities_left_out_are_not_looked_for(raw, tmp_path):
    shutil.copytree(raw / 'class_3', tmp_path / 'raw/class_3')
    for inner in ('MFCC_Image', 'video'):
        shutil.rmtree(tmp_path / 'raw/class_3/data_017' / inner)
    out = tmp_path / 'out'
    assert convert_acivw.convert(tmp_path / 'raw', out, [schema.AUDIO]) == (1, 0, 0)
    path = out / 'class_3/data_017/Data_001.tfrecord'
    assert reading.modalities_of(path) == ['audio'] and reading.is_acivw(path)


def test_pictures_of_records_turn_the_acoustic_images(converted):
    take = look.read_take(converted / 'class_3/data_017')
    np.testing.assert_array_equal(take.images[0], cepstra(3, 1).astype(np.float32)[::-1, ::-1])


def test_the_command_says_what_it_did(raw, tmp_path, program):
    code, out, errors = program(
        '-m',
        'records.convert_acivw',
        f'--raw={raw}',
        f'--out={tmp_path}/out',
        '--modalities=0,1',
        '--processes=1',
    )
    assert code == 0, errors
    assert out.splitlines()[-1] == (
        '3 records written, 0 already existed, 2 frames beyond whole seconds not used: '
        f'{tmp_path}/out'
    )
    code, _, errors = program(
        '-m', 'records.convert_acivw', f'--raw={tmp_path}', f'--out={tmp_path}/out'
    )
    assert code == 1 and 'no class_C/data_DDD' in errors and 'Traceback' not in errors


# Damage: each returns a text that the message must contain.


def short_dc(folder):
    path = folder / 'audio/A_000007.dc'
    path.write_bytes(path.read_bytes()[:-3])
    return 'A_000007.dc: 524285 bytes'


def other_array(folder):
    path = folder / 'audio/A_000007.dc'
    path.write_bytes(path.read_bytes()[: 64 * 4096])
    return 'A_000007.dc: 64 channels of 1024 samples; expected 128'


def truncated_bmp(folder):
    path = folder / 'video/I_000007.bmp'
    path.write_bytes(path.read_bytes()[:4000])
    return 'I_000007.bmp: not a readable BMP'


def jpeg_as_bmp(folder):
    Image.new('RGB', (64, 48)).save(folder / 'video/I_000007.bmp', 'JPEG')
    return 'I_000007.bmp: not a readable BMP'


def other_size_within_a_second(folder):
    Image.new('RGB', (48, 64)).save(folder / 'video/I_000007.bmp')
    return 'class_3/data_017, second Data_001: video'


def broken_mat(folder):
    path = folder / 'MFCC_Image/Data_7.mat'
    path.write_bytes(path.read_bytes()[:5000])
    return 'Data_7.mat: not a readable .mat file'


def missing_frame(folder):
    (folder / 'video/I_000007.bmp').unlink()
    return 'video: frame 7 is missing'


def missing_last_frame(folder):
    (folder / 'video/I_000012.bmp').unlink()
    return "unequal numbers of frames {'acoustic': 12, 'audio': 12, 'video': 11}"


def missing_folder(folder):
    shutil.rmtree(folder / 'audio')
    return 'audio: no such folder'


def long_time(folder):
    (folder / 'video_time.txt').write_text('a clip: 2.1')
    return 'video_time.txt: "a clip" is 2.1 s long, but there are 12 frames, 1.00 s'


def no_time(folder):
    (folder / 'video_time.txt').unlink()
    return 'video_time.txt: not one line like'


def wrong_time(folder):
    (folder / 'video_time.txt').write_text('a clip: long')
    return 'video_time.txt: not one line like'


def other_name(folder):
    folder.rename(folder.with_name('data_17'))
    return 'data_17: not named like class_0/data_001'


def eleventh_class(folder):
    folder.parent.rename(folder.parent.with_name('class_10'))
    return 'class_10/data_017: classes are class_0 - class_9 (train, boat'


@pytest.mark.parametrize(
    'damage',
    [
        short_dc,
        other_array,
        truncated_bmp,
        jpeg_as_bmp,
        other_size_within_a_second,
        broken_mat,
        missing_frame,
        missing_last_frame,
        missing_folder,
        long_time,
        no_time,
        wrong_time,
        other_name,
        eleventh_class,
    ],
    ids=lambda f: f.__name__,
)
def test_damage_is_named_and_no_record_is_half_written(damage, raw, tmp_path):
    shutil.copytree(raw / 'class_3', tmp_path / 'raw/class_3')
    expected = damage(tmp_path / 'raw/class_3/data_017')
    with pytest.raises(ValueError) as caught:
        convert_acivw.convert(tmp_path / 'raw', tmp_path / 'out', ALL)
    assert expected in str(caught.value)
    assert not list((tmp_path / 'out').rglob('*.tfrecord'))
    assert not list((tmp_path / 'out').rglob('*.partial'))


@pytest.mark.parametrize('damage', [long_time, no_time])
def test_times_need_not_be_checked(damage, raw, tmp_path):
    shutil.copytree(raw / 'class_3', tmp_path / 'raw/class_3')
    damage(tmp_path / 'raw/class_3/data_017')
    assert convert_acivw.convert(tmp_path / 'raw', tmp_path / 'out', ALL, check_time=False) == (
        1,
        0,
        0,
    )


@pytest.mark.parametrize(
    'text, wanted',
    [('a.avi: 12.5', ('a.avi', 12.5)), ('D:/x/a b.mp4:3\r\n\n', ('D:/x/a b.mp4', 3.0))],
)
def test_a_name_may_have_colons(text, wanted, tmp_path):
    (tmp_path / 'video_time.txt').write_text(text)
    assert acivw_layout.read_time(tmp_path / 'video_time.txt') == wanted


def test_labels_are_asked_of_either_kind_of_record(tmp_path):
    from records import writer

    path = tmp_path / 'Data_001.tfrecord'
    frames = {'audio': [np.zeros((1, 1024), np.int32)] * 12}
    for labels in ({'location': 1, 'subject': 2}, {'action': 1, 'location': 2}, {'classes': 4}):
        writer.write_record(path, writer.second_to_example(labels, frames))
        with pytest.raises(ValueError, match='no label'):
            next(reading.read_seconds([path], ['audio']))
        (second,) = reading.read_seconds([path], ['audio'], ())
        assert set(second) == {'audio'}


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['', '\n', '\r\n', '\r', '\r\n\r\n'])
def test_a_time_is_read_whatever_program_wrote_it(encoding, end, tmp_path):
    path = tmp_path / 'video_time.txt'
    path.write_bytes(f'a clip: 2.5{end}'.encode(encoding))
    assert acivw_layout.read_time(path) == ('a clip', 2.5)
