"""TensorBoard's event files of a run: scalars are written and, for a run that resumes, cut back.

A run that was killed repeats an epoch whose curves, pictures and tables may have been written
already. They are removed before it resumes, so that each is there once.
"""

import pathlib
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from dualcam.files import atomic
from dualcam.files.path_types import AnyPath


class Curves:
    """Writes scalars of training and validation side by side.

    Args:
        folder: of the event files; training and validation have folders in it, which are made
            with their first scalars.
    """

    def __init__(self, folder: AnyPath):
        self._folder = pathlib.Path(folder)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, record: Mapping, measure: str) -> None:
        """One epoch.

        Args:
            record: {'epoch': from 0, 'train/...': scalar, 'validation/...': scalar, ...}; what
                belongs to neither is written with training.
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
        """Ends the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, kind):
        if kind not in self._writers:
            self._writers[kind] = tf.summary.create_file_writer(str(self._folder / kind))
        return self._writers[kind]


def forget_after(folder: AnyPath, epoch: int) -> None:
    """Removes from all event files below a folder what belongs to later epochs.

    Args:
        folder: holds event files, which no process has open; it need not exist.
        epoch: the last one that counts, from 1; 0 removes the files.
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
    """The events of a file, and whether its last one was cut off."""
    events = []
    try:
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            events.append(event_pb2.Event.FromString(serialized))
    except tf.errors.DataLossError:
        return events, True
    return events, False
