"""Readers with each kind of fault that `tests/proofs/fuzz.py` detects."""

import os
import signal

from tests.proofs.fuzz import Kind

_WHOLE = b'0' * 300


def _is_whole(path):
    return path.read_bytes() == _WHOLE


def _crash(path):
    if not _is_whole(path):
        os.kill(os.getpid(), signal.SIGSEGV)
    return True


def _hang(path):
    while not _is_whole(path):
        pass
    return True


def _swallow(path):
    try:
        held = bytearray(1 << 20 if _is_whole(path) else 2 << 30)
    except MemoryError as error:
        raise ValueError(f'{path}: damaged') from error
    return bool(held)


def _wrong(path):
    if not _is_whole(path):
        raise KeyError(path)
    return True


def _nameless(path):
    if not _is_whole(path):
        raise ValueError('damaged')
    return True


def _good(path):
    if not _is_whole(path):
        raise ValueError(f'{path}: damaged')
    return True


KINDS = {
    name: Kind('file', lambda _: [_WHOLE], read)
    for name, read in (
        ('crash', _crash),
        ('hang', _hang),
        ('swallow', _swallow),
        ('wrong', _wrong),
        ('nameless', _nameless),
        ('good', _good),
    )
}
