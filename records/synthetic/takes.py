"""What all layouts of the embedded data need: bystanders, files of channels, a folder's claim."""

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
    """Dry sounds of those at the sides of a take, as many as the scenario has: a list."""
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
    """Keeps other processes from writing to a raw folder, and notes what it is made with.

    Where another process writes there, waits until it ends.

    Args:
        out: the raw folder, created if need be.
        settings: what its bytes depend on, for JSON.
        matfiles: where acoustic images are written besides, or None.

    Raises:
        ValueError: it holds something else already.
    """
    _check_same(out, settings)  # at once, not after having waited
    folders = {folder.resolve() for folder in (out, matfiles) if folder}
    with contextlib.ExitStack() as stack:
        for folder in sorted(folders):  # in one order, or two could wait for each other
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locking.held(folder / locking.LOCK_FILE, 'writes takes'))
        _check_same(out, settings)
        if not (out / SETTINGS_FILE).exists():
            atomic.write_text(out / SETTINGS_FILE, json.dumps(settings) + '\n')
        yield


def _check_same(out, settings):
    """A `ValueError` if a raw folder was made with other settings."""
    path = out / SETTINGS_FILE
    if path.exists() and json.loads(path.read_text(encoding='utf-8')) != settings:
        raise ValueError(
            f'{out}: holds takes of another layout, preset, seed or set of '
            f'sources (see {SETTINGS_FILE} there); choose another --out or '
            'delete it'
        )
