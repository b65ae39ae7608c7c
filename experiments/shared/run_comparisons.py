"""Contents of results.html common to all tables: curves from the runs' folders, and clips on which
two runs disagree."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dualcam.data import schema
from dualcam.data.clips import record_parts
from dualcam.reports import page_parts, samples
from dualcam.training import run_folder
from experiments.shared import comparison_pages

NUM_CLIPS = 6  # shown of each pair
VALIDATION_ACCURACY, VALIDATION_LOSS = 'validation/accuracy', 'validation/total'


def curves(folders: Mapping[str, Sequence[pathlib.Path]], measure: str) -> dict[str, list[float]]:
    """The mean curve of each run over its folders, one per seed or fold.

    Args:
        folders: {name of the run: its folders}.
        measure: name of a scalar in metrics.json; runs without it are omitted.

    Returns:
        {name: value of each epoch, NaN for epochs without it}.
    """
    found = {}
    for name, of_run in folders.items():
        lines = [_curve(folder, measure) for folder in of_run]
        if lines and all(lines):
            found[name] = np.mean(lines, axis=0).tolist()
    return found


def _curve(folder, measure):
    saved = json.loads((folder / run_folder.METRICS_FILE).read_text(encoding='utf-8'))
    return page_parts.curve(saved['history'], measure)


def disagreement(
    names: tuple[str, str],
    labels: np.ndarray,
    predictions: tuple[np.ndarray, np.ndarray],
    clip: Callable[[int, dict[str, str]], comparison_pages.Clip],
    classes: Sequence[str] | None = None,
    note: str = '',
    pictured: str = comparison_pages.ACOUSTIC_PICTURE,
) -> comparison_pages.Disagreement:
    """Counts of the clips on which two runs disagree, and some of them to see and hear.

    Args:
        names: of the runs.
        labels: [clips], class indices or strings.
        predictions: of the two runs, likewise.
        clip: makes a clip to show, given its number and {run: prediction}.
        classes: names, if labels are indices.
        note, pictured: see `comparison_pages.Disagreement`.
    """
    labels, of_a, of_b = (np.asarray(one) for one in (labels, *predictions))
    differ, right_a, right_b = of_a != of_b, of_a == labels, of_b == labels
    kinds = {
        f'{names[0]} alone is right': right_a,
        f'{names[1]} alone is right': right_b,
        'both are wrong': ~right_a & ~right_b,
    }
    numbers = {who: np.flatnonzero(differ & there) for who, there in kinds.items()}

    def named(prediction):
        return str(prediction) if classes is None else classes[prediction]

    return comparison_pages.Disagreement(
        *names,
        len(labels),
        {who: len(found) for who, found in numbers.items()},
        [
            clip(number, dict(zip(names, (named(of_a[number]), named(of_b[number])), strict=True)))
            for number in chosen(list(numbers.values()), labels)
        ],
        note,
        pictured,
    )


def record_clip(
    origin: record_parts.RecordOrigin, number: int, label: str, said: Mapping[str, str]
) -> comparison_pages.Clip:
    """A clip of records: its loudest acoustic image over the video, or a video frame, its sound.

    Args:
        origin: of the clips.
        number: of the clip.
        label: name of its class.
        said: {run: prediction}.
    """
    picture = samples.overlay(origin, number)
    if picture is None:  # no acoustic images
        picture = origin.picture(number, origin.seconds * schema.FRAMES_PER_SECOND // 2)
    return comparison_pages.Clip(
        below(origin.records(number)[0], os.path.commonpath(origin.store.paths)),
        label,
        said,
        picture,
        origin.waveform(number),
    )


def below(path: str, root: str) -> str:
    """A file's name relative to a folder, without extension."""
    return pathlib.PurePath(os.path.relpath(path, root)).with_suffix('').as_posix()


def chosen(kinds: Sequence[np.ndarray], labels: np.ndarray) -> list[int]:
    """Up to `NUM_CLIPS` indices, of each kind in turn, preferring rarely chosen classes.

    Args:
        kinds: for each kind of clips, their indices [n].
        labels: [clips].
    """
    left, found = [[int(number) for number in kind] for kind in kinds], []
    while any(left) and len(found) < NUM_CLIPS:
        for kind in filter(None, left):
            seen = [labels[number] for number in found]
            rarest = min(kind, key=lambda number: (seen.count(labels[number]), number))
            kind.remove(rarest)
            found.append(rarest)
    return found[:NUM_CLIPS]
