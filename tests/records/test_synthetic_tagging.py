"""The embedded tagged clips: their sound, their frames, and conversion to records."""

import pathlib

import numpy as np
import pytest
import soundfile

from dualcam.data import stores
from dualcam.data.packers import tagged_packer
from dualcam.data.records import tagging_records
from dualcam.data.sources import datasets, sound_folders, tagging_lists
from records import convert_tagging
from records.synthetic import acivw_objects, tagging
from tests.helpers.sound_folders import write_esc

TINY = tagging.TaggingPreset(num_training=3, num_testing=2, clip_s=2)


def make_job(out, seed=0, preset=TINY, dealt=None, num_classes=10):
    return tagging.Job(pathlib.Path(out), seed, preset, num_classes, dealt)


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('*.*')
        if path.is_file()
    }


def write_all(job):
    labels = [tagging.write_clip(piece, job) for piece in job.pieces()]
    tagging.write_lists(job, labels, datasets.ACIVW_CLASSES)
    return labels


def test_the_same_seed_gives_the_same_bytes_and_another_others(tmp_path):
    jobs = [make_job(tmp_path / name, seed) for name, seed in (('a', 0), ('b', 0), ('c', 1))]
    labels = [write_all(job) for job in jobs]
    one, two, other = (files_of(job.out) for job in jobs)
    assert one == two and labels[0] == labels[1]
    sounds = [path for path in one if path.suffix == '.wav']
    assert len(sounds) == 5 and all(one[path] != other[path] for path in sounds)
    assert len({one[path] for path in sounds}) == 5
    before = {path: path.stat().st_mtime_ns for path in jobs[0].out.rglob('*.wav')}
    assert write_all(jobs[0]) == labels[0]  # complete clips are left unchanged
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_lists_name_what_is_heard_and_sound_and_frames_are_as_delivered(tmp_path):
    job = make_job(tmp_path)
    labels = write_all(job)
    listed = tagging_lists.read_list(tmp_path / tagging.LISTS['training'], datasets.ACIVW_CLASSES)
    assert [list(clip.labels) for clip in listed] == labels[:3]
    for path in (tmp_path / 'audio').iterdir():
        samples, rate_hz = soundfile.read(path)
        assert rate_hz == 32_000 and samples.shape == (64_000,)
        assert 0.05 < np.abs(samples).max() < 1.0
        assert [frame.name for frame in sorted((tmp_path / 'frames' / path.stem).iterdir())] == [
            '01.jpg',
            '02.jpg',
        ]


@pytest.mark.slow
def test_one_to_three_different_events_of_which_seven_in_ten_are_seen(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        acivw_objects, 'draw_object', lambda frame, label, *rest: drawn.append(label)
    )
    job = make_job(tmp_path, preset=tagging.TaggingPreset(150, 0, 1))
    counts, seen = [], 0
    for piece in job.pieces():
        events, rng = tagging.draw_events(piece, job)
        labels = [event.label for event in events]
        assert labels == sorted(set(labels))
        assert all(e.start >= 0 and e.start + len(e.sound) <= 32_000 for e in events)
        counts.append(len(events))
        drawn.clear()
        assert len(tagging.render(events, 1, rng)) == 1
        assert set(drawn) <= set(labels)  # nothing is visible that is not audible
        seen += len(drawn)
    assert set(counts) == {1, 2, 3}
    assert seen / sum(counts) == pytest.approx(0.7, abs=0.08)


def test_events_stand_as_far_above_the_noise_as_is_said(rng):
    time = np.arange(32_000) / 32_000
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 4000 * time)  # RMS 0.1, like the noise
    event = tagging.Event(0, tone, 32_000, 10 ** (-20 / 20))
    with_event = tagging.mix([event], 4, np.random.default_rng(5))
    without = tagging.mix([], 4, np.random.default_rng(5))
    share = with_event[0] / without[0]  # each clip has a level of its own
    left = with_event - share * without
    noise = np.sqrt(np.mean(np.square(share * without)))
    assert np.abs(left[:32_000]).max() < 1e-9 and np.abs(left[64_000:]).max() < 1e-9
    level = np.sqrt(np.mean(np.square(left[32_000:64_000]))) / noise
    assert 20 * np.log10(level) == pytest.approx(-20, abs=0.1)
    assert np.abs(with_event).max() < 1


def test_recordings_are_heard_in_one_split_only(tmp_path):
    found = sound_folders.find_sounds(write_esc(tmp_path / 'esc'))  # parts A and B of 6 recordings
    dealt = tagging.deal(found)
    for training, testing in zip(dealt['training'], dealt['testing'], strict=True):
        assert (len(training), len(testing)) == (8, 4)
        assert not {path.stem[:-1] for path in training} & {path.stem[:-1] for path in testing}
    for path in sorted((tmp_path / 'esc' / 'rain').iterdir())[2:]:
        path.unlink()
    with pytest.raises(ValueError, match='class "rain" has one recording'):
        tagging.deal(sound_folders.find_sounds(tmp_path / 'esc'))


@pytest.mark.slow
def test_the_command_and_the_converter_make_a_store(tmp_path, command):
    raw, out = tmp_path / 'raw', tmp_path / 'records'
    folder = write_esc(tmp_path / 'esc', takes=3, seconds=3.0)
    code, _, errors = command(
        '-m', 'records.synthetic.tagging', f'--out={raw}', '--preset=smoke', f'--sources={folder}'
    )
    assert code == 0, errors
    for split, file in tagging.LISTS.items():
        code, said, errors = command(
            '-m',
            'records.convert_tagging',
            f'--list={raw / file}',
            f'--split={split}',
            f'--audio={raw}/audio',
            f'--frames={raw}/frames',
            f'--out={out}',
            '--clip_seconds=2',
            '--processes=2',
        )
        assert code == 0, errors
        assert ' 0 already existed, 0 clips left out' in said
    info = datasets.read_description(out)
    assert info.name == 'tagging_simulated' and 'real recordings' in info.origin
    paths = [path for split in tagging.LISTS for path in tagging_records.read_split(out, split)]
    store = stores.open_store(
        paths, tagged_packer.TaggedPacker(info.num_classes), tmp_path / 'cache'
    )
    assert store.columns['label'].sum(axis=0).min() > 5 and store.num_frames == 2
    code, _, errors = command(
        '-m', 'records.synthetic.tagging', f'--out={raw}', '--seed=1', '--preset=smoke'
    )
    assert code == 1 and 'another' in errors.splitlines()[-1]
    assert convert_tagging.convert(
        raw / tagging.LISTS['testing'],
        'testing',
        raw / 'audio',
        out,
        raw / 'frames',
        clip_seconds=2,
    )[:2] == (0, 24)
    assert next(tagging_records.read_clips(paths[:1]))['frames'] == 2
