"""Draws the papers' figures from records and results.

    python -m experiments.figures --out=DIR [--records=RECORDS] [--acivw=RECORDS] [--acivw_raw=RAW]
        [--aaai=RESULTS] [--band=900-6400] [--seconds=3]

`make figures` passes what is available. Output files, by input:

--records, AVIA or data in its layout: wacv2020_scenarios_N.png, actions by scenarios, and
wacv2020_subjects_N.png, subjects by actions in the first scenario: frame with its acoustic image
next to waveform and spectrogram (WACV 2020, Figures 2 and 6 - 9; its supplement, Figures 1 - 4);
and eccv2020_fig2_avia.png, as below.
--acivw, records of ACIVW, or --acivw_raw, its 128 channels: eccv2020_fig2.png, a frame of each
class overlaid with the energy of all frequencies, or of --band (ECCV 2020, Figure 2). Records have
12 cepstra, and energies are those of the smoothed spectrum that they determine; 128 channels are
beamformed, which needs a known --array.
--aaai, the folder with a finished table's JSON: aaai2021_fig4.png, each event's average precision
(AAAI 2021, Figure 4).

Records without video show their maps on grey. --view_deg, --calibration, --mirrored, --upside_down
and --video_offset_s describe the camera's view, if it is not the acoustic images' 60 x 45 degrees.
"""

import functools
import json
import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # before TensorFlow: its startup is verbose

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure

from dualcam.acoustics import band_beamforming, geometry_files, microphones, views
from dualcam.cli import errors
from dualcam.data import schema
from dualcam.data.records import record_lists
from dualcam.data.sources import datasets
from dualcam.evaluation import tagging_scores
from dualcam.files import atomic, progress_bars
from dualcam.reports import look, overlays, take_figures
from records import acivw_layout, array_flags

ACTIONS_A_PAGE, SUBJECTS_A_PAGE = 4, 3
_PLACE = re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)')
_ALL_HZ = (0.0, math.inf)
_DPI = 120

# Figure 4's curves: name, (table, row) that have it, the command that makes it.
CURVES = (
    (
        'audio network',
        ((3, 'labels alone'), (2, 'labels alone'), (4, 'log-mel')),
        'make aaai',
    ),
    (
        'student',
        ((3, 'proposed student'), (2, 'mutual learning'), (4, 'proposed student'), (5, 'log-mel')),
        'make aaai',
    ),
    ('student, VGGish', ((5, 'log-mel and VGGish'),), 'make aaai TABLE=5 VGGISH=FILE'),
)

Place = tuple[int, int, int]  # scenario, subject, action, from 1
See = Callable[[look.Take], look.Take]  # aligns a take with its camera


def as_stored(take: look.Take) -> look.Take:
    """A take whose pictures already match its acoustic images."""
    return take


def take_folders(root: pathlib.Path) -> dict[Place, pathlib.Path]:
    """The first folder of each scenario, subject and action in AVIA's layout.

    Raises:
        ValueError: there are no records.
    """
    found: dict[Place, pathlib.Path] = {}
    for folder, count in record_lists.record_folders(root, None):
        place = _PLACE.match(folder)
        if place and count:
            location, subject, action = map(int, place.groups())
            found.setdefault((location, subject, action), root / folder)
    if not found:
        raise ValueError(f'{root}: no records below Location_LL/Subject_SS/Action_AAA')
    return found


def avia_figures(
    root: pathlib.Path,
    seconds: int,
    band_hz: tuple[float, float] | None,
    see: See = as_stored,
) -> dict[str, Callable[[], Figure]]:
    """{name: function that draws it} for records in AVIA's layout.

    Args:
        root: of the records.
        seconds: of each take.
        band_hz: of the acoustic images; default the first cepstrum, in Figure 2 of ECCV 2020 all.
        see: applied to each take.
    """
    folders = take_folders(root)
    info = datasets.read_description(root)
    note = f'Data: {info.name}, {info.origin}'
    map_note = f'{note}. Maps: {f"energy of {_hertz(band_hz)}" if band_hz else "first cepstrum"}'
    named = {action: name for action, name in enumerate(info.classes, 1)}
    locations, subjects, actions = (sorted(set(part)) for part in zip(*folders, strict=True))

    @functools.cache
    def shown(folder):
        return take_figures.excerpt(see(look.read_take(folder, seconds)), band_hz)

    def by_scenario(some):
        cells = {}
        for action in some:
            for location in locations:
                place = next((p for p in folders if p[0] == location and p[2] == action), None)
                if place:
                    cells[named[action], f'scenario {location}'] = shown(folders[place])
        return take_figures.sound_grid(
            cells,
            [named[action] for action in some],
            [f'scenario {location}' for location in locations],
            'WACV 2020, Figures 2 and 6 - 9: actions in each scenario',
            map_note,
        )

    def by_subject(some):
        first = locations[0]
        cells = {
            (f'subject {subject}', named[action]): shown(folders[first, subject, action])
            for subject in subjects
            for action in some
            if (first, subject, action) in folders
        }
        return take_figures.sound_grid(
            cells,
            [row for row in (f'subject {s}' for s in subjects) if any(row == r for r, _ in cells)],
            [named[action] for action in some],
            f'WACV 2020, supplement, Figures 1 - 4: subjects in scenario {first}',
            map_note,
        )

    def energies():
        frames = {}
        for action in actions:
            place = next(p for p in folders if p[2] == action)
            take = see(look.read_take(folders[place], seconds))
            frames[named[action]] = take_figures.excerpt(take, band_hz or _ALL_HZ)
        return _energy_figure(frames, band_hz, 'from 12 cepstra', note)

    pages: dict[str, Callable[[], Figure]] = {}
    for name, draw, size in (
        ('scenarios', by_scenario, ACTIONS_A_PAGE),
        ('subjects', by_subject, SUBJECTS_A_PAGE),
    ):
        for first in range(0, len(actions), size):
            page = f'wacv2020_{name}_{first // size + 1}'
            pages[page] = functools.partial(draw, actions[first : first + size])
    return pages | {'eccv2020_fig2_avia': energies}


def acivw_figure(
    root: pathlib.Path,
    seconds: int,
    band_hz: tuple[float, float] | None,
    array: microphones.MicArray | None = None,
    see: See = as_stored,
) -> Figure:
    """Figure 2 of ECCV 2020: a frame of each class, overlaid with the energy.

    Args:
        root: of the records, or, with an array, of the raw folder.
        seconds: of each class's first video.
        band_hz: default all frequencies.
        array: the microphones of the 128 channels.
        see: applied to each take.
    """
    firsts: dict[int, str] = {}
    for label, number in acivw_layout.video_folders(root):
        firsts.setdefault(label, acivw_layout.video_name(label, number))
    info = datasets.read_description(root)
    names = datasets.ACIVW_CLASSES if info == datasets.UNNAMED else info.classes
    if array is None:
        made_from, band = 'from 12 cepstra', band_hz or _ALL_HZ
        takes = {label: look.read_take(root / name, seconds) for label, name in firsts.items()}
    else:
        made_from, band = f'beamformed from {array.num_mics} channels', None
        beamformer = band_beamforming.BandBeamformer(
            array, microphones.look_directions(), overlays.band(*(band_hz or _ALL_HZ))[None]
        )
        takes = {label: raw_take(root, name, seconds, beamformer) for label, name in firsts.items()}
    frames = {
        names[label] if label < len(names) else f'class {label}': take_figures.excerpt(
            see(take), band
        )
        for label, take in takes.items()
    }
    return _energy_figure(frames, band_hz, made_from, f'Data: {info.name}, {info.origin}')


def raw_take(
    root: pathlib.Path, name: str, seconds: int, beamformer: band_beamforming.BandBeamformer
) -> look.Take:
    """The first seconds of a raw video of ACIVW, beamformed to the energy of one band."""
    (video,) = acivw_layout.find_videos(root, ('audio', 'video'), False, name)
    files = {
        kind: paths[: seconds * schema.FRAMES_PER_SECOND] for kind, paths in video.files.items()
    }
    channels = np.stack([acivw_layout.read_channels(path) for path in files['audio']])
    pictures = np.stack([acivw_layout.read_frame('video', path) for path in files['video']])
    return look.Take(
        name.replace('/', '_'),
        beamformer.energies(channels),
        pictures[..., ::-1],
        channels[:, :1],
    )


def precisions_of(
    folder: pathlib.Path,
) -> tuple[dict[str, Mapping[str, float | None]], str, list[str]]:
    """Figure 4's curves from the JSON of AAAI's tables.

    Args:
        folder: with aaai2021_tableN.json.

    Returns:
        ({curve: {event: average precision}}, description of the data, lines about curves that are
        missing and how to make them).
    """
    tables = {}
    for number in range(1, 7):
        path = folder / f'aaai2021_table{number}.json'
        if path.is_file():
            tables[number] = json.loads(path.read_text(encoding='utf-8'))
    found, missing, note, records = {}, [], '', None
    for name, places, command in CURVES:
        for number, row in places:
            table = tables.get(number, {})
            if row in table.get('average_precision', {}) and records in (None, table['records']):
                records = table['records']
                note = note or table['title'].partition('. ')[2]
                found[name] = table['average_precision'][row]
                break
        else:
            missing.append(f'no curve for the {name}: {command} makes it')
    return found, note, missing


def parse_band(text: str | None) -> tuple[float, float] | None:
    """Parses '900-6400' to two numbers in hertz; None stays None.

    Raises:
        ValueError: it is malformed, or the band is empty.
    """
    if text is None:
        return None
    found = re.fullmatch(r'(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)', text.replace(' ', ''))
    if not found or float(found[1]) >= float(found[2]):
        raise ValueError(f'--band={text}: expected LOW-HIGH in hertz, as in 900-6400')
    return float(found[1]), float(found[2])


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes a figure as a PNG file."""
    with atomic.writing_file(path, '.png') as partial:
        figure.savefig(partial, dpi=_DPI)


def main(_: Sequence[str]) -> None:
    """Runs the command."""
    options = flags.FLAGS
    band_hz = parse_band(options.band)
    out = pathlib.Path(options.out)
    wanted: dict[str, Callable[[], Figure]] = {}
    said = []
    see = _see(options)
    if options.records:
        wanted |= avia_figures(pathlib.Path(options.records), options.seconds, band_hz, see)
    if options.acivw_raw or options.acivw:
        array = None
        if options.acivw_raw:
            array = geometry_files.find_array(options.array, options.unit)
        wanted['eccv2020_fig2'] = functools.partial(
            acivw_figure,
            pathlib.Path(options.acivw_raw or options.acivw),
            options.seconds,
            band_hz,
            array,
            see,
        )
    else:
        said.append('no Figure 2 of ACIVW: it needs records, which make eccv makes')
    curves, note, missing = (
        precisions_of(pathlib.Path(options.aaai))
        if options.aaai
        else ({}, '', ['no Figure 4 of AAAI 2021: it needs results, which make aaai makes'])
    )
    said += missing
    if curves:
        events = tuple(next(iter(curves.values())))
        wanted['aaai2021_fig4'] = functools.partial(
            tagging_scores.precision_figure,
            curves,
            events,
            'AAAI 2021, Figure 4: average precision of each event',
            note,
        )
    if not wanted:
        raise ValueError(f'nothing to draw: {"; ".join(said)}; pass --records, --acivw or --aaai')
    out.mkdir(parents=True, exist_ok=True)
    for name, draw in progress_bars.bar(wanted.items(), unit='figure', total=len(wanted)):
        save(draw(), out / f'{name}.png')
    for line in said:
        print(line)
    print(f'written: {out}/: {", ".join(f"{name}.png" for name in wanted)}')


def _see(options):
    """A function that applies --view_deg and the other view flags to a take."""
    view = array_flags.view_of(schema.VIDEO_SHAPE[1::-1])
    if view is None and not options.video_offset_s:
        return as_stored
    if view is not None and options.records:
        look.check_unplaced(options.records)
    return lambda take: look.seen(
        take, view or views.View(), options.video_offset_s, aligned=view is None
    )


def _hertz(band_hz):
    return f'{band_hz[0]:,.0f} - {band_hz[1]:,.0f} Hz'


def _energy_figure(frames, band_hz, made_from, note):
    of = _hertz(band_hz) if band_hz else 'all frequencies'
    return take_figures.frame_grid(
        frames, f'ECCV 2020, Figure 2: energy of {of}, {made_from}', note
    )


if __name__ == '__main__':
    flags.DEFINE_string('records', None, "Records in AVIA's layout, with video.")
    flags.DEFINE_string('acivw', None, "Records in ACIVW's layout, with video.")
    flags.DEFINE_string('acivw_raw', None, 'Raw ACIVW folder, whose 128 channels are beamformed.')
    flags.DEFINE_string('aaai', None, 'Folder with aaai2021_tableN.json.')
    flags.DEFINE_string('out', None, 'Folder for the figures.', required=True)
    flags.DEFINE_string('band', None, 'LOW-HIGH in hertz; default all, WACV: first cepstrum.')
    flags.DEFINE_integer('seconds', 3, 'Seconds of each take, from its beginning.', lower_bound=1)
    array_flags.define()
    array_flags.define_view()
    array_flags.define_video_offset()
    flags.adopt_module_key_flags(array_flags)  # for --help
    app.run(errors.clean_errors(main))
