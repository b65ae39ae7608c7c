"""The commands' flags: unused flags are refused; seeds."""

import dataclasses
import pathlib
import re
import subprocess

import pytest

from dualcam.training import run_data
from experiments import run_eccv2020
from experiments.shared.command import SEEDS, read_seeds
from experiments.wacv2020 import presets

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    'script, arguments, flag',
    [
        ('run_aaai2021', [], '--soundnet=x.h5'),
        ('run_aaai2021', [], '--backbone=x.h5'),
        ('run_eccv2020', [], '--backbone=x.h5'),
        ('run_table1', [], '--soundnet=x.h5'),
        ('run_table4', ['--target=folder:/none'], '--bgr'),
        ('run_esc10', ['--input=/none'], '--batch_norm=authors'),
        ('run_confusion', [], '--lists=x'),
        ('grid_search', ['--network=hearnet', '--train_on=all'], '--jobs=2'),
        ('run_esc10', ['--input=/none'], '--network_options=hearnet.dropout=0.5'),
    ],
)
def test_a_flag_that_would_be_ignored_is_refused_without_loading_tensorflow(
    script, arguments, flag, command, tmp_path
):
    records = [] if script == 'run_esc10' else [f'--records={tmp_path}']
    code, _, errors = command(
        '-X',
        'importtime',  # lists the modules in stderr
        f'experiments/{script}.py',
        *records,
        f'--out={tmp_path}/out',
        *arguments,
        flag,
    )
    name = flag.partition('=')[0].removeprefix('--')
    assert code == 1 and f"Unknown command line flag '{name}'" in errors
    imported = {line.rpartition('|')[2].strip() for line in errors.splitlines() if '|' in line}
    assert 'absl.flags' in imported and not imported & {'tensorflow', 'keras', 'scipy', 'sklearn'}
    assert not (tmp_path / 'out').exists()


def test_seeds_are_whole_numbers_each_once():
    assert read_seeds(['2', '0', '2']) == [2, 0]
    for wrong in ([], [''], ['1.5'], ['-1']):
        with pytest.raises(ValueError, match=r'--seeds=.*: expected whole numbers from 0'):
            read_seeds(wrong)


def test_the_demo_takes_three_seeds_and_the_smoke_test_one():
    assert SEEDS == {'paper': (0, 1, 2), 'demo': (0, 1, 2), 'smoke': (0,)}


def test_eccv_of_the_real_data_takes_the_paper_s_five_seeds():
    assert run_eccv2020.SEEDS == SEEDS | {'paper': (0, 1, 2, 3, 4)}
    for arguments, preset in (([], 'demo'), (['ACIVW=/none'], 'paper')):
        made = subprocess.run(
            ['make', '-n', 'eccv', *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        words = made.stdout.split()
        assert f'--preset={preset}' in words and not any('--seeds' in word for word in words)


@pytest.mark.parametrize('network', ['dualcamnet', 'avnet'])
def test_teachers_may_have_batch_normalisation(network):
    preset = presets.with_network_options(
        presets.preset_named('smoke'), ['dualcamnet.batch_norm=true', 'avnet.batch_norm=true']
    )
    assert preset.note.endswith('; dualcamnet.batch_norm=true; avnet.batch_norm=true')
    params = preset.run_params(network, 'hard', 'all', 0)
    plain = presets.preset_named('smoke').run_params(network, 'hard', 'all', 0)
    assert dict(params.options) == dict(plain.options) | {'batch_norm': True}
    for wanted, count in ((params, 2), (plain, 0)):
        network = run_data.build(dataclasses.replace(wanted, standardise=False), 14, None)
        assert sum(layer.name in ('conv2_norm', 'conv3_norm') for layer in network.layers) == count
    assert preset.run_params('hearnet', 'G', 'all', 0).options == ()


def test_the_demo_trains_hearnet_for_more_epochs_on_a_scenario():
    demo = presets.preset_named('demo')
    on_all, on_one = (demo.run_params('hearnet', 'G', on, 0) for on in ('all', 'scenario_2'))
    assert on_one.loop.epochs == 2 * on_all.loop.epochs  # of a third of the clips
    assert on_one.loop.batch_size == on_all.loop.batch_size == demo.batch_size
    assert demo.run_params('dualcamnet', 'hard', 'all', 0).loop.batch_size < demo.batch_size
    assert dict(on_one.options) == {'dropout': 0.5} and on_one.normalisation == 'mean_std'
    for column in ('G', 'D'):  # nothing but its teacher distinguishes them
        one = demo.run_params('hearnet', column, 'all', 0)
        assert (one.loop, one.options) == (on_all.loop, on_all.options)
        other = demo.run_params('oursoundnet', column, 'scenario_2', 0).loop
        assert (other.epochs, other.batch_size) == (demo.epochs['oursoundnet'], demo.batch_size)


def test_only_the_demo_departs_from_the_paper_s_input():
    for name, seen in (('paper', (False, 'min_max')), ('demo', (True, 'mean_std'))):
        preset = presets.preset_named(name)
        teacher = preset.run_params('dualcamnet', 'hard', 'all', 0)
        student = preset.run_params('hearnet', 'G', 'all', 0)
        assert (teacher.mirrored, student.normalisation) == seen
        assert not preset.run_params('avnet', 'hard', 'all', 0).mirrored  # frames are not


def test_other_arguments_of_networks_are_checked():
    demo = presets.preset_named('demo')
    made = presets.with_network_options(demo, ['hearnet.dropout=1', 'hearnet.dropout=0.3'])
    assert dict(made.run_params('hearnet', 'G', 'all', 0).options) == {'dropout': 0.3}
    for text, words in (
        ('batch_norm=true', 'expected NETWORK.NAME=VALUE'),
        ('hearing.dropout=0.5', 'one of dualcamnet, resnet50'),
        ('hearnet.batch_norm=true', "hearnet has no 'batch_norm'; expected dropout"),
        ('hearnet.seconds=3', "no 'seconds'"),
        ('dualcamnet.batch_norm=1', 'expected a value like false'),
        ('hearnet.dropout', 'expected a value like 0.0'),
    ):
        with pytest.raises(ValueError, match=re.escape(f'--network_options={text}: ')) as caught:
            presets.with_network_options(demo, [text])
        assert words in str(caught.value)
