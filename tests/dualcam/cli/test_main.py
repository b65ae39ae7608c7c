"""The command's first contact: overview, help and version."""

import re
import shlex

import pytest

import dualcam
from dualcam.cli import examples, main

COMMANDS = main.make_parsers()[1]


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(['--version'])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f'dualcam {dualcam.__version__}\n'


def test_without_arguments_it_shows_an_example_of_each_command(capsys):
    assert main.main([]) == 1
    out = capsys.readouterr().out
    listed = re.search(r'COMMAND\n(.*?)\n\n', out, re.S).group(1)
    commands = re.findall(r'^    ([a-z-]+)\b', listed, re.M)
    assert len(commands) == 8
    assert [name for name in commands if f'\ndualcam {name} --' not in out] == []


def test_an_unknown_command_is_one_line(capsys):
    assert main.main(['clasify']) == 1
    errors = capsys.readouterr().err
    assert errors.count('\n') == 1 and "'clasify'" in errors and 'dualcam --help' in errors


@pytest.mark.parametrize('name', COMMANDS)
def test_a_subcommand_s_help_ends_with_calls_that_it_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([name, '--help'])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    calls = examples.of_parser(COMMANDS[name])
    assert len(calls) >= 2
    for call in calls:
        assert f'\n  {call}' in shown  # in one line, so that it can be copied
        program, command, *options = shlex.split(call)
        assert (program, command) == ('dualcam', name)
        COMMANDS[name].parse_args(options)
