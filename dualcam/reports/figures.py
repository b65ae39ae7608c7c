"""Confusion matrices as figures, pictures and tables.

Takes the counts of `metrics.confusion` and returns a Matplotlib figure to save or to convert to
pixels for TensorBoard. Uses neither a window system nor Matplotlib's global state.
"""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

_CELL = 30  # pixels of the quick picture
_CELL_INCHES = 0.46
_MARGIN_INCHES = (2.9, 2.4)  # class names and colour bar; class names and title


def confusion_figure(
    counts: np.ndarray, class_names: Sequence[str], title: str, note: str = ''
) -> Figure:
    """A confusion matrix as a figure: a count in each cell, shaded by its share of the row.

    Rows of classes without clips and columns of classes never predicted are grey instead of zero.

    Args:
        counts: [classes, classes] integers; a row is a true class, a column a predicted one.
        class_names: in the order of the labels.
        title: first line; accuracy and number of clips follow.
        note: small last line of the title, such as the origin of the data.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: `counts` is not square, or does not have one row per class.
    """
    counts = np.asarray(counts)
    num_classes = len(class_names)
    if counts.shape != (num_classes, num_classes):
        raise ValueError(
            f'counts of shape {counts.shape}: expected '
            f'{(num_classes, num_classes)} for {num_classes} class names'
        )
    shares, is_empty = row_shares(counts), _empty(counts)
    width, height = (num_classes * _CELL_INCHES + margin for margin in _MARGIN_INCHES)
    width, height = max(width, 6.5), max(height, 5.0)
    # Lines that are wider than the figure would leave no room for the matrix.
    title = textwrap.fill(title, int(9 * width))
    note_lines = textwrap.wrap(note, int(13 * width))
    figure = Figure(figsize=(width, height), layout='constrained')
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap='Blues', vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(counts.shape):
        count, share = counts[row, column], shares[row, column]
        axes.text(
            column,
            row,
            '' if is_empty[row, column] else f'{count}',
            ha='center',
            va='center',
            fontsize=9.5 if count < 1000 else 7,
            color='white' if share > 0.55 else 'black' if count else '0.7',
        )
    empty = np.ma.masked_array(np.ones(counts.shape), ~is_empty)
    axes.imshow(empty, cmap='Greys', vmin=0.0, vmax=8.0)
    ticks = np.arange(num_classes)
    axes.set_xticks(ticks, class_names, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(ticks, class_names)
    axes.set_xticks(ticks[1:] - 0.5, minor=True)
    axes.set_yticks(ticks[1:] - 0.5, minor=True)
    axes.grid(which='minor', color='0.88', linewidth=0.6)
    axes.tick_params(which='minor', length=0)
    axes.set(xlabel='predicted class', ylabel='true class')
    num_clips = counts.sum()
    scores = f'{num_clips} clips'
    if num_clips:
        scores = f'accuracy {np.trace(counts) / num_clips:.4f}, {scores}'
    axes.set_title(f'{title}\n{scores}', fontsize=11.5, pad=8 + 12 * len(note_lines))
    axes.annotate(
        '\n'.join(note_lines),
        (0.5, 1.0),
        xytext=(0, 8),
        xycoords='axes fraction',
        textcoords='offset points',
        ha='center',
        fontsize=8,
        color='0.35',
    )
    figure.colorbar(image, ax=axes, shrink=0.6, label='share of the true class')
    return figure


def confusion_picture(counts: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """A confusion matrix as a picture, fast enough (milliseconds) for every epoch of a run.

    Args:
        counts, class_names: as for `confusion_figure`.

    Returns:
        [height, width, 3] uint8 RGB.
    """
    font = ImageFont.load_default(13)
    widest = max(math.ceil(font.getlength(name)) for name in class_names) + 10
    size = widest + len(class_names) * _CELL
    whole = Image.new('RGB', (size + 8, size + 24), 'white')
    draw = ImageDraw.Draw(whole)
    draw.text((4, 4), 'row: true class, column: prediction', fill='#555', font=font)
    columns = Image.new('RGB', (widest, size), 'white')  # the columns' names, before rotation
    column_names = ImageDraw.Draw(columns)
    for number, name in enumerate(class_names):
        place = 24 + widest + number * _CELL
        draw.text((widest - 6, place + _CELL / 2), name, fill='black', font=font, anchor='rm')
        column_names.text((4, (number + 0.5) * _CELL), name, fill='black', font=font, anchor='lm')
    whole.paste(columns.rotate(90, expand=True).crop((0, 0, size - widest, widest)), (widest, 24))
    shares, is_empty = row_shares(counts), _empty(counts)
    for row, column in np.ndindex(shares.shape):
        left, top = widest + column * _CELL, 24 + widest + row * _CELL
        if is_empty[row, column]:
            right, bottom = left + _CELL, top + _CELL
            draw.rectangle((left, top, right, bottom), fill='#eee', outline='#ddd')
            continue
        dark = round(255 * (1 - shares[row, column]))
        draw.rectangle(
            (left, top, left + _CELL, top + _CELL), fill=(dark, dark, 255), outline='#ddd'
        )
        count = int(counts[row][column])
        draw.text(
            (left + _CELL / 2, top + _CELL / 2),
            str(count),
            font=font,
            anchor='mm',
            fill='white' if dark < 120 else 'black' if count else '#bbb',
        )
    return np.asarray(whole)


def confusion_table(counts: np.ndarray, class_names: Sequence[str]) -> str:
    """A confusion matrix as a markdown table, with each class's accuracy."""
    shares = row_shares(counts)
    lines = [
        '| true class | ' + ' | '.join(class_names) + ' | accuracy |',
        '|---' * (len(class_names) + 2) + '|',
    ]
    for label, name in enumerate(class_names):
        share = f'{shares[label, label]:.3f}' if np.sum(counts[label]) else ''
        lines.append(f'| {name} | ' + ' | '.join(map(str, counts[label])) + f' | {share} |')
    return '\n'.join(lines)


def _empty(counts):
    """Cells of classes without clips or never predicted, [classes, classes] bool."""
    counts = np.asarray(counts)
    return (counts.sum(axis=1, keepdims=True) == 0) | (counts.sum(axis=0, keepdims=True) == 0)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, [classes, classes] float64; rows of zeros stay zero."""
    counts = np.asarray(counts, np.float64)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)


def pixels(figure: Figure) -> np.ndarray:
    """A figure's pixels, [height, width, 3] uint8 RGB."""
    canvas = backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
