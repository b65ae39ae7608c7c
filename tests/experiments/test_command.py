"""The commands' flags: those that a command has no use for are refused; seeds."""

import pytest

from experiments.shared.command import SEEDS, read_seeds


@pytest.mark.parametrize(
    'script, arguments, flag',
    [
        ('run_aaai2021', [], '--soundnet=x.h5'),
        ('run_aaai2021', [], '--backbone=x.h5'),
        ('run_eccv2020', [], '--jobs=2'),
        ('run_eccv2020', [], '--backbone=x.h5'),
        ('run_table1', [], '--soundnet=x.h5'),
        ('run_table4', ['--target=folder:/none'], '--bgr'),
        ('run_esc10', ['--input=/none'], '--batch_norm=authors'),
        ('run_confusion', [], '--jobs=2'),
    ],
)
def test_a_flag_that_would_be_ignored_is_refused(script, arguments, flag, command, tmp_path):
    records = [] if script == 'run_esc10' else [f'--records={tmp_path}']
    code, _, errors = command(
        f'experiments/{script}.py', *records, f'--out={tmp_path}/out', *arguments, flag
    )
    name = flag.partition('=')[0].removeprefix('--')
    assert code == 1 and f"Unknown command line flag '{name}'" in errors
    assert not (tmp_path / 'out').exists()


def test_seeds_are_whole_numbers_each_once():
    assert read_seeds(['2', '0', '2']) == [2, 0]
    for wrong in ([], [''], ['1.5'], ['-1']):
        with pytest.raises(ValueError, match=r'--seeds=.*: expected whole numbers from 0'):
            read_seeds(wrong)


def test_the_demo_takes_three_seeds_and_the_smoke_test_one():
    assert SEEDS == {'paper': (0, 1, 2), 'demo': (0, 1, 2), 'smoke': (0,)}
