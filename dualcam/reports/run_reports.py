"""Reports of a run, written by one observer per kind: pass `observe` to `run.train`.

They add to TensorBoard's curves (`tensorboard.py`) and write to the run's folder

answers.json             predictions of the validation clips (one class per clip)
events_validation.json   scores of the validation clips (several events per clip)
examples/                a few validation clips with their predictions
pictures/                where the networks look, or how well each event is found
report.html              everything on one page
"""

import dataclasses
import pathlib

import keras
import numpy as np

from dualcam import models
from dualcam.data import schema
from dualcam.data.clips import record_parts
from dualcam.data.sources import takes
from dualcam.evaluation import metrics, saved_tests, tagging_scores
from dualcam.losses import triplet
from dualcam.reports import figures, overlays, run_page, samples, tensorboard
from dualcam.training import predictions, run_folder
from dualcam.training.observers import MakeObserver, Observer, WatchedRun
from dualcam.training.recipes import correspondence, tagging

_COMPARED = 12  # clips in the picture of similarities
_SMALL = 298, 224  # pixels of one


class LabelReport(Observer):
    """Reports a run with one class per clip."""

    def __init__(self, run: WatchedRun):
        self._run = run
        self._samples = samples.choose(run.validation)
        self._board = tensorboard.Board(_validation_events(run), run.classes, self._samples)

    def begin(self) -> None:
        """Writes spectrograms and sounds of the samples."""
        if self._run.validation:
            self._board.begin()

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Writes confusion matrix, precisions and samples."""
        self._board.after_epoch(epoch, labels, logits)

    def end(self, network: keras.Model, run_metrics: dict) -> None:
        """Writes predictions, examples, embeddings and the page."""
        if self._run.validation:
            self._show(network)
        run_page.write(self._run.folder, run_metrics)

    def _show(self, network):
        run, validation = self._run, self._run.validation
        logits, features = predictions.predict_with_features(network, validation)
        labels, answers = validation.columns['label'], np.argmax(logits, axis=-1)
        run_folder.write_json(
            run.folder / saved_tests.VALIDATION_FILE,
            {
                'accuracy': metrics.accuracy(labels, logits),
                'labels': labels.tolist(),
                'answers': answers.tolist(),
            }
            | _takes(run),
        )
        samples.save(self._samples, logits, run.classes, run.folder / 'examples')
        if features is None:
            return
        self._board.end(
            features.reshape(len(labels), -1, features.shape[-1]).mean(axis=1),
            {
                'class': [run.classes[label] for label in labels],
                'prediction': [run.classes[answer] for answer in answers],
                'scenario': validation.origin.groups.tolist(),
            },
        )


class CorrespondenceReport(Observer):
    """Reports a run without labels, which has no predictions."""

    def __init__(self, run: WatchedRun):
        self._run = run

    def begin(self) -> None:
        """Does nothing."""

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Does nothing: the steps give no logits."""

    def end(self, network: keras.Model, run_metrics: dict) -> None:
        """Writes embeddings for the projector, attention pictures, and the page."""
        run, validation = self._run, self._run.validation
        place = _validation_events(run)
        for path in place.glob(f'events.*{tensorboard.SUFFIX}'):  # left by a stopped call
            path.unlink()
        board = tensorboard.Board(place, run.classes, [])
        labels = np.asarray(validation.columns['label'])
        heard, similarities = _listen_and_look(run.params, network, validation)
        if similarities:
            self._show(board, labels, similarities, run_metrics['best_epoch'] + 1)
        board.end(
            heard,
            {
                'class': [run.classes[label] for label in labels],
                'video': [
                    f'{run.classes[label]} {number}'
                    for label, number in zip(labels, validation.columns['video'], strict=True)
                ],
            },
        )
        run_page.write(run.folder, run_metrics)

    def _show(self, board, labels, similarities, epoch):
        classes = self._run.classes
        chosen = samples.spread(labels, _COMPARED)
        picture = overlays.sheet(
            [_over_frame(similarities[number], self._run.validation, number) for number in chosen],
            [
                f'{classes[labels[number]]}: {values.min():.2f} - {values.max():.2f}'
                for number, values in ((number, similarities[number]) for number in chosen)
            ],
        )
        board.picture('where the networks look', picture, epoch)
        _write_picture(self._run.folder, 'where_the_networks_look', picture)


class TaggingReport(Observer):
    """Reports a run with several events per clip."""

    def __init__(self, run: WatchedRun):
        self._run = run
        self._samples = samples.choose_tagged(run.validation)
        self._board = tensorboard.TaggingBoard(_validation_events(run), run.classes, self._samples)

    def begin(self) -> None:
        """Writes spectrograms, sounds and frames of the samples."""
        self._board.begin()

    def after_epoch(self, epoch: int, labels: np.ndarray, logits: np.ndarray) -> None:
        """Writes the average precision of each event."""
        self._board.after_epoch(epoch, labels, logits)

    def end(self, network: keras.Model, run_metrics: dict) -> None:
        """Writes scores, examples, embeddings and the page."""
        run, validation = self._run, self._run.validation
        labels = validation.columns['label']
        logits, features = predictions.predict_with_features(network, validation)
        assert features is not None, 'tagging networks have features'
        shares = tagging.probabilities(logits)
        found = tagging_scores.evaluate(labels, shares, run.classes)
        write_tagging_scores(run.folder, 'validation', found)
        figure = tagging_scores.precision_figure(
            {network.name: found.average_precision},
            run.classes,
            'average precision of each event, validation clips',
        )
        _write_picture(run.folder, 'average_precision', figures.pixels(figure))
        samples.save_tagged(
            self._samples, shares, run.classes, tagging_scores.THRESHOLD, run.folder / 'examples'
        )
        events = [', '.join(np.array(run.classes)[row > 0]) or 'none' for row in labels]
        self._board.end(
            features,
            {'events': events, 'first event': [text.partition(', ')[0] for text in events]},
        )
        run_page.write(run.folder, run_metrics)


_OBSERVERS: dict[str, MakeObserver] = {
    'supervised': LabelReport,
    'distillation': LabelReport,
    'correspondence': CorrespondenceReport,
    'tagging': TaggingReport,
}


def observe(run: WatchedRun) -> Observer:
    """The observer for a run's kind; pass it to `run.train`."""
    return _OBSERVERS[run.kind](run)


def write_tagging_scores(
    folder: pathlib.Path, split: str, scores: tagging_scores.TaggingScores
) -> None:
    """Writes the scores of a split's clips, for the page."""
    run_folder.write_json(folder / saved_tests.EVENTS.format(split), dataclasses.asdict(scores))


def _takes(run):
    """{'takes': the take of each validation clip}; empty for audio files, which have no takes."""
    origin = run.validation.origin
    if not isinstance(origin, record_parts.RecordOrigin):
        return {}
    return {'takes': takes.of_records(origin.store, origin.windows[:, 0], run.info.take_rule)}


def _validation_events(run):
    return run.folder / 'tensorboard' / 'validation'


def _write_picture(folder, name, picture):
    (folder / run_page.PICTURES).mkdir(exist_ok=True)
    (folder / run_page.PICTURES / f'{name}.png').write_bytes(overlays.png(picture))


def _listen_and_look(params, model, clips):
    """Features of the clips' sounds [clips, channels], and {clip: similarity [rows, cols] between
    its sound and each position in its frame}, empty for networks without maps."""
    networks, features, similarities = correspondence.split(params, model), [], {}
    for batch in clips.batches(32):
        heard, seen = (
            network(batch['input'][models.network(network.name).input], training=False)
            for network in networks
        )
        features.append(triplet.audio_features(heard).numpy())
        if len(seen.shape) == 4:
            similarities |= zip(
                batch['clip'].numpy(), triplet.similarity(heard, seen).numpy(), strict=True
            )
    return np.concatenate(features), similarities


def _over_frame(similarity, clips, number):
    """A similarity [rows, cols], scaled to its own range, over the middle frame of a clip."""
    low, high = similarity.min(), similarity.max()
    middle = clips.origin.seconds * schema.FRAMES_PER_SECOND // 2
    return overlays.overlay(
        (similarity - low) / max(high - low, 1e-9), clips.picture(number, middle), _SMALL
    )
