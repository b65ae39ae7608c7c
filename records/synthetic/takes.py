"""What both layouts of the embedded data need: bystanders, files of channels, a folder's claim."""

import json
import pathlib
from typing import Any

import numpy as np

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


def claim(out: pathlib.Path, settings: dict[str, Any]) -> None:
    """Notes what a raw folder is made with.

    Raises:
        ValueError: it holds something else already.
    """
    path = pathlib.Path(out) / SETTINGS_FILE
    if path.exists():
        if json.loads(path.read_text(encoding='utf-8')) != settings:
            raise ValueError(
                f'{out}: holds takes of another layout, preset, seed or set of '
                f'sources (see {SETTINGS_FILE} there); choose another --out or '
                'delete it'
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings) + '\n', encoding='utf-8')
