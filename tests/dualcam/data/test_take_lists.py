"""Lists by take: no take in two, every class of every scenario in each, seeded."""

import functools
import itertools

import pytest

from dualcam.data.records import reading, take_lists
from dualcam.data.sources import datasets

# Three scenarios, seven seen subjects and two unseen ones, four actions, three takes of 5 s.
PLACES, SUBJECTS, ACTIONS, NUM_TAKES, TAKE_S = (1, 2, 3), range(1, 10), range(1, 5), 3, 5
RULE = datasets.TakeRule(take_s=TAKE_S, unseen_subjects=(8, 9), test_share=0.4)
SPLITS = ('training.txt', 'validation.txt', 'testing.txt', take_lists.UNSEEN_SUBJECTS)


def make_records(root, seconds=NUM_TAKES * TAKE_S, subjects=SUBJECTS):
    for place, subject, action in itertools.product(PLACES, subjects, ACTIONS):
        folder = root / f'Location_{place:02d}/Subject_{subject:02d}/Action_{action:03d}'
        folder.mkdir(parents=True)
        for i in range(seconds):
            (folder / f'Data_{i + 1:03d}.tfrecord').touch()


def make_data_set(root):
    make_records(root)
    datasets.write_description(root, datasets.DatasetInfo('embedded', take_rule=RULE))
    return root


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """The data set, for tests that change nothing in it: making its files takes a second."""
    return make_data_set(tmp_path_factory.mktemp('records'))


@pytest.fixture
def root(tmp_path):
    """The data set, for one test."""
    return make_data_set(tmp_path)


@pytest.fixture(scope='module')
def of_subjects(tmp_path_factory):
    """Records of one second of the first subjects, by their number."""

    @functools.cache
    def of(count):
        folder = tmp_path_factory.mktemp('subjects')
        make_records(folder, seconds=1, subjects=range(1, count + 1))
        return folder

    return of


def takes(paths, take_s=TAKE_S):
    """{(folder, take number)} of a list."""
    return {(p.rsplit('/', 1)[0], (int(p[-12:-9]) - 1) // take_s) for p in paths}


def cells(paths):
    """{(location, action)} of a list."""
    return {(p[:11], p.split('/')[2]) for p in paths}


@pytest.mark.parametrize('location', [None, 2])
@pytest.mark.parametrize('num_seconds', [1, 2, 5])
def test_a_take_is_in_one_list_and_every_class_of_every_scenario_in_each(
    records, location, num_seconds
):
    lists = take_lists.make_take_lists(records, num_seconds, location=location)
    assert set(lists) == {*SPLITS, 'dataset.txt'}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not takes(lists[one]) & takes(lists[other])
    places = PLACES if location is None else [location]
    for name, per_cell in zip(SPLITS, (10, 3, 8, 6), strict=True):
        assert cells(lists[name]) == {
            (f'Location_{place:02d}', f'Action_{action:03d}')
            for place in places
            for action in ACTIONS
        }
        assert len(takes(lists[name])) == per_cell * len(places) * len(ACTIONS)
    used = TAKE_S // num_seconds * num_seconds  # of each take
    everything = [path for name in SPLITS for path in lists[name]]
    assert len(everything) == len(places) * 9 * len(ACTIONS) * NUM_TAKES * used
    assert sorted(lists['dataset.txt']) == sorted(everything)
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize('num_seconds', [1, 2, 5])
def test_sequences_follow_each_other_within_a_take(records, num_seconds):
    for paths in take_lists.make_take_lists(records, num_seconds).values():
        for first in range(0, len(paths), num_seconds):
            sequence = paths[first : first + num_seconds]
            assert len(takes(sequence)) == 1
            numbers = [int(path[-12:-9]) for path in sequence]
            assert numbers == list(range(numbers[0], numbers[0] + num_seconds))


def test_unseen_subjects_are_in_no_other_list(records):
    lists = take_lists.make_take_lists(records, 5)
    for name in SPLITS[:3]:
        assert {path.split('/')[1] for path in lists[name]} == {
            f'Subject_{subject:02d}' for subject in range(1, 8)
        }
    assert {path.split('/')[1] for path in lists[take_lists.UNSEEN_SUBJECTS]} == {
        'Subject_08',
        'Subject_09',
    }


def test_held_out_takes_of_a_class_come_from_all_subjects(records):
    """Eight test takes of a class, seven subjects: each subject has one or two."""
    testing = takes(take_lists.make_take_lists(records, 5)['testing.txt'])
    for place, action in itertools.product(PLACES, ACTIONS):
        of_class = [
            folder
            for folder, _ in testing
            if folder.startswith(f'Location_{place:02d}') and folder.endswith(f'_{action:03d}')
        ]
        assert len(set(of_class)) == 7 and len(of_class) == 8


def test_the_seed_alone_decides(records):
    once, again, other = (
        take_lists.make_take_lists(records, 5, seed=seed) for seed in (42, 42, 43)
    )
    assert once == again == take_lists.make_take_lists(records, 5)
    assert takes(once['testing.txt']) != takes(other['testing.txt'])
    # A scenario's lists do not depend on whether the others are made too.
    alone = take_lists.make_take_lists(records, 5, location=3)
    for name, paths in alone.items():
        assert sorted(paths) == sorted(p for p in once[name] if p.startswith('Location_03'))


def test_without_a_description_a_folder_is_a_take(tmp_path):
    """AVIA itself: nine takes of 30 s per class and scenario, one or two of them held out."""
    make_records(tmp_path, seconds=30)
    lists = take_lists.make_take_lists(tmp_path, 2)
    assert set(lists) == {*SPLITS[:3], 'dataset.txt'}
    for name, per_cell in zip(SPLITS, (7, 1, 1), strict=False):
        assert len(takes(lists[name], 30)) == per_cell * 12
        assert len(lists[name]) == per_cell * 12 * 30


@pytest.mark.parametrize('count', range(3, 12))
@pytest.mark.parametrize('share', [0.01, 0.4, 0.99])
def test_three_takes_suffice_and_some_always_train(of_subjects, count, share):
    folder = of_subjects(count)
    lists = take_lists.make_take_lists(folder, 1, datasets.TakeRule(test_share=share))
    for name in SPLITS[:3]:
        assert len(cells(lists[name])) == 12
    with pytest.raises(ValueError, match='2 takes of 1 s or more of action 1 in location 1'):
        take_lists.make_take_lists(
            folder, 1, datasets.TakeRule(unseen_subjects=tuple(range(3, count + 1)))
        )


def test_what_cannot_be_split_is_named(root):
    with pytest.raises(ValueError, match='sequences of 6 s, but takes of 5 s'):
        take_lists.make_take_lists(root, 6)
    with pytest.raises(ValueError, match='no takes of the unseen subjects 17'):
        take_lists.make_take_lists(root, 5, datasets.TakeRule(5, (17,)))
    with pytest.raises(ValueError, match='no take has 5 consecutive records of location 4'):
        take_lists.make_take_lists(root, 5, location=4)
    with pytest.raises(ValueError, match='0 seconds'):
        take_lists.make_take_lists(root, 0)
    (root / 'Location_01/Subject_01/Action_001/Data_003.tfrecord').unlink()
    with pytest.raises(ValueError, match='no Data_003'):
        take_lists.make_take_lists(root, 5)


def test_the_data_set_names_its_rule(root, tmp_path_factory):
    written = take_lists.write_scenario_lists(root, 5, 1)
    assert {path.name for path in written} == {*SPLITS, 'dataset.txt'}
    want = take_lists.make_take_lists(root, 5, location=1)
    for path, count in written.items():
        assert path.parent == root / '5_seconds_location_1/lists'
        assert reading.read_list(path, root) == [str(root / p) for p in want[path.name]]
        assert count == len(want[path.name])
    # AVIA's own lists remain the authors'.
    avia = tmp_path_factory.mktemp('avia')
    make_records(avia)
    names = {path.name for path in take_lists.write_scenario_lists(avia, 5, 1)}
    assert names == {'training.txt', 'validation.txt', 'testing.txt', 'dataset.txt'}
    lines = (avia / '5_seconds_location_1/lists/testing.txt').read_text().split()
    assert takes(lines) & takes(
        (avia / '5_seconds_location_1/lists/training.txt').read_text().split(), 15
    )


def test_a_rule_survives_being_written(root, tmp_path):
    assert datasets.read_description(root).take_rule == RULE
    datasets.write_description(tmp_path / 'plain', datasets.DatasetInfo())
    assert datasets.read_description(tmp_path / 'plain') == datasets.DatasetInfo()
    for rule, message in (
        ('{"rule": "by_luck"}', 'by_luck'),
        ('{"rule": "by_take", "take_s": 0}', 'takes of 0 s'),
        ('{"rule": "by_take", "test_share": 1.5}', 'test share 1.5'),
        ('{"rule": "by_take", "unseen_subjects": ["x"]}', 'invalid literal'),
        ('{}', "'rule'"),
        ('[1]', 'dataset.json'),
    ):
        (root / 'dataset.json').write_text(
            '{"name": "x", "classes": ["a", "b"], "origin": "y", "num_locations": 3, '
            f'"lists": {rule}}}'
        )
        with pytest.raises(ValueError, match=message):
            datasets.read_description(root)


def test_the_command_writes_them(root, program):
    code, out, errors = program(
        '-m',
        'records.make_lists',
        f'--root={root}',
        '--num_seconds=5',
        '--by_take',
        '--unseen_subjects=1',
        '--seed=7',
        '--location=2',
    )
    assert code == 0, errors
    want = take_lists.make_take_lists(root, 5, datasets.TakeRule(5, (1,), 0.4), 2, seed=7)
    for name, paths in want.items():
        path = root / '5_seconds_location_2/lists' / name
        assert f'{path}: {len(paths)} records, {len(paths) // 5} sequences' in out
        assert path.read_text().split() == paths
    for arguments, message in (
        (['--by_take', '--by_video'], 'choose one'),
        (['--by_take', '--split=all'], 'omit --split'),
        (['--by_take', '--unseen_subjects=x'], 'whole numbers'),
        (['--unseen_subjects=1'], 'needs --by_take'),
        (['--seed=1'], '--by_take or --by_video'),
    ):
        code, _, errors = program('-m', 'records.make_lists', f'--root={root}', *arguments)
        assert code == 1 and message in errors
