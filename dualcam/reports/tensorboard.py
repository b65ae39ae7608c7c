"""What TensorBoard shows of a run in addition to its curves.

After each epoch, for the validation clips: the confusion matrix as a picture and as a table,
precision-recall curves of each class, and samples: the loudest acoustic image over its video frame
with the teacher's and the student's predictions. Once: the samples' spectrograms and sounds. At
the end: embeddings of all validation clips for the projector, with class, scenario and prediction.
For tagging runs: the average precision of each event instead of the matrix.
"""

import csv
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.special
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins.image import metadata
from tensorboard.plugins.pr_curve import summary as pr_curve
from tensorboard.plugins.projector import projector_config_pb2

from dualcam.data import audio, schema
from dualcam.evaluation import metrics, tagging_scores
from dualcam.files.path_types import AnyPath
from dualcam.reports import figures, overlays

SUFFIX = '.board'  # of its event files

_SPECTROGRAM = 500, 257  # pixels
_PR_THRESHOLDS = 101
_SMALL = 280, 210  # pixels of an overlay


class Board:
    """Writes to the folder of a run's validation curves.

    Args:
        folder: of the curves' event files.
        classes: names.
        samples: from `samples.choose`.
    """

    def __init__(self, folder: AnyPath, classes: Sequence[str], samples: Sequence):
        self._folder, self._classes = pathlib.Path(folder), classes
        self._samples = samples
        self._overlays = [
            (sample, overlays.shrunk(sample.overlay, _SMALL))
            for sample in self._samples
            if sample.overlay is not None
        ]
        self._made = None

    @property
    def _writer(self):
        # Created on demand: a run that resumes cuts back existing files first.
        if self._made is None:
            self._made = tf.summary.create_file_writer(str(self._folder), filename_suffix=SUFFIX)
        return self._made

    def begin(self) -> None:
        """Writes the samples' spectrograms and sounds."""
        with self._writer.as_default(step=0):
            for number, sample in enumerate(self._samples, 1):
                if sample.waveform is None:
                    continue
                name = f'sample {number}, {self._classes[sample.label]}'
                self._sound(name, sample.waveform)
        self._writer.flush()

    def _sound(self, name, waveform, rate_hz=audio.SAMPLE_RATE_HZ):
        _show(f'spectrograms/{name}', overlays.spectrogram_picture(waveform, _SPECTROGRAM))
        tf.summary.audio(f'sounds/{name}', audio.to_peak(waveform)[None, :, None], rate_hz)

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Writes predictions of the validation clips.

        Args:
            epoch: from 1.
            labels: [clips].
            logits: [clips, classes].
        """
        answers = np.argmax(logits, axis=-1)
        counts = metrics.confusion(labels, answers, len(self._classes))
        with self._writer.as_default(step=epoch):
            _show('confusion matrix', figures.confusion_picture(counts, self._classes))
            tf.summary.text('confusion table', figures.confusion_table(counts, self._classes))
            self.precisions(
                np.asarray(labels)[:, None] == np.arange(len(self._classes)),
                scipy.special.softmax(np.asarray(logits, np.float64), axis=-1),
                epoch,
            )
            if self._overlays:
                _show(
                    'predictions over acoustic images',
                    overlays.sheet(
                        [picture for _, picture in self._overlays],
                        [
                            self.caption(sample, answers[sample.number])
                            for sample, _ in self._overlays
                        ],
                        2,
                    ),
                )
        self._writer.flush()

    def precisions(self, there: np.ndarray, shares: np.ndarray, epoch: int) -> None:
        """Writes each class's precision-recall curve to the current summary writer.

        Args:
            there: [clips, classes] bool.
            shares: [clips, classes] probabilities.
            epoch: from 1.
        """
        for label, name in enumerate(self._classes):
            tf.summary.experimental.write_raw_pb(
                pr_curve.pb(
                    f'precision and recall/{name}',
                    there[:, label],
                    shares[:, label],
                    _PR_THRESHOLDS,
                ).SerializeToString(),
                step=epoch,
            )

    def picture(self, name: str, picture: np.ndarray, epoch: int) -> None:
        """Writes a picture [height, width, 3] uint8 after an epoch, counted from 1."""
        with self._writer.as_default(step=epoch):
            _show(name, picture)

    def caption(self, sample: Any, answer: int) -> str:
        """The true class, and below it the teacher's and the student's predictions."""
        names = sample.named(self._classes, answer)
        lines = [names.pop('class')]
        for who, name in names.items():
            lines.append(f'{"prediction" if who == "answer" else who}: {name}')
        return '\n'.join(lines)

    def end(self, embeddings: np.ndarray, columns: Mapping[str, Sequence]) -> None:
        """Writes embeddings for the projector.

        Args:
            embeddings: [clips, features].
            columns: {name: [clips] strings}, labels of the points.
        """
        np.savetxt(self._folder / 'embeddings.tsv', embeddings, '%.5g', '\t')
        with open(self._folder / 'metadata.tsv', 'w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file, delimiter='\t', lineterminator='\n')
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        config = projector_config_pb2.ProjectorConfig()
        one = config.embeddings.add()
        one.tensor_name, one.tensor_path = 'validation clips', 'embeddings.tsv'
        one.metadata_path = 'metadata.tsv'
        (self._folder / 'projector_config.pbtxt').write_text(
            text_format.MessageToString(config), encoding='utf-8'
        )
        if self._made is not None:
            self._made.close()


class TaggingBoard(Board):
    """The same for a tagging run.

    Args:
        folder, classes: see `Board`.
        samples: from `samples.choose_tagged`.
    """

    def __init__(self, folder: AnyPath, classes: Sequence[str], samples: Sequence):
        super().__init__(folder, classes, [])
        self._tagged = samples

    def begin(self) -> None:
        """Writes the samples' spectrograms, sounds and frames."""
        with self._writer.as_default(step=0):
            for number, sample in enumerate(self._tagged, 1):
                name = f'sample {number}, {sample.events(self._classes)}'
                self._sound(name, sample.waveform, schema.CLIP_RATE_HZ)
                _show(f'frames/{name}', sample.picture)
        self._writer.flush()

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Writes predictions of the validation clips; labels and logits are [clips, classes]."""
        with self._writer.as_default(step=epoch):
            _show(
                'average precision',
                figures.pixels(
                    tagging_scores.precision_figure(
                        {'validation': tagging_scores.average_precisions(labels, logits)},
                        self._classes,
                        f'after epoch {epoch}',
                    )
                ),
            )
            self.precisions(
                np.asarray(labels) > 0, scipy.special.expit(np.asarray(logits, np.float64)), epoch
            )
        self._writer.flush()


def _show(name, picture):
    """Like `tf.summary.image` of one picture, whose encoder takes three times as long."""
    height, width = picture.shape[:2]
    tf.summary.write(
        name,
        tf.constant([b'%d' % width, b'%d' % height, overlays.png(picture)]),
        metadata=metadata.create_summary_metadata(None, None),
    )
