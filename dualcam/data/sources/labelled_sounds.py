"""Labelled sounds for conversions and their tests: lists of records or folders of sound files, as
windows for a student.
"""

import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np

from dualcam.data import audio, schema, stores
from dualcam.data.clips import record_clips
from dualcam.data.packers import record_packer
from dualcam.data.records import reading, tagging_records
from dualcam.data.sources import datasets, sound_files, sound_folders
from dualcam.files.path_types import AnyPath


def read_examples(
    place: AnyPath,
    seconds: int,
    root: AnyPath | None = None,
    rate_hz: int = audio.SAMPLE_RATE_HZ,
    tagged: bool = False,
) -> Iterator[tuple[str | tuple[str, ...] | None, np.ndarray]]:
    """Yields the sounds of a list or a folder.

    Args:
        place: a list file of records of one second each (.txt, as records.make_lists writes), of
            which every `seconds` consecutive ones are one sound; or a folder of sound files, or
            one file.
        seconds: of a window.
        root: the records' root, for a list; see `reader.read_list`.
        rate_hz: of the windows; records are at the students' own.
        tagged: lists contain records of tagged clips (records.convert_tagging), whose windows are
            whole clips.

    Yields:
        (class name, None if unknown, or a tuple of its events' names;
        [windows, seconds * rate_hz] float32).

    Raises:
        ValueError: there are none, or a file is damaged; the message names it.
    """
    path = pathlib.Path(place)
    if path.suffix == '.txt' and tagged:
        yield from _of_tagged_records(path, seconds * rate_hz, root)
        return
    if path.suffix == '.txt':
        yield from _of_records(path, seconds, root)
        return
    found = sound_folders.find_files(path)
    size = rate_hz * seconds
    for sound in found.sounds:
        windows = [
            window for _, window in sound_files.read_heard_windows(sound.path, size, size, rate_hz)
        ]
        yield (found.classes[sound.label] if sound.label >= 0 else None), np.stack(windows)


def _of_records(path, seconds, root):
    paths = reading.read_list(path, root)
    classes = datasets.read_description(root or path.resolve().parents[2]).classes
    with tempfile.TemporaryDirectory() as cache:
        held = stores.open_store(paths, record_packer.RecordPacker(['audio']), cache)
        rows = record_clips.sequence_rows(held, paths, seconds)
        cut = record_clips.cut(held, rows, ['waveform'], memory_bytes=0)
        for batch in cut.batches(32):
            for label, window in zip(batch['label'].numpy(), batch['input'].numpy(), strict=True):
                yield classes[label], window[None]


def _of_tagged_records(path, size, root):
    root = root or path.parent
    classes = datasets.read_description(root).classes
    paths = reading.read_list(path, root)
    for record, clip in zip(paths, tagging_records.read_clips(paths), strict=True):
        assert clip is not None, 'none is skipped'
        window = clip['audio'].astype(np.float32) / schema.CLIP_PEAK
        if len(window) != size:
            raise ValueError(
                f'{record}: {len(window)} samples; expected {size}, the length of '
                "the network's windows"
            )
        yield tuple(classes[i] for i in np.flatnonzero(clip['labels'])), window[None]
