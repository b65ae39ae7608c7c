"""Figures of takes as in the papers: the acoustic image over the frame, next to its sound.

WACV 2020, Figures 2 and 6 - 9, and its supplement: frame, waveform and spectrogram, in a grid of
actions and scenarios or subjects. ECCV 2020, Figure 2: frames only, overlaid with the energy of all
frequencies or of a band. For takes without video, the maps are drawn on grey.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import cm, colors
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

from dualcam.data import audio, schema
from dualcam.reports import look, overlays

_SPECTROGRAM = 480, 240  # pixels
_CELL_INCHES = 4.4, 1.85  # a frame with its sound
_FRAME_INCHES = 2.5, 2.15  # a frame and its caption
_SMALL = 7


@dataclasses.dataclass(frozen=True, eq=False)
class Excerpt:
    """What a figure shows of a take.

    Attributes:
        overlay: [height, width, 3] uint8, the loudest acoustic image over its frame.
        at_s: time of that frame, seconds from the beginning.
        range_db: range of the overlay's colours: the map's maximum minus its median, in decibels if
            `overlays.maps` returns decibels.
        waveform: [samples] at 22,050 Hz from the beginning, or None.
    """

    overlay: np.ndarray
    at_s: float
    range_db: float
    waveform: np.ndarray | None


def excerpt(take: look.Take, band_hz: tuple[float, float] | None = None) -> Excerpt:
    """The `Excerpt` of a take; `band_hz` as for `overlays.maps`."""
    decibels = overlays.maps(take.images, band_hz)
    number = int(decibels.max(axis=(1, 2)).argmax())
    loudest = decibels[number]
    picture = None if take.pictures is None else take.pictures[number]
    return Excerpt(
        overlays.overlay(take.levels(loudest[None])[0], picture, overlays.SIZE),
        (number + 0.5) / schema.FRAMES_PER_SECOND,
        float(loudest.max() - np.median(loudest)),
        look.sound(take),
    )


def sound_grid(
    cells: Mapping[tuple[str, str], Excerpt],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    note: str = '',
) -> Figure:
    """A grid of frames, each next to its waveform and spectrogram.

    Args:
        cells: {(row, column): `Excerpt`}; missing ones stay empty.
        rows, columns: names in their order.
        title: of the figure.
        note: small line below the title, such as a description of the data.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    width, height = _CELL_INCHES
    figure = _figure((0.5 + width * len(columns), 0.9 + height * len(rows)), title, note)
    parts = figure.subfigures(len(rows), len(columns), squeeze=False)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if (row, column) in cells:
                heading = ', '.join(filter(None, (row, column)))
                _draw_cell(parts[i, j], cells[row, column], heading)
    return figure


def frame_grid(shown: Mapping[str, Excerpt], title: str, note: str = '') -> Figure:
    """Frames with acoustic images over them, and a colour scale.

    Args:
        shown: {caption: `Excerpt`}, with maps in decibels.
        title, note: see `sound_grid`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    width, height = _FRAME_INCHES
    figure = _figure((0.9 + width * columns, 0.9 + height * rows), title, note)
    places = figure.subplots(rows, columns, squeeze=False)
    for axes in places.flat:
        axes.axis('off')
    for axes, (caption, one) in zip(places.flat, shown.items(), strict=False):
        axes.imshow(one.overlay)
        axes.set_title(f'{caption}, {one.range_db:.0f} dB', fontsize=9)
    scale = figure.colorbar(
        cm.ScalarMappable(colors.Normalize(), 'turbo'), ax=places, shrink=0.8, pad=0.01
    )
    scale.set_ticks([0.0, 1.0], labels=['median', 'maximum'], fontsize=8)
    scale.set_label('level (range in captions)', fontsize=8)
    return figure


def _draw_cell(figure, shown, heading):
    """Frame on the left; waveform and spectrogram on the right, a line at the frame's time."""
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1.0), height_ratios=(1.0, 1.5))
    axes = figure.add_subplot(grid[:, 0])
    axes.imshow(shown.overlay)
    axes.axis('off')
    axes.set_title(heading, fontsize=8)
    if shown.waveform is None:
        return
    duration_s = len(shown.waveform) / audio.SAMPLE_RATE_HZ
    top = figure.add_subplot(grid[0, 1])
    top.plot(
        np.arange(len(shown.waveform)) / audio.SAMPLE_RATE_HZ,
        shown.waveform / audio.PEAK,
        linewidth=0.3,
        color='C0',
        rasterized=True,
    )
    top.set(xlim=(0.0, duration_s), ylim=(-1.05, 1.05), yticks=(-1, 0, 1))
    top.tick_params(labelbottom=False)
    top.set_ylabel('amplitude', fontsize=_SMALL)
    below = figure.add_subplot(grid[1, 1])
    below.imshow(
        overlays.spectrogram_picture(shown.waveform, _SPECTROGRAM),
        extent=(0.0, duration_s, 0.0, audio.SAMPLE_RATE_HZ / 2000.0),
        aspect='auto',
    )
    below.set_ylim(0.0, schema.ARRAY_RATE_HZ / 2000.0)  # recordings contain nothing above it
    below.set_ylabel('kHz', fontsize=_SMALL)
    below.set_yticks((0, 2, 4, 6))
    below.set_xlabel('time in s', fontsize=_SMALL)
    for one, colour in ((top, 'C3'), (below, 'white')):
        one.axvline(shown.at_s, color=colour, linewidth=0.8, linestyle='--')
        one.tick_params(labelsize=_SMALL)


def _figure(size, title, note):
    figure = Figure(figsize=size, layout='constrained')
    backend_agg.FigureCanvasAgg(figure)
    figure.suptitle(f'{title}\n{note}' if note else title, fontsize=11)
    return figure
