"""How a result was made: commit, machine, versions, seeds, data, date and time."""

import datetime
import os
import pathlib
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

_STARTED = time.monotonic()  # `command` imports this module first
_PACKAGES = ('tensorflow', 'keras', 'numpy', 'scipy', 'scikit-learn')


def describe(seeds: Sequence[int], data: str) -> dict[str, Any]:
    """Provenance for a table's JSON.

    Args:
        seeds: of the runs.
        data: digest of the records or files.

    Returns:
        {'commit', 'machine', 'versions', 'seeds', 'data', 'date', 'wall_s'}. The wall time is that
        of this command, without existing runs.
    """
    return {
        'commit': commit(),
        'machine': {'cpu': _cpu(), 'cores': os.cpu_count(), 'system': platform.platform()},
        'versions': {'python': platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES},
        'seeds': list(seeds),
        'data': data,
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'wall_s': round(time.monotonic() - _STARTED, 1),
    }


def commit() -> str | None:
    """The commit of the checkout, with '+' where tracked files differ from it; None outside."""
    try:
        here = pathlib.Path(__file__).parent
        head, changed = (
            subprocess.run(
                ['git', *arguments], check=True, capture_output=True, text=True, cwd=here
            ).stdout.strip()
            for arguments in (['rev-parse', 'HEAD'], ['status', '--porcelain', '-uno'])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ('+' if changed else '')


def _cpu() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
