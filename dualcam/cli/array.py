"""dualcam array: what a microphone array can and cannot resolve."""

import argparse
import json
import pathlib

from dualcam.cli import array_options, examples

_EXAMPLES = (
    'dualcam array --array=uma16 --out=layout',
    'dualcam array --array=mics.csv --unit=mm --array_from=front --view_deg=70,43 --out=layout',
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the subcommand to the `dualcam` command."""
    parser = examples.add_parser(
        commands,
        'array',
        _EXAMPLES,
        help='a microphone layout: picture, beam pattern, resolution',
        description='Draws a microphone layout, its response to single sources and its '
        'resolution over frequency: array.png and array.json.',
    )
    array_options.add_array(parser)
    array_options.add_view(parser)
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--frequencies', default='250,12000', metavar='LOW,HIGH', help='range to analyse, Hz'
    )
    parser.set_defaults(run=_run)


def _run(options):
    import numpy as np

    from dualcam.acoustics import beam_patterns
    from dualcam.files import atomic
    from dualcam.reports import array_pictures

    low_hz, high_hz = array_options.numbers(options, 'frequencies', (2,))
    if not 1 <= low_hz < high_hz <= 1e6:
        raise ValueError(f'--frequencies={options.frequencies}: expected two, the lower one first')
    array = array_options.array_of(options)
    view, focus_m = array_options.view_of(options), array_options.focus_of(options)
    found = beam_patterns.resolution(array, view, np.geomspace(low_hz, high_hz, 60), focus_m)
    said = beam_patterns.summary(array, found, view)
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    array_pictures.array_figure(array, view, found, focus_m).savefig(out / 'array.png', dpi=90)
    atomic.write_text(out / 'array.json', json.dumps(said, indent=1) + '\n')
    print(
        f'{array.name}: {array.num_mics} microphones, aperture {said["aperture_m"]:g} m, nearest '
        f'{said["smallest_distance_m"]:g} m apart; gain over the noise of its microphones '
        f'{said["gain_over_noise_db"]:g} dB'
    )
    for angle_deg in (30, 15):
        from_hz = said[f'tells_{angle_deg}_deg_apart_from_hz']
        print(
            f'sources {angle_deg} degrees apart: '
            + (f'resolved from {from_hz} Hz' if from_hz else f'not resolved up to {high_hz:g} Hz')
        )
    ghosts = said['ghosts_within_3_db_from_hz']
    print(
        f'ghosts in the view: from {ghosts} Hz; keep --band below'
        if ghosts
        else f'ghosts in the view: none up to {high_hz:g} Hz'
    )
    print(f'written: {out / "array.png"}, {out / "array.json"}')
