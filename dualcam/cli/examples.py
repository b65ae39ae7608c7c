"""Examples in a command's help: calls that can be copied verbatim."""

import argparse
from typing import Any

_TITLE = 'examples:\n'


def add_parser(
    commands: argparse._SubParsersAction, name: str, examples: tuple[str, ...], **texts: Any
) -> argparse.ArgumentParser:
    """A subcommand whose help ends with examples.

    Args:
        commands: the subparsers of the `dualcam` command.
        name: of the subcommand.
        examples: calls as typed, one line each; comments may follow a `#`.
        **texts: `help` and `description`, which are wrapped as usual.
    """
    lines = ''.join(f'  {example}\n' for example in examples)
    return commands.add_parser(
        name, epilog=_TITLE + lines.rstrip(), formatter_class=_Formatter, **texts
    )


def of_parser(parser: argparse.ArgumentParser) -> list[str]:
    """The calls in a subcommand's help, without comments."""
    lines = (parser.epilog or '').removeprefix(_TITLE).splitlines()
    return [line.partition('#')[0].strip() for line in lines]


class _Formatter(argparse.HelpFormatter):
    """Wraps everything except examples."""

    def _fill_text(self, text, width, indent):
        if text.startswith(_TITLE):
            return ''.join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)
