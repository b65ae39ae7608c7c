"""Lists by video: no video in two lists, every class in each, reproducible by seed."""

import pytest

from dualcam.data.records import reading
from dualcam.data.sources import datasets
from records import video_lists

COUNTS = {0: [6] * 14, 1: [5, 2, 9], 7: [4] * 6 + [1], 9: [2] * 20}  # seconds of each video


@pytest.fixture
def root(tmp_path):
    for label, lengths in COUNTS.items():
        for number, seconds in enumerate(lengths):
            folder = tmp_path / f'class_{label}/data_{number:03d}'
            folder.mkdir(parents=True)
            for i in range(seconds):
                (folder / f'Data_{i + 1:03d}.tfrecord').touch()
    return tmp_path


def videos(paths):
    return {path.rsplit('/', 1)[0] for path in paths}


def test_no_video_is_in_two_lists_and_all_classes_are_in_each(root):
    made = video_lists.make_video_lists(root, 2)
    train, valid, test = (videos(made[f'{n}.txt']) for n in ('training', 'validation', 'testing'))
    assert not train & valid and not train & test and not valid & test
    assert len(train | valid | test) == 14 + 3 + 6 + 20  # one video of class 7 is too short
    for label, wanted in {0: (10, 2, 2), 1: (1, 1, 1), 7: (4, 1, 1), 9: (14, 3, 3)}.items():
        counts = tuple(
            sum(v.startswith(f'class_{label}/') for v in part) for part in (train, valid, test)
        )
        assert counts == wanted


def test_a_description_sets_the_share_of_the_test(root):
    for share, wanted in ((0.4, {0: 6, 1: 1, 9: 8}), (0.99, {0: 11, 1: 1, 9: 16})):
        rule = datasets.TakeRule(test_share=share)
        datasets.write_description(root, datasets.DatasetInfo('embedded', take_rule=rule))
        made = {
            name: videos(paths) for name, paths in video_lists.make_video_lists(root, 2).items()
        }
        for label, count in wanted.items():
            sizes = {
                name: sum(video.startswith(f'class_{label}/') for video in part)
                for name, part in made.items()
            }
            assert sizes['testing.txt'] == count and sizes['training.txt'] >= 1
            assert sum(sizes.values()) == len(COUNTS[label])


@pytest.mark.parametrize('num_seconds', [1, 2])
def test_lists_hold_whole_sequences_each_once(root, num_seconds):
    made = video_lists.make_video_lists(root, num_seconds)
    paths = [path for part in made.values() for path in part]
    assert len(set(paths)) == len(paths)
    assert len(paths) == sum(n // num_seconds * num_seconds for c in COUNTS.values() for n in c)
    for part in made.values():
        numbers = [int(path[-len('001.tfrecord') : -len('.tfrecord')]) for path in part]
        folders = [path.rsplit('/', 1)[0] for path in part]
        for i in range(0, len(part), num_seconds):
            assert len(set(folders[i : i + num_seconds])) == 1
            assert numbers[i : i + num_seconds] == list(range(numbers[i], numbers[i] + num_seconds))
            assert (numbers[i] - 1) % num_seconds == 0
        classes = [folder[:7] for folder in folders[::num_seconds]]
        assert len(classes) < 4 or classes != sorted(classes)  # shuffled, not class by class


def test_the_seed_decides(root):
    once, again, other = (video_lists.make_video_lists(root, 2, seed) for seed in (0, 0, 1))
    assert once == again
    assert videos(once['testing.txt']) != videos(other['testing.txt'])


def test_written_lists_read_back(root, program):
    code, out, errors = program(
        '-m', 'records.make_lists', f'--root={root}', '--num_seconds=2', '--by_video'
    )
    assert code == 0, errors
    made = video_lists.make_video_lists(root, 2)
    for name, paths in made.items():
        path = root / '2_seconds/lists' / name
        assert f'{path}: {len(paths)} records, {len(paths) // 2} sequences' in out
        assert reading.read_list(path) == [str(root / p) for p in paths]
    code, _, errors = program(
        '-m',
        'records.make_lists',
        f'--root={root}',
        '--num_seconds=2',
        '--by_video',
        '--location=1',
    )
    assert code == 1 and 'omit --split and --location' in errors
    code, _, errors = program('-m', 'records.make_lists', f'--root={root}', '--num_seconds=2')
    assert code == 1 and '--by_video' in errors


def test_too_few_videos_and_gaps_are_named(root):
    with pytest.raises(ValueError, match=r'class_1: 2 videos of 5 s or more; expected 3'):
        video_lists.make_video_lists(root, 5)
    (root / 'class_9/data_003/Data_001.tfrecord').unlink()
    with pytest.raises(ValueError, match=r'data_003: 1 records, but no Data_001'):
        video_lists.make_video_lists(root, 1)
    with pytest.raises(ValueError, match='nowhere: no such folder'):
        video_lists.make_video_lists(root / 'nowhere', 1)
    with pytest.raises(ValueError, match='0 seconds'):
        video_lists.make_video_lists(root, 0)
