"""Shared by all layouts of the embedded data: bystanders, channel files, locking a folder."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from dualcam.files import atomic, locking
from records.synthetic import scenes, sources, subjects

SETTINGS_FILE = 'synthetic.json'


def draw_others(
    scenario: scenes.Scenario, take_s: float, seed: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Dry sounds of the people at the sides of a take, as a list."""
    others = []
    for _ in range(scenario.num_others):
        passer_by = subjects.subject(int(rng.integers(subjects.NUM_SUBJECTS)), seed + 1)
        others.append(
            sources.parametric_source(int(rng.choice(scenario.others)), passer_by, take_s, rng)
        )
    return others


def write_channels(frames: np.ndarray, folder: pathlib.Path, first: int = 1) -> None:
    """Writes [frames, mics, 1024] samples as A_IIIIII.dc, int32 in Fortran order, numbered from
    `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames, first):
        (folder / f'A_{i:06d}.dc').write_bytes(frame.astype('<i4').tobytes(order='F'))


@contextlib.contextmanager
def claimed(
    out: pathlib.Path, settings: dict[str, Any], matfiles: pathlib.Path | None = None
) -> Iterator[None]:
    """Locks a raw folder for writing, and records its settings.

    If another process is writing there, waits until it ends.

    Args:
        out: the raw folder, created if necessary.
        settings: everything that its bytes depend on, for JSON.
        matfiles: another folder, for acoustic images, or None.

    Raises:
        ValueError: it contains data with other settings.
    """
    _check_same(out, settings)  # before waiting
    folders = {folder.resolve() for folder in (out, matfiles) if folder}
    with contextlib.ExitStack() as stack:
        for folder in sorted(folders):  # in a fixed order, to avoid deadlocks
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locking.held(folder / locking.LOCK_FILE, 'writes takes'))
        _check_same(out, settings)
        if not (out / SETTINGS_FILE).exists():
            atomic.write_text(out / SETTINGS_FILE, json.dumps(settings) + '\n')
        yield


def _check_same(out, settings):
    """Raises a `ValueError` if a raw folder was made with other settings."""
    path = out / SETTINGS_FILE
    if path.exists() and json.loads(path.read_text(encoding='utf-8')) != settings:
        raise ValueError(
            f'{out}: contains takes of another layout, preset, seed or set of '
            f'sources (see {SETTINGS_FILE} there), or of a version with other sizes; '
            'choose another --out (make: another WORK), or delete it'
        )
