"""A localised recording as tables: peaks, sources, and the whole take as JSON."""

import csv
import dataclasses
import io
import json
import pathlib

from dualcam.acoustics import localised_takes
from dualcam.files import atomic
from dualcam.files.path_types import AnyPath
from dualcam.inference import source_classes

_PLACE = ['azimuth_deg', 'elevation_deg', 'level_db']
_CLASS = ['class', 'probability']


def write_peaks(
    path: pathlib.Path,
    take: localised_takes.LocalisedTake,
    classes: source_classes.TakeClasses | None,
) -> int:
    """Writes peaks.csv, one row per peak of each map; returns the number of rows."""
    params, rows = take.maker.params, []
    for time_s, peaks, owners in zip(take.times_s, take.peaks, take.owners, strict=True):
        for peak, owner in zip(peaks, owners, strict=True):
            number = take.source_number(owner)
            row = [f'{time_s:.3f}', *_place(peak), f'{params.low_hz:g}', f'{params.high_hz:g}']
            row.append('' if number is None else number)
            if classes is not None:
                one = None if number is None else classes.at(number - 1, float(time_s))
                row += _class_cells(one)
            rows.append(row)
    header = ['time_s', *_PLACE, 'low_hz', 'high_hz', 'source']
    _write_csv(path, header + (_CLASS if classes is not None else []), rows)
    return len(rows)


def write_sources(
    path: pathlib.Path,
    take: localised_takes.LocalisedTake,
    classes: source_classes.TakeClasses | None,
) -> None:
    """Writes sources.csv, one row per source."""
    params, rows = take.maker.params, []
    for number, source in enumerate(take.sources, 1):
        azimuth_deg, elevation_deg, level_db = source.mean_place()
        row = [number, f'{source.times_s[0]:.3f}', f'{source.last_s:.3f}']
        row += [f'{azimuth_deg:.2f}', f'{elevation_deg:.2f}', f'{level_db:.2f}']
        row += [f'{params.low_hz:g}', f'{params.high_hz:g}', len(source.times_s)]
        if classes is not None:
            row += _class_cells(classes.sources[number - 1])
        rows.append(row)
    header = ['source', 'start_s', 'end_s', *_PLACE, 'low_hz', 'high_hz', 'maps']
    _write_csv(path, header + (_CLASS if classes is not None else []), rows)


def summary(
    take: localised_takes.LocalisedTake,
    classes: source_classes.TakeClasses | None,
    settings: dict,
    path: AnyPath,
) -> dict:
    """Contents of take.json: settings, sources, predictions for these and for the scene."""
    sources = []
    for number, source in enumerate(take.sources, 1):
        azimuth_deg, elevation_deg, level_db = source.mean_place()
        sources.append(
            {
                'source': number,
                'start_s': round(source.times_s[0], 3),
                'end_s': round(source.last_s, 3),
                'azimuth_deg': round(azimuth_deg, 2),
                'elevation_deg': round(elevation_deg, 2),
                'level_db': round(level_db, 2),
            }
            | ({'classes': _class_list(classes.sources[number - 1])} if classes is not None else {})
        )
    scene = {'scene': _class_list(classes.scene)} if classes is not None else {}
    return {
        'recording': str(path),
        'duration_s': round(take.recording.duration_s, 3),
        'rate_hz': take.recording.rate_hz,
        'channels': [one + 1 for one in take.recording.channels],
        'quiet_channels': take.quiet_channels(),
        'array': take.maker.array.name,
        'view_deg': [round(angle, 3) for angle in take.view.rim_deg()],
        'maps': dataclasses.asdict(take.maker.params) | settings,
        'sources': sources,
    } | scene


def write_json(path: pathlib.Path, content: dict) -> None:
    """Writes take.json."""
    atomic.write_text(path, json.dumps(content, indent=1) + '\n')


def _place(peak):
    return f'{peak.azimuth_deg:.2f}', f'{peak.elevation_deg:.2f}', f'{peak.level_db:.2f}'


def _class_cells(one):
    return ['', ''] if one is None else [one.classes[0], f'{one.probabilities[0]:.4f}']


def _class_list(one):
    if one is None:
        return None
    return [
        {'class': name, 'probability': share}
        for name, share in zip(one.classes, one.probabilities, strict=True)
    ]


def _write_csv(path, header, rows):
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(rows)
    atomic.write_text(path, text.getvalue())


def lines(
    take: localised_takes.LocalisedTake, classes: source_classes.TakeClasses | None
) -> list[str]:
    """One line to print per source, and one for the scene."""
    said = []
    for number, source in enumerate(take.sources, 1):
        azimuth_deg, elevation_deg, level_db = source.mean_place()
        line = (
            f'source {number}: {azimuth_deg:+6.1f} degrees right, {elevation_deg:+6.1f} up, '
            f'{level_db:6.1f} dB, {source.times_s[0]:.1f} - {source.last_s:.1f} s'
        )
        if classes is not None:
            line += f'  {_in_words(classes.sources[number - 1])}'
        said.append(line)
    if classes is not None:
        said.append(f'scene, from the first microphone: {_in_words(classes.scene)}')
    return said


def _in_words(one):
    if one is None:
        return 'silence'
    return f'{one.classes[0]} {one.probabilities[0]:.0%}'
