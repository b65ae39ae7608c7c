"""Original clips to records: what is kept, and what is left out and reported."""

import csv
import io

import av
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from dualcam.data import schema
from dualcam.data.records import tagging_records
from dualcam.data.sources import datasets, tagging_lists
from records import convert_tagging
from tests.helpers import record_bytes, tagged_clips
from tests.helpers.tagged_clips import COLOURS, jpeg, write_delivered

CLIPS = {'Y-dash_0.000_2.000': (0, 2), 'plain': (1,), 'Ythird.part': (2,)}


@pytest.fixture
def delivered(tmp_path, rng):
    return write_delivered(tmp_path / 'raw', CLIPS, 2, rng)


def run(raw, out, split='training', **options):
    options = {'frames': raw / 'frames', 'clip_seconds': 2} | options
    return convert_tagging.convert(raw / 'list.csv', split, raw / 'audio', out, **options)


def read(out, split='training'):
    paths = tagging_records.read_split(out, split)
    return list(tagging_records.read_clips(paths)), paths


def skipped(out, split='training'):
    with open(out / f'{split}_skipped.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_records_hold_samples_pictures_and_labels_unchanged(delivered, tmp_path):
    out = tmp_path / 'out'
    assert run(delivered, out) == (3, 0, [])
    clips, paths = read(out)
    assert [clip['name'] for clip in clips] == list(CLIPS)
    assert datasets.read_description(out) == tagged_clips.INFO
    for clip, (name, labels) in zip(clips, CLIPS.items(), strict=True):
        want, rate_hz = soundfile.read(delivered / 'audio' / f'{name}.wav', dtype='int16')
        assert rate_hz == 32_000
        np.testing.assert_array_equal(clip['audio'], want)
        np.testing.assert_array_equal(np.flatnonzero(clip['labels']), labels)
        assert clip['frames'] == 2
    # A frame decodes to the same pixels as the original file: it was not encoded again.
    (pixels,) = tagging_records.read_frames(paths[:1], [[1]], (30, 40))
    want = np.asarray(Image.open(delivered / 'frames' / 'Y-dash_0.000_2.000' / '2.jpg'))
    np.testing.assert_allclose(pixels[0], want, atol=1.0)


def test_rows_name_files_without_the_y_of_downloads(delivered, tmp_path):
    text = (delivered / 'list.csv').read_text()
    (delivered / 'list.csv').write_text(text.replace('Y-dash', '-dash'))
    assert run(delivered, tmp_path / 'out')[0] == 3
    assert read(tmp_path / 'out')[0][0]['name'] == '-dash_0.000_2.000'


def test_other_rates_channels_and_lengths_are_brought_to_one(delivered, tmp_path):
    rate_hz, out = 44_100, tmp_path / 'out'
    seconds = np.arange(round(1.5 * rate_hz)) / rate_hz
    tone = 0.25 * np.sin(2 * np.pi * 1000 * seconds)
    (delivered / 'audio' / 'plain.wav').unlink()
    soundfile.write(
        delivered / 'audio' / 'plain.flac', np.stack([1.5 * tone, 0.5 * tone], 1), rate_hz, 'PCM_24'
    )
    long = 0.1 * np.sin(2 * np.pi * 300 * np.arange(80_000) / 32_000)  # 2.5 s
    soundfile.write(delivered / 'audio' / 'Ythird.part.wav', long, 32_000, 'PCM_16')
    (delivered / 'frames' / 'plain' / '2.jpg').unlink()
    assert run(delivered, out)[0] == 3
    _, plain, third = read(out)[0]
    assert len(plain['audio']) == 64_000 and plain['frames'] == 2  # the one frame, twice
    assert not plain['audio'][48_100:].any()
    want = 0.25 * 32_768 * np.sin(2 * np.pi * 1000 * np.arange(4000, 40_000) / 32_000)
    np.testing.assert_allclose(plain['audio'][4000:40_000], want, atol=20)
    np.testing.assert_allclose(third['audio'], 32_768 * long[:64_000], atol=1)


def test_dcase_2018_lists_have_labels_with_commas(delivered, tmp_path):
    (delivered / 'list.csv').write_text(
        'filename\tevent_labels\r\nY-dash_0.000_2.000.wav\tSpeech,Dog\r\nplain.wav\tCat;Dog\r\n'
    )
    assert run(delivered, tmp_path / 'out', dataset='dcase2018')[0] == 2
    names = tagging_lists.DCASE2018.classes
    assert [
        {names[i] for i in np.flatnonzero(clip['labels'])} for clip in read(tmp_path / 'out')[0]
    ] == [{'Speech', 'Dog'}, {'Cat', 'Dog'}]


def test_sounds_that_no_row_names_are_counted(delivered, tmp_path):
    lines = (delivered / 'list.csv').read_text().splitlines(keepends=True)
    (delivered / 'list.csv').write_text(''.join(one for one in lines if 'plain' not in one))
    (delivered / 'audio' / 'notes.txt').write_text('x')
    left_out = []
    assert run(delivered, tmp_path / 'out', left_out=left_out) == (2, 0, [])
    assert [(str(one), one.count) for one in left_out] == [
        (f'{delivered}/audio: no row of list.csv names plain.wav', 1),
        (f'{delivered}/audio: notes.txt is not named like audio', 1),
    ]


def test_accents_may_be_composed_or_not(delivered, tmp_path):
    """macOS decomposes accents in file names, most lists do not."""
    for folder, ending in (('audio', '.wav'), ('frames', '')):
        here = delivered / folder
        (here / f'plain{ending}').rename(here / f'Stra\u00dfe u\u0308ber{ending}')
    path = delivered / 'list.csv'
    path.write_text(path.read_text().replace('plain', 'Stra\u00dfe \u00fcber'))
    assert run(delivered, tmp_path / 'out') == (3, 0, [])


def break_clips(raw):
    """One clip with each kind of damage: {name: text in its message}."""
    (raw / 'audio' / 'plain.wav').unlink()
    broken = {'plain': 'no sound of this clip'}
    rows = []

    def clip(name, says, seconds=2.0, frames=2, level=0.1):
        soundfile.write(
            raw / 'audio' / f'{name}.wav',
            level * np.sin(np.arange(round(32_000 * seconds))),
            32_000,
            'PCM_16',
        )
        (raw / 'frames' / name).mkdir()
        for number in range(frames):
            (raw / 'frames' / name / f'{number}.jpg').write_bytes(jpeg((9, 9, 9)))
        rows.append(f'{name}.wav\t0.0\t2.0\tlow\n')
        broken[name] = says

    clip('empty', 'has no samples', seconds=0)
    clip('silent', 'is silent', level=0)
    clip('few', '1 frames, but', seconds=6, frames=1)
    clip('many', '12 frames, but', frames=12)
    clip('unseen', 'no frames of this clip', frames=0)
    clip('damaged', 'not a readable picture')
    (raw / 'frames' / 'damaged' / '1.jpg').write_bytes(jpeg((9, 9, 9))[:200])
    clip('text', 'not a readable sound file')
    (raw / 'audio' / 'text.wav').write_text('text')
    with open(raw / 'list.csv', 'a') as file:
        file.write(''.join(rows))
    return broken


def test_bad_clips_are_named_by_their_rows_counted_and_listed(delivered, tmp_path):
    out, broken = tmp_path / 'out', break_clips(delivered)
    with pytest.raises(
        ValueError,
        match=r'8 bad files: .*list\.csv, row 3, plain: no sound of '
        r'this clip; .*--max_bad=8',
    ):
        run(delivered, out)
    assert not (out / 'training.txt').exists()
    written, there, bad = run(delivered, out, max_bad=8)
    assert (written, there, len(bad)) == (0, 2, 8)  # the good ones were kept
    rows = skipped(out)
    assert {row['clip'] for row in rows} == set(broken)
    lines = (delivered / 'list.csv').read_text().splitlines()
    for row in rows:
        assert broken[row['clip']] in row['reason']
        assert lines[int(row['row']) - 1].startswith(row['clip'])
    assert [clip['name'] for clip in read(out)[0]] == ['Y-dash_0.000_2.000', 'Ythird.part']
    assert not list(out.rglob('*.partial'))


@pytest.mark.parametrize(
    'line, says',
    [
        (
            'x.wav\t0.0\t2.0\tloud',
            r"row 5: unknown label 'loud'; expected one of low; middle; high",
        ),
        ('x.wav\t0.0\t2.0', 'row 5: 3 columns'),
        ('x.wav', 'row 5: 1 columns'),
        ('x.wav\t2.0\t2.0\tlow', r"row 5: onset '2.0' and offset '2.0'"),
        ('x.wav\tnan\t2.0\tlow', 'row 5: onset'),
        ('x.wav\tsoon\t2.0\tlow', 'row 5: onset'),
        ('x.wav\tlow,,high', 'row 5: a label is empty'),
        ('\t0.0\t2.0\tlow', 'row 5: names no file'),
    ],
)
def test_wrong_rows_stop_before_anything_is_written(delivered, tmp_path, line, says):
    with open(delivered / 'list.csv', 'a') as file:
        file.write(line + '\n')
    with pytest.raises(ValueError, match=rf'list\.csv, {says}'):
        run(delivered, tmp_path / 'out', max_bad=99)
    assert not (tmp_path / 'out').exists()


def test_a_second_call_leaves_records_alone(delivered, tmp_path):
    out = tmp_path / 'out'
    run(delivered, out)
    kept, lost, _ = sorted((out / 'training').iterdir())
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert run(delivered, out) == (1, 2, [])
    assert kept.stat().st_mtime_ns == before
    assert run(delivered, out, overwrite=True)[:2] == (3, 0)
    with pytest.raises(ValueError, match=r"holds records made with .*'clip_seconds': 2"):
        run(delivered, out, clip_seconds=3)
    assert run(delivered, out, split='testing')[:2] == (3, 0)  # another split in the same folder


def test_what_is_asked_for_must_make_sense(delivered, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(ValueError, match='one of --frames and --videos'):
        run(delivered, out, videos=delivered)
    with pytest.raises(ValueError, match=r'no \.mp4.* file in it or its subfolders'):
        run(delivered, out, frames=None, videos=delivered)
    with pytest.raises(ValueError, match='--dataset=dcase2016: expected one of dcase2017, dcase'):
        run(delivered, out, dataset='dcase2016')
    with pytest.raises(ValueError, match=r'nowhere\.csv: no such list'):
        convert_tagging.convert(
            delivered / 'nowhere.csv',
            'training',
            delivered / 'audio',
            out,
            delivered / 'frames',
            dataset='dcase2017',
        )
    (delivered / 'audio' / 'inner').mkdir()
    soundfile.write(delivered / 'audio' / 'inner' / 'plain.flac', np.ones(9), 32_000)
    with pytest.raises(ValueError, match='would both be clip plain'):
        run(delivered, out)
    (delivered / 'dataset.json').unlink()
    with pytest.raises(ValueError, match=r'no dataset\.json that names the classes'):
        run(delivered, out)


def write_video(path, colours, fps=10, size=(64, 48)):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        for colour in colours:
            for _ in range(fps):
                picture = np.full((size[1], size[0], 3), colour, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, 'rgb24')))
        container.mux(stream.encode())


def test_videos_give_a_frame_from_the_middle_of_each_second(delivered, tmp_path):
    (delivered / 'videos').mkdir()
    for name, labels in CLIPS.items():
        write_video(
            delivered / 'videos' / f'{name}.mp4',
            [COLOURS[labels[second % len(labels)]] for second in range(2)],
        )
    (delivered / 'videos' / 'plain.mp4').write_bytes(b'no video')
    written, _, (bad,) = run(
        delivered, tmp_path / 'out', frames=None, videos=delivered / 'videos', max_bad=1
    )
    assert written == 2 and 'plain.mp4: not a readable video' in bad
    _, paths = read(tmp_path / 'out')
    (pixels,) = tagging_records.read_frames(paths[:1], [[0, 1]], (8, 8))
    np.testing.assert_allclose(pixels.mean(axis=(1, 2)), [COLOURS[0], COLOURS[2]], atol=25)


def test_big_pictures_are_made_smaller_and_grey_ones_coloured(delivered, tmp_path):
    folder = delivered / 'frames' / 'plain'
    (folder / '1.jpg').write_bytes(jpeg((10, 20, 200), (1280, 720)))
    Image.new('L', (300, 200), 77).save(folder / '2.png')
    (folder / '2.jpg').unlink()
    run(delivered, tmp_path / 'out')
    path = read(tmp_path / 'out')[1][1]
    example = tf.train.Example.FromString(record_bytes.serialized(path))
    first, second = example.features.feature[schema.CLIP_FRAMES].bytes_list.value
    assert Image.open(io.BytesIO(first)).size == (455, 256)
    assert Image.open(io.BytesIO(second)).mode == 'RGB'


def test_a_damaged_record_is_named(delivered, tmp_path):
    out = tmp_path / 'out'
    run(delivered, out)
    path = out / 'training' / 'plain.tfrecord'
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(ValueError, match=r'plain\.tfrecord: not a whole record of a tagged clip'):
        read(out)
    path.unlink()
    with pytest.raises(ValueError, match=r'plain\.tfrecord, which does not exist'):
        read(out)
    with pytest.raises(ValueError, match=r'validation\.txt: no such list; .*--split=validation'):
        tagging_records.read_split(out, 'validation')
