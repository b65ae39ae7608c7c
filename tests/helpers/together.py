"""Processes that are started together and need each other's addresses."""

import contextlib
import socket
import subprocess
import sys

from tests.helpers.checkout import ROOT

_PATIENCE_S = 300


def run(*calls):
    """Runs Python commands in the checkout at the same time.

    Args:
        calls: arguments of each; {workers} in one stands for all addresses, separated by commas.

    Returns:
        [(exit code, stdout, stderr)], in the same order.
    """
    with contextlib.ExitStack() as ports:
        free = [ports.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in calls]
        workers = ','.join(f'127.0.0.1:{one.getsockname()[1]}' for one in free)
    started = [
        subprocess.Popen(
            [sys.executable, *(str(part).replace('{workers}', workers) for part in call)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for call in calls
    ]
    try:
        said = [one.communicate(timeout=_PATIENCE_S) for one in started]
        return [(one.returncode, *texts) for one, texts in zip(started, said, strict=True)]
    finally:
        for one in started:
            one.kill()
            one.communicate()
