"""A picture of an array: microphone positions, beam patterns and resolution."""

import numpy as np
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure

from dualcam.acoustics import beam_patterns, geometry_files, microphones, views

_SHOWN_HZ = (1000, 2000, 4000, 8000)
_FLOOR_DB = -20.0
_MOST_NUMBERED = 64


def array_figure(
    array: microphones.MicArray,
    view: views.View,
    found: beam_patterns.Resolution,
    focus_m: float | None,
) -> Figure:
    """A figure of the layout, response maps, response over frequency and resolution.

    Args:
        array: the microphones.
        view: of the camera.
        found: the array's resolution.
        focus_m: distance of sources; None for plane waves.
    """
    figure = Figure(figsize=(14, 9), layout='constrained')
    backend_agg.FigureCanvasAgg(figure)
    places = figure.subplot_mosaic([list('abcd'), list('ABCD'), list('eeff'), list('eeff')])
    layout, horizontal = places['a'], places['A']
    _draw_layout(layout, array)
    _draw_sides(horizontal, array)
    grid = view.grid(90, 120)
    source = view.directions(np.array(0.5), np.array(0.5))
    aside = view.directions(np.array(0.85), np.array(0.25))
    for hz, above, below in zip(_SHOWN_HZ[:3], 'bcd', 'BCD', strict=True):
        image = _draw_map(places[above], array, view, grid, source, hz, focus_m)
        _draw_map(places[below], array, view, grid, aside, hz, focus_m)
    figure.colorbar(image, ax=[places['d'], places['D']], label='response, dB', shrink=0.8)
    _draw_cut(places['e'], array, view, found.frequencies_hz, focus_m, figure)
    _draw_resolution(places['f'], found)
    distance = 'far away' if focus_m is None else f'at {focus_m:g} m'
    figure.suptitle(
        f'{array.name}: {array.num_mics} microphones, aperture '
        f'{geometry_files.aperture_m(array):.3f} m; filter-and-sum, sources {distance}'
    )
    return figure


def _draw_layout(axes, array):
    x, y, _ = 1000 * array.positions_m.T
    axes.scatter(x, y, s=14, color='tab:blue')
    if array.num_mics <= _MOST_NUMBERED:
        for number, place in enumerate(zip(x, y, strict=True), 1):
            axes.annotate(f'{number}', place, xytext=(2, 2), textcoords='offset points', fontsize=7)
    axes.plot(0, 0, '+', color='tab:red', markersize=9, label='camera')
    axes.legend(fontsize=7, loc='upper right')
    axes.set_aspect('equal', 'datalim')
    axes.set_title('seen from behind, in viewing direction', fontsize=9)
    axes.set_xlabel('x to the right, mm', fontsize=8)
    axes.set_ylabel('y up, mm', fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_sides(axes, array):
    """The co-array, all displacements between microphones: the array cannot sense its gaps."""
    apart = (array.positions_m[:, None] - array.positions_m)[..., :2].reshape(-1, 2) * 1000
    axes.scatter(*apart.T, s=2, color='0.4', alpha=0.5, linewidths=0)
    axes.set_aspect('equal', 'datalim')
    axes.set_title('displacements between all pairs', fontsize=9)
    axes.set_xlabel('mm', fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_map(axes, array, view, grid, source, hz, focus_m):
    response = beam_patterns.response_db(array, source, grid.directions, hz, focus_m)
    image = axes.imshow(
        response, cmap='turbo', vmin=_FLOOR_DB, vmax=0, aspect='auto', interpolation='bilinear'
    )
    x, y = view.places(source) * [grid.shape[1], grid.shape[0]] - 0.5
    axes.plot(x, y, 'x', color='white')
    axes.set_title(f'{hz / 1000:g} kHz, source at the cross', fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    return image


def _draw_cut(axes, array, view, frequencies_hz, focus_m, figure):
    half_deg = view.rim_deg()[0] / 2
    angles_deg = np.linspace(-half_deg, half_deg, 181)
    towards = np.stack([views.direction(angle, 0.0) for angle in angles_deg])
    ahead = np.array([0.0, 0.0, 1.0])
    response = np.stack(
        [beam_patterns.response_db(array, ahead, towards, hz, focus_m) for hz in frequencies_hz]
    )
    mesh = axes.pcolormesh(
        angles_deg,
        frequencies_hz,
        response,
        cmap='turbo',
        vmin=_FLOOR_DB,
        vmax=0,
        shading='nearest',
    )
    axes.set_yscale('log')
    axes.set_yticks(*_ticks(frequencies_hz))
    axes.minorticks_off()
    axes.set_xlabel('azimuth, degrees to the right')
    axes.set_ylabel('frequency, Hz')
    axes.set_title('response along the horizon to a source ahead', fontsize=10)
    figure.colorbar(mesh, ax=axes, label='dB')


def _draw_resolution(axes, found):
    hz = found.frequencies_hz
    axes.plot(hz, found.widths_deg[:, 0], label='horizontal width at -3 dB')
    axes.plot(hz, found.widths_deg[:, 1], '--', label='vertical width at -3 dB')
    axes.set_xscale('log')
    axes.set_xticks(*_ticks(hz))
    axes.minorticks_off()
    axes.set_ylim(0, 90)
    axes.set_xlabel('frequency, Hz')
    axes.set_ylabel('degrees: closer sources merge')
    axes.grid(alpha=0.3)
    lobes = axes.twinx()
    lobes.plot(hz, found.side_lobes_db, color='tab:red', label='highest side lobe in the view')
    lobes.axhline(-3, color='tab:red', linewidth=0.7, linestyle=':')
    lobes.set_ylim(-30, 0.5)
    lobes.set_ylabel('dB; above the dotted line ghosts look like sources', color='tab:red')
    handles = axes.get_lines() + lobes.get_lines()[:1]
    axes.legend(handles, [line.get_label() for line in handles], fontsize=8, loc='upper center')
    axes.set_title('resolution and ghosts', fontsize=10)


def _ticks(frequencies_hz):
    shown = [hz for hz in (200, 500, 1000, 2000, 4000, 8000, 16000) if hz <= frequencies_hz[-1]]
    shown = [hz for hz in shown if hz >= frequencies_hz[0]]
    return shown, [f'{hz / 1000:g} k' if hz >= 1000 else f'{hz}' for hz in shown]
