"""Pictures of scores: a confusion matrix with its counts.

Reads what `metrics.confusion` counts; hands on a Matplotlib figure, to save or to turn into
pixels for TensorBoard. No window system and no global state of Matplotlib is touched.
"""

import numpy as np
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

_CELL_INCHES = 0.46
_MARGIN_INCHES = (2.9, 2.4)     # class names and colour bar; class names and title


def confusion_figure(counts, class_names, title, note=''):
    """A confusion matrix to look at: a count in each cell, shaded by its share of the row.

    Args:
        counts: [classes, classes] integers; the row is the true class, the column the answer.
        class_names: in the order of the labels.
        title: first line; accuracy and number of clips follow.
        note: last and small line of the title, such as what the data are.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: `counts` is not square, or has other than one row a class.
    """
    counts = np.asarray(counts)
    num_classes = len(class_names)
    if counts.shape != (num_classes, num_classes):
        raise ValueError(f'counts of shape {counts.shape}: expected '
                         f'{(num_classes, num_classes)} for {num_classes} class names')
    shares = row_shares(counts)
    size = [num_classes * _CELL_INCHES + margin for margin in _MARGIN_INCHES]
    figure = Figure(figsize=np.maximum(size, (6.5, 4.0)), layout='constrained')
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(counts.shape):
        count, share = counts[row, column], shares[row, column]
        axes.text(column, row, f'{count}', ha='center', va='center',
                  fontsize=9.5 if count < 1000 else 7,
                  color='white' if share > 0.55 else 'black' if count else '0.7')
    ticks = np.arange(num_classes)
    axes.set_xticks(ticks, class_names, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(ticks, class_names)
    axes.set_xticks(ticks[1:] - 0.5, minor=True)
    axes.set_yticks(ticks[1:] - 0.5, minor=True)
    axes.grid(which='minor', color='0.88', linewidth=0.6)
    axes.tick_params(which='minor', length=0)
    axes.set(xlabel='answer', ylabel='true class')
    num_clips = counts.sum()
    scores = f'{num_clips} clips'
    if num_clips:
        scores = f'accuracy {np.trace(counts) / num_clips:.4f}, {scores}'
    axes.set_title(f'{title}\n{scores}', fontsize=11.5, pad=22 if note else 8)
    axes.annotate(note, (0.5, 1.0), xytext=(0, 8), xycoords='axes fraction',
                  textcoords='offset points', ha='center', fontsize=8, color='0.35')
    figure.colorbar(image, ax=axes, shrink=0.6, label='share of the true class')
    return figure


def row_shares(counts):
    """Each row divided by its sum, [classes, classes] float64; a row of zeros stays zeros."""
    counts = np.asarray(counts, np.float64)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def pixels(figure):
    """A figure's picture, [height, width, 3] uint8 RGB."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
