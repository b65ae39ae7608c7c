"""A run's TensorBoard event files: writing scalars, and cutting back before a run resumes.

A killed run repeats an epoch whose curves, pictures and tables may already have been written. They
are removed before it resumes, so that each appears once.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from dualcam.files import atomic
from dualcam.files.path_types import AnyPath


class Curves:
    """Writes scalars of training and validation to separate folders.

    Args:
        folder: of the event files; training and validation have subfolders, which are created
            with their first scalars.
    """

    def __init__(self, folder: AnyPath):
        self._folder = pathlib.Path(folder)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, record: Mapping, measure: str) -> None:
        """Writes one epoch.

        Args:
            record: {'epoch': from 0, 'train/...': scalar, 'validation/...': scalar, ...}; entries
                of neither kind are written with training.
            measure: name of the scalar that is not a loss.
        """
        for key, value in record.items():
            kind, _, curve = key.rpartition('/')
            if curve == 'epoch':
                continue
            with self._writer(kind or 'train').as_default():
                tf.summary.scalar(
                    f'loss/{curve}' if kind and curve != measure else curve,
                    value,
                    step=record['epoch'] + 1,
                )
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, kind):
        if kind not in self._writers:
            self._writers[kind] = tf.summary.create_file_writer(str(self._folder / kind))
        return self._writers[kind]


def forget_after(folder: AnyPath, epoch: int) -> None:
    """Removes later epochs' events from all event files below a folder.

    Args:
        folder: of event files that no process has open; need not exist.
        epoch: the last one to keep, from 1; 0 removes the files.
    """
    for path in sorted(pathlib.Path(folder).rglob('events.*')):
        events, was_cut = _read(path)
        kept = [event for event in events if epoch and event.step <= epoch]
        if not any(event.HasField('summary') for event in kept):
            path.unlink()
        elif was_cut or len(kept) < len(events):
            with atomic.writing_file(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
                for event in kept:
                    writer.write(event.SerializeToString())


def _read(path):
    """The events of a file, and whether its last one is truncated."""
    events = []
    try:
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            events.append(event_pb2.Event.FromString(serialized))
    except tf.errors.DataLossError:
        return events, True
    return events, False
